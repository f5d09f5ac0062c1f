"""The command line: one verb per stage."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from colloid_cg.cli import options as o
from colloid_cg.cli.announcing import Announcer
from colloid_cg.cli.display import bar, note, show, show_error, show_json
from colloid_cg.errors import ColloidError, ConfigError, StorageError

app = typer.Typer(
    name="colloid-cg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From high-speed colloid microscopy to a thermodynamically consistent model.",
)


def main() -> None:
    """Run the command line; what typer says of wrong usage becomes one sentence of three parts too."""
    if len(sys.argv) == 1:
        app(["--help"])
    try:
        code = app(standalone_mode=False)
    except Exception as error:
        explain = getattr(error, "format_message", None)
        if explain is None:
            raise
        shown = ConfigError(
            f"a command that does not fit ({str(explain()).rstrip('.')})",
            expected="a verb with its arguments and options",
            action=_advice(str(getattr(error, "option_name", ""))),
        )
        show_error(shown, as_json="--json" in sys.argv)
        sys.exit(shown.exit_code)
    sys.exit(code or 0)


def _advice(option: str) -> str:
    """Return what to do about a wrong command: an unknown option may be a setting of the study file."""
    from colloid_cg.pipeline.study import SECTIONS

    name = option.lstrip("-").replace("-", "_")
    tables = [f"[{table}]" for table, kind in SECTIONS.items() if name in kind.model_fields]
    if not tables:
        return "see 'colloid-cg --help' or 'colloid-cg VERB --help'"
    where = " or ".join(tables)
    return f"{option} is a setting of the study file: write '{name} = ...' under {where} and give it with --config"


@contextmanager
def _reported(as_json: bool) -> Iterator[None]:
    """Turn every error made on purpose into one sentence and exit code 2."""
    try:
        yield
    except ColloidError as error:
        show_error(error, as_json=as_json)
        raise typer.Exit(error.exit_code) from error
    except OSError as error:
        # what others write, such as the cache of compiled functions, meets a full disk as well
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        full = StorageError(
            f"no space left to write {error.filename or 'a file'}",
            expected="enough free disk space",
            action="free some space and start the same command again: it goes on where it stopped",
        )
        show_error(full, as_json=as_json)
        raise typer.Exit(full.exit_code) from error
    except KeyboardInterrupt:
        note("stopped; the same command goes on where it stopped")
        raise typer.Exit(130) from None


def _study(config: Path | None, seed: int | None, **tables: dict[str, Any]) -> Any:
    from colloid_cg.pipeline.study import load_study

    return load_study(config).updated(**tables).with_(seed=seed)


def _video_table(
    pixel_size: str | None, frame_interval: str | None, exposure: str | None, channel: str | None
) -> dict[str, Any]:
    return {"pixel_size": pixel_size, "frame_interval": frame_interval, "exposure": exposure, "channel": channel}


def _finish(result: Any, folder: Path, *, as_json: bool) -> None:
    """Print the result; exit code 2 if a stage could not make its product."""
    if as_json:
        stages = {
            outcome.stage: {
                "summary": outcome.summary,
                "cached": outcome.cached,
                "seconds": round(outcome.seconds, 3),
                "failed": str(outcome.failed) if outcome.failed else None,
            }
            for outcome in result.outcomes
        }
        show_json({"run": str(folder), "stages": stages})
    else:
        last = result.outcomes[-1]
        product = {"report": folder / "report.html"}.get(last.stage, folder)
        show(str(product))
    if result.failures:
        for failure in {str(outcome.failed): outcome.failed for outcome in result.failures}.values():
            note(f"error: {failure}")
        raise typer.Exit(2)


@app.command("run")
def run_(
    video: o.Video,
    output: o.Output,
    config: o.Config = None,
    pixel_size: o.PixelSize = None,
    frame_interval: o.FrameInterval = None,
    exposure: o.Exposure = None,
    channel: o.Channel = None,
    diameter: o.Diameter = None,
    seed: o.Seed = None,
    workers: o.Workers = None,
    scheduler: o.Scheduler = None,
    as_json: o.Json = False,
) -> None:
    """Do everything: from a movie to trajectories, structure, model, rollouts, events and one report."""
    with _reported(as_json):
        from colloid_cg.pipeline.crew import Crew
        from colloid_cg.pipeline.run import run_video
        from colloid_cg.store import RunFolder

        crew = Crew(workers, scheduler)
        tables = {"video": _video_table(pixel_size, frame_interval, exposure, channel), "track": {"diameter": diameter}}
        study = _study(config, seed, **tables)
        folder = RunFolder(output)
        result = run_video(video, folder, study, crew=crew, progress=bar, announce=Announcer(folder))
        _finish(result, output, as_json=as_json)


@app.command("inspect")
def inspect_(
    video: o.Video,
    figure: o.Figure = None,
    config: o.Config = None,
    channel: o.Channel = None,
    diameter: o.Diameter = None,
    as_json: o.Json = False,
) -> None:
    """Suggest particle diameter, threshold and search range from the movie, and show why."""
    with _reported(as_json):
        from colloid_cg.pipeline.inspection import inspect_video

        study = _study(config, None, video={"channel": channel}, track={"diameter": diameter})
        target = figure or Path(f"{video.stem}_inspect.png")
        suggestion = inspect_video(video, study, figure=target, progress=bar)
        if as_json:
            show_json({**suggestion, "figure": str(target)})
            return
        for line in suggestion["reasons"]:
            show(line)
        for line in suggestion["warnings"]:
            note(f"check: {line}")
        show(str(target))


@app.command("track")
def track_(
    video: o.Video,
    output: o.Output,
    config: o.Config = None,
    pixel_size: o.PixelSize = None,
    frame_interval: o.FrameInterval = None,
    exposure: o.Exposure = None,
    channel: o.Channel = None,
    diameter: o.Diameter = None,
    seed: o.Seed = None,
    workers: o.Workers = None,
    scheduler: o.Scheduler = None,
    as_json: o.Json = False,
) -> None:
    """Locate and link the particles of a movie, remove the drift, write trajectories.parquet."""
    with _reported(as_json):
        from colloid_cg.pipeline.crew import Crew
        from colloid_cg.pipeline.run import track_video
        from colloid_cg.store import RunFolder

        crew = Crew(workers, scheduler)
        tables = {"video": _video_table(pixel_size, frame_interval, exposure, channel), "track": {"diameter": diameter}}
        study = _study(config, seed, **tables)
        folder = RunFolder(output)
        result = track_video(video, folder, study, crew=crew, progress=bar, announce=Announcer(folder))
        _finish(result, output, as_json=as_json)


@app.command("import")
def import_(
    table: o.Table,
    output: o.Output,
    config: o.Config = None,
    pixel_size: o.PixelSize = None,
    frame_interval: o.FrameInterval = None,
    exposure: o.Exposure = None,
    timestep: o.Timestep = None,
    seed: o.Seed = None,
    as_json: o.Json = False,
) -> None:
    """Bring trajectories from elsewhere, or a particle simulation, into a run folder."""
    with _reported(as_json):
        from colloid_cg.pipeline.run import import_tracks
        from colloid_cg.store import RunFolder

        calibration = {"pixel_size": pixel_size, "frame_interval": frame_interval, "exposure": exposure}
        study = _study(config, seed, **{"import": calibration | {"timestep": timestep}})
        folder = RunFolder(output)
        result = import_tracks(table, folder, study, progress=bar, announce=Announcer(folder))
        _finish(result, output, as_json=as_json)


def _one_stage(name: str, run: Path, config: Path | None, seed: int | None, as_json: bool) -> None:
    with _reported(as_json):
        from colloid_cg.pipeline.run import run_stage
        from colloid_cg.pipeline.study import read_settings
        from colloid_cg.store import RunFolder

        changes = read_settings(config) | ({} if seed is None else {"seed": seed})
        folder = RunFolder(run)
        result = run_stage(name, folder, changes, progress=bar, announce=Announcer(folder))
        _finish(result, run, as_json=as_json)


@app.command("structure")
def structure_(run: o.Run, config: o.Config = None, seed: o.Seed = None, as_json: o.Json = False) -> None:
    """Find structural variables with a small autoencoder; write s0 and readable fields to fields.parquet."""
    _one_stage("structure", run, config, seed, as_json)


@app.command("fit")
def fit_(run: o.Run, config: o.Config = None, seed: o.Seed = None, as_json: o.Json = False) -> None:
    """Decide the regime and fit mobility, localisation error and pair force, with 90 % intervals."""
    _one_stage("fit", run, config, seed, as_json)


@app.command("simulate")
def simulate_(run: o.Run, config: o.Config = None, seed: o.Seed = None, as_json: o.Json = False) -> None:
    """Run the fitted model from the first frame of the test block."""
    _one_stage("simulate", run, config, seed, as_json)


@app.command("events")
def events_(run: o.Run, config: o.Config = None, seed: o.Seed = None, as_json: o.Json = False) -> None:
    """Find rearrangements by D2min and p_hop, each with a p and a q value."""
    _one_stage("events", run, config, seed, as_json)


@app.command("assess")
def assess_(run: o.Run, config: o.Config = None, seed: o.Seed = None, as_json: o.Json = False) -> None:
    """Compare the rollouts with the held-out part of the movie, and say what hidden variables mean and predict."""
    _one_stage("assess", run, config, seed, as_json)


@app.command("match")
def match_(
    run: o.Run,
    reference: o.Reference,
    distance: o.Distance = None,
    frames: o.Frames = None,
    amplitude_recall: o.AmplitudeRecall = None,
    amplitude_false: o.AmplitudeFalse = None,
    as_json: o.Json = False,
) -> None:
    """Match the events of a run with true ones, those of another run or a review; write match.json."""
    with _reported(as_json):
        from colloid_cg.pipeline.matching import MatchOptions, match_lines, match_run
        from colloid_cg.store import RunFolder
        from colloid_cg.units import micrometres

        lengths = {"distance": distance, "amplitude_recall": amplitude_recall, "amplitude_false": amplitude_false}
        given = {name: None if text is None else micrometres(text) for name, text in lengths.items()}
        folder = RunFolder(run)
        options = MatchOptions(frames=frames, **given)
        result = match_run(folder, reference, options, progress=bar, announce=Announcer(folder))
        if not as_json:
            for line in match_lines(result.outcomes[0].summary):
                show(line)
        _finish(result, run if as_json else run / "match.json", as_json=as_json)


@app.command("report")
def report_(run: o.Run, config: o.Config = None, seed: o.Seed = None, as_json: o.Json = False) -> None:
    """Write the report: one self-contained page that answers "can I trust this?"."""
    _one_stage("report", run, config, seed, as_json)


@app.command("twin")
def twin_(
    case: o.Case,
    output: o.Output,
    config: o.Config = None,
    seed: o.Seed = None,
    as_json: o.Json = False,
) -> None:
    """Make a movie of known physics: video, truth and a README."""
    with _reported(as_json):
        from colloid_cg.pipeline.study import load_twin_study
        from colloid_cg.pipeline.twin_folder import write_twin

        summary = write_twin(case, output, load_twin_study(config, seed), progress=bar)
        if as_json:
            show_json(summary)
        else:
            show(str(output / summary["video"]))


@app.command("cite")
def cite_(run: o.Run, as_json: o.Json = False) -> None:
    """Say what to cite for the stages a run folder holds."""
    with _reported(as_json):
        from colloid_cg.pipeline.citation import citations
        from colloid_cg.store import RunFolder

        entries = citations(RunFolder(run))
        if as_json:
            show_json({"citations": entries})
            return
        for entry in entries:
            show(f"{entry['for']}: {entry['text']}")
