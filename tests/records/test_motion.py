"""The record of the common motion: its map and the inverse, what it says, and that it survives JSON."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import DataError, InputError
from colloid_cg.records import Box, CommonMotion, Trajectories

KINDS = ("none", "translation", "rigid", "affine")


def motion(kind: str, *, n_frames: int = 6, seed: int = 0) -> CommonMotion:
    rng = np.random.default_rng(seed)
    steps = np.arange(n_frames)
    return CommonMotion(
        kind=kind,
        frame=steps + 3,
        translation=np.outer(steps, [0.7, -0.4]),
        translation_error=np.outer(np.sqrt(steps), [0.1, 0.2]),
        rotation=0.03 * steps,
        rotation_error=0.01 * np.sqrt(steps),
        strain=np.outer(steps, [0.004, -0.01, 0.006]),
        strain_error=np.where(steps[:, None] > 0, rng.uniform(0.001, 0.002, (n_frames, 3)), np.nan),
        n_particles=np.full(n_frames, 30),
        scatter=np.full(n_frames, 0.5),
        centre=np.array([40.0, 25.0]),
        reason="enough",
        diffusion_bias=-0.02,
    )


def table(seed: int = 1, n: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    found = pd.DataFrame({"frame": np.repeat(np.arange(3, 9), n), "particle": np.tile(np.arange(n), 6)})
    return found.assign(x=rng.uniform(0, 100, 6 * n), y=rng.uniform(0, 60, 6 * n), sigma_x=0.3, sigma_y=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_removed_can_be_put_back(kind: str) -> None:
    seen = table()
    removed = motion(kind).remove(seen)
    back = motion(kind).restored(removed[["x", "y"]].to_numpy(), removed["frame"].to_numpy())
    np.testing.assert_allclose(back, seen[["x", "y"]].to_numpy(), rtol=0, atol=1e-10)
    one = removed[removed["frame"] == 5]
    again = motion(kind).restored(one[["x", "y"]].to_numpy(), 5)
    np.testing.assert_array_equal(again, back[(removed["frame"] == 5).to_numpy()])


def test_affine_removal_undoes_rotation_times_stretch() -> None:
    # The map written out by hand for frame 8: x = c + R(.15) U (X - c) + b.
    moved, first = motion("affine"), table()[:50].assign(frame=8)
    u = np.array([[1 + 0.02 - 0.05, 0.03], [0.03, 1 + 0.02 + 0.05]])
    r = np.array([[np.cos(0.15), -np.sin(0.15)], [np.sin(0.15), np.cos(0.15)]])
    x = (first[["x", "y"]].to_numpy() - [40.0, 25.0]) @ (r @ u).T + [40.0 + 3.5, 25.0 - 2.0]
    back = moved.remove(first.assign(x=x[:, 0], y=x[:, 1]))
    np.testing.assert_allclose(back[["x", "y"]], first[["x", "y"]], atol=1e-12)
    # and the rigid removal leaves the strain behind
    rigid = motion("rigid").remove(first.assign(x=x[:, 0], y=x[:, 1]))
    strained = (first[["x", "y"]].to_numpy() - [40.0, 25.0]) @ u.T + [40.0, 25.0]
    np.testing.assert_allclose(rigid[["x", "y"]], strained, atol=1e-12)


def test_errors_of_positions_turn_with_the_picture() -> None:
    turned = CommonMotion.parse(motion("rigid").as_dict() | {"rotation": [np.pi / 2] * 6})
    found = turned.remove(table())
    np.testing.assert_allclose(found[["sigma_x", "sigma_y"]], np.tile([0.1, 0.3], (300, 1)))
    same = motion("translation").remove(table())
    np.testing.assert_array_equal(same[["sigma_x", "sigma_y"]], table()[["sigma_x", "sigma_y"]])


@pytest.mark.parametrize("kind", KINDS)
def test_json_keeps_everything(kind: str) -> None:
    before = motion(kind)
    text = json.dumps(before.as_dict(), allow_nan=False)
    after = CommonMotion.parse(json.loads(text))
    for field in fields(CommonMotion):
        np.testing.assert_array_equal(getattr(after, field.name), getattr(before, field.name))


def test_an_earlier_report_is_a_translation() -> None:
    earlier = {
        "removed": True, "reason": "old", "frame": [0, 1], "dx": [0.0, 2.0], "dy": [0.0, -1.0],
        "se_x": [0.0, 0.1], "se_y": [0.0, 0.1], "minimum_particles": 20, "median_particles": 50.0,
        "n_steps_left": 0, "diffusion_bias": -0.02,
    }  # fmt: skip
    found = CommonMotion.parse(earlier)
    assert (found.kind, found.removed, found.diffusion_bias) == ("translation", True, -0.02)
    np.testing.assert_array_equal(found.restored(np.zeros((2, 2)), 1), [[2.0, -1.0], [2.0, -1.0]])
    assert set(earlier) <= set(found.as_dict())
    for nothing in (None, {}, {"removed": False, "reason": "track.drift = 'none'"}):
        assert not CommonMotion.parse(nothing).removed
        assert len(CommonMotion.parse(nothing)) == 0


def test_the_last_frame_in_units_of_its_error() -> None:
    found = motion("none").components()
    assert found["dx"]["value"] == pytest.approx(3.5)
    assert found["dx"]["z"] == pytest.approx(3.5 / (0.1 * np.sqrt(5)))
    assert found["rotation"]["largest_z"] == pytest.approx(0.15 / (0.01 * np.sqrt(5)))
    assert found["shear_plus"]["z"] < -20


def test_the_camera_sees_what_was_removed() -> None:
    seen = table()
    box = Box(lower=(-0.5, -0.5), upper=(99.5, 59.5), periodic=(False, False))
    tracks = Trajectories(
        table=motion("affine").remove(seen), pixel_size=0.2, frame_interval=0.1, field_of_view=box, n_frames=9,
        metadata={"drift": motion("affine").as_dict()},
    )  # fmt: skip
    np.testing.assert_allclose(tracks.camera_positions, 0.2 * seen[["x", "y"]].to_numpy(), atol=1e-12)
    inside = np.minimum(seen["x"] + 0.5, 99.5 - seen["x"])
    inside = np.minimum(inside, np.minimum(seen["y"] + 0.5, 59.5 - seen["y"]))
    np.testing.assert_allclose(tracks.edge_distance, 0.2 * inside, atol=1e-12)


def test_wrong_motions_are_refused() -> None:
    with pytest.raises(InputError, match="'shift'"):
        CommonMotion.parse(motion("rigid").as_dict() | {"kind": "shift"})
    with pytest.raises(InputError, match="do not increase"):
        CommonMotion.parse(motion("rigid").as_dict() | {"frame": [0, 1, 1, 2, 3, 4]})
    with pytest.raises(InputError, match="rotation of shape"):
        CommonMotion.parse(motion("rigid").as_dict() | {"rotation": [0.0]})
    with pytest.raises(DataError, match="outside the common motion"):
        motion("translation").remove(table().assign(frame=20))
