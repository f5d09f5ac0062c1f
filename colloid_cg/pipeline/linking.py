"""Linking and finishing, part by part: memory does not grow with the movie, a kill costs one part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd

from colloid_cg import tracking
from colloid_cg.pipeline.locating import Located
from colloid_cg.pipeline.stage import Job, ProgressFactory, forget_part, no_progress
from colloid_cg.progress import Progress
from colloid_cg.provenance import sha256_of_json
from colloid_cg.records import FrameStack
from colloid_cg.store import read_arrays, read_columns, trajectory_writer, write_arrays, write_table
from colloid_cg.tracking import OversizedSubnet, TrackConfig

_STATE = "state_"
T = TypeVar("T")


class DetectionParts(Protocol):
    """Detections of a movie in consecutive parts of whole frames, each sorted by frame."""

    def __len__(self) -> int:
        """Return the number of parts."""
        ...

    def read(self, index: int, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return a part, or at least those of the named columns that it has; the same at every call."""
        ...


@dataclass(frozen=True)
class Linked:
    """Detections and their links: two tables of equal length for each part.

    Parameters
    ----------
    detections : DetectionParts
    links : tuple of Path
        One table per part: ``particle`` and, where the linker tells, ``link_confidence``.
    report : dict
        How the links were made.
    refound : tuple of Path
        One table per part with what a second look found, linked already; empty where there was none.
    """

    detections: DetectionParts
    links: tuple[Path, ...]
    report: dict[str, Any]
    refound: tuple[Path, ...] = ()

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the linked detections part by part."""
        for index, path in enumerate(self.links):
            links = read_columns(path, columns, keep=("particle",))
            part = tracking.with_links(self.detections.read(index, columns), links)
            yield tracking.with_refound(part, read_columns(self.refound[index], None)) if self.refound else part

    def particles(self) -> Iterator[pd.DataFrame]:
        """Yield the ids the linker gave, part by part."""
        return (read_columns(path, ("particle",)) for path in self.links)


def link_resumable(job: Job, located: Located, config: TrackConfig) -> Linked:
    """Link all parts of a located movie; what was linked before a kill is kept."""
    settings = {name: value for name, value in config.as_dict().items() if name in tracking.LINK_SETTINGS}
    folder = job.folder.cache / f"link-{sha256_of_json({'settings': settings, 'located': located.key})[:16]}"
    forget_part(job, "link-", keep=folder.name)
    return link_detections(located, folder, config, progress=job.progress)


def link_detections(
    detections: DetectionParts, folder: Path, config: TrackConfig, *, progress: ProgressFactory = no_progress
) -> Linked:
    """Link part after part, the links and then the state of the linker written after each.

    Parameters
    ----------
    detections : DetectionParts
    folder : Path
        Where the links go, and where those made before a kill are.
    config : TrackConfig
    progress : callable
        Makes the bar of the pass.
    """
    with progress("link") as advance:
        for attempt in tracking.attempts(config):
            try:
                return _linked(detections, folder, attempt, advance)
            except OversizedSubnet:
                continue
    raise RuntimeError("attempts() ended without an error")


def _linked(detections: DetectionParts, folder: Path, attempt: tracking.Attempt, progress: Progress) -> Linked:
    links = tuple(folder / f"{index:08d}.parquet" for index in range(len(detections)))
    mark = -1.0 if attempt.adaptive_stop is None else attempt.adaptive_stop
    done, state = _stored(folder / "checkpoint.npz", links, mark)
    linker = attempt.start(state)
    progress(done, len(links))
    for index in range(done, len(links)):
        write_table(links[index], linker.add(detections.read(index, tracking.LINKED_BY)))
        state, last = linker.state(), index == len(links) - 1
        if state is not None or last:
            # written after the links: a kill between the two costs this part, which then comes out the same
            kept = {f"{_STATE}{name}": value for name, value in (state or {}).items()}
            place = {"done": np.array(index + 1), "attempt": np.array(mark)}
            write_arrays(folder / "checkpoint.npz", place | kept)
        progress(index + 1, len(links))
    return Linked(detections=detections, links=links, report=linker.report())


def _stored(path: Path, links: Sequence[Path], mark: float) -> tuple[int, dict[str, np.ndarray] | None]:
    """Return how many parts are linked and the state of the linker after them, None for a fresh one."""
    stored = read_arrays(path)
    if stored is None or float(stored["attempt"]) != mark:
        return 0, None
    done = int(stored["done"])
    if not all(part.is_file() for part in links[:done]):
        return 0, None
    return done, {name.removeprefix(_STATE): value for name, value in stored.items() if name.startswith(_STATE)} or None


def survey_tracks(linked: Linked, config: TrackConfig, *, progress: ProgressFactory = no_progress) -> tracking.Survey:
    """Go through the links once: lengths of the tracks, joins across gaps, size classes."""
    columns = tracking.survey_columns(config)
    parts = linked.parts(columns) if columns else linked.particles()
    with progress("tracks") as advance:
        tracks = tracking.surveyed(told(parts, len(linked.links), advance), config)
    tracking.require_detections(tracks.n_detections)
    return tracks


def write_finished(
    path: Path,
    linked: Linked,
    tracks: tracking.Survey,
    video: FrameStack,
    config: TrackConfig,
    *,
    metadata: Mapping[str, Any] | None = None,
    progress: ProgressFactory = no_progress,
) -> dict[str, Any]:
    """Filter, number, take the common motion off and write trajectories.parquet; return the counts.

    Two passes over the parts: what stays, and its common motion; the rows.

    Parameters
    ----------
    path : Path
    linked : Linked
    tracks : Survey
        Of the same links.
    video : FrameStack
    config : TrackConfig
    metadata : mapping, optional
        More metadata of the trajectories, JSON-able.
    progress : callable
    """
    n_parts = len(linked.links)
    with progress("drift") as advance:

        def measured(columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
            return told(linked.parts(columns), n_parts, advance)

        assembly = tracking.finish(measured, tracks, video, config, linked.report, metadata)
    with progress("write") as advance, trajectory_writer(path, assembly.header) as writer:
        for table in told(assembly.tables(linked.parts), n_parts, advance):
            writer.append(table)
    counts = assembly.header.metadata["counts"]
    return {
        "detections": counts["n_detections"],
        "tracks": counts["n_tracks_kept"],
        "rows": counts["n_detections_kept"],
        **({"refound": counts["n_refound"]} if "n_refound" in counts else {}),
        "warnings": [counts["warning"]] if counts.get("warning") else [],
    }


def told(items: Iterable[T], total: int, progress: Progress) -> Iterator[T]:
    """Yield the items and say how far the pass is."""
    progress(0, total)
    for index, item in enumerate(items):
        yield item
        progress(index + 1, total)
