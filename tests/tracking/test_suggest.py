"""Suggested settings: right for spots of known size, polarity, noise and speed, and explained."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.spatial import KDTree

from colloid_cg.errors import DataError
from colloid_cg.tracking import Suggestion, TrackConfig, locate, resolve, suggest
from colloid_cg.tracking.choices import choose_minmass, choose_search_range
from colloid_cg.tracking.scale_space import coarse_noise, find_blobs, pixel_noise
from colloid_cg.twin import TwinConfig, make_twin
from tests.tracking.pictures import brownian, lattice, movie, paint, stack_of

EDGE = 200


def spots(seed: int, *, width: float, amplitude: float, noise: float, step: float = 0.5, spacing: float = 25.0):
    rng = np.random.default_rng(seed)
    positions = brownian(rng, lattice(rng, edge=EDGE, spacing=spacing), n_frames=6, step=step, drift=(0.2, 0.0))
    return positions, movie(rng, positions, edge=EDGE, width=width, amplitude=amplitude, noise=noise)


@pytest.mark.parametrize(
    ("width", "amplitude", "noise"), [(1.3, 90.0, 3.0), (2.0, 80.0, 8.0), (3.0, 40.0, 8.0), (4.0, 60.0, 4.0)]
)
@pytest.mark.parametrize("dark", [False, True])
def test_gaussian_spots(width: float, amplitude: float, noise: float, dark: bool) -> None:
    positions, frames = spots(1, width=width, amplitude=amplitude, noise=noise)
    stack = stack_of(255.0 - frames if dark else frames)
    found = suggest(stack)
    assert found.invert is dark
    assert 4.4 * width <= found.diameter <= 5.8 * width + 1.5
    assert found.noise == pytest.approx(noise, rel=0.1)
    # common motion and eight standard deviations of diffusion and localisation error (at its bound) together
    wanted = 0.2 + 8 * np.sqrt(0.5**2 + 2 * (noise / amplitude) ** 2 * 2 / np.pi)
    assert found.search_range == pytest.approx(wanted, rel=0.25)
    table = locate(stack, resolve(TrackConfig(), found), stop=1)
    assert len(table) == positions.shape[1]  # nothing missed, nothing invented
    assert not found.warnings


def test_every_value_is_explained_and_json_able() -> None:
    found = suggest(stack_of(spots(2, width=2.0, amplitude=80.0, noise=5.0)[1]))
    assert isinstance(found, Suggestion)
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert set(plain["choices"]) == set(found.values)
    assert all(choice["reason"] for choice in plain["choices"].values())
    assert all(plain["choices"][name]["evidence"] for name in ("invert", "diameter", "minmass", "search_range"))


def test_given_settings_are_respected() -> None:
    given = TrackConfig(diameter=7, minmass=3.0, search_range=2.5)
    found = suggest(stack_of(spots(2, width=2.0, amplitude=80.0, noise=5.0)[1]), given)
    config = resolve(given, found)
    assert (config.diameter, config.minmass, config.search_range) == (7, 3.0, 2.5)
    assert config.threshold is not None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"diameter": 5}, "diameter = 5, but"),
        ({"diameter": 21}, "diameter = 21, but"),
        ({"invert": True}, "= true, but"),
    ],
)
def test_settings_that_the_movie_speaks_against_are_warned_of(given: dict, words: str) -> None:
    pictures = stack_of(spots(2, width=2.0, amplitude=80.0, noise=5.0)[1])
    assert any(words in warning for warning in suggest(pictures, TrackConfig(**given)).warnings)
    fine = suggest(pictures, TrackConfig(diameter=9, invert=False))
    assert not any("but the movie suggests" in warning for warning in fine.warnings)


def test_fast_particles_limit_the_range_and_warn() -> None:
    found = suggest(stack_of(spots(3, width=2.0, amplitude=80.0, noise=4.0, step=4.0, spacing=18.0)[1]))
    assert found.search_range <= 0.5 * 18.0
    assert "record faster" in " ".join(found.warnings)


def test_two_species_are_both_kept() -> None:
    # Bright and dim particles make two peaks of mass: the valley between them must not become minmass.
    rng = np.random.default_rng(4)
    positions = lattice(rng, edge=EDGE, spacing=25.0)
    bright = paint(positions[::2], edge=EDGE, amplitude=100.0, background=30.0)
    frame = bright + paint(positions[1::2], edge=EDGE, amplitude=50.0, background=30.0)
    stack = stack_of(np.stack([frame + rng.normal(0.0, 3.0, frame.shape) for _ in range(3)]))
    assert len(locate(stack, resolve(TrackConfig(), suggest(stack)), stop=1)) == len(positions)


def test_minmass_is_the_valley_between_noise_and_particles() -> None:
    rng = np.random.default_rng(5)
    masses = np.concatenate([rng.lognormal(np.log(20), 0.3, 3000), rng.lognormal(np.log(900), 0.2, 1500)])
    choice = choose_minmass(masses, rng.lognormal(np.log(20), 0.3, 300))
    assert 60 < choice.value < 500
    assert "valley" in choice.reason
    only = choose_minmass(masses[3000:], np.array([20.0]))
    assert only.value < 0.5 * np.median(masses[3000:])


def test_a_valley_between_two_species_is_no_minmass() -> None:
    rng = np.random.default_rng(8)
    small, large = rng.lognormal(np.log(600), 0.1, 1000), rng.lognormal(np.log(1500), 0.1, 1000)
    assert choose_minmass(np.concatenate([small, large]), np.array([20.0, 15.0])).value < small.min()


def test_the_small_half_of_a_mixture_in_poor_light_is_kept() -> None:
    # the small ones are hardly brighter than noise, as a whole population may be: what tells is that they stay
    config = TwinConfig(n_frames=20, width=200, height=200, frame_interval=0.005, repulsion=300.0, seed=101)
    camera = config.camera.model_copy(update={"exposure": 1.0, "amplitude": 60.0})
    twin = make_twin("soft_glass", config.model_copy(update={"camera": camera, "drive": "none"}))
    stack = twin.stack()
    found = suggest(stack)
    assert found.choices["minmass"].value < 350.0
    detections = locate(stack, resolve(TrackConfig(), found), stop=1)
    visible = twin.truth_table[(twin.truth_table["frame"] == 0) & twin.truth_table["visible"]]
    distance = KDTree(detections[["x", "y"]]).query(visible[["x", "y"]])[0]
    for species in (0, 1):
        assert (distance[visible["species"] == species] < 1.0).mean() > 0.85
    asked = suggest(stack, TrackConfig(size_classes=2))
    assert asked.choices["refine"].value == "joint"
    species = locate(stack, resolve(TrackConfig(size_classes=2), asked), stop=1)["species"]
    assert set(species) == {0, 1}


def test_a_fast_minority_widens_the_search_range() -> None:
    rng = np.random.default_rng(9)
    before = lattice(rng, edge=1200, spacing=30.0)
    sigma = np.where(np.arange(len(before)) % 3 == 0, 1.2, 0.3)[:, None]
    after = before + sigma * rng.normal(size=before.shape)
    pair = tuple(pd.DataFrame(points, columns=["x", "y"]) for points in (before, after))
    # A tenth of the steps is longer than r where exp(-r^2 / (2 1.2^2)) / 3 = .1 (the slow ones never reach it).
    quantile = 1.2 * np.sqrt(2 * np.log(1 / 0.3))
    assert choose_search_range([pair]).value == pytest.approx(8 * quantile / 2.1460, rel=0.1)


def test_noise_estimates_see_noise_and_not_particles() -> None:
    rng = np.random.default_rng(6)
    frame = paint(lattice(rng, edge=EDGE, spacing=12.0), edge=EDGE, width=2.5, amplitude=100.0, noise=6.0, rng=rng)
    assert pixel_noise(frame) == pytest.approx(6.0, rel=0.05)
    assert coarse_noise(rng.normal(0.0, 3.0, (300, 300))) == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("width", [1.5, 3.0, 9.0, 15.0])
def test_a_gaussian_spot_answers_at_its_own_width(width: float) -> None:
    frame = paint(np.array([[100.3, 99.6]]), edge=EDGE, width=width, amplitude=100.0)
    blobs = find_blobs(frame, 0.01)
    best = int(np.argmax(blobs.energy(invert=False)))
    assert blobs.scales[best] == pytest.approx(width, rel=0.2)
    strongest = int(np.argmax(blobs.response))
    assert np.hypot(blobs.x[strongest] - 100.3, blobs.y[strongest] - 99.6) < max(1.0, 0.3 * width)
    # Response of the normalised Laplacian of a Gaussian spot at its own width is half the amplitude.
    assert blobs.response[strongest] == pytest.approx(50.0, rel=0.1)
    assert blobs.roundness[strongest] > 0.9


def test_a_blank_movie_with_noise_is_refused() -> None:
    noise = np.random.default_rng(7).normal(100.0, 5.0, (4, 150, 150))
    with pytest.raises(DataError, match=r"track\.(diameter|minmass)"):
        suggest(stack_of(noise))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "dark", "smallest", "largest", "fewest", "most"),
    # By eye: about 600 dark gel particles of 25 x 38 px; about 60 in-focus and faint dark spots of about 8 px.
    [("hydrogel", True, 21, 35, 550, 700), ("colloids", True, 7, 11, 25, 70)],
)
def test_real_movies(data: Path, name: str, dark: bool, smallest: int, largest: int, fewest: int, most: int) -> None:
    capture = cv2.VideoCapture(str(data / "videos" / f"{name}.mp4"))
    stack = stack_of(np.stack([capture.read()[1][..., 1] for _ in range(8)]))
    found = suggest(stack)
    assert found.invert is dark
    assert smallest <= found.diameter <= largest
    assert fewest < len(locate(stack, resolve(TrackConfig(), found), stop=1)) < most


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("clipped", [False, True])
def test_saturated_particles_are_warned_of(dark: bool, clipped: bool) -> None:
    _, frames = spots(7, width=2.0, amplitude=150.0, noise=3.0)
    pictures = np.clip(np.rint(np.asarray(frames)), 0, 110 if clipped else 255).astype(np.uint8)
    found = suggest(stack_of(255 - pictures if dark else pictures))
    assert any("saturated" in text for text in found.warnings) is clipped
