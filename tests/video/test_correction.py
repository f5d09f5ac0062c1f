"""Background and uneven light against movies whose background is known."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import disk, footprint_from_sequence

from colloid_cg.errors import InputError
from colloid_cg.video import VideoConfig, corrected, open_video
from colloid_cg.video.correction import illumination

SHAPE = (96, 128)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]
CENTRES = [(20, 30), (48, 64), (70, 100), (30, 100)]


def spots(height: float) -> np.ndarray:
    return sum(height * np.exp(-((Y - y) ** 2 + (X - x) ** 2) / (2 * 2.0**2)) for y, x in CENTRES)


SLOPE = 200 + 0.5 * X + 0.3 * Y


@pytest.mark.parametrize("background", ["tophat", "rolling_ball", "gaussian"])
@pytest.mark.parametrize(("particles", "height"), [("bright", 80.0), ("dark", -80.0)])
def test_particles_keep_sign_and_height_on_a_sloping_background(background: str, particles: str, height: float) -> None:
    movie = np.stack([SLOPE + spots(height)] * 2).astype(np.uint16)
    config = VideoConfig(background=background, particles=particles, background_radius=15)
    result = corrected(open_video(movie), config)
    frame = result[1]
    assert frame.dtype == np.float32
    assert result.dtype == np.float32
    for y, x in CENTRES:
        assert frame[y, x] == pytest.approx(height, abs=0.15 * abs(height))
    inner = (slice(16, -16), slice(16, -16))
    away = np.abs(spots(1.0)) < 1e-3
    # the slope of 0.6 grey levels per pixel is gone up to what a disk of this radius sees of it
    assert np.abs(np.median(frame[inner][away[inner]])) < 10
    assert np.ptp(ndimage.median_filter(frame, 25)[inner]) < 8


def test_the_wrong_side_is_visibly_wrong() -> None:
    movie = (SLOPE + spots(-80.0))[None].astype(np.uint16)
    wrong = corrected(open_video(movie), VideoConfig(background="tophat", particles="bright", background_radius=15))[0]
    assert abs(wrong[48, 64]) < 20


@pytest.mark.parametrize("radius", [3, 8, 25])
def test_tophat_is_image_minus_opening_by_nearly_a_disk(radius: int) -> None:
    rng = np.random.default_rng(0)
    movie = rng.integers(0, 1000, (1, 90, 95)).astype(np.uint16)
    config = VideoConfig(background="tophat", background_radius=radius)
    footprint = footprint_from_sequence(disk(radius, decomposition="sequence"))
    yy, xx = np.mgrid[: footprint.shape[0], : footprint.shape[1]] - footprint.shape[0] // 2
    distance = np.hypot(yy, xx)
    assert distance[footprint].max() <= 1.05 * radius + 0.5
    assert footprint[distance <= 0.9 * radius - 0.5].all()
    expected = movie[0] - ndimage.grey_opening(movie[0].astype(float), footprint=footprint, mode="reflect")
    inner = (slice(2 * radius, 90 - 2 * radius) if radius < 20 else slice(40, 50),) * 2
    np.testing.assert_allclose(corrected(open_video(movie), config)[0][inner], expected[inner], atol=1e-3)


def test_uneven_light_is_divided_out() -> None:
    rng = np.random.default_rng(1)
    light = 1 - 0.4 * (((X - 64) / 128) ** 2 + ((Y - 48) / 96) ** 2)
    movie = np.stack([20 + 1000 * light * rng.normal(1, 0.01, SHAPE) for _ in range(30)]).astype(np.float32)
    config = VideoConfig(flat_field=True, flat_field_radius=8, dark_level=20.0)
    frame = corrected(open_video(movie), config)[3]
    raw = movie[3]
    # what stays is the noise of one per cent
    assert (raw - 20)[8:-8, 8:-8].std() / (raw - 20).mean() > 0.03
    assert frame[8:-8, 8:-8].std() / frame.mean() < 0.012
    assert frame.mean() == pytest.approx((raw - 20).mean(), rel=0.01)
    flat = illumination(open_video(movie), config)
    assert flat.mean() == pytest.approx(1.0, rel=1e-6)
    np.testing.assert_allclose(flat[20:-20, 20:-20], (light / light.mean())[20:-20, 20:-20], rtol=0.02)


def test_impossible_dark_level() -> None:
    stack = open_video(np.full((2, 9, 9), 5, np.uint8))
    with pytest.raises(InputError, match="dark level 9"):
        corrected(stack, VideoConfig(flat_field=True, dark_level=9.0))[0]


def test_nothing_asked_changes_nothing() -> None:
    stack = open_video(np.ones((2, 9, 9), np.uint8))
    assert corrected(stack, VideoConfig()) is stack


def test_lazy_and_picklable() -> None:
    read = []

    class Counting:
        def read(self, index: int) -> np.ndarray:
            read.append(index)
            return np.ones((9, 9), np.uint8)

    import dataclasses

    stack = dataclasses.replace(open_video(np.ones((5, 9, 9), np.uint8), pixel_size=0.1), reader=Counting())
    result = corrected(stack, VideoConfig(background="gaussian", background_radius=2))
    assert read == []
    result[3]
    assert read == [3]
    assert result.pixel_size == 0.1
    assert result.metadata["correction"]["background"] == "gaussian"
    movie = open_video(np.arange(162, dtype=np.uint8).reshape(2, 9, 9))
    flat = corrected(movie, VideoConfig(flat_field=True, flat_field_radius=2))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(flat))[1], flat[1])
