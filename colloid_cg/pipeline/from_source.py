"""Stages that read the movie or a foreign table: inspect, track, import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from colloid_cg import tracking
from colloid_cg.errors import StorageError
from colloid_cg.pipeline.linking import link_resumable, survey_tracks, write_finished
from colloid_cg.pipeline.locating import locate_resumable
from colloid_cg.pipeline.refinding import refind_resumable
from colloid_cg.pipeline.stage import Job, Stage
from colloid_cg.pipeline.study import Study
from colloid_cg.records import FrameStack, Trajectories
from colloid_cg.store import read_json, write_json, write_trajectories
from colloid_cg.store.atomic import atomic_path
from colloid_cg.store.simulations import read_simulation
from colloid_cg.store.tables import read_foreign_table
from colloid_cg.tracking import ImageModel, ImportConfig, TrackConfig
from colloid_cg.video import VideoConfig, doubts

PREVIEW_FRAMES = 3


def _video(job: Job) -> FrameStack:
    if job.video is None:
        raise StorageError("no movie for a stage that reads one", expected="the path of the movie", action="give VIDEO")
    return job.video


def _inspect(job: Job) -> dict[str, Any]:
    video, folder = _video(job), job.folder
    config = job.study.section(TrackConfig)
    tracking.check_against(config, video)
    with job.progress("inspect") as progress:
        progress(0, 1)
        suggestion = tracking.suggest(video, config)
        settings = tracking.resolve(config, suggestion)
        bias = tracking.bias_of_movie(settings, suggestion.image_model, job.rng("inspect"))
        progress(1, 1)
    chosen = np.unique(np.linspace(0, len(video) - 1, PREVIEW_FRAMES).round().astype(int))
    with atomic_path(folder.cache / "preview.npz") as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, index=chosen, frames=np.stack([video[int(index)] for index in chosen]))
    content = {"suggestion": suggestion.as_dict(), "settings": settings.as_dict(), "subpixel_bias": bias}
    write_json(folder.path / "inspect.json", content)
    return {**settings.as_dict(), "warnings": [*video.metadata.get("warnings", ()), *suggestion.warnings]}


def _track(job: Job) -> dict[str, Any]:
    video, folder = _video(job), job.folder
    inspected = read_json(folder.path / "inspect.json")
    config = TrackConfig.parse(inspected["settings"])
    model = _image_model(inspected["suggestion"])
    with job.progress("locate") as progress:
        located = locate_resumable(job, video, config, model, progress)
    linked = link_resumable(job, located, config)
    tracks = survey_tracks(linked, config, progress=job.progress)
    linked, tracks = refind_resumable(job, linked, tracks, video, config, model)
    counts = write_finished(
        folder.path / "trajectories.parquet",
        linked,
        tracks,
        video,
        config,
        metadata={"subpixel_bias": inspected.get("subpixel_bias")},
        progress=job.progress,
    )
    return {**counts, "frames": video.n_frames, "workers": located.workers}


def _image_model(suggestion: dict[str, Any]) -> ImageModel | None:
    content = suggestion.get("image_model")
    return None if content is None else ImageModel.parse(content)


def read_tracks(source: Path, study: Study) -> tuple[dict[str, Any], Trajectories]:
    """Read and check a foreign table or a file of a simulation; returns what it is and its trajectories.

    Raises
    ------
    InputError
        If it cannot be read or holds no usable trajectories.
    """
    frames = read_simulation(source)
    if frames is not None:
        tracks = tracking.import_simulation(frames, study.section(ImportConfig), name=source.name)
        return {"format": frames.kind, "files": [source.name], "n_rows": len(tracks)}, tracks
    table, info = read_foreign_table(source)
    return info, tracking.import_table(table, study.section(ImportConfig), name=source.name)


def _import(job: Job) -> dict[str, Any]:
    tracks = job.imported
    if tracks is None:
        raise StorageError("no table for a stage that reads one", expected="the path of the table", action="give TABLE")
    with job.progress("import") as progress:
        progress(0, 1)
        write_trajectories(job.folder.path / "trajectories.parquet", tracks)
        progress(1, 1)
    counts = {"tracks": tracks.n_particles, "rows": len(tracks), "frames": tracks.n_frames}
    simulated = tracks.metadata.get("simulation")
    warnings = doubts(tracks.pixel_size, "") if simulated is None else list(simulated["warnings"])
    return counts | ({"warnings": warnings} if warnings else {})


INSPECT = Stage(
    name="inspect",
    products=("inspect.json", "cache/preview.npz"),
    work=_inspect,
    sections=(VideoConfig, TrackConfig),
    uses_source=True,
)
TRACK = Stage(
    name="track",
    products=("trajectories.parquet",),
    work=_track,
    sections=(VideoConfig, TrackConfig),
    inputs=("inspect.json",),
    uses_source=True,
    replaces=("import",),
)
IMPORT = Stage(
    name="import",
    products=("trajectories.parquet",),
    work=_import,
    sections=(ImportConfig,),
    uses_source=True,
    replaces=("track", "inspect"),
)
