"""trajectories.parquet by parts: written and read a few frames at a time, the same bytes and the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from colloid_cg.errors import InputError
from colloid_cg.records import Box, Trajectories
from colloid_cg.store import (
    iterate_trajectories,
    open_trajectories,
    parquet,
    read_trajectories,
    trajectory_writer,
    write_trajectories,
)

N_FRAMES = 40


@pytest.fixture
def tracks() -> Trajectories:
    rng = np.random.default_rng(5)
    frame = np.sort(rng.integers(0, N_FRAMES, 700))
    frame = frame[(frame < 11) | (frame > 13)]  # three frames without a particle
    table = pd.DataFrame({"frame": frame, "particle": rng.permutation(len(frame)), "x": rng.normal(size=len(frame))})
    table = table.assign(y=1.0, mass=np.where(frame < 5, np.nan, 3.0), link_confidence=rng.random(len(frame)))
    return Trajectories(
        table=table,
        pixel_size=0.1,
        frame_interval=0.5,
        field_of_view=Box(lower=(0.0, 0.0), upper=(1.0, 1.0), periodic=(False, False)),
        n_frames=N_FRAMES,
        metadata={"drift": {"dx": [0.0]}},
    )


@pytest.fixture
def path(tracks: Trajectories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(parquet, "ROWS_PER_GROUP", 64)
    write_trajectories(tmp_path / "t.parquet", tracks)
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == -(-len(tracks) // 64)
    return tmp_path / "t.parquet"


@pytest.mark.parametrize("frames_per_part", [1, 3, 100])
def test_parts_leave_no_trace_in_the_file(frames_per_part: int, tracks: Trajectories, path: Path) -> None:
    target = path.with_name("parts.parquet")
    with trajectory_writer(target, tracks) as writer:
        for start in range(0, N_FRAMES, frames_per_part):
            rows = tracks.table["frame"].between(start, start + frames_per_part - 1)
            writer.append(tracks.table[rows].sample(frac=1.0, random_state=0))
    assert target.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("frames", [(0, 1), (3, 9), (11, 14), (10, 15), (39, 40), (0, N_FRAMES)])
def test_only_the_frames_asked_for(frames: tuple[int, int], tracks: Trajectories, path: Path) -> None:
    read = read_trajectories(path, frames=frames)
    expected = tracks.table[tracks.table["frame"].between(frames[0], frames[1] - 1)].reset_index(drop=True)
    pd.testing.assert_frame_equal(read.table, expected)
    assert (read.n_frames, read.metadata) == (N_FRAMES, tracks.metadata)


@pytest.mark.parametrize(("length", "overlap"), [(1, 0), (6, 0), (6, 2), (7, 20), (100, 3)])
def test_windows_cover_the_movie(length: int, overlap: int, tracks: Trajectories, path: Path) -> None:
    found = list(iterate_trajectories(path, frames_per_part=length, overlap=overlap))
    assert len(found) == -(-N_FRAMES // length)
    for index, window in enumerate(found):
        first, last = max(0, index * length - overlap), min((index + 1) * length, N_FRAMES)
        rows = tracks.table["frame"].between(first, last - 1)
        pd.testing.assert_frame_equal(window.table, tracks.table[rows].reset_index(drop=True))


def test_columns_and_rows_per_frame(tracks: Trajectories, path: Path) -> None:
    read = read_trajectories(path, columns=("mass",))
    assert "link_confidence" not in read.table
    pd.testing.assert_series_equal(read.table["mass"], tracks.table["mass"])
    file = open_trajectories(path)
    np.testing.assert_array_equal(file.rows_per_frame(), np.diff(tracks.frame_offsets()))
    assert (file.n_rows, len(file.header)) == (len(tracks), 0)
    with pytest.raises(InputError, match="no column masses"):
        read_trajectories(path, columns=("masses",))


def test_parts_in_the_wrong_order_are_refused_and_leave_nothing(tracks: Trajectories, tmp_path: Path) -> None:
    late, early = (tracks.table[tracks.table["frame"] == frame] for frame in (9, 8))

    def write() -> None:
        with trajectory_writer(tmp_path / "t", tracks) as writer:
            writer.append(late)
            writer.append(early)

    with pytest.raises(InputError, match="frame 8 after frame 9"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_trajectories_without_a_row(tracks: Trajectories, tmp_path: Path) -> None:
    write_trajectories(tmp_path / "t.parquet", tracks.with_table(tracks.table.iloc[:0]))
    assert len(read_trajectories(tmp_path / "t.parquet")) == 0
    assert [len(window) for window in iterate_trajectories(tmp_path / "t.parquet", frames_per_part=20)] == [0, 0]


def test_windows_need_frames(path: Path) -> None:
    with pytest.raises(InputError, match="at least one frame"):
        iterate_trajectories(path, frames_per_part=0)
