"""Common motion from the pictures: the known motion of a rendered scene, and agreement with the tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from colloid_cg.errors import ConfigError
from colloid_cg.records import CommonMotion, FrameStack
from colloid_cg.tracking import TrackConfig, track
from colloid_cg.tracking.drift import compare_drift, image_drift
from colloid_cg.twin import CameraConfig, TwinConfig, make_twin
from tests.tracking.pictures import paint, stack_of

EDGE = 192


def moving(
    *, turn: float = 0.0, n_frames: int = 12, noise: float = 3.0, dirt: float = 0.0
) -> tuple[FrameStack, np.ndarray, np.ndarray]:
    """Frozen spots that shift and turn about the centre of the frame; the motion, and dirt that stays where it is."""
    rng = np.random.default_rng(1)
    start = rng.uniform(-30, EDGE + 30, (220, 2))
    specks = paint(rng.uniform(0, EDGE, (150, 2)), edge=EDGE, amplitude=dirt, background=0.0)
    middle = (EDGE - 1) / 2
    shift, angle = np.outer(np.arange(n_frames), [0.43, -0.21]), turn * np.arange(n_frames)
    frames = []
    for b, a in zip(shift, angle, strict=True):
        r = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        x = (start - middle) @ r.T + middle + b
        frames.append(paint(x, edge=EDGE, noise=noise, rng=rng) + specks)
    return stack_of(np.array(frames)), shift, angle


@pytest.fixture(scope="module")
def scene() -> tuple[FrameStack, np.ndarray, np.ndarray]:
    return moving()


@pytest.mark.parametrize("every", [1, 3])
def test_shift_of_a_frozen_scene(scene: tuple[FrameStack, np.ndarray, np.ndarray], every: int) -> None:
    # A window that stays where it is pulls the peak of the correlation to zero, here by .2 px if left alone.
    stack, shift, _ = scene
    found = image_drift(stack, every=every)
    assert found.frame.tolist() == list(range(0, 12, every))
    np.testing.assert_allclose(found.translation, shift[::every], atol=0.06)
    z = (found.translation - shift[::every])[-1] / found.translation_error[-1]
    assert np.abs(z).max() < 3.0
    assert abs(found.rotation[-1]) < 3.0 * found.rotation_error[-1]


def test_rotation_of_a_frozen_scene() -> None:
    stack, shift, angle = moving(turn=0.002)
    found = image_drift(stack)
    np.testing.assert_allclose(found.rotation, angle, atol=1.5e-3)
    z = (found.translation - shift)[-1] / found.translation_error[-1]
    assert np.abs(z).max() < 3.0


def test_dirt_that_does_not_move_is_taken_off_with_the_mean_picture() -> None:
    stack, shift, _ = moving(n_frames=24, dirt=60.0)
    blind = np.abs(image_drift(stack).translation[-1] - shift[-1]).max()
    freed = np.abs(image_drift(stack, fixed_frames=24).translation[-1] - shift[-1]).max()
    assert blind > 1.0
    assert freed < 0.25 * blind


@pytest.fixture(scope="module")
def twin() -> tuple[CommonMotion, CommonMotion]:
    camera = CameraConfig(drift=(0.3, -0.15))
    stack = make_twin("yukawa", TwinConfig(n_frames=20, width=200, height=200, camera=camera)).stack()
    tracks = track(stack, TrackConfig(diameter=9, drift="rigid", drift_images=True))
    drift = tracks.metadata["drift"]
    return CommonMotion.parse(drift), CommonMotion.parse(drift["check"]["images"])


def test_tracks_and_pictures_of_a_twin_agree_with_its_camera(twin: tuple[CommonMotion, CommonMotion]) -> None:
    truth = np.outer(np.arange(20), [0.3, -0.15])
    for motion in twin:
        assert (np.abs(motion.translation - truth)[1:] / motion.translation_error[1:]).max() < 4.0
        assert abs(motion.rotation[-1]) < 3.0 * motion.rotation_error[-1]
    found = compare_drift(*twin)
    assert found["agree"] is True
    assert found["verdict"].startswith("They agree")
    assert abs(found["dx"]["z"]) < 2.0


def test_a_disagreement_is_named(twin: tuple[CommonMotion, CommonMotion]) -> None:
    motion, image = twin
    wrong = CommonMotion.parse(motion.as_dict() | {"dx": [3 * value for value in motion.as_dict()["dx"]]})
    found = compare_drift(wrong, image)
    assert found["agree"] is False
    assert found["dx"]["difference"] == pytest.approx(2 * 19 * 0.3, abs=1.0)
    assert "dx by 11 " in found["verdict"] or "dx by 12 " in found["verdict"]
    nothing = compare_drift(motion, CommonMotion.parse({}))
    assert nothing["agree"] is None


def test_impossible_tilings_are_refused(scene: tuple[FrameStack, np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ConfigError, match="tiles = 9"):
        image_drift(scene[0], tiles=9)


@pytest.mark.data
@pytest.mark.slow
def test_bulk_water_from_tracks_and_from_pictures(data: Path) -> None:
    # Dirt on the window holds the pictures back by a fifth; without it they agree.
    frames = tifffile.imread(data / "bulk_water" / "bulk_water_green.tif")[:40]
    stack = stack_of(frames, pixel_size=100 / 285.0, frame_interval=1 / 24)
    tracks = track(stack, TrackConfig(diameter=11, invert=True, drift="translation"))
    motion = CommonMotion.parse(tracks.metadata["drift"])
    found = compare_drift(motion, image_drift(stack, fixed_frames=40))
    assert motion.components()["dx"]["z"] > 5.0
    for axis in ("dx", "dy"):
        assert abs(found[axis]["z"]) < 3.0
