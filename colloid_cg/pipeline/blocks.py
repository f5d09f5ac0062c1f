"""What a stage works on when the trajectories do not fit in memory: stated blocks of frames, or window after window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.pipeline.stage import Job
from colloid_cg.records import Trajectories
from colloid_cg.states import MINIMUM_FRAMES, blocks_of_frames
from colloid_cg.store import TrajectoryFile, open_trajectories

NAMES = ("train", "select", "test")


@dataclass(frozen=True, eq=False)
class Blocks:
    """Frames to train, select and test on.

    Parameters
    ----------
    train, select, test : Trajectories
    shortened : dict or None
        For a run larger than the memory: frames used of each block, and in words; None where all frames are used.
    """

    train: Trajectories
    select: Trajectories
    test: Trajectories
    shortened: dict[str, Any] | None


def trajectory_file(job: Job) -> TrajectoryFile:
    """Return the trajectories of the run, not yet read."""
    return open_trajectories(job.folder.path / "trajectories.parquet")


def fits(job: Job) -> bool:
    """Tell whether all trajectories may be held at once."""
    return trajectory_file(job).n_rows <= job.study.memory_rows


def blocks(job: Job) -> Blocks:
    """Return the three blocks of the movie; of each as many of its first frames as its share of the memory allows.

    Raises
    ------
    DataError
        If a block would be shorter than three frames, or holds no detection.
    """
    file, study = trajectory_file(job), job.study
    frames = blocks_of_frames(file.n_frames, study.fractions)
    if file.n_rows <= study.memory_rows:
        tracks = file.read()
        train, select, test = (tracks.between(*span) for span in frames)
        return Blocks(train=train, select=select, test=test, shortened=None)
    rows = np.concatenate([[0], np.cumsum(file.rows_per_frame())])
    used = []
    for (first, last), share in zip(frames, study.fractions, strict=True):
        room = int(np.searchsorted(rows, rows[first] + share * study.memory_rows, side="right")) - 1
        used.append((first, min(last, max(room, first + MINIMUM_FRAMES))))
    train, select, test = (_some(file, span) for span in used)
    shortened = {
        "frames_used": dict(zip(NAMES, used, strict=True)),
        "warnings": [
            f"{file.n_rows} detections are more than memory_rows = {study.memory_rows}: of "
            + ", ".join(
                f"{name} (frames {first} to {last - 1}) only frames {low} to {high - 1}"
                for name, (first, last), (low, high) in zip(NAMES, frames, used, strict=True)
            )
            + " are used"
        ],
    }
    return Blocks(train=train, select=select, test=test, shortened=shortened)


def _some(file: TrajectoryFile, frames: tuple[int, int]) -> Trajectories:
    block = file.read(frames)
    if not len(block):
        raise DataError(
            f"no detections in frames {frames[0]} to {frames[1] - 1}",
            expected="at least one particle in the block",
            action="use a longer movie or other fractions",
        )
    return block


def spans(job: Job, *, share: int = 1) -> Iterator[tuple[int, int]]:
    """Yield consecutive spans of frames, each with as many rows as may be held at once; all frames if they fit.

    ``share``: how many times the memory of a row of the trajectories each of them takes.
    """
    file, most = trajectory_file(job), max(job.study.memory_rows // share, 1)
    if file.n_rows <= most:
        yield 0, file.n_frames
        return
    rows = np.concatenate([[0], np.cumsum(file.rows_per_frame())])
    first = 0
    while first < file.n_frames:
        last = int(np.searchsorted(rows, rows[first] + most, side="right")) - 1
        last = min(file.n_frames, max(last, first + 1))
        yield first, last
        first = last
