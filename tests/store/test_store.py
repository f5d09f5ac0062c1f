"""Writes are complete or absent; what is read equals what was written; the same content gives the same bytes."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from colloid_cg.errors import InputError, StorageError
from colloid_cg.records import Box, Ledger, ModelBundle, Rollout, Trajectories, metric
from colloid_cg.store import (
    RunFolder,
    atomic_path,
    read_model,
    read_rollout,
    read_trajectories,
    write_json,
    write_model,
    write_rollout,
    write_trajectories,
)


def tracks() -> Trajectories:
    table = pd.DataFrame({"frame": [0, 0, 1], "particle": [0, 1, 0], "x": [1.0, 2.5, 1.25], "y": [3.0, 4.0, 3.5]})
    view = Box(lower=(-0.5, -0.5), upper=(9.5, 9.5), periodic=(False, False))
    return Trajectories(
        table=table,
        pixel_size=0.1,
        frame_interval=0.01,
        field_of_view=view,
        n_frames=2,
        exposure=0.005,
        metadata={"engine": "test"},
    )


def bundle() -> ModelBundle:
    force = pd.DataFrame(
        {
            "r": [1.0, 2.0],
            "force": [0.1 / 3, 0.0],
            "low90": [0.0, -1.0],
            "high90": [0.2, 1.0],
            "species_a": [0, 0],
            "species_b": [0, 0],
        }
    )
    return ModelBundle(
        config={"kind": "overdamped"},
        weights={"b": np.arange(3.0), "a": np.eye(2)},
        metrics={"diffusion_coefficient": [metric(0.43, low90=0.4, high90=0.46, unit="um2/s", species=0)]},
        pair_force=force,
    )


def rollout() -> Rollout:
    rng = np.random.default_rng(0)
    positions = rng.random((2, 3, 4, 2))
    zeros = np.zeros((2, 3))
    return Rollout(
        positions=positions,
        observed=positions + 0.01,
        species=np.array([0, 0, 1, 1]),
        frame_interval=0.1,
        box=Box(lower=(0.0, 0.0), upper=(1.0, 1.0), periodic=(True, True)),
        ledger=Ledger(energy=zeros + 1, work=zeros, bath_entropy=zeros),
    )


def test_trajectories_survive_a_round_trip(tmp_path: Path) -> None:
    before = tracks()
    write_trajectories(tmp_path / "t.parquet", before)
    after = read_trajectories(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(after.table, before.table)
    for name in ("pixel_size", "frame_interval", "exposure", "n_frames", "field_of_view", "metadata"):
        assert getattr(after, name) == getattr(before, name)


def test_trajectories_open_in_plain_pandas_with_units_in_the_metadata(tmp_path: Path) -> None:
    write_trajectories(tmp_path / "t.parquet", tracks())
    assert list(pd.read_parquet(tmp_path / "t.parquet").columns[:4]) == ["frame", "particle", "x", "y"]
    stored = json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"colloid_cg"])
    assert stored["pixel_size"] == 0.1
    assert stored["pixel_size_unit"] == "um"
    assert stored["frame_interval"] == 0.01


def test_model_and_rollout_survive_a_round_trip(tmp_path: Path) -> None:
    write_model(tmp_path / "model", bundle())
    model = read_model(tmp_path / "model")
    assert model.metrics == bundle().metrics
    np.testing.assert_array_equal(model.weights["a"], np.eye(2))
    pd.testing.assert_frame_equal(model.pair_force, bundle().pair_force)
    write_rollout(tmp_path / "rollout.zarr", rollout())
    back = read_rollout(tmp_path / "rollout.zarr")
    np.testing.assert_array_equal(back.positions, rollout().positions)
    assert back.box == rollout().box
    assert back.velocities is None


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.parquet", lambda path: write_trajectories(path, tracks())),
        ("model", lambda path: write_model(path, bundle())),
        ("rollout.zarr", lambda path: write_rollout(path, rollout())),
    ],
)
def test_same_content_gives_same_bytes(tmp_path: Path, name: str, write: object) -> None:
    from colloid_cg.provenance import sha256_of_tree

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in "ab":
        write(tmp_path / folder / name)  # type: ignore[operator]
    assert sha256_of_tree(tmp_path / "a" / name) == sha256_of_tree(tmp_path / "b" / name)


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    write_json(target, {"old": 1})

    def interrupted() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        interrupted()
    assert json.loads(target.read_text()) == {"old": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path, code: int) -> None:
    def fill() -> None:
        with atomic_path(tmp_path / "model", folder=True) as temporary:
            (temporary / "part").write_text("x")
            raise OSError(code, "no space")

    with pytest.raises(StorageError, match="no space left"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", {"schema_version": 99, "stages": {}})
    with pytest.raises(StorageError, match=r"schema version 99.*update colloid-cg"):
        RunFolder(tmp_path).manifest()


def test_a_foreign_folder_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StorageError, match="other content"):
        RunFolder(tmp_path).create()
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_writers_at_once_are_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.locked(), pytest.raises(StorageError, match="another process"), RunFolder(tmp_path / "run").locked():
        pass


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "cache").mkdir()
    (tmp_path / ".model.tmp-123").mkdir()
    (tmp_path / "cache" / ".x.parquet.tmp-123").write_text("half")
    with folder.locked():
        assert not list(tmp_path.rglob(".*.tmp-*"))


def test_a_truncated_table_is_an_input_error(tmp_path: Path) -> None:
    write_trajectories(tmp_path / "t.parquet", tracks())
    content = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read_trajectories(tmp_path / "t.parquet")
