"""What the report shows of events beyond their table, read from the run folder and the movie a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import ColloidError
from colloid_cg.pipeline.source import open_source
from colloid_cg.pipeline.study import overlaid
from colloid_cg.records import EventTable, FrameStack, Trajectories
from colloid_cg.reporting.event_evidence import EventEvidence, event_views, frames_to_show, lead_of, surveyed
from colloid_cg.store import TrajectoryFile, read_frames

Pictures = Sequence[tuple[int, np.ndarray]]


def run_evidence(
    file: TrajectoryFile,
    events: EventTable,
    fields: Path,
    *,
    manifest: dict[str, Any],
    preview: Pictures,
    frames_at_once: int,
    video: FrameStack | None = None,
) -> EventEvidence:
    """Return the evidence of a run.

    Parameters
    ----------
    file : TrajectoryFile
    events : EventTable
    fields : Path
        fields.parquet.
    manifest : dict
        run.json, which says where the movie was.
    preview : sequence of (int, array)
        Frames that were kept of the movie: what is found at its place must have the same.
    frames_at_once : int
        How many frames of trajectories and fields are held together.
    video : FrameStack, optional
        The movie, where it is open already.
    """
    if not len(events):
        return EventEvidence()
    why = ""
    if video is None:
        video, why = movie_of(manifest, file.n_frames, preview)
    last = file.n_frames - 1
    needed = [file.read((frame, frame + 1)).table for frame in frames_to_show(events, (0, last))]
    tracks = file.header.with_table(pd.concat([file.header.table, *needed]))
    lead = lead_of(events)
    exposure, before = surveyed(events, _windows(file, fields, frames_at_once), lead=lead)
    views = event_views(events, tracks, video, frames=(0, last))
    return EventEvidence(views=views, no_pictures=why, exposure=exposure, before=before, lead=lead)


def _windows(file: TrajectoryFile, fields: Path, frames_at_once: int) -> Iterator[tuple[Trajectories, pd.DataFrame]]:
    if not fields.is_file():
        return
    for first in range(0, file.n_frames, frames_at_once):
        frames = (first, min(first + frames_at_once, file.n_frames))
        yield file.read(frames, columns=("species",)), read_frames(fields, frames)


def movie_of(manifest: dict[str, Any], n_frames: int, preview: Pictures) -> tuple[FrameStack | None, str]:
    """Return the movie of a run, opened with its settings, or None and why it cannot be shown.

    Not its hash, which would read all of a long movie, but its size and the frames that were kept of it must agree.
    """
    entry = manifest.get("input") or {}
    if "n_frames" not in entry:
        return None, "the run was made from a table, without a movie"
    name, path = entry.get("name", "the movie"), Path(str(entry.get("path", "")))
    if not path.exists():
        return None, f"{name} is no longer where it was when the run was made"
    try:
        video = open_source(path, overlaid(manifest.get("study", {}), {}), calibrated=False)
        same = (video.n_frames, video.height, video.width) == (n_frames, entry.get("height"), entry.get("width"))
        same = same and all(np.array_equal(video[index], frame) for index, frame in preview)
    except (ColloidError, OSError) as error:
        return None, f"{name} cannot be read any more: {error}"
    return (video, "") if same else (None, f"the file now in the place of {name} is another movie")
