"""From linked detections to trajectories, in passes over parts: which tracks are kept, their numbers, gaps, drift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.records import FLAG_AFTER_GAP
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.link_parts import frames_of
from colloid_cg.tracking.linking import TrackSummary, find_joins, joined_ids
from colloid_cg.tracking.track_classes import TrackClasses

NEEDED = ("frame", "x", "y", "mass", "size", "ecc")
"""Columns that deciding, counting and measuring the drift depend on; the others are only carried along."""


class Parts(Protocol):
    """Linked detections from the first frame on, part by part, each sorted by frame; may be gone through again."""

    def __call__(self, columns: Sequence[str] | None = None) -> Iterable[pd.DataFrame]:
        """Yield the parts with ``particle`` and at least the given columns (None: all)."""
        ...


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of the tracks after one pass over all links.

    Parameters
    ----------
    joined : int array, shape (n_linked,)
        Track that each id of the linker belongs to (itself, where nothing was joined).
    length : int array, shape (n_linked,)
        Detections of each such track.
    n_detections, n_tracks : int
        Counted before any filter.
    n_joins : int
        Gaps closed by joining two tracks.
    probability : float array, shape (n_linked,)
        That the track of this id rightly continues another one; NaN where it continues none.
    species : int array, shape (n_linked,), or None
        Size class of each track; None leaves each detection its own.
    """

    joined: np.ndarray
    length: np.ndarray
    n_detections: int
    n_tracks: int
    n_joins: int
    probability: np.ndarray
    species: np.ndarray | None = None

    def confidence(self, part: pd.DataFrame) -> dict[str, np.ndarray] | None:
        """Return the column ``link_confidence`` of a linked part with that of joins, None where it has none."""
        if "link_confidence" not in part.columns:
            return None
        # only the first detection of a linked track has no confidence of its own
        own = part["link_confidence"].to_numpy()
        joins = self.probability[part["particle"].to_numpy()]
        return {"link_confidence": np.where(np.isnan(own), joins, own)}

    def long_enough(self, minimum_length: int) -> np.ndarray:
        """Tell for each id of the linker whether its track has at least ``minimum_length`` detections.

        Raises
        ------
        DataError
            If none has.
        """
        kept = np.asarray(self.length[self.joined] >= max(minimum_length, 1))
        if not kept.any():
            longest = int(self.length.max()) if len(self.length) else 0
            raise DataError(
                f"no track of {minimum_length} detections or more (the longest has {longest})",
                expected="tracks that last",
                action="lower track.minimum_length, or raise track.search_range or track.memory",
            )
        return kept


def closes_gaps(config: TrackConfig) -> bool:
    """Tell whether tracks are joined across gaps after all frames are linked."""
    return config.engine == "native" and config.close_gaps > 0


def survey_columns(config: TrackConfig) -> tuple[str, ...]:
    """Return the columns, beside ``particle``, that :func:`surveyed` looks at."""
    joins = ("frame", "x", "y") if closes_gaps(config) else ()
    return (*joins, *(("species", "sigma_x", "sigma_y", "flags") if _votes(config) else ()))


def _votes(config: TrackConfig) -> bool:
    return config.engine == "native" and config.refine == "joint" and config.size_classes != 1


def surveyed(parts: Iterable[pd.DataFrame], config: TrackConfig) -> Survey:
    """Go through linked parts once: lengths of tracks; joins and size classes of tracks where the settings ask for it.

    Parameters
    ----------
    parts : iterable of pandas.DataFrame
        Columns ``particle`` and :func:`survey_columns`.
    config : TrackConfig
    """
    classes = TrackClasses()

    def counted() -> Iterator[pd.DataFrame]:
        for part in parts:
            classes.add(part)
            yield part

    watched = counted() if _votes(config) else parts
    tracks = survey_joined(watched, config) if closes_gaps(config) else survey(watched)
    return replace(tracks, species=classes.of_tracks(tracks.joined))


def survey(parts: Iterable[pd.DataFrame]) -> Survey:
    """Count the detections of every track; one number per track is kept.

    Parameters
    ----------
    parts : iterable of pandas.DataFrame
        Column particle: ids of the linker, 0 and up, part by part.
    """
    length = np.zeros(1024, dtype=np.int64)
    total, used = 0, 0
    for part in parts:
        particle = part["particle"].to_numpy()
        if not len(particle):
            continue
        used = max(used, int(particle.max()) + 1)
        length = _grown(length, used, 0)
        length[:used] += np.bincount(particle, minlength=used)
        total += len(particle)
    return _surveyed(length[:used], np.arange(used), total, np.full(used, np.nan))


def survey_joined(parts: Iterable[pd.DataFrame], config: TrackConfig) -> Survey:
    """Count as :func:`survey` does and join tracks across gaps of up to ``config.close_gaps`` frames.

    Parameters
    ----------
    parts : iterable of pandas.DataFrame
        Columns frame, particle, x, y, part by part; some twenty numbers per track are kept.
    config : TrackConfig
    """
    summary = TrackSummary()
    for part in parts:
        summary.add(part)
    joins = find_joins(summary, config)
    probability = np.full(summary.n_tracks, np.nan)
    probability[joins.start] = joins.probability
    joined = joined_ids(summary.n_tracks, joins)
    length = np.bincount(joined, weights=summary.length, minlength=1).astype(np.int64)
    return _surveyed(length, joined, int(summary.length.sum()), probability)


def _surveyed(length: np.ndarray, joined: np.ndarray, n_detections: int, probability: np.ndarray) -> Survey:
    n_joins = int(np.isfinite(probability).sum())
    return Survey(
        joined=joined,
        length=length,
        n_detections=n_detections,
        n_tracks=int((length > 0).sum()) + n_joins,
        n_joins=n_joins,
        probability=probability,
    )


class Finisher:
    """Drops short tracks and doubtful detections, numbers what is left by first appearance and marks the gaps.

    Takes the parts in order; two numbers per track are kept between them.

    Parameters
    ----------
    tracks : Survey
    config : TrackConfig
    """

    def __init__(self, tracks: Survey, config: TrackConfig) -> None:
        self._config, self._tracks, self._joined = config, tracks, tracks.joined
        self._kept = tracks.long_enough(config.minimum_length or 1)
        self._number = np.full(len(tracks.joined), -1, dtype=np.int64)
        self._last = np.full(1024, -1, dtype=np.int64)
        self._typical: dict[str, float] = {}
        self.n_long = int((tracks.length >= max(config.minimum_length or 1, 1)).sum())
        self.n_tracks, self.n_detections = 0, 0

    def finish(self, part: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a part that stay, sorted by frame and particle, with ``particle`` and ``flags`` final."""
        linked = part["particle"].to_numpy()
        chosen = self._kept[linked] & good(part, self._config)
        self._remember(part)
        part = part.assign(**(self._tracks.confidence(part) or {}))
        if self._tracks.species is not None and "species" in part.columns:
            part = part.assign(species=self._tracks.species[self._joined[linked]])
        part = part[chosen]
        particle = self._numbered(self._joined[linked[chosen]])
        order, gap = self._ordered(part, particle)
        flags = part["flags"].to_numpy() if "flags" in part.columns else np.zeros(len(part), dtype="int32")
        flags = np.where(gap, flags | FLAG_AFTER_GAP, flags & ~FLAG_AFTER_GAP).astype("int32")
        self.n_detections += len(part)
        return part.assign(particle=particle, flags=flags).iloc[order].reset_index(drop=True)

    def require_some(self) -> None:
        """Refuse limits that no detection passed.

        Raises
        ------
        DataError
            Naming the limits.
        """
        if self.n_detections:
            return
        now = ", ".join(f"median {name} {value:.4g}" for name, value in self._typical.items()) or "none known"
        raise DataError(
            "no detection that passes the limits after linking",
            expected=f"masses, sizes and eccentricities inside the limits (at the start of the movie: {now})",
            action="relax track.minimum_mass_linked, track.max_size or track.max_eccentricity",
        )

    def _numbered(self, track: np.ndarray) -> np.ndarray:
        new = pd.unique(track[self._number[track] < 0])
        self._number[new] = self.n_tracks + np.arange(len(new))
        self.n_tracks += len(new)
        return np.asarray(self._number[track])

    def _ordered(self, part: pd.DataFrame, particle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the order by frame and particle, and which rows follow a frame without their particle."""
        self._last = _grown(self._last, self.n_tracks, -1)
        order, gap = np.empty(len(part), dtype=np.int64), np.empty(len(part), dtype=bool)
        for frame, rows in frames_of(part):
            here = particle[rows]
            order[rows] = rows.start + np.argsort(here, kind="stable")
            before = self._last[here]
            gap[rows] = (before >= 0) & (before < frame - 1)
            self._last[here] = frame
        return order, gap

    def _remember(self, part: pd.DataFrame) -> None:
        if not self._typical and len(part):
            known = [name for name in ("mass", "size", "ecc") if name in part.columns]
            self._typical = {name: float(part[name].median()) for name in known}


def good(table: pd.DataFrame, config: TrackConfig) -> np.ndarray:
    """Tell which detections pass the mass, size and eccentricity limits for linked detections.

    What has no eccentricity (particles fitted together) is not judged by it.
    """
    passes = np.ones(len(table), dtype=bool)
    if config.minimum_mass_linked is not None:
        passes &= table["mass"].to_numpy() > config.minimum_mass_linked
    if config.max_size is not None:
        passes &= table["size"].to_numpy() < config.max_size
    if config.max_eccentricity is not None:
        passes &= ~(table["ecc"].to_numpy() >= config.max_eccentricity)
    return passes


def _grown(array: np.ndarray, size: int, fill: int) -> np.ndarray:
    if size <= len(array):
        return array
    return np.concatenate([array, np.full(max(size - len(array), len(array)), fill, dtype=array.dtype)])
