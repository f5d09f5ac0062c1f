"""From a movie or a table to everything the run folder holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colloid_cg.errors import DataError
from colloid_cg.pipeline.crew import Crew
from colloid_cg.pipeline.fields import field_tables
from colloid_cg.pipeline.from_source import IMPORT, INSPECT, TRACK, read_tracks
from colloid_cg.pipeline.from_tracks import ASSESS, EVENTS, FIT, SIMULATE, STRUCTURE
from colloid_cg.pipeline.reading_stage import READING
from colloid_cg.pipeline.report_stage import REPORT
from colloid_cg.pipeline.source import describe, open_source
from colloid_cg.pipeline.stage import Job, Outcome, ProgressFactory, Stage, execute, no_progress, out_of_date
from colloid_cg.pipeline.study import Study, overlaid
from colloid_cg.records import MICROMETRE, Trajectories
from colloid_cg.store import RunFolder
from colloid_cg.tracking import TrackConfig, check_against

STAGES: dict[str, Stage] = {
    stage.name: stage for stage in (INSPECT, TRACK, IMPORT, STRUCTURE, FIT, SIMULATE, EVENTS, READING, ASSESS, REPORT)
}
_AFTER_TRACKING = (STRUCTURE, FIT, SIMULATE, EVENTS, READING, ASSESS)
_NEEDS = {"simulate": "fit", "reading": "structure", "assess": "simulate"}


@dataclass(frozen=True)
class RunResult:
    """Outcome of each stage, in order; ``failures`` lists those that could not answer."""

    outcomes: tuple[Outcome, ...]

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Outcomes with an error."""
        return tuple(outcome for outcome in self.outcomes if outcome.failed is not None)


Announce = Callable[[Outcome], None]


def _ignore(outcome: Outcome) -> None:
    """Say nothing."""


def run_video(
    source: Path,
    folder: RunFolder,
    study: Study,
    *,
    crew: Crew | None = None,
    progress: ProgressFactory = no_progress,
    announce: Announce = _ignore,
) -> RunResult:
    """Do every stage from the movie to the report.

    A stage that cannot answer (too few frames for a fit, say) is recorded with its reason; the stages that do not
    need it, and the report, are still made. ``crew`` says how many processes locate the particles (by default this
    one alone); the products do not depend on it. A script that starts processes needs
    ``if __name__ == "__main__":`` around what it does.
    """
    job = prepare(source, folder, study, crew=crew, progress=progress)
    with folder.locked():
        outcomes = _from_source((INSPECT, TRACK), job, announce)
        outcomes += _analyse(job, announce)
    return RunResult(tuple(outcomes))


def track_video(
    source: Path,
    folder: RunFolder,
    study: Study,
    *,
    crew: Crew | None = None,
    progress: ProgressFactory = no_progress,
    announce: Announce = _ignore,
) -> RunResult:
    """Do the stages inspect and track."""
    job = prepare(source, folder, study, crew=crew, progress=progress)
    with folder.locked():
        return RunResult(tuple(_from_source((INSPECT, TRACK), job, announce)))


def import_tracks(
    source: Path,
    folder: RunFolder,
    study: Study,
    *,
    progress: ProgressFactory = no_progress,
    announce: Announce = _ignore,
) -> RunResult:
    """Bring a foreign table of trajectories, or a simulation, into a run folder."""
    if folder.exists():
        folder.manifest()
    table, tracks = read_tracks(source, study)
    job = Job(
        folder=folder, study=study, source=describe(source) | {"table": table}, progress=progress, imported=tracks
    )
    with folder.locked():
        return RunResult(tuple(_from_source((IMPORT,), job, announce)))


def run_stage(
    name: str,
    folder: RunFolder,
    changes: dict[str, Any] | None = None,
    *,
    progress: ProgressFactory = no_progress,
    announce: Announce = _ignore,
) -> RunResult:
    """Do one verb on an existing run folder with the settings the folder was made with.

    ``changes`` (the content of a TOML file) replaces the settings it names, for this and later stages.
    """
    manifest = folder.manifest()
    study = overlaid(manifest.get("study", {}), changes or {})
    job = Job(folder=folder, study=study, progress=progress, source=manifest.get("input", {}))
    with folder.locked():
        outcomes = tuple(_announced(stage, job, announce) for stage in _stages_of(name, folder))
        folder.update(study=study.as_dict())
        return RunResult(outcomes)


def _stages_of(verb: str, folder: RunFolder) -> tuple[Stage, ...]:
    """Return the stages of a verb: "assess" reads hidden variables where there are some, and compares rollouts."""
    if verb != ASSESS.name or not (folder.path / "structure").exists() or out_of_date("structure", folder):
        return (STAGES[verb],)
    return (READING, ASSESS) if (folder.path / "rollout.zarr").exists() else (READING,)


def prepare(source: Path, folder: RunFolder, study: Study, *, progress: ProgressFactory, crew: Crew | None) -> Job:
    """Open and check the movie before anything is written."""
    if folder.exists():
        folder.manifest()
    video = open_source(source, study)
    check_against(study.section(TrackConfig), video)
    field_tables(study)
    described = describe(source, video)
    return Job(folder=folder, study=study, video=video, source=described, progress=progress, crew=crew or Crew())


def _from_source(stages: tuple[Stage, ...], job: Job, announce: Announce) -> list[Outcome]:
    """Do the stages that read the movie or table; what went in is recorded once its trajectories are there."""
    job.folder.create()
    outcomes = [_announced(stage, job, announce) for stage in stages]
    calibration = {
        "length": "um",
        "time": "s",
        "energy": "k_B T",
        "table_length": "px",
        "pixel_size_um": job.source.get("pixel_size_um"),
        "frame_interval_s": job.source.get("frame_interval_s"),
    }
    if job.imported is not None:
        calibration = _units_of(job.imported)
    job.folder.update(units=calibration, input=job.source, study=job.study.as_dict())
    return outcomes


def _units_of(tracks: Trajectories) -> dict[str, Any]:
    """Return what run.json says of the units of imported tracks; those of a simulation have no um and s."""
    metric = tracks.length_unit == MICROMETRE
    return {
        "length": tracks.length_unit,
        "time": tracks.time_unit,
        "energy": "k_B T" if metric else tracks.length_unit,
        "table_length": "px" if metric else tracks.length_unit,
        "pixel_size_um": tracks.pixel_size if metric else None,
        "frame_interval_s": tracks.frame_interval if metric else None,
    } | ({} if metric else {"frame_interval": tracks.frame_interval})


def _announced(stage: Stage, job: Job, announce: Announce) -> Outcome:
    outcome = execute(stage, job)
    announce(outcome)
    return outcome


def _analyse(job: Job, announce: Announce) -> list[Outcome]:
    outcomes: dict[str, Outcome] = {}
    for stage in _AFTER_TRACKING:
        cause = outcomes.get(_NEEDS.get(stage.name, ""))
        if cause is not None and cause.failed is not None:
            outcomes[stage.name] = Outcome(stage.name, {}, cached=False, seconds=0.0, failed=cause.failed)
            continue
        try:
            outcomes[stage.name] = execute(stage, job)
        except DataError as error:
            outcomes[stage.name] = Outcome(stage.name, {}, cached=False, seconds=0.0, failed=error)
        announce(outcomes[stage.name])
    return [*outcomes.values(), _announced(REPORT, job, announce)]
