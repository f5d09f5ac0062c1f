"""Join detections into tracks, drop the doubtful ones, mark the gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.records import FLAG_AFTER_GAP
from colloid_cg.tracking.config import TrackConfig, require_resolved
from colloid_cg.tracking.trackpy_engine import OversizedSubnet, link_points

SMALLEST_SHARE = 0.25
"""How far the search range may shrink where too many particles compete for the same links."""


@dataclass(frozen=True, kw_only=True)
class LinkReport:
    """How the links were made: detections, tracks, and whether the search range had to shrink somewhere."""

    n_detections: int
    n_tracks: int
    adaptive_stop: float | None


def link(detections: pd.DataFrame, config: TrackConfig) -> pd.DataFrame:
    """Join detections into tracks by the shortest total squared displacement (Crocker and Grier 1996).

    Parameters
    ----------
    detections : pandas.DataFrame
        Columns frame, x, y (px) and any others.
    config : TrackConfig

    Returns
    -------
    pandas.DataFrame
        The same rows, sorted by frame, with ``particle`` (0, 1, ... in order of first appearance) and ``flags``
        that mark the detections after a gap.

    Raises
    ------
    DataError
        If there is nothing to link, or too many particles compete for the same links.
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
    particle, stop = _linked(table, config)
    table = mark_gaps(renumbered(table.assign(particle=particle)))
    report = LinkReport(n_detections=len(table), n_tracks=int(table["particle"].nunique()), adaptive_stop=stop)
    return table, report


def _linked(table: pd.DataFrame, config: TrackConfig) -> tuple[np.ndarray, float | None]:
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
