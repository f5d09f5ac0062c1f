"""Stages that read trajectories: structure, fit, simulate, events, assess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from colloid_cg.assessment import AssessConfig, assess
from colloid_cg.errors import DataError
from colloid_cg.events import EventConfig, detect_events, event_fields
from colloid_cg.learn import FitConfig, MomentumFitConfig, ThermalFitConfig, fit
from colloid_cg.learn.comparison import ComparisonConfig, compare_models
from colloid_cg.learn.latent import frames_to_forget, hidden_fields, hidden_gain, hidden_model
from colloid_cg.learn.thermal import thermal_fields
from colloid_cg.pipeline.blocks import Blocks, blocks, spans, trajectory_file
from colloid_cg.pipeline.event_comparison import compare_run_events
from colloid_cg.pipeline.event_windows import events_margin, joined, peaking
from colloid_cg.pipeline.fields import field_digests, field_tables
from colloid_cg.pipeline.stage import Job, Stage, forget_part, out_of_date
from colloid_cg.progress import Progress
from colloid_cg.provenance import sha256_of_tree
from colloid_cg.records import EventTable, ModelBundle, Rollout
from colloid_cg.simulation import SimulateConfig, simulate
from colloid_cg.simulation.baselines import baseline_rollout
from colloid_cg.states import phase_series
from colloid_cg.store import (
    Kept,
    RunFolder,
    read_frames,
    read_model,
    read_reference,
    read_rollout,
    table_writer,
    write_events,
    write_json,
    write_model,
    write_rollout,
)
from colloid_cg.store.arrays import write_structure
from colloid_cg.structure import StructureConfig, encode, fit_structure

HIDDEN_ROWS = 30
"""Memory that a detection takes while s is worked out, over that of its row in the trajectories, margins included."""
FIELD_PARTS = ("fields/structure.parquet", "fields/events.parquet", "model/fields.parquet")
"""Tables of columns of fields.parquet; the last only where the model has a hidden variable."""


def assemble_fields(job: Job, *, fresh: str) -> None:
    """Join what the stages say about each detection of the present trajectories into fields.parquet.

    ``fresh`` is the part that was just written; others are used if they still belong to the trajectories.
    """
    folder = job.folder
    current = [name for name in FIELD_PARTS if name == fresh or not out_of_date(_product(name), folder)]
    paths = [folder.path / name for name in current if (folder.path / name).is_file()]
    if not paths:  # what made the last columns was made again without them
        (folder.path / "fields.parquet").unlink(missing_ok=True)
        return
    with table_writer(folder.path / "fields.parquet") as writer:
        for frames in spans(job):
            fields, *others = (read_frames(path, frames) for path in paths)
            for part in others:
                fields = fields.merge(part, on=["frame", "particle"], how="outer")
            writer.append(fields.sort_values(["frame", "particle"], kind="stable").reset_index(drop=True))


def _product(part: str) -> str:
    """Return the product of a stage that a table of columns belongs to."""
    return "model" if part.startswith("model/") else part


def _structure(job: Job) -> dict[str, Any]:
    config, used = job.study.section(StructureConfig), blocks(job)
    with job.progress("structure") as progress:
        model = fit_structure(used.train, config, rng=job.rng("structure"), progress=progress)
    write_structure(job.folder.path / "structure", *model.to_arrays())
    names: list[str] = []
    with table_writer(job.folder.path / FIELD_PARTS[0]) as writer:
        for first, last in spans(job):
            # A window of frames reaches back into the span before.
            fields = encode(model, trajectory_file(job).read((max(first - config.window + 1, 0), last)))
            fields = fields[fields["frame"] >= first].reset_index(drop=True)
            names = [name for name in fields.columns if name not in ("frame", "particle")]
            writer.append(fields)
    assemble_fields(job, fresh=FIELD_PARTS[0])
    summary = {"metadata": model.metadata, "columns": names, **(used.shortened or {})}
    return _warned(summary, model.metadata["warnings"])


def _fit(job: Job) -> dict[str, Any]:
    used = blocks(job)
    config = job.study.section(FitConfig)
    fields = field_tables(job.study) if config.in_fields else None
    kept = Kept(job.folder.cache / f"fit-{job.folder.manifest()['stages']['fit']['key'][:16]}")
    forget_part(job, "fit-", keep=kept.folder.name)
    with job.progress("fit") as progress:
        model = fit(
            used.train, used.select, config, rng=job.rng("fit"), progress=progress, fields=fields, checkpoint=kept,
            momentum=job.study.section(MomentumFitConfig), thermal=job.study.section(ThermalFitConfig),
            structure=job.study.section(StructureConfig),
        )  # fmt: skip
    write_model(job.folder.path / "model", model)
    _model_fields(job, model)
    forget_part(job, "fit-", keep="")
    sentences = [
        line for name in ("trap_warnings", "field_warnings", "warnings") for line in model.diagnostics.get(name, [])
    ]
    return _warned({"metrics": model.metrics, **(used.shortened or {})}, sentences)


def _model_fields(job: Job, model: ModelBundle) -> None:
    """Write what the model says of each detection (s, or temperature and entropy) and join it into fields.parquet.

    Long movies are read in spans, at either end longer than what is kept by as much as the memory of s lasts (at most
    by the length of the span); temperatures only where one span will do.
    """
    part = FIELD_PARTS[2]
    if hidden_model(model) is not None:
        with table_writer(job.folder.path / part) as writer:
            for frames in spans(job, share=HIDDEN_ROWS):
                writer.append(_hidden_part(job, model, frames))
    elif len(list(spans(job))) == 1 and (found := thermal_fields(model, trajectory_file(job).read())) is not None:
        with table_writer(job.folder.path / part) as writer:
            writer.append(found)
    elif not (job.folder.path / "fields.parquet").is_file():
        return
    assemble_fields(job, fresh=part)


def _hidden_part(job: Job, model: ModelBundle, frames: tuple[int, int]) -> pd.DataFrame:
    first, last = frames
    file = trajectory_file(job)
    margin = min(frames_to_forget(model), last - first)
    begin = max(first - margin, 0)
    begin -= begin % int(model.config["stride"])  # s is told of the same frames whatever the spans are
    found = hidden_fields(model, file.read((begin, min(last + margin, file.n_frames))))
    assert found is not None
    return found[found["frame"].between(first, last - 1)].reset_index(drop=True)


def _simulate(job: Job) -> dict[str, Any]:
    used = blocks(job)
    model = read_model(job.folder.path / "model")
    config = job.study.section(SimulateConfig)
    with job.progress("simulate") as progress:
        rollout = simulate(
            model, used.test, config, rng=job.rng("simulate"), progress=progress, most_rows=job.study.memory_rows
        )
    write_rollout(job.folder.path / "rollout.zarr", rollout)
    replicas, frames, particles, _ = rollout.positions.shape
    summary = {"replicas": replicas, "frames": frames, "particles": particles, **(used.shortened or {})}
    return _warned(summary, rollout.metadata.get("warnings"))


def _warned(summary: dict[str, Any], sentences: Any) -> dict[str, Any]:
    """Return the summary with these warnings beside its own."""
    return summary | {"warnings": [*summary.get("warnings", []), *sentences]} if sentences else summary


def _events(job: Job) -> dict[str, Any]:
    file, config, windows = trajectory_file(job), job.study.section(EventConfig), list(spans(job))
    margin = 0 if len(windows) == 1 else events_margin(config)
    found: list[EventTable] = []
    with job.progress("events") as progress, table_writer(job.folder.path / FIELD_PARTS[1]) as writer:
        progress(0, len(windows))
        for done, (first, last) in enumerate(windows, start=1):
            tracks = file.read((max(0, first - margin), min(file.n_frames, last + margin)))
            fields = event_fields(tracks, config)
            found.append(peaking(detect_events(tracks, config, fields=fields), first, last))
            writer.append(fields if not margin else fields[fields["frame"].between(first, last - 1)])
            progress(done, len(windows))
    events = joined(found, windows)
    write_events(job.folder.path / "events.parquet", events)
    assemble_fields(job, fresh=FIELD_PARTS[1])
    note = (
        [] if len(windows) == 1 else [f"events were looked for in {len(windows)} windows, each with its own null law"]
    )
    return {"events": len(events), "metadata": events.metadata} | ({"warnings": note} if note else {})


def _assess(job: Job) -> dict[str, Any]:
    used = blocks(job)
    path = job.folder.path
    model, rollout = read_model(path / "model"), read_rollout(path / "rollout.zarr")
    with job.progress("assess") as progress:
        progress(0, 1)
        config = job.study.section(AssessConfig)
        references = tuple(read_reference(Path(name)) for name in config.references)
        others, failed = _baselines(job, used, model, rollout, config)
        assessment = assess(used.test, rollout, model, config, references=references, others=others)
        if rollout.velocities is None:
            assessment["models"] = _models(job, used, model, progress)
            gained = hidden_gain(model, used.test)
            assessment["hidden_gain"] = None if gained is None else gained.as_dict()
            assessment["events"] = compare_run_events(job, used, rollout, progress)
        else:
            assessment["warnings"] += failed
        progress(1, 1)
    write_json(path / "assessment.json", assessment)
    errors = {name: assessment[name].get("rrmse") for name in ("rdf", "msd", "vacf") if assessment.get(name)}
    told = assessment["warnings"] if rollout.velocities is not None else None
    return _warned(errors | (used.shortened or {}), told)


def _baselines(
    job: Job, used: Blocks, model: ModelBundle, rollout: Rollout, config: AssessConfig
) -> tuple[dict[str, Rollout], list[str]]:
    """Return rollouts of simpler dynamics for a run in phase space, and what became of those that broke down."""
    found: dict[str, Rollout] = {}
    failed: list[str] = []
    if rollout.velocities is None:
        return found, failed
    train, select, test = (phase_series(block) for block in (used.train, used.select, used.test))
    for name in config.baselines:
        try:
            found[name] = baseline_rollout(
                name, train, select, test, rollout, rng=job.rng(f"baseline {name}"),
                thermal_energy=float(model.config["thermal_energy"]),
            )  # fmt: skip
        except DataError as error:
            failed.append(f"baseline {name} not compared: {error}")
    return found, failed


def _reference_digests(job: Job) -> dict[str, str] | None:
    """Return the content hash of every archive of reference curves; None where no setting names one."""
    names = job.study.section(AssessConfig).references
    for name in names:
        read_reference(Path(name))
    return {name: sha256_of_tree(Path(name)) for name in names} or None


def _models(job: Job, used: Blocks, model: ModelBundle, progress: Progress) -> dict[str, Any]:
    """Compare models on the test block; data too few for that are a finding, not a failure."""
    config, rng = job.study.section(ComparisonConfig), job.rng("comparison")
    try:
        return compare_models(used.train, used.select, used.test, model, config, rng=rng, progress=progress)
    except DataError as error:
        return {"note": f"not compared: {error}"}


TRACKS = "trajectories.parquet"
STRUCTURE = Stage(
    name="structure",
    products=("structure", FIELD_PARTS[0]),
    also=("fields.parquet",),
    work=_structure,
    sections=(StructureConfig,),
    inputs=(TRACKS,),
)
FIT = Stage(
    name="fit",
    products=("model",),
    work=_fit,
    sections=(FitConfig, MomentumFitConfig, ThermalFitConfig, StructureConfig),
    inputs=(TRACKS,),
    depends=field_digests,
)
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
    sections=(AssessConfig, ComparisonConfig, EventConfig),
    inputs=(TRACKS, "model", "rollout.zarr"),
    optional=("events.parquet", "structure"),
    depends=_reference_digests,
)


def read_some_fields(folder: RunFolder, frames: tuple[int, int]) -> pd.DataFrame | None:
    """Return the rows of fields.parquet in these frames, or None where no stage has made it."""
    path = folder.path / "fields.parquet"
    return read_frames(path, frames) if path.is_file() else None
