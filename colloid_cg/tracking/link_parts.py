"""Linking as a pass over parts of the movie: one linker goes through all of them, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.tracking.config import TrackConfig, require_resolved
from colloid_cg.tracking.linking import Linker, link_report
from colloid_cg.tracking.linking.tables import SMALLEST_SHARE
from colloid_cg.tracking.trackpy_engine import FrameLinker, OversizedSubnet

LINK_SETTINGS = (
    "engine",
    "search_range",
    "memory",
    "adaptive_stop",
    "adaptive_step",
    "gap_growth",
    "prediction",
    "drift_minimum_particles",
)
"""Settings that linking depends on, beside those of locating."""

LINKED_BY = ("frame", "x", "y", "mass")
"""Columns of a detection that linking looks at."""


class StreamLinker(Protocol):
    """What links frame by frame and can be put aside."""

    def add(self, part: pd.DataFrame) -> pd.DataFrame:
        """Return ``particle`` (and ``link_confidence``, if known) of each row of a part sorted by frame."""
        ...

    def state(self) -> dict[str, np.ndarray] | None:
        """Return what another linker needs to go on from here, None if it cannot be said."""
        ...

    def report(self) -> dict[str, Any]:
        """Return how the links were made, JSON-able, with a ``warning`` where there is one."""
        ...


class _TrackpyParts:
    """trackpy's linker; its state cannot be stored, so after a kill linking begins again."""

    def __init__(self, config: TrackConfig, adaptive_stop: float | None) -> None:
        self._adaptive_stop = adaptive_stop
        self._linker = FrameLinker(
            search_range=float(config.search_range or 0.0),
            memory=config.memory,
            adaptive_stop=adaptive_stop,
            adaptive_step=config.adaptive_step,
        )

    def add(self, part: pd.DataFrame) -> pd.DataFrame:
        ids = [self._linker.add(frame, part[["x", "y"]].to_numpy()[rows]) for frame, rows in frames_of(part)]
        return pd.DataFrame({"particle": np.concatenate([np.empty(0, dtype=np.int64), *ids])})

    def state(self) -> None:
        return None

    def report(self) -> dict[str, Any]:
        return {"adaptive_stop": self._adaptive_stop}


class _NativeParts:
    """The linker of this package."""

    def __init__(self, linker: Linker) -> None:
        self._linker = linker

    def add(self, part: pd.DataFrame) -> pd.DataFrame:
        positions = part[["x", "y"]].to_numpy(dtype=float)
        particle, confidence = np.empty(len(part), dtype=np.int64), np.empty(len(part))
        for frame, rows in frames_of(part):
            links = self._linker.add(frame, positions[rows])
            particle[rows], confidence[rows] = links.particle, links.confidence
        return pd.DataFrame({"particle": particle, "link_confidence": confidence})

    def state(self) -> dict[str, np.ndarray]:
        return self._linker.state()

    def report(self) -> dict[str, Any]:
        found = link_report(self._linker, 0)
        return {
            "adaptive_stop": None,
            "largest_group": found.largest_group,
            "spacing": found.spacing,
            "warning": found.warning,
        }


@dataclass(frozen=True)
class Attempt:
    """One way to link a whole movie; the next is tried where this one finds too many competitors.

    Parameters
    ----------
    config : TrackConfig
    adaptive_stop : float or None
        Smallest search range in px.
    """

    config: TrackConfig
    adaptive_stop: float | None

    def start(self, state: dict[str, np.ndarray] | None = None) -> StreamLinker:
        """Return a linker at the beginning of the movie, or where ``state`` left off."""
        if self.config.engine == "trackpy":
            return _TrackpyParts(self.config, self.adaptive_stop)
        return _NativeParts(Linker(self.config) if state is None else Linker.restored(self.config, state))


def attempts(config: TrackConfig) -> Iterator[Attempt]:
    """Yield the ways to link, the exact one first.

    Raises
    ------
    DataError
        When none is left.
    """
    require_resolved(config)
    search_range = float(config.search_range or 0.0)
    if config.adaptive_stop is not None:
        yield Attempt(config, config.adaptive_stop)
    else:
        yield Attempt(config, None)
        yield Attempt(config, SMALLEST_SHARE * search_range)
    raise DataError(
        f"too many particles that compete for the same links within {search_range:g} px",
        expected="a search range below half the distance between neighbours",
        action=f"lower track.search_range (for example to {search_range / 2:.3g}) or record at a higher frame rate",
    )


def link_whole(table: pd.DataFrame, config: TrackConfig) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Link a table sorted by frame in one go; returns it with ``particle``, and how the links were made."""
    for attempt in attempts(config):
        linker = attempt.start()
        try:
            return with_links(table, linker.add(table)), linker.report()
        except OversizedSubnet:
            continue
    raise RuntimeError("attempts() ended without an error")


def with_links(part: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """Return detections with the columns of their links."""
    return part.assign(**{name: links[name].to_numpy() for name in links.columns})


def frames_of(part: pd.DataFrame) -> Iterator[tuple[int, slice]]:
    """Yield the number and the rows of each frame of a part sorted by frame; frames without rows are left out."""
    frame = part["frame"].to_numpy()
    borders = np.flatnonzero(np.diff(frame, prepend=-1, append=np.iinfo(np.int64).max))
    for start, stop in pairwise(borders):
        yield int(frame[start]), slice(int(start), int(stop))
