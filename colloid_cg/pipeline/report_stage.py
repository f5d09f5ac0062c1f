"""The stage that gathers what a run folder holds and writes the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from colloid_cg.pipeline.from_tracks import TRACKS, read_some_fields
from colloid_cg.pipeline.reading_stage import PRODUCT as READ
from colloid_cg.pipeline.stage import Job, Stage, out_of_date
from colloid_cg.pipeline.study import MEMORY_ROWS
from colloid_cg.records import Trajectories
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


def gather(folder: RunFolder, *, memory_rows: int = MEMORY_ROWS) -> ReportContent:
    """Return everything current in the run folder; missing parts are None.

    Of trajectories with more than ``memory_rows`` rows the quality is counted window by window, and only the frames
    that are shown and the first fields are read.
    """
    inspection = _current(folder, "inspect.json", read_json)
    structure = _current(folder, "structure", read_structure)
    manifest, frames = folder.manifest(), _preview(folder)
    file = open_trajectories(folder.path / TRACKS)
    large = file.n_rows > memory_rows
    shown = (0, max(1, file.n_frames * memory_rows // file.n_rows)) if large else (0, file.n_frames)
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
        events=_current(folder, "events.parquet", read_events),
        event_fields=read_some_fields(folder, shown) if not out_of_date("events.parquet", folder) else None,
    )


def _of_frames(file: TrajectoryFile, frames: list[int]) -> Trajectories:
    return file.header.with_table(pd.concat([file.header.table, *(file.read((k, k + 1)).table for k in frames)]))


def _frames_at_once(file: TrajectoryFile) -> int:
    return max(1, _WINDOW_ROWS * file.n_frames // file.n_rows)


def _report(job: Job) -> dict[str, Any]:
    with job.progress("report") as progress:
        progress(0, 1)
        write_report(gather(job.folder, memory_rows=job.study.memory_rows), job.folder.path / "report.html")
        progress(1, 1)
    return {"report": "report.html"}


def _state(job: Job) -> Any:
    """What the page says beside the products: the input, and status, settings and failures of every other stage."""
    manifest = job.folder.manifest()
    told = ("status", "key", "settings", "seed", "failed", "summary")
    stages = {
        name: {word: record.get(word) for word in told}
        for name, record in manifest["stages"].items()
        if name != "report"
    }
    preview = not out_of_date("cache/preview.npz", job.folder) and (job.folder.cache / "preview.npz").is_file()
    return {"stages": stages, "input": manifest.get("input"), "preview": preview}


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
        "events.parquet",
    ),
)
