"""The joint fit is chosen where neighbours shift particles by a good part of their error, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.synthetic import dense_scene, sparse_scene
from colloid_cg.tracking import TrackConfig, suggest
from colloid_cg.tracking.bounds import render
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.likelihood import fit_spots
from colloid_cg.tracking.neighbour_light import choose_refinement, neighbour_shifts
from colloid_cg.tracking.prepared import fit_picture
from colloid_cg.tracking.spot_profile import needed_lanes
from tests.tracking.pictures import lattice, paint, stack_of

WIDTH, RADIUS = 1.9, 4
NOISE = (9.0, 0.0, 1e-6)


@pytest.mark.parametrize("distance", [8.5, 9.5, 10.5])
def test_the_shift_is_that_of_the_fit(distance: float) -> None:
    # A noiseless picture: all that moves the fit is the neighbour.
    centre = np.array([30.2, 29.7])
    places = np.array([centre, centre + distance * np.array([0.8, 0.6])])
    amplitudes = np.array([80.0, 120.0])
    picture = render((60, 60), places, np.full(2, WIDTH), amplitudes, np.zeros((60, 60)))
    model = ImageModel(noise_offset=9.0, noise_slope=0.0, background=0.0)
    prepared = fit_picture(picture, TrackConfig(invert=False), model, margin=needed_lanes(RADIUS))
    fit = fit_spots(prepared, *places.T, width=WIDTH, radius=RADIUS, noise=NOISE)
    found = Detections.at(*places.T, signal=amplitudes)
    shift = neighbour_shifts(found, WIDTH, radius=RADIUS, noise=NOISE)
    length = np.hypot(*shift[0])
    assert length > 0.002
    # The next order is smaller by about shift / width.
    np.testing.assert_allclose(shift[0], fit[0, :2] - places[0], atol=2.0 * length**2 / WIDTH + 1e-4)


def test_neighbours_on_both_sides_cancel_and_far_ones_do_nothing() -> None:
    row = np.array([[20.0, 40.0], [29.0, 40.0], [38.0, 40.0], [90.0, 40.0]])
    shift = neighbour_shifts(Detections.at(*row.T, signal=np.full(4, 80.0)), WIDTH, radius=RADIUS, noise=NOISE)
    np.testing.assert_allclose(shift[[1, 3]], 0.0, atol=1e-9)
    assert shift[0, 0] > 0.005
    assert shift[2, 0] == pytest.approx(-shift[0, 0])
    assert neighbour_shifts(Detections.at(*row[:1].T), WIDTH, radius=RADIUS, noise=NOISE).shape == (1, 2)


def test_the_share_of_particles_that_are_shifted_decides() -> None:
    error = np.full((100, 2), 0.03)
    shift = np.zeros((100, 2))
    shift[:19] = 0.02  # .67 of the error
    assert choose_refinement(shift, error).value == "likelihood"
    shift[:21] = 0.02
    chosen = choose_refinement(shift, error)
    assert chosen.value == "joint"
    assert chosen.evidence["share_shifted"] == 0.21
    assert choose_refinement(shift, 2.0 * error).value == "likelihood"  # the same light matters less to worse positions
    assert choose_refinement(np.empty((0, 2)), np.empty((0, 2))).value == "likelihood"


@pytest.mark.parametrize("amplitude", [100.0, 30.0])
def test_touching_particles_are_fitted_together(amplitude: float) -> None:
    assert suggest(dense_scene(amplitude, seed=5, n_frames=3, size=256).stack).refine == "joint"


@pytest.mark.parametrize(("count", "size"), [(500, 512), (1250, 512)])
def test_particles_that_only_come_near_are_fitted_alone(count: int, size: int) -> None:
    assert suggest(sparse_scene(count, size, 3, seed=3).stack).refine == "likelihood"


def test_dark_walls_are_warned_of() -> None:
    rng = np.random.default_rng(3)
    frame = paint(lattice(rng, edge=200, spacing=14.0), edge=200, width=2.0, amplitude=-60.0, background=200.0)
    frames = np.stack([frame + rng.normal(0.0, 3.0, frame.shape) for _ in range(3)])
    assert not suggest(stack_of(frames), TrackConfig(invert=True, diameter=11)).choices["minmass"].warning
    frames[:, :, :40] = 20.0 + rng.normal(0.0, 3.0, (3, 200, 40))
    warning = suggest(stack_of(frames), TrackConfig(invert=True, diameter=11)).choices["minmass"].warning
    assert "20 % of the frame" in warning
    assert "crop" in warning
