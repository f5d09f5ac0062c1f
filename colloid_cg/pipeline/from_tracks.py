"""Stages that read trajectories: structure, fit, simulate, events, assess."""

from __future__ import annotations

from typing import Any

import pandas as pd

from colloid_cg.assessment import AssessConfig, assess
from colloid_cg.events import EventConfig, detect_events, event_fields
from colloid_cg.learn import FitConfig, fit
from colloid_cg.pipeline.stage import Job, Stage, out_of_date
from colloid_cg.records import Trajectories
from colloid_cg.simulation import SimulateConfig, simulate
from colloid_cg.states import split_by_time
from colloid_cg.store import (
    RunFolder,
    read_model,
    read_rollout,
    read_table,
    read_trajectories,
    write_events,
    write_json,
    write_model,
    write_rollout,
    write_table,
)
from colloid_cg.store.arrays import write_structure
from colloid_cg.structure import StructureConfig, encode, fit_structure

FIELD_PARTS = ("fields/structure.parquet", "fields/events.parquet")


def _tracks(job: Job) -> Trajectories:
    return read_trajectories(job.folder.path / "trajectories.parquet")


def _blocks(job: Job) -> tuple[Trajectories, Trajectories, Trajectories]:
    return split_by_time(_tracks(job), job.study.fractions)


def assemble_fields(folder: RunFolder, *, fresh: str) -> None:
    """Join what the stages say about each detection of the present trajectories into fields.parquet.

    ``fresh`` is the part that was just written; others are used if they still belong to the trajectories.
    """
    current = [name for name in FIELD_PARTS if name == fresh or not out_of_date(name, folder)]
    parts = [read_table(folder.path / name)[0] for name in current if (folder.path / name).is_file()]
    fields = parts[0]
    for part in parts[1:]:
        fields = fields.merge(part, on=["frame", "particle"], how="outer")
    fields = fields.sort_values(["frame", "particle"], kind="stable").reset_index(drop=True)
    write_table(folder.path / "fields.parquet", fields)


def _structure(job: Job) -> dict[str, Any]:
    config = job.study.section(StructureConfig)
    train, _, _ = _blocks(job)
    with job.progress("structure") as progress:
        model = fit_structure(train, config, rng=job.rng("structure"), progress=progress)
        fields = encode(model, _tracks(job))
    write_structure(job.folder.path / "structure", *model.to_arrays())
    write_table(job.folder.path / FIELD_PARTS[0], fields)
    assemble_fields(job.folder, fresh=FIELD_PARTS[0])
    return {
        "metadata": model.metadata,
        "columns": [name for name in fields.columns if name not in ("frame", "particle")],
    }


def _fit(job: Job) -> dict[str, Any]:
    train, select, _ = _blocks(job)
    with job.progress("fit") as progress:
        model = fit(train, select, job.study.section(FitConfig), rng=job.rng("fit"), progress=progress)
    write_model(job.folder.path / "model", model)
    return {"metrics": model.metrics}


def _simulate(job: Job) -> dict[str, Any]:
    _, _, test = _blocks(job)
    model = read_model(job.folder.path / "model")
    config = job.study.section(SimulateConfig)
    with job.progress("simulate") as progress:
        rollout = simulate(model, test, config, rng=job.rng("simulate"), progress=progress)
    write_rollout(job.folder.path / "rollout.zarr", rollout)
    replicas, frames, particles, _ = rollout.positions.shape
    return {"replicas": replicas, "frames": frames, "particles": particles}


def _events(job: Job) -> dict[str, Any]:
    tracks, config = _tracks(job), job.study.section(EventConfig)
    with job.progress("events") as progress:
        progress(0, 2)
        fields = event_fields(tracks, config)
        progress(1, 2)
        events = detect_events(tracks, config, fields=fields)
        progress(2, 2)
    write_table(job.folder.path / FIELD_PARTS[1], fields)
    write_events(job.folder.path / "events.parquet", events)
    assemble_fields(job.folder, fresh=FIELD_PARTS[1])
    return {"events": len(events), "metadata": events.metadata}


def _assess(job: Job) -> dict[str, Any]:
    _, _, test = _blocks(job)
    path = job.folder.path
    model, rollout = read_model(path / "model"), read_rollout(path / "rollout.zarr")
    with job.progress("assess") as progress:
        progress(0, 1)
        assessment = assess(test, rollout, model, job.study.section(AssessConfig))
        progress(1, 1)
    write_json(path / "assessment.json", assessment)
    return {name: assessment[name].get("rrmse") for name in ("rdf", "msd") if assessment.get(name)}


TRACKS = "trajectories.parquet"
STRUCTURE = Stage(
    name="structure",
    products=("structure", FIELD_PARTS[0]),
    also=("fields.parquet",),
    work=_structure,
    sections=(StructureConfig,),
    inputs=(TRACKS,),
)
FIT = Stage(name="fit", products=("model",), work=_fit, sections=(FitConfig,), inputs=(TRACKS,))
SIMULATE = Stage(
    name="simulate", products=("rollout.zarr",), work=_simulate, sections=(SimulateConfig,), inputs=(TRACKS, "model")
)
EVENTS = Stage(
    name="events",
    products=("events.parquet", FIELD_PARTS[1]),
    also=("fields.parquet",),
    work=_events,
    sections=(EventConfig,),
    inputs=(TRACKS,),
)
ASSESS = Stage(
    name="assess",
    products=("assessment.json",),
    work=_assess,
    sections=(AssessConfig,),
    inputs=(TRACKS, "model", "rollout.zarr"),
)


def read_all_fields(folder: RunFolder) -> pd.DataFrame | None:
    """Return fields.parquet, or None where no stage has made it."""
    path = folder.path / "fields.parquet"
    return read_table(path)[0] if path.is_file() else None
