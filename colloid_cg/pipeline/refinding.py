"""The second look at missed particles, part by part: what was found before a kill is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from colloid_cg import tracking
from colloid_cg.errors import StorageError
from colloid_cg.pipeline.linking import Linked, told
from colloid_cg.pipeline.stage import Job, ProgressFactory, forget_part, no_progress
from colloid_cg.provenance import sha256_of_json
from colloid_cg.records import FrameStack
from colloid_cg.store import read_columns, write_table
from colloid_cg.tracking import ImageModel, Survey, TrackConfig


def refind_resumable(
    job: Job, linked: Linked, tracks: Survey, video: FrameStack, config: TrackConfig, model: ImageModel | None
) -> tuple[Linked, Survey]:
    """Return links and survey with what a second look finds; unchanged where the settings do not ask for one."""
    # the links know everything that locating and linking depend on
    key = {"links": linked.links[0].parent.name, "longest": tracking.longest_gap(config), "joins": config.close_gaps}
    folder = job.folder.cache / f"refind-{sha256_of_json(key)[:16]}"
    forget_part(job, "refind-", keep=folder.name if config.refind else "")
    if not config.refind:
        return linked, tracks
    if model is None:
        raise StorageError(
            f"no image model in {job.folder.path / 'inspect.json'}",
            expected="the one that the movie was located with",
            action="run 'colloid-cg run' or 'colloid-cg track' into a new folder",
        )
    return look_again(linked, tracks, folder, video, config, model, progress=job.progress)


def look_again(
    linked: Linked,
    tracks: Survey,
    folder: Path,
    video: FrameStack,
    config: TrackConfig,
    model: ImageModel,
    *,
    progress: ProgressFactory = no_progress,
) -> tuple[Linked, Survey]:
    """Look again at part after part of the links.

    The gaps are listed anew after a kill, which reads no frame; parts whose file is there are not looked at again.

    Parameters
    ----------
    linked : Linked
    tracks : Survey
        Of these links.
    folder : Path
        Where one table for each part goes.
    video : FrameStack
    config : TrackConfig
    model : ImageModel
    progress : callable
        Makes the bar of the pass.
    """
    paths = tuple(folder / path.name for path in linked.links)
    missing = 0
    with progress("refind") as advance:
        gaps = tracking.missing_by_part(linked.parts, tracks, config)
        for index, part in enumerate(told(gaps, len(paths), advance)):
            missing += len(part)
            if paths[index].is_file():
                continue
            present = linked.detections.read(index, tracking.PRESENT)
            found = tracking.look_again(part, present, video, config, model=model, tracks=tracks)
            write_table(paths[index], found)
    lengths = [read_columns(path, ("particle",)) for path in paths]
    counts = {"n_missing": missing, "n_refound": sum(len(table) for table in lengths)}
    again = replace(linked, refound=paths, report=linked.report | counts)
    return again, tracking.surveyed_again(tracks, lengths)
