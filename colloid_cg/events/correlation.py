"""Do events trigger neighbours? Pairs of events in space and time against random placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from colloid_cg.errors import DataError, InputError
from colloid_cg.events.exposure import tested_rows
from colloid_cg.records import EventTable, Trajectories

DRAWS = 199
Null = Literal["random", "permuted"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EventCorrelation:
    """Pairs of events by distance and time apart.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per bin: ``r_low, r_high`` (um), ``lag_low, lag_high`` (frames, low <= lag < high), ``pairs`` found,
        ``expected`` pairs under the null and their standard deviation ``spread``, ``ratio`` of found and expected,
        ``low, high`` of the ratio under the null (pointwise), ``p_more``: probability under the null of as many pairs.
    p_value : float
        Probability under the null of a deviation as large, in any bin and direction, as the largest found (ranks of the
        largest standardised deviation among the draws; Monte Carlo, at least 1 / (draws + 1)).
    n_events : int
    null : str
    level : float
    """

    table: pd.DataFrame
    p_value: float
    n_events: int
    null: str
    level: float


def event_correlation(
    events: EventTable,
    tracks: Trajectories,
    fields: pd.DataFrame | None = None,
    *,
    distances: np.ndarray,
    lags: np.ndarray,
    rng: np.random.Generator,
    null: Null = "random",
    draws: int = DRAWS,
    level: float = 0.9,
) -> EventCorrelation:
    """Compare the pairs of events near in space and time with what chance gives.

    Parameters
    ----------
    events : EventTable
        An event is at (x, y) in frame ``t_on``.
    tracks : Trajectories
    fields : pandas.DataFrame, optional
        Of ``event_fields``: places and times with a finite p-value are where an event could have been found.
    distances : array, shape (k + 1,)
        Edges of bins of distance, um.
    lags : array, shape (m + 1,)
        Edges of bins of time apart, frames.
    rng : numpy.random.Generator
    null : "random" or "permuted"
        "random": the same number of events, each at a tested particle-frame drawn at random, so that edges of the view
        and the ends of the movie are in it exactly. Places or times where events are frequent anyway then show as
        correlation, too. "permuted": places and times of the events stay, but are paired at random (Knox 1964,
        doi:10.2307/2985220): what remains is interaction of space and time, triggering proper.

    Returns
    -------
    EventCorrelation

    Notes
    -----
    Detections closer than ``gap_space`` and ``gap_frames`` are one event by definition: bins within these are empty for
    that reason alone.
    """
    if null not in ("random", "permuted"):
        raise InputError(f"null = {null!r}", expected='"random" or "permuted"', action="choose one of these")
    if len(events) < 2:
        raise DataError(
            f"{len(events)} events", expected="at least two", action="use a longer movie or a larger events.fdr"
        )
    places = events.table[["x", "y"]].to_numpy(dtype=float) * tracks.pixel_size
    times = events.table["t_on"].to_numpy()
    admissible = None if null == "permuted" else _admissible(tracks, fields)
    box = _periodic(tracks)
    counts = np.empty((draws + 1, len(distances) - 1, len(lags) - 1))
    counts[0] = _pair_counts(places, times, distances, lags, box)
    for k in range(1, draws + 1):
        if admissible is None:
            drawn, when = places, rng.permutation(times)
        else:
            rows = admissible[0][rng.integers(0, len(admissible[0]), len(places))]
            drawn, when = admissible[1][rows], admissible[2][rows]
        counts[k] = _pair_counts(drawn, when, distances, lags, box)
    return _judged(counts, distances, lags, n_events=len(events), null=null, level=level)


def _admissible(tracks: Trajectories, fields: pd.DataFrame | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = np.arange(len(tracks)) if fields is None else np.flatnonzero(tested_rows(fields))
    if not len(rows):
        raise DataError("no valid test", expected="finite p-values", action="look at the warnings of the events")
    places = tracks.table[["x", "y"]].to_numpy(dtype=float) * tracks.pixel_size
    return rows, places, tracks.table["frame"].to_numpy()


def _periodic(tracks: Trajectories) -> np.ndarray | None:
    """Return the edges of a cell that is periodic along both axes (um), else None."""
    return tracks.box.lengths[:2] if all(tracks.box.periodic[:2]) else None


def _pair_counts(
    places: np.ndarray, times: np.ndarray, distances: np.ndarray, lags: np.ndarray, box: np.ndarray | None
) -> np.ndarray:
    """Return the number of pairs in each bin of distance and time apart."""
    points = places if box is None else np.minimum(np.mod(places, box), np.nextafter(box, 0.0))
    pairs = cKDTree(points, boxsize=box).query_pairs(float(distances[-1]), output_type="ndarray")
    apart = points[pairs[:, 1]] - points[pairs[:, 0]]
    if box is not None:
        apart = apart - box * np.round(apart / box)
    later = np.abs(times[pairs[:, 1]] - times[pairs[:, 0]])
    # The last edge of a histogram belongs to its bin: lags are counted from low to below high.
    edges = np.append(np.asarray(lags, dtype=float)[:-1], np.nextafter(float(lags[-1]), -np.inf))
    return np.asarray(np.histogram2d(np.linalg.norm(apart, axis=1), later, bins=[distances, edges])[0])


def _judged(
    counts: np.ndarray, distances: np.ndarray, lags: np.ndarray, *, n_events: int, null: str, level: float
) -> EventCorrelation:
    expected, spread = counts[1:].mean(axis=0), counts[1:].std(axis=0)
    tails = [0.5 * (1 - level), 0.5 * (1 + level)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = counts[0] / expected
        low, high = np.quantile(counts[1:], tails, axis=0) / expected
        # All rows, the found one among them, are treated alike, so that ranks are exact.
        centre, width = counts.mean(axis=0), counts.std(axis=0)
        largest = np.abs((counts - centre) / np.where(width > 0, width, np.inf)).max(axis=(1, 2))
    more = np.mean(counts >= counts[0], axis=0)
    r_low, lag_low = (grid.ravel() for grid in np.meshgrid(distances[:-1], lags[:-1], indexing="ij"))
    r_high, lag_high = (grid.ravel() for grid in np.meshgrid(distances[1:], lags[1:], indexing="ij"))
    table = pd.DataFrame(
        {
            "r_low": r_low, "r_high": r_high, "lag_low": lag_low, "lag_high": lag_high, "pairs": counts[0].ravel(),
            "expected": expected.ravel(), "spread": spread.ravel(), "ratio": ratio.ravel(), "low": low.ravel(),
            "high": high.ravel(), "p_more": more.ravel(),
        }
    )  # fmt: skip
    return EventCorrelation(
        table=table, p_value=float(np.mean(largest >= largest[0])), n_events=n_events, null=null, level=level
    )
