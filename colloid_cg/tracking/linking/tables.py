"""Join detections into tracks, drop the doubtful ones, mark the gaps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.records import FLAG_AFTER_GAP
from colloid_cg.tracking.config import TrackConfig, require_resolved
from colloid_cg.tracking.linking.closing import Joins, find_joins, joined_ids
from colloid_cg.tracking.linking.linker import Linker
from colloid_cg.tracking.linking.summary import TrackSummary
from colloid_cg.tracking.trackpy_engine import OversizedSubnet, link_points

SMALLEST_SHARE = 0.25
"""How far the search range may shrink where too many particles compete for the same links."""


@dataclass(frozen=True, kw_only=True)
class LinkReport:
    """How the links were made.

    Attributes
    ----------
    n_detections, n_tracks : int
    adaptive_stop : float or None
        trackpy engine only: how far the search range had to shrink somewhere.
    largest_group : int or None
        Native engine only: most tracks that competed with one another in one frame.
    n_joined : int
        Native engine only: gaps closed by the second pass.
    spacing : float or None
        Typical distance of a particle to its nearest neighbour in px.
    warning : str or None
        What the user should know about the settings.
    """

    n_detections: int
    n_tracks: int
    adaptive_stop: float | None = None
    largest_group: int | None = None
    n_joined: int = 0
    spacing: float | None = None
    warning: str | None = None


def link(detections: pd.DataFrame, config: TrackConfig) -> pd.DataFrame:
    """Join detections into tracks by the shortest total squared displacement (Crocker and Grier 1996).

    Parameters
    ----------
    detections : pandas.DataFrame
        Columns frame, x, y (px), z where there are three dimensions, and any others.
    config : TrackConfig

    Returns
    -------
    pandas.DataFrame
        The same rows, sorted by frame, with ``particle`` (0, 1, ... in order of first appearance), ``flags``
        that mark the detections after a gap, and, from the native engine, ``link_confidence``.

    Raises
    ------
    DataError
        If there is nothing to link, or (trackpy engine) too many particles compete for the same links.
    """
    return link_reported(detections, config)[0]


def link_reported(detections: pd.DataFrame, config: TrackConfig) -> tuple[pd.DataFrame, LinkReport]:
    """Link as :func:`link` does and say how."""
    require_resolved(config)
    if detections.empty:
        raise DataError(
            "no detections to link",
            expected="at least one particle in the movie",
            action="lower track.minmass, or check track.invert and track.diameter",
        )
    table = detections.sort_values("frame", kind="stable").reset_index(drop=True)
    if config.engine == "native":
        return _linked_natively(table, config)
    particle, stop = _linked_by_trackpy(table, config)
    table = mark_gaps(renumbered(table.assign(particle=particle)))
    report = LinkReport(n_detections=len(table), n_tracks=int(table["particle"].nunique()), adaptive_stop=stop)
    return table, report


def _linked_natively(table: pd.DataFrame, config: TrackConfig) -> tuple[pd.DataFrame, LinkReport]:
    linker = Linker(config)
    axes = [name for name in ("x", "y", "z") if name in table.columns]
    positions = table[axes].to_numpy(dtype=np.float64)
    frames, starts = np.unique(table["frame"].to_numpy(), return_index=True)
    particle, confidence = np.empty(len(table), dtype=np.int64), np.empty(len(table))
    for frame, start, stop in zip(frames, starts, [*starts[1:], len(table)], strict=True):
        links = linker.add(int(frame), positions[start:stop])
        particle[start:stop], confidence[start:stop] = links.particle, links.confidence
    table = table.assign(particle=particle, link_confidence=confidence)
    report = link_report(linker, len(table))
    if config.close_gaps > 0:
        summary = TrackSummary(len(axes))
        summary.add(table)
        joins = find_joins(summary, config)
        table = joined(table, joins, summary.n_tracks)
        report = replace(report, n_tracks=report.n_tracks - len(joins.end), n_joined=len(joins.end))
    return mark_gaps(table), report


def joined(table: pd.DataFrame, joins: Joins, n_tracks: int) -> pd.DataFrame:
    """Return the table, or a part of it, with the tracks joined; the confidence of a join stands at its later end.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns particle (as in the summary the joins come from) and link_confidence.
    joins : Joins
    n_tracks : int
        Before joining.
    """
    particle = table["particle"].to_numpy()
    probability = np.full(n_tracks, np.nan)
    probability[joins.start] = joins.probability
    # only the first detection of a track has no confidence of its own
    confidence = table["link_confidence"].to_numpy()
    confidence = np.where(np.isnan(confidence), probability[particle], confidence)
    return table.assign(particle=joined_ids(n_tracks, joins)[particle], link_confidence=confidence)


def link_report(linker: Linker, n_detections: int) -> LinkReport:
    """Return how a linker fared, with a warning where its search range is long for the distance of the particles."""
    warning = None
    reach, spacing = linker.search_range, linker.spacing
    if spacing is not None and reach > 0.5 * spacing:
        warning = (
            f"track.search_range = {reach:.3g} px is more than half the typical distance of neighbours "
            f"({spacing:.3g} px): links may be swapped; look at link_confidence, and lower it to "
            f"{0.5 * spacing:.3g} px or record at a higher frame rate if particles do not move that far"
        )
    return LinkReport(
        n_detections=n_detections,
        n_tracks=linker.n_tracks,
        largest_group=linker.largest_group,
        spacing=spacing,
        warning=warning,
    )


def _linked_by_trackpy(table: pd.DataFrame, config: TrackConfig) -> tuple[np.ndarray, float | None]:
    search_range = float(config.search_range or 0.0)
    retry = SMALLEST_SHARE * search_range
    attempts = (config.adaptive_stop,) if config.adaptive_stop is not None else (None, retry)
    for stop in attempts:
        try:
            return link_points(
                table,
                search_range=search_range,
                memory=config.memory,
                adaptive_stop=stop,
                adaptive_step=config.adaptive_step,
            ), stop
        except OversizedSubnet:
            continue
    raise DataError(
        f"too many particles that compete for the same links within {search_range:g} px",
        expected="a search range below half the distance between neighbours",
        action=f"lower track.search_range (for example to {search_range / 2:.3g}) or record at a higher frame rate",
    )


def renumbered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with particle ids 0, 1, ... in order of first appearance."""
    return table.assign(particle=pd.factorize(table["particle"])[0].astype("int64"))


def mark_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with ``FLAG_AFTER_GAP`` set exactly where the particle is missing in the frame before."""
    frame, particle = table["frame"].to_numpy(), table["particle"].to_numpy()
    order = np.lexsort((frame, particle))
    after = (np.diff(particle[order]) == 0) & (np.diff(frame[order]) > 1)
    gap = np.zeros(len(table), dtype=bool)
    gap[order[1:][after]] = True
    flags = table["flags"].to_numpy() if "flags" in table.columns else np.zeros(len(table), dtype="int32")
    flags = np.where(gap, flags | FLAG_AFTER_GAP, flags & ~FLAG_AFTER_GAP)
    return table.assign(flags=flags.astype("int32"))


def keep_long(table: pd.DataFrame, minimum_length: int) -> pd.DataFrame:
    """Return the detections of tracks with at least ``minimum_length`` detections.

    Raises
    ------
    DataError
        If none is that long.
    """
    length = table.groupby("particle")["frame"].transform("size")
    kept = table[length >= minimum_length]
    if kept.empty:
        raise DataError(
            f"no track of {minimum_length} detections or more (the longest has {int(length.max())})",
            expected="tracks that last",
            action="lower track.minimum_length, or raise track.search_range or track.memory",
        )
    return kept.reset_index(drop=True)


def keep_good(table: pd.DataFrame, config: TrackConfig) -> pd.DataFrame:
    """Return the detections that pass the mass, size and eccentricity limits for linked detections.

    Raises
    ------
    DataError
        If none passes.
    """
    good = np.ones(len(table), dtype=bool)
    if config.minimum_mass_linked is not None:
        good &= table["mass"].to_numpy() > config.minimum_mass_linked
    if config.max_size is not None:
        good &= table["size"].to_numpy() < config.max_size
    if config.max_eccentricity is not None:
        good &= table["ecc"].to_numpy() < config.max_eccentricity
    if not good.any():
        raise DataError(
            "no detection that passes the limits after linking",
            expected=f"masses (median now {table['mass'].median():.4g}), sizes ({table['size'].median():.3g} px) and "
            f"eccentricities ({table['ecc'].median():.2g}) inside the limits",
            action="relax track.minimum_mass_linked, track.max_size or track.max_eccentricity",
        )
    return table[good].reset_index(drop=True)
