"""The verb "match": events of a run against a reference, a twin's truth, another run or a review."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from colloid_cg.errors import InputError
from colloid_cg.events.exposure import tested_rows
from colloid_cg.events.matching import EventMatch, match_events
from colloid_cg.events.review import match_review
from colloid_cg.pipeline.blocks import spans, trajectory_file
from colloid_cg.pipeline.from_tracks import FIELD_PARTS, TRACKS
from colloid_cg.pipeline.run import RunResult
from colloid_cg.pipeline.stage import Job, Outcome, ProgressFactory, Stage, execute, no_progress
from colloid_cg.pipeline.study import study_from_dict
from colloid_cg.provenance import sha256_of_tree
from colloid_cg.records import CommonMotion, EventTable
from colloid_cg.store import RunFolder, open_trajectories, read_events, read_frames, write_json

EVENTS, PRODUCT = "events.parquet", "match.json"
REVIEW = (".csv", ".tsv", ".txt")


@dataclass(frozen=True, kw_only=True)
class MatchOptions:
    """How near events of a run must be to those of a reference.

    Parameters
    ----------
    distance : float or None
        um; None: the distance within which the detector joined particle-frames to events.
    frames : float or None
        None: the lag of D2min and half the window of p_hop together, over which the detector looks.
    amplitude_recall, amplitude_false : float or None
        um, see :func:`~colloid_cg.events.matching.match_events`.
    """

    distance: float | None = None
    frames: float | None = None
    amplitude_recall: float | None = None
    amplitude_false: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reference:
    """A reference as it was found: which file, and its events or labels."""

    kind: str
    path: Path
    pixel_size: float | None = None
    events: EventTable | None = None
    labels: pd.DataFrame | None = None


def match_run(
    folder: RunFolder,
    reference: Path,
    options: MatchOptions | None = None,
    *,
    progress: ProgressFactory = no_progress,
    announce: Callable[[Outcome], None] = lambda outcome: None,
) -> RunResult:
    """Match the events of a run with a reference and write match.json.

    Parameters
    ----------
    folder : RunFolder
        With events.parquet.
    reference : Path
        A twin folder, a run folder of the same movie, an events.parquet, or a review (see
        :func:`~colloid_cg.events.review.read_labels`) as .csv, .tsv or .txt.
    options : MatchOptions, optional

    Raises
    ------
    InputError
        If the reference is none of these.
    """
    options, reference = options or MatchOptions(), reference.resolve()
    file = _file_of(reference)
    study = study_from_dict(folder.manifest().get("study", {}))

    def work(job: Job) -> dict[str, Any]:
        return _match(job, file, options)

    depends = {"reference": sha256_of_tree(file), "name": reference.name, "options": vars(options)}
    stage = Stage(
        name="match", products=(PRODUCT,), work=work, inputs=(TRACKS, EVENTS), depends=lambda job: depends
    )  # fmt: skip
    with folder.locked():
        outcome = execute(stage, Job(folder=folder, study=study, progress=progress))
        announce(outcome)
    return RunResult((outcome,))


def _file_of(reference: Path) -> Path:
    """Return the file that holds the reference."""
    file = reference / EVENTS if reference.is_dir() else reference
    if not file.is_file() or not (file.suffix == ".parquet" or file.suffix.lower() in REVIEW):
        raise InputError(
            f"no events in {reference}",
            expected="a twin folder or a run folder with events.parquet, such a file, or a review as .csv",
            action="check the path; of the twins only soft_glass and quiet_solid have true events",
        )
    return file


def _read(file: Path) -> _Reference:
    if file.suffix != ".parquet":
        try:
            labels = pd.read_csv(file, sep=None, engine="python", dtype={"event": str}, encoding="utf-8-sig")
        except (ValueError, OSError, pd.errors.ParserError) as error:
            raise InputError(
                f"{file} that cannot be read ({error})", expected="a table with columns event and label",
                action="save the review as .csv",
            ) from error  # fmt: skip
        return _Reference(kind="review", path=file, labels=labels)
    events = read_events(file)
    tracks = file.parent / TRACKS
    if not tracks.is_file():
        return _Reference(kind="events", path=file, events=events)
    header = open_trajectories(tracks).header
    seen = on_camera(events, header.metadata.get("drift"))
    return _Reference(kind="run", path=file, events=seen, pixel_size=header.pixel_size)


def on_camera(events: EventTable, drift: dict[str, Any] | None) -> EventTable:
    """Return events where the camera saw them when they peaked: a common motion that was removed is put back."""
    motion = CommonMotion.parse(drift)
    if not len(events) or not motion.removed:
        return events
    frames = np.clip(events.table["t_peak"].to_numpy(), motion.frame[0], motion.frame[-1])
    seen = motion.restored(events.table[["x", "y"]].to_numpy(dtype=float), frames)
    return EventTable(table=events.table.assign(x=seen[:, 0], y=seen[:, 1]), metadata=events.metadata)


def _match(job: Job, file: Path, options: MatchOptions) -> dict[str, Any]:
    path = job.folder.path
    header, events, reference = open_trajectories(path / TRACKS).header, read_events(path / EVENTS), _read(file)
    drift = header.metadata.get("drift")
    distance, frames = limits = _limits(events, options)
    with job.progress("match") as progress:
        progress(0, 1)
        seen = on_camera(events, drift)
        if reference.labels is not None:
            found = match_review(
                seen, reference.labels, max_distance=distance, max_frames=frames, pixel_size=header.pixel_size
            )
        elif reference.events is not None:
            found = match_events(
                seen, reference.events, pixel_size=header.pixel_size, reference_pixel_size=reference.pixel_size,
                amplitude_recall=options.amplitude_recall, amplitude_false=options.amplitude_false,
                testable=_testable(job, reference.events, drift, reference.pixel_size or header.pixel_size, limits),
                max_distance=distance, max_frames=frames,
            )  # fmt: skip
        progress(1, 1)
    told = _told(found, file, reference.kind)
    write_json(path / PRODUCT, told | found.as_dict())
    return told | {name: found.as_dict()[name] for name in SUMMARY} | {"warnings": list(found.notes)}


SUMMARY = (
    "n_found", "n_reference", "n_matched", "n_recalled", "n_split", "n_false", "precision", "recall", "f1",
    "false_share", "onset_error", "peak_error", "distance_um", "settings",
)  # fmt: skip


def _told(found: EventMatch, file: Path, kind: str) -> dict[str, Any]:
    """Return what the reference was, by content: the folder may move."""
    name = file.parent.name if file.name == EVENTS else file.name
    return {"reference": {"kind": kind, "name": name, "sha256": sha256_of_tree(file)}}


def _limits(events: EventTable, options: MatchOptions) -> tuple[float, float]:
    """Return distance (um) and frames."""
    laws = events.metadata.get("fields") or {}
    distance, frames = options.distance, options.frames
    if distance is None:
        distance = events.metadata.get("gap_space_um")
    if frames is None and None not in (laws.get("lag_frames"), laws.get("half_window_frames")):
        frames = laws["lag_frames"] + laws["half_window_frames"]
    if distance is None or frames is None:
        raise InputError(
            "events that do not say with which lengths and times they were found", expected="limits of the matching",
            action="give --distance and --frames",
        )  # fmt: skip
    return float(distance), float(frames)


def _testable(
    job: Job, reference: EventTable, drift: dict[str, Any] | None, pixel_size: float, limits: tuple[float, float]
) -> np.ndarray:
    """Return which reference events had a valid test within the limits (of a square), shape (n,)."""
    fields = job.folder.path / FIELD_PARTS[1]
    if not fields.is_file() or not len(reference):
        return np.ones(len(reference), dtype=bool)
    file, motion, keys = trajectory_file(job), CommonMotion.parse(drift), ["frame", "particle"]
    peak, places = reference.table["t_peak"].to_numpy(), reference.table[["x", "y"]].to_numpy(dtype=float) * pixel_size
    reach, units = int(np.ceil(limits[1])), [limits[0], limits[0], max(limits[1], 0.5)]
    known = np.zeros(len(reference), dtype=bool)
    for first, last in spans(job):
        here = np.flatnonzero((peak >= first) & (peak < last))
        window = (max(0, first - reach), min(file.n_frames, last + reach))
        tests = read_frames(fields, window)
        tracks = file.read(window)
        table = tracks.table[[*keys, "x", "y"]].merge(tests.loc[tested_rows(tests), keys], on=keys)
        if not len(table) or not len(here):
            continue
        seen = motion.restored(table[["x", "y"]].to_numpy(dtype=float), table["frame"].to_numpy()) * tracks.pixel_size
        tree = cKDTree(np.column_stack([seen, table["frame"]]) / units)
        points = np.column_stack([places[here], peak[here]]) / units
        known[here] = np.isfinite(tree.query(points, p=np.inf, distance_upper_bound=1.0 + 1e-9)[0])
    return known


def match_lines(summary: dict[str, Any]) -> list[str]:
    """Return what was found of the reference, for a person."""
    limits, reference = summary["settings"], summary["reference"]
    lines = [
        f"{summary['n_matched']} of {summary['n_found']} found events match one of the reference "
        f"({reference['kind']} {reference['name']}) within {limits['max_distance_um']:.3g} um and "
        f"{limits['max_frames']:g} frames; {summary['n_split']} lie near one that is matched already, "
        f"{summary['n_false']} near none",
    ]
    names = {"precision": "precision", "recall": "recall", "f1": "F1", "false_share": "near none"}
    lines += [f"{word} {_share(summary[name])}" for name, word in names.items()]
    for name, word in (("onset_error", "onset"), ("peak_error", "peak")):
        error = summary[name]
        if error["mean"] is not None:
            ends = (
                ""
                if error["mean_low90"] is None
                else f" (90 %: {error['mean_low90']:.3g} to {error['mean_high90']:.3g})"
            )
            lines.append(f"{word} {error['mean']:+.3g} frames{ends}, median {error['median']:+.3g}")
    return lines


def _share(entry: dict[str, float | None]) -> str:
    if entry["value"] is None:
        return "unknown: there is nothing to count"
    return f"{entry['value']:.3f} (90 %: {entry['low90']:.3f} to {entry['high90']:.3f})"
