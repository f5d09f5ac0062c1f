"""The stage that gathers what a run folder holds and writes the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from colloid_cg.pipeline.from_tracks import TRACKS, read_all_fields
from colloid_cg.pipeline.stage import Job, Stage, out_of_date
from colloid_cg.reporting import ReportContent, write_report
from colloid_cg.store import RunFolder, read_events, read_json, read_model, read_rollout, read_trajectories
from colloid_cg.store.arrays import read_structure

T = TypeVar("T")


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


def gather(folder: RunFolder) -> ReportContent:
    """Return everything current in the run folder; missing parts are None."""
    inspection = _current(folder, "inspect.json", read_json)
    structure = _current(folder, "structure", read_structure)
    manifest = folder.manifest()
    return ReportContent(
        title=manifest.get("input", {}).get("name", folder.path.name),
        run=manifest,
        frames=_preview(folder),
        suggestion=None if inspection is None else inspection["suggestion"],
        tracks=read_trajectories(folder.path / TRACKS),
        fields=read_all_fields(folder) if structure is not None else None,
        structure=None if structure is None else structure[1].get("metadata"),
        model=_current(folder, "model", read_model),
        rollout=_current(folder, "rollout.zarr", read_rollout),
        assessment=_current(folder, "assessment.json", read_json),
        events=_current(folder, "events.parquet", read_events),
        event_fields=read_all_fields(folder) if not out_of_date("events.parquet", folder) else None,
    )


def _report(job: Job) -> dict[str, Any]:
    with job.progress("report") as progress:
        progress(0, 1)
        write_report(gather(job.folder), job.folder.path / "report.html")
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
        "events.parquet",
    ),
)
