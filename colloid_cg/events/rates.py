"""How often events happen per particle, or per area, and second, with what is known of where they could be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from colloid_cg.errors import InputError
from colloid_cg.events.exposure import Exposure
from colloid_cg.events.intervals import LEVEL, poisson_interval
from colloid_cg.records import EventTable

TIME_BLOCKS = 10
FEWEST_BLOCKS = 4
"""With fewer blocks the scatter between them says nothing."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A rate of events.

    Parameters
    ----------
    value : float
        Events per exposure; NaN without exposure.
    low, high : float
        Interval that allows for events that come in groups: quasi-Poisson with ``dispersion``. Without any event low
        is 0 and high the upper limit of Poisson.
    poisson_low, poisson_high : float
        Interval of independent events (Garwood 1936).
    level : float
    n_events : int
        Events counted.
    n_left_out : int
        Events under way in the first frame tested, or before it: when they began is unknown, so they are not counted.
    exposure : float
        Particles x s, or um2 x s.
    dispersion : float or None
        Variance over mean of the counts of blocks of space and time, at least 1, with Student's allowance for their
        number; None where there are too few events or blocks.
    n_blocks : int
    unit : str
    """

    value: float
    low: float
    high: float
    poisson_low: float
    poisson_high: float
    level: float
    n_events: int
    n_left_out: int
    exposure: float
    dispersion: float | None
    n_blocks: int
    unit: str

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


def event_rate(
    events: EventTable,
    exposure: Exposure,
    *,
    per: str = "particle",
    level: float = LEVEL,
    time_blocks: int = TIME_BLOCKS,
) -> Rate:
    """Return the rate of events with its interval.

    An event counts when it begins (``t_on``) in a frame after the first one tested; those seen under way in that
    frame began earlier and are left out together with the frame. Events that the end of the movie cuts short count:
    their beginning was seen.

    Parameters
    ----------
    events : EventTable
    exposure : Exposure
        Of the same tracks, see :func:`~colloid_cg.events.exposure.event_exposure`.
    per : "particle" or "area"
        Per particle and s, or per um2 and s.
    level : float
    time_blocks : int
        Blocks in time; those in space are the cells of the exposure. Blocks should be longer than events trigger
        each other.
    """
    return pooled_rate([(events, exposure)], per=per, level=level, time_blocks=time_blocks)


def pooled_rate(
    parts: Sequence[tuple[EventTable, Exposure]],
    *,
    per: str = "particle",
    level: float = LEVEL,
    time_blocks: int = TIME_BLOCKS,
) -> Rate:
    """Return the rate of events in several movies, or replicas of a rollout, together (see :func:`event_rate`)."""
    counted = [counted_events(events, exposure) for events, exposure in parts]
    blocks = [
        _blocks(events.table[rows], exposure.counted(), per, time_blocks)
        for (events, exposure), (rows, _) in zip(parts, counted, strict=True)
    ]
    counts, amounts = (np.concatenate(column) for column in zip(*blocks, strict=True))
    n, total, used = int(sum(rows.sum() for rows, _ in counted)), float(amounts.sum()), amounts > 0
    dispersion = _dispersion(counts[used], amounts[used], level)
    exact = poisson_interval(n, total, level=level)
    low, high = poisson_interval(n, total, level=level, dispersion=dispersion or 1.0)
    return Rate(
        value=n / total if total > 0 else float("nan"), low=low, high=high, poisson_low=exact[0],
        poisson_high=exact[1], level=level, n_events=n, n_left_out=sum(out for _, out in counted), exposure=total,
        dispersion=dispersion, n_blocks=int(used.sum()), unit=parts[0][1].unit(per),
    )  # fmt: skip


def rate_over_time(
    events: EventTable, exposure: Exposure, *, bins: int = 20, per: str = "particle", level: float = LEVEL
) -> pd.DataFrame:
    """Return the rate in bins of time.

    Returns
    -------
    pandas.DataFrame
        ``start, end`` (s, from the first frame of the movie), ``events``, ``exposure``, ``rate, low, high`` (with the
        dispersion of all events), ``poisson_low, poisson_high``. NaN in bins in which nothing was tested.
    """
    whole = event_rate(events, exposure, per=per, level=level)
    rows, _ = counted_events(events, exposure)
    edges = np.unique(np.linspace(0, exposure.n_frames, bins + 1).round().astype(int))
    counts = np.histogram(events.table["t_on"].to_numpy()[rows], bins=edges - 0.5)[0]
    amounts = np.add.reduceat(exposure.counted().amounts(per).sum(axis=(1, 2)), edges[:-1])
    table = pd.DataFrame({"start": edges[:-1], "end": edges[1:]}) * exposure.frame_interval
    return table.assign(**_columns(counts, amounts, whole.dispersion, level))


def rate_above(
    events: EventTable,
    exposure: Exposure,
    column: str = "n_particles",
    *,
    thresholds: np.ndarray | None = None,
    per: str = "particle",
    level: float = LEVEL,
) -> pd.DataFrame:
    """Return the rate of events of at least a size or amplitude.

    Parameters
    ----------
    column : str
        Of the event table: n_particles, radius (px), amplitude (um), score.
    thresholds : array, optional
        By default twenty quantiles of the values found.

    Returns
    -------
    pandas.DataFrame
        ``threshold, events, exposure, rate, low, high, poisson_low, poisson_high``; the dispersion is that of the
        events above each threshold. Rows share events, so that they are not independent.
    """
    values = column_of(events, column)
    known = values[np.isfinite(values)]
    if thresholds is None:
        thresholds = np.unique(np.quantile(known, np.linspace(0, 1, 20), method="nearest")) if len(known) else known
    found = []
    for threshold in np.asarray(thresholds, dtype=float):
        rate = event_rate(_some(events, values >= threshold), exposure, per=per, level=level)
        found.append(
            {"threshold": threshold, "events": rate.n_events, "exposure": rate.exposure, "rate": rate.value}
            | {name: getattr(rate, name) for name in ("low", "high", "poisson_low", "poisson_high")}
        )
    names = ("threshold", "events", "exposure", "rate", "low", "high", "poisson_low", "poisson_high")
    return pd.DataFrame(found, columns=list(names))


def column_of(events: EventTable, column: str) -> np.ndarray:
    """Return a column of numbers of the event table."""
    if column not in events.table.columns:
        raise InputError(
            f"an event table without {column}", expected=f"one of {', '.join(events.table.columns)}",
            action="detect the events again, or choose another column",
        )  # fmt: skip
    return events.table[column].to_numpy(dtype=float)


def counted_events(events: EventTable, exposure: Exposure) -> tuple[np.ndarray, int]:
    """Return which events begin after the first frame tested, shape (n,), and how many do not."""
    first = exposure.first_frame
    begins = events.table["t_on"].to_numpy()
    rows = np.zeros(len(begins), dtype=bool) if first is None else begins > first
    return rows, int(len(rows) - rows.sum())


def _some(events: EventTable, rows: np.ndarray) -> EventTable:
    return EventTable(table=events.table[rows], metadata=events.metadata)


def _blocks(table: pd.DataFrame, exposure: Exposure, per: str, time_blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return events and exposure in blocks of time (over the frames tested) and cells of the view, both flat."""
    amounts = exposure.amounts(per)
    tested = np.flatnonzero(amounts.any(axis=(1, 2)))
    if not len(tested):
        return np.zeros(0), np.zeros(0)
    count = max(1, min(time_blocks, len(tested)))
    edges = np.unique(np.linspace(tested[0], tested[-1] + 1, count + 1).round().astype(int))
    total = np.add.reduceat(amounts[: tested[-1] + 1], edges[:-1], axis=0).reshape(len(edges) - 1, -1)
    block = np.clip(np.searchsorted(edges, table["t_on"].to_numpy(), side="right") - 1, 0, len(edges) - 2)
    cell = exposure.cells_of(table["x"].to_numpy(), table["y"].to_numpy())
    counts = np.bincount(block * total.shape[1] + cell, minlength=total.size)
    return counts.astype(float), total.ravel()


def _dispersion(counts: np.ndarray, amounts: np.ndarray, level: float) -> float | None:
    """Return the variance of the total count over its mean, from blocks taken as independent.

    Var N = B / (B - 1) sum_b (n_b - rate e_b)^2 (cluster-robust, first order), over N; times the square of Student's
    quantile over the normal one, with as many degrees of freedom as blocks that matter, N^2 / sum n_b^2, less one. Not
    below 1: blocks cannot show repulsion.
    """
    n, blocks = counts.sum(), len(counts)
    if n < 2 or blocks < FEWEST_BLOCKS:
        return None
    square = float(((counts - n / amounts.sum() * amounts) ** 2).sum()) * blocks / (blocks - 1)
    freedom = max(1.0, min(float(n) ** 2 / float((counts**2).sum()), blocks) - 1.0)
    tail = 0.5 * (1.0 - level)
    allowance = float(stats.t.isf(tail, freedom) / stats.norm.isf(tail)) ** 2
    return max(1.0, allowance * square / float(n))


def _columns(counts: np.ndarray, amounts: np.ndarray, dispersion: float | None, level: float) -> dict[str, np.ndarray]:
    exact = np.array([poisson_interval(n, e, level=level) for n, e in zip(counts, amounts, strict=True)])
    wide = np.array(
        [
            poisson_interval(n, e, level=level, dispersion=dispersion or 1.0)
            for n, e in zip(counts, amounts, strict=True)
        ]
    )
    rate = np.divide(counts, amounts, out=np.full(len(counts), np.nan), where=amounts > 0)
    return {
        "events": counts, "exposure": amounts, "rate": rate, "low": wide[:, 0], "high": wide[:, 1],
        "poisson_low": exact[:, 0], "poisson_high": exact[:, 1],
    }  # fmt: skip
