"""Rings: found where they are, fitted as well as their pixels allow, with errors that are true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trackpy
from scipy.spatial import KDTree

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.records import FLAG_EDGE, FLAG_POOR_FIT
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.radius_classes import split_radii
from colloid_cg.tracking.rings import choose_ring, detect_rings, estimate_profile, refine_profile, ring_model
from colloid_cg.video import open_video
from tests.tracking.pictures import paint
from tests.tracking.ring_pictures import lower_bound, packed, paint_rings, rim

NOISE = 5.0
MODEL = ImageModel(noise_offset=NOISE**2, noise_slope=0.0, background=100.0)


class Fitted:
    """Rings of a few noisy pictures of one arrangement, found and fitted, beside the truth."""

    def __init__(self, radius, *, width, share, signal, ratio=1.0, n_frames=3, seed=1, edge=None):
        rng = np.random.default_rng(seed)
        self.edge = edge or max(220, int(13 * radius))
        self.width, self.amplitude = width, signal * NOISE
        radii = [radius] if ratio == 1.0 else [radius, ratio * radius]
        circles = packed(rng, edge=self.edge, share=share, radii=radii, gap=3.5 * width)
        self.truth, frames = [], []
        for _ in range(n_frames):
            moved = circles.copy()
            moved[:, :2] += rng.uniform(-0.5, 0.5, 2) + rng.uniform(-0.2, 0.2, (len(circles), 2))
            clean = paint_rings(moved, edge=self.edge, width=width, amplitude=self.amplitude)
            frames.append(clean + rng.normal(0.0, NOISE, clean.shape))
            self.truth.append(moved)
        self.frames = frames
        self.config = TrackConfig(diameter=int(2 * max(radii) + 4 * width) | 1)
        self.model = ring_model(frames, self.config, MODEL)
        self.found = [
            refine_profile(frame, detect_rings(frame, self.config, self.model), self.config, self.model)
            for frame in frames
        ]

    def matched(self):
        """Errors and stated errors of the rings that lie in the picture, with their radii; recall and precision."""
        errors, stated, radii, fractions, hits, wrong = [], [], [], [], 0, 0
        total, named = 0, 0
        for found, truth in zip(self.found, self.truth, strict=True):
            reach = truth[:, 2] + 3 * self.width
            inside = np.all((truth[:, :2] > reach[:, None]) & (truth[:, :2] < self.edge - 1 - reach[:, None]), axis=1)
            distance, index = KDTree(truth[:, :2]).query(np.column_stack([found.x, found.y]))
            right = distance < 0.2 * truth[index, 2]
            hits += len(np.intersect1d(np.flatnonzero(inside), index[right]))
            total, named, wrong = total + inside.sum(), named + len(found), wrong + np.sum(~right)
            kept = right & inside[index]
            errors.append(np.column_stack([found.x, found.y])[kept] - truth[index[kept], :2])
            stated.append(np.column_stack([found.sigma_x, found.sigma_y])[kept])
            radii.append(truth[index[kept], 2])
            fractions.append(truth[index[kept], :2] % 1.0)
        self.fractions = np.concatenate(fractions)
        return np.concatenate(errors), np.concatenate(stated), np.concatenate(radii), hits / total, 1 - wrong / named


CASES = [
    {"radius": 6.0, "width": 0.6, "share": 0.3, "signal": 3.0},
    {"radius": 6.0, "width": 0.8, "share": 0.6, "signal": 10.0, "n_frames": 2},
    {"radius": 10.0, "width": 0.6, "share": 0.6, "signal": 5.0, "ratio": 1.4},
    {"radius": 10.0, "width": 1.0, "share": 0.3, "signal": 30.0},
    {"radius": 20.0, "width": 0.8, "share": 0.6, "signal": 3.0, "ratio": 1.4, "n_frames": 4},
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(f"{value:g}" for value in case.values()))
def test_rings_are_all_found_and_fitted_at_the_bound(case: dict[str, float]) -> None:
    fitted = Fitted(**case)
    errors, stated, radii, recall, precision = fitted.matched()
    assert recall > 0.99
    assert precision > 0.98
    bounds = {
        radius: lower_bound(radius, width=case["width"], amplitude=fitted.amplitude, noise=NOISE)
        for radius in np.unique(radii)
    }
    relative = errors / np.array([bounds[radius] for radius in radii])[:, None]
    # sqrt(1 / 2 n) is the standard error of a standard deviation; neighbours that touch cost a few per cent
    spread = 1.0 / np.sqrt(2.0 * relative.size)
    assert np.sqrt(np.mean(relative**2)) < 1.06 + 2.5 * spread
    assert np.sqrt(np.mean(relative**2)) > 0.97 - 2.5 * spread  # nobody beats the bound
    truth_ratio = np.sqrt(np.mean(stated**2) / np.mean(errors**2))
    assert abs(truth_ratio - 1.0) < 0.06 + 2.5 * spread


def test_no_bias_towards_the_pixels() -> None:
    fitted = Fitted(10.0, width=0.6, share=0.3, signal=30.0, n_frames=4)
    errors, stated, _, _, _ = fitted.matched()
    for axis in (0, 1):
        wave = np.exp(2j * np.pi * fitted.fractions[:, axis])
        # Amplitude of a bias with the period of the pixels; 3 standard errors, of a fit good to .006 px.
        assert abs(2 * np.mean(errors[:, axis] * wave)) < 3 * np.sqrt(2 / len(errors)) * stated.mean()


def test_a_centroid_is_worse_by_far() -> None:
    fitted = Fitted(10.0, width=0.8, share=0.6, signal=10.0, n_frames=1)
    errors, _, _, recall, _ = fitted.matched()
    truth = fitted.truth[0]
    reach = truth[:, 2] + 3
    inside = np.all((truth[:, :2] > reach[:, None]) & (truth[:, :2] < fitted.edge - reach[:, None]), axis=1)
    distances = {}
    for invert in (False, True):  # the rims, or the dark insides, which it finds
        peer = trackpy.locate(fitted.frames[0].astype(np.uint8), 21, separation=12, invert=invert)
        distances[invert] = KDTree(peer[["x", "y"]].to_numpy()).query(truth[inside, :2])[0]
    bound = lower_bound(10.0, width=0.8, amplitude=fitted.amplitude, noise=NOISE)
    assert recall == 1.0
    assert np.sqrt(np.mean(errors**2)) < 1.2 * bound
    assert np.mean(distances[False] < 2.0) < 0.1
    matched = distances[True][distances[True] < 2.0]
    assert np.sqrt(np.mean(matched**2) / 2) > 8 * bound


def test_the_profile_and_the_sizes_are_those_painted() -> None:
    fitted = Fitted(10.0, width=0.8, share=0.5, signal=20.0, ratio=1.4)
    assert len(fitted.model.classes) == 2
    for item, radius in zip(fitted.model.classes, (10.0, 14.0), strict=True):
        place, value = np.array(item.profile).T
        # A pixel averages over its area: variance 1 / 12 across the rim, and the height falls accordingly.
        width = np.hypot(0.8, np.sqrt(1 / 12))
        expected = rim(place, radius, width) * (0.8 / width) * fitted.amplitude
        # Pixels within .2 px of a radius, over all particles, say how well the height there can be known.
        pixels = 0.4 * 2 * np.pi * np.maximum(place, 0.1) * item.share * sum(map(len, fitted.found))
        assert (
            np.abs(value * item.amplitude - expected) < 0.015 * fitted.amplitude + 4 * NOISE / np.sqrt(pixels)
        ).all()
        assert item.share == pytest.approx(0.5, abs=0.1)
    assert np.abs(np.array(fitted.model.classes[0].profile)[:, 1]).max() == pytest.approx(1.0, abs=1e-6)
    assert ImageModel.parse(fitted.model.as_dict()) == fitted.model


def dark_with_core(distance: np.ndarray, radius: float, width: float) -> np.ndarray:
    return -1.0 / (1.0 + np.exp((distance - radius) / width)) + 1.8 * np.exp(-0.5 * (distance / (0.25 * radius)) ** 2)


def defocused(distance: np.ndarray, radius: float, width: float) -> np.ndarray:
    return np.cos(2 * np.pi * distance / (0.8 * radius)) * np.exp(-0.5 * (distance / (0.6 * radius)) ** 2)


@pytest.mark.parametrize("profile", [dark_with_core, defocused])
def test_other_round_particles(profile) -> None:
    rng = np.random.default_rng(5)
    look = {"width": 1.0, "profile": profile}
    circles = packed(rng, edge=260, share=0.25, radii=[12.0], gap=4.0)
    circles = circles[np.all((circles[:, :2] > 22) & (circles[:, :2] < 237), axis=1)]
    clean = paint_rings(circles, edge=260, amplitude=60.0, **look)
    frames = [clean + rng.normal(0.0, NOISE, clean.shape) for _ in range(3)]
    choice = choose_ring(frames, NOISE)
    assert choice.value == "ring"
    config = TrackConfig(diameter=choice.evidence["diameter_px"], invert=choice.evidence["invert"])
    model = ring_model(frames, config, MODEL)
    bound = lower_bound(12.0, amplitude=60.0, noise=NOISE, **look)
    errors, stated = [], []
    for frame in frames:
        found = refine_profile(frame, detect_rings(frame, config, model), config, model)
        distance, index = KDTree(np.column_stack([found.x, found.y])).query(circles[:, :2])
        assert (distance < 1.0).all()
        errors.append(np.column_stack([found.x, found.y])[index] - circles[:, :2])
        stated.append(np.column_stack([found.sigma_x, found.sigma_y])[index])
    spread = 1.0 / np.sqrt(2.0 * np.concatenate(errors).size)
    rms = np.sqrt(np.mean(np.concatenate(errors) ** 2))
    assert rms / bound < 1.06 + 2.5 * spread
    assert np.sqrt(np.mean(np.concatenate(stated) ** 2)) / rms == pytest.approx(1.0, abs=0.06 + 2.5 * spread)


def test_a_profile_that_does_not_fit_is_said_so_and_the_error_grows() -> None:
    fitted = Fitted(10.0, width=0.8, share=0.3, signal=20.0, n_frames=1)
    frame = fitted.frames[0].copy()
    first = fitted.found[0]
    middle = int(np.argmin(np.hypot(first.x - 110, first.y - 110)))
    x, y = round(first.x[middle]), round(first.y[middle])
    frame[y - 6 : y + 7, x + 3 : x + 14] += 200.0  # something bright lies on a part of the rim
    again = refine_profile(frame, first, fitted.config, fitted.model)
    hurt = int(np.argmin(np.hypot(again.x - x, again.y - y)))
    assert again.flags[hurt] & FLAG_POOR_FIT
    assert again.sigma_x[hurt] > 5 * first.sigma_x[middle]
    far = np.hypot(again.x - x, again.y - y) > 50
    assert not (again.flags[far] & FLAG_POOR_FIT).any()


def test_uneven_light() -> None:
    rng = np.random.default_rng(2)
    circles = packed(rng, edge=200, share=0.5, radii=[9.0], gap=3.0)
    clean = paint_rings(circles, edge=200, width=0.8, amplitude=40.0)
    light = np.linspace(0.4, 1.6, 200)
    frames = [clean * light + rng.normal(0.0, NOISE, clean.shape) for _ in range(2)]
    config, model = (
        TrackConfig(diameter=21),
        ImageModel(noise_offset=NOISE**2, noise_slope=0.0, background=100.0, background_scale=200.0),
    )
    model = ring_model(frames, config, model)
    found = refine_profile(frames[0], detect_rings(frames[0], config, model), config, model)
    inside = np.all((circles[:, :2] > 13) & (circles[:, :2] < 186), axis=1)
    distance = KDTree(np.column_stack([found.x, found.y])).query(circles[inside, :2])[0]
    assert (distance < 0.5).all()


def test_two_runs_give_the_same_bytes_and_frames_do_not_depend_on_each_other() -> None:
    fitted = Fitted(8.0, width=0.8, share=0.5, signal=5.0, n_frames=2, edge=160)
    again = refine_profile(
        fitted.frames[1], detect_rings(fitted.frames[1], fitted.config, fitted.model), fitted.config, fitted.model
    )
    assert again.table(1).equals(fitted.found[1].table(1))
    assert ring_model(fitted.frames, fitted.config, MODEL) == fitted.model


def test_the_edge_of_the_frame_and_hot_pixels() -> None:
    rng = np.random.default_rng(3)
    circles = np.array([[4.0, 60.0, 10.0], [60.0, 60.0, 10.0], [100.0, 30.0, 10.0], [30.0, 100.0, 10.0]])
    clean = paint_rings(circles, edge=130, width=0.8, amplitude=60.0)
    frames = [clean + rng.normal(0.0, NOISE, clean.shape) for _ in range(3)]
    for frame in frames:
        frame[60, 69] = 4000.0
    config = TrackConfig(diameter=23)
    model = ring_model(frames, config, ImageModel(**(vars(MODEL) | {"hot_pixels": ((60, 69),)})))
    found = refine_profile(frames[0], detect_rings(frames[0], config, model), config, model)
    distance, index = KDTree(np.column_stack([found.x, found.y])).query(circles[:, :2])
    assert (distance < 0.2).all()
    assert found.flags[index[0]] & FLAG_EDGE
    assert not found.flags[index[1:]].any()


def test_minmass_drops_faint_rings() -> None:
    fitted = Fitted(8.0, width=0.8, share=0.3, signal=10.0, n_frames=1, edge=160)
    mass = fitted.found[0].mass
    config = fitted.config.model_copy(update={"minmass": float(np.median(mass))})
    kept = refine_profile(fitted.frames[0], detect_rings(fitted.frames[0], config, fitted.model), config, fitted.model)
    assert len(kept) == np.sum(mass >= np.median(mass))


def test_empty_and_impossible_input() -> None:
    blank = np.full((64, 64), 100.0)
    config = TrackConfig(diameter=15)
    assert len(detect_rings(blank, config, MODEL)) == 0
    with pytest.raises(DataError, match="0 rings"):
        estimate_profile([blank], [detect_rings(blank, config, MODEL)], config, MODEL)
    with pytest.raises(ConfigError, match="diameter"):
        detect_rings(blank, TrackConfig(), MODEL)
    found = Detections.at(np.array([30.0]), np.array([30.0]), size=np.array([6.0]))
    with pytest.raises(ConfigError, match="profile"):
        refine_profile(blank, found, config, MODEL)


@pytest.mark.parametrize(
    ("radius", "width", "share", "signal", "ratio"),
    [(6.0, 0.6, 0.3, 3.0, 1.0), (10.0, 0.6, 0.6, 5.0, 1.4), (20.0, 0.8, 0.6, 10.0, 1.4), (40.0, 1.0, 0.6, 5.0, 1.0)],
)
def test_rings_are_called_rings(radius: float, width: float, share: float, signal: float, ratio: float) -> None:
    rng = np.random.default_rng(7)
    edge = max(240, int(10 * radius))
    circles = packed(rng, edge=edge, share=share, radii=[radius, ratio * radius], gap=3.5 * width)
    frame = paint_rings(circles, edge=edge, width=width, amplitude=signal * NOISE)
    choice = choose_ring([frame + rng.normal(0.0, NOISE, frame.shape)], NOISE)
    assert choice.value == "ring"
    assert choice.evidence["diameter_px"] == pytest.approx(2 * ratio * radius + 2 * width, abs=3 + 0.12 * radius)
    assert "round edges" in choice.reason


@pytest.mark.parametrize(
    ("width", "spacing", "signal"), [(1.5, 12.0, 10.0), (2.0, 9.0, 3.0), (4.0, 18.0, 5.0), (3.0, 30.0, 20.0)]
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_spots_are_called_spots(width: float, spacing: float, signal: float, sign: float) -> None:
    rng = np.random.default_rng(8)
    places = packed(rng, edge=220, share=0.6, radii=[spacing / 2], gap=0.0)[:, :2]
    frame = paint(places, edge=220, width=width, amplitude=sign * signal * NOISE, noise=NOISE, rng=rng)
    assert choose_ring([frame], NOISE).value == "spot"


def test_noise_is_no_ring() -> None:
    assert choose_ring([np.random.default_rng(9).normal(100.0, NOISE, (200, 200))], NOISE).value == "spot"


@pytest.mark.data
@pytest.mark.parametrize(("name", "value"), [("videos/discs.mp4", "ring"), ("bulk_water/bulk_water_green.tif", "spot")])
def test_real_movies(data: Path, name: str, value: str) -> None:
    stack = open_video(data / name, pixel_size="1 um", frame_interval="1 s")
    frames = [stack[0], stack[stack.n_frames // 2]]
    choice = choose_ring(frames, 1.0)
    assert choice.value == value
    if value == "ring":  # counted and measured by eye: outer radii of about 50 and 58 px
        seen = {"diameter": choice.evidence["diameter_px"], "invert": choice.evidence["invert"]}
        config = TrackConfig(**seen, size_classes=2)  # lit contacts would make a third
        model = ring_model(frames, config, ImageModel(noise_offset=1.0, noise_slope=0.0, background=60.0))
        assert [item.width for item in model.classes] == pytest.approx([51.0, 61.0], abs=3.0)
        found = refine_profile(frames[0], detect_rings(frames[0], config, model), config, model)
        # Centres read off the picture (x, y), and the number of discs between the walls.
        by_eye = [[539, 97], [647, 121], [677, 454], [557, 409], [524, 305], [416, 284], [310, 256], [709, 253]]
        assert (KDTree(np.column_stack([found.x, found.y])).query(by_eye)[0] < 6.0).all()
        between = (found.x > 195) & (found.x < 1085) & (found.y > 35) & (found.y < 830)
        assert 70 <= between.sum() <= 76


@pytest.mark.parametrize(("radii", "n"), [((10.0, 14.0), 2), ((10.0,), 1), ((10.0, 14.0, 19.0), 3)])
def test_size_classes(radii: tuple[float, ...], n: int) -> None:
    rng = np.random.default_rng(10)
    measured = np.concatenate([rng.normal(radius, 0.03 * radius, 60) for radius in radii])
    middles, which = split_radii(measured, None)
    np.testing.assert_allclose(middles, radii, rtol=0.02)
    assert np.array_equal(which, np.repeat(np.arange(n), 60))
    broad, _ = split_radii(rng.normal(10.0, 0.8, 300), None)
    assert len(broad) == 1
    assert len(split_radii(measured, 2)[0]) == 2
    strays = rng.uniform(5.0, 8.0, 10)
    np.testing.assert_allclose(split_radii(np.concatenate([measured, strays]), n)[0], radii, rtol=0.02)


def test_the_gaps_between_touching_rings_are_no_size_class() -> None:
    # This arrangement has many round gaps: found as dark insides, but without a profile of their own.
    fitted = Fitted(6.0, width=0.8, share=0.6, signal=10.0, n_frames=2)
    assert len(fitted.model.classes) == 1
    assert fitted.model.classes[0].share == 1.0
