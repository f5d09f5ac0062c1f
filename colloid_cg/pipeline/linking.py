"""Linking and finishing, part by part: memory does not grow with the movie, a kill costs one part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg import tracking
from colloid_cg.pipeline.locating import Located
from colloid_cg.pipeline.stage import Job, forget_part
from colloid_cg.progress import Progress
from colloid_cg.provenance import sha256_of_json
from colloid_cg.records import FrameStack
from colloid_cg.store import read_arrays, read_columns, trajectory_writer, write_arrays, write_table
from colloid_cg.tracking import OversizedSubnet, TrackConfig

_STATE = "state_"


@dataclass(frozen=True)
class Linked:
    """Detections and their links: two tables of equal length for each part.

    Parameters
    ----------
    located, links : tuple of Path
    counts : dict
        What linking counted.
    """

    located: tuple[Path, ...]
    links: tuple[Path, ...]
    counts: dict[str, Any]

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the linked detections part by part."""
        for located, links in zip(self.located, self.links, strict=True):
            yield tracking.with_links(read_columns(located, columns), read_columns(links, columns, keep=("particle",)))


def link_resumable(job: Job, located: Located, config: TrackConfig) -> Linked:
    """Link all parts, the state of the linker stored beside the links of each part."""
    settings = {name: value for name, value in config.as_dict().items() if name in tracking.LINK_SETTINGS}
    folder = job.folder.cache / f"link-{sha256_of_json({'settings': settings, 'located': located.key})[:16]}"
    forget_part(job, "link-", keep=folder.name)
    with job.progress("link") as progress:
        for attempt in tracking.attempts(config):
            try:
                return _linked(located, folder, attempt, progress)
            except OversizedSubnet:
                continue
    raise RuntimeError("attempts() ended without an error")


def _linked(located: Located, folder: Path, attempt: tracking.Attempt, progress: Progress) -> Linked:
    links = tuple(folder / path.name for path in located.paths)
    mark = -1.0 if attempt.adaptive_stop is None else attempt.adaptive_stop
    done, state = _stored(folder / "checkpoint.npz", links, mark)
    linker = attempt.start(state)
    progress(done, len(links))
    for index in range(done, len(links)):
        write_table(links[index], linker.add(read_columns(located.paths[index], tracking.LINKED_BY)))
        state, last = linker.state(), index == len(links) - 1
        if state is not None or last:
            # written after the links: a kill between the two costs this part, which then comes out the same
            kept = {f"{_STATE}{name}": value for name, value in (state or {}).items()}
            place = {"done": np.array(index + 1), "attempt": np.array(mark)}
            write_arrays(folder / "checkpoint.npz", place | kept)
        progress(index + 1, len(links))
    return Linked(located=located.paths, links=links, counts=linker.report())


def _stored(path: Path, links: Sequence[Path], mark: float) -> tuple[int, dict[str, np.ndarray] | None]:
    """Return how many parts are linked and the state of the linker after them, None for a fresh one."""
    stored = read_arrays(path)
    if stored is None or float(stored["attempt"]) != mark:
        return 0, None
    done = int(stored["done"])
    if not all(part.is_file() for part in links[:done]):
        return 0, None
    return done, {name.removeprefix(_STATE): value for name, value in stored.items() if name.startswith(_STATE)} or None


def write_finished(job: Job, linked: Linked, video: FrameStack, config: TrackConfig) -> dict[str, Any]:
    """Filter, number, take the drift off and write trajectories.parquet; return the counts."""
    n_parts = len(linked.links)
    with job.progress("tracks") as progress:
        ids = (read_columns(path, ("particle",))["particle"].to_numpy() for path in linked.links)
        tracks = tracking.survey(_told(ids, n_parts, progress))
    tracking.require_detections(tracks.n_detections)
    with job.progress("drift") as progress:

        def measured(columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
            return _told(linked.parts(columns), n_parts, progress)

        assembly = tracking.finish(measured, tracks, video, config, linked.counts)
    path = job.folder.path / "trajectories.parquet"
    with job.progress("write") as progress, trajectory_writer(path, assembly.header) as writer:
        for table in _told(assembly.tables(linked.parts), n_parts, progress):
            writer.append(table)
    counts = assembly.header.metadata["counts"]
    warnings = [counts["warning"]] if counts.get("warning") else []
    return {
        "detections": counts["n_detections"],
        "tracks": counts["n_tracks_kept"],
        "rows": counts["n_detections_kept"],
        "warnings": warnings,
    }


def _told(items: Any, total: int, progress: Progress) -> Iterator[Any]:
    """Yield the items and say how far the pass is."""
    progress(0, total)
    for index, item in enumerate(items):
        yield item
        progress(index + 1, total)
