"""The stage that gathers what a run folder holds and writes the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from colloid_cg.pipeline.event_evidence import run_evidence
from colloid_cg.pipeline.from_tracks import TRACKS, read_some_fields
from colloid_cg.pipeline.reading_stage import PRODUCT as READ
from colloid_cg.pipeline.stage import Job, Stage, out_of_date
from colloid_cg.pipeline.study import MEMORY_ROWS
from colloid_cg.records import FrameStack, Trajectories
from colloid_cg.reporting import ReportContent, streamed_quality, write_report
from colloid_cg.store import (
    RunFolder,
    TrajectoryFile,
    open_trajectories,
    read_events,
    read_json,
    read_model,
    read_rollout,
)
from colloid_cg.store.arrays import read_structure

T = TypeVar("T")
EVENTS = "events.parquet"
_WINDOW_ROWS = 1_000_000


def _current(folder: RunFolder, product: str, read: Callable[[Any], T]) -> T | None:
    """Read a product if it is there and belongs to the present trajectories."""
    path = folder.path / product
    return read(path) if path.exists() and not out_of_date(product, folder) else None


def _preview(folder: RunFolder) -> tuple[tuple[int, np.ndarray], ...]:
    path = folder.cache / "preview.npz"
    if not path.is_file() or out_of_date("cache/preview.npz", folder):
        return ()
    with np.load(path, allow_pickle=False) as content:
        return tuple((int(index), frame) for index, frame in zip(content["index"], content["frames"], strict=True))


def gather(folder: RunFolder, *, memory_rows: int = MEMORY_ROWS, video: FrameStack | None = None) -> ReportContent:
    """Return everything current in the run folder; missing parts are None.

    Of trajectories with more than ``memory_rows`` rows the quality is counted window by window, and only the frames
    that are shown and the first fields are read. ``video``: the movie, where it is open already; otherwise it is looked
    for where it was.
    """
    inspection = _current(folder, "inspect.json", read_json)
    structure = _current(folder, "structure", read_structure)
    manifest, frames = folder.manifest(), _preview(folder)
    file = open_trajectories(folder.path / TRACKS)
    large = file.n_rows > memory_rows
    shown = (0, max(1, file.n_frames * memory_rows // file.n_rows)) if large else (0, file.n_frames)
    events = _current(folder, EVENTS, read_events)
    return ReportContent(
        title=manifest.get("input", {}).get("name", folder.path.name),
        run=manifest,
        frames=frames,
        suggestion=None if inspection is None else inspection["suggestion"],
        tracks=_of_frames(file, [index for index, _ in frames]) if large else file.read(),
        tracking=streamed_quality(file.windows(_frames_at_once(file)), n_rows=file.n_rows) if large else None,
        fields=read_some_fields(folder, shown) if structure is not None else None,
        structure=None if structure is None else structure[1].get("metadata"),
        model=_current(folder, "model", read_model),
        rollout=_current(folder, "rollout.zarr", read_rollout),
        assessment=_current(folder, "assessment.json", read_json),
        reading=_current(folder, READ, read_json),
        events=events,
        event_fields=read_some_fields(folder, shown) if not out_of_date(EVENTS, folder) else None,
        event_evidence=None
        if events is None
        else run_evidence(
            file, events, folder.path / "fields.parquet", manifest=manifest, preview=frames, video=video,
            frames_at_once=_frames_at_once(file),
        ),
    )  # fmt: skip


def _of_frames(file: TrajectoryFile, frames: list[int]) -> Trajectories:
    return file.header.with_table(pd.concat([file.header.table, *(file.read((k, k + 1)).table for k in frames)]))


def _frames_at_once(file: TrajectoryFile) -> int:
    return max(1, _WINDOW_ROWS * file.n_frames // file.n_rows)


def _report(job: Job) -> dict[str, Any]:
    with job.progress("report") as progress:
        progress(0, 1)
        content = gather(job.folder, memory_rows=job.study.memory_rows, video=job.video)
        write_report(content, job.folder.path / "report.html")
        progress(1, 1)
    return {"report": "report.html"}


def _state(job: Job) -> Any:
    """What the page says beside the products: input, whether it is there, status, settings and failures of stages."""
    manifest = job.folder.manifest()
    told = ("status", "key", "settings", "seed", "failed", "summary")
    stages = {
        name: {word: record.get(word) for word in told}
        for name, record in manifest["stages"].items()
        if name != "report"
    }
    preview = not out_of_date("cache/preview.npz", job.folder) and (job.folder.cache / "preview.npz").is_file()
    movie = Path(str((manifest.get("input") or {}).get("path", "")))
    there = movie.stat().st_size if movie.is_file() else movie.is_dir()
    return {"stages": stages, "input": manifest.get("input"), "preview": preview, "movie": there}


REPORT = Stage(
    name="report",
    products=("report.html",),
    work=_report,
    depends=_state,
    inputs=(TRACKS,),
    optional=(
        "inspect.json",
        "structure",
        "fields.parquet",
        "model",
        "rollout.zarr",
        "assessment.json",
        READ,
        EVENTS,
    ),
)
