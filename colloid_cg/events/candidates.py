"""Detections with small p-values, and the events they gather into: one for each local maximum of significance."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from colloid_cg.events.config import EventConfig, Scales
from colloid_cg.events.suspects import SUSPECTS
from colloid_cg.records import Box, Trajectories
from colloid_cg.shapes import Scalars

KEPT_BELOW = 0.01
"""p-values above this never take part in an event."""
_ROWS_AT_ONCE = 50_000


def combined_p(fields: pd.DataFrame, tests: tuple[str, ...]) -> Scalars:
    """Return one p-value for each detection, shape (n,): k times the smallest of its k p-values (Bonferroni).

    NaN where there is none.
    """
    values = fields[[f"{name}_p" for name in tests]].to_numpy(dtype=float)
    available = np.isfinite(values).sum(axis=1)
    smallest = np.where(np.isfinite(values), values, 1.0).min(axis=1)
    return np.where(available > 0, np.minimum(1.0, available * smallest), np.nan)


def tested(fields: pd.DataFrame, config: EventConfig) -> int:
    """Return the number of detections with a p-value."""
    return int(np.isfinite(combined_p(fields, config.tests)).sum())


def candidates(
    tracks: Trajectories,
    fields: pd.DataFrame,
    config: EventConfig,
    used: Scales,
    hidden: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the detections with a combined p-value of at most ``KEPT_BELOW``, and what their events will be told by.

    Parameters
    ----------
    tracks : Trajectories
    fields : pandas.DataFrame
        Of ``event_fields``, in the order of the table.
    hidden : pandas.DataFrame, optional
        frame, particle and further columns (s0, ..): values at the start of each row's interval are taken over under
        the name ``<column>_before``.

    Returns
    -------
    pandas.DataFrame
        frame, particle, positions (px), species, p, excess, amplitude (um), d2min_p, p_hop, flags, strain_before
        (of the interval before the row's) and the hidden columns.
    """
    p_value = combined_p(fields, config.tests)
    rows = np.flatnonzero(p_value <= KEPT_BELOW)
    table = tracks.table.iloc[rows][["frame", "particle", *tracks.axes, "species"]].reset_index(drop=True)
    columns = ["amplitude", "d2min_p", "p_hop"]
    table = table.assign(p=p_value[rows], excess=fields["d2min_excess"].to_numpy()[rows],
                         **{name: fields[name].to_numpy()[rows] for name in columns})  # fmt: skip
    reach = used.lag + 2 * used.average - 2
    before = _earlier(fields, table, ["shear_strain"], reach)
    table = table.assign(strain_before=before["shear_strain"].to_numpy(), flags=_flags(fields, table, reach))
    if hidden is not None:
        names = [name for name in hidden.columns if name not in ("frame", "particle")]
        start = _earlier(hidden, table, names, (used.lag + 1) // 2 + used.average - 1)
        table = table.assign(**{f"{name}_before": start[name].to_numpy() for name in names})
    return table


def _flags(fields: pd.DataFrame, rows: pd.DataFrame, reach: int) -> np.ndarray:
    """Return which tracking errors are suspected of each row's particle within its interval: names joined by "|"."""
    flags = np.full(len(rows), "", dtype=object)
    number = pd.Series(np.arange(len(rows)), name="row")
    wanted = rows[["frame", "particle"]].assign(row=number)
    for name in SUSPECTS:
        marked = fields.loc[fields[name], ["frame", "particle"]]
        both = wanted.merge(marked, on="particle", suffixes=("", "_marked"))
        near = np.unique(both.loc[(both["frame"] - both["frame_marked"]).abs() <= reach, "row"].to_numpy())
        flags[near] = [f"{flag}|{name}" if flag else name for flag in flags[near]]
    return flags


def _earlier(source: pd.DataFrame, rows: pd.DataFrame, names: list[str], frames: int) -> pd.DataFrame:
    """Return the columns of the same particles a number of frames before, NaN where they are not known."""
    wanted = pd.DataFrame({"frame": rows["frame"] - frames, "particle": rows["particle"]})
    near = source[source["particle"].isin(rows["particle"].unique())]
    return wanted.merge(near[["frame", "particle", *names]], on=["frame", "particle"], how="left")


def significance_cutoff(p_value: np.ndarray, n_tests: int, level: float, method: str) -> float:
    """Return the largest p-value that is significant over all detections by Benjamini and Hochberg (or Yekutieli).

    Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x; Benjamini and Yekutieli 2001,
    doi:10.1214/aos/1013699998. Zero if none is.
    """
    ordered = np.sort(p_value)
    rank = np.arange(1, len(ordered) + 1)
    passed = ordered <= level * rank / (n_tests * _price(n_tests, method))
    return float(ordered[passed][-1]) if passed.any() else 0.0


def _price(n: int, method: str) -> float:
    """Return 1, or sum_{k <= n} 1/k for the method of Benjamini and Yekutieli."""
    if method != "by" or n < 1:
        return 1.0
    return float(np.log(n) + np.euler_gamma + 0.5 / n)


def event_q_values(peak_p: np.ndarray, n_tests: int, method: str) -> Scalars:
    """Return q-values of events from the p-values of their peaks, shape (k,).

    Were no detection touched by a rearrangement, at most n_tests t of them would have p <= t on average, however they
    depend on each other, and so at most as many events could peak there. Among the k events with the smallest peaks
    the expected share of false ones is therefore at most n_tests p_(k) / k, and q is the least of these from k on. This
    is the procedure of Benjamini and Hochberg on local maxima instead of tests (topological inference: Chumbley and
    Friston 2009, doi:10.1016/j.neuroimage.2008.05.021; Schwartzman, Gavrilov and Adler 2011, doi:10.1214/11-AOS943),
    with the number of null maxima bounded by the number of null tests.
    """
    order = np.argsort(peak_p, kind="stable")
    ratio = peak_p[order] * n_tests * _price(n_tests, method) / np.arange(1, len(peak_p) + 1)
    q_value = np.empty(len(peak_p))
    q_value[order] = np.minimum(np.minimum.accumulate(ratio[::-1])[::-1], 1.0)
    return np.asarray(q_value)


def peak_of(table: pd.DataFrame, box: Box, axes: tuple[str, ...], pixel_size: float, used: Scales) -> np.ndarray:
    """Return for each significant detection the index of the local maximum it belongs to, shape (n,).

    Each points to the most significant one within ``gap_space`` and ``gap_frames`` (itself included), and so on until
    one points to itself. A moved particle has by far the largest D2min of all that have it for a neighbour, so
    what surrounds it is led to it, and two events further apart than the gaps stay two.
    """
    n = len(table)
    order = np.lexsort((table["particle"], table["frame"], -table["excess"].fillna(0.0), table["p"]))
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    best = rank.copy()
    positions, frame = table[list(axes)].to_numpy() * pixel_size, table["frame"].to_numpy()
    for rows in _stretches(frame, used.gap_frames):
        i, j = _near(positions[rows], frame[rows], box, used)
        i, j = rows[i], rows[j]
        np.minimum.at(best, i, rank[j])
        np.minimum.at(best, j, rank[i])
    _own_past(best, rank, table, used.gap_frames)
    leader = order[best]
    while (leader[leader] != leader).any():
        leader = leader[leader]
    return np.asarray(leader)


def _own_past(best: np.ndarray, rank: np.ndarray, table: pd.DataFrame, gap_frames: int) -> None:
    """A particle is always near itself, however far it hopped."""
    order = np.lexsort((table["frame"], table["particle"]))
    frame, particle = table["frame"].to_numpy()[order], table["particle"].to_numpy()[order]
    for ahead in range(1, gap_frames + 1):
        same = (particle[ahead:] == particle[:-ahead]) & (frame[ahead:] - frame[:-ahead] <= gap_frames)
        first, second = order[:-ahead][same], order[ahead:][same]
        np.minimum.at(best, first, rank[second])
        np.minimum.at(best, second, rank[first])


def _stretches(frame: np.ndarray, gap_frames: int) -> list[np.ndarray]:
    """Return rows of stretches of frames that overlap by the gap, each of about ``_ROWS_AT_ONCE`` rows."""
    if not len(frame):
        return []
    times = np.sort(frame)
    borders = np.unique(np.append(times[::_ROWS_AT_ONCE], times[-1] + 1))
    return [np.flatnonzero((frame >= low) & (frame < high + gap_frames)) for low, high in pairwise(borders)]


def _near(positions: np.ndarray, frame: np.ndarray, box: Box, used: Scales) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of rows within gap_space and gap_frames of each other."""
    places = _folded(positions, box)
    lengths = [*np.where(box.periodic, box.lengths / used.gap_space, 0.0), 0.0]
    points = np.column_stack([places / used.gap_space, frame / used.gap_frames])
    tree = cKDTree(points, boxsize=lengths if any(box.periodic) else None)
    i, j = tree.query_pairs(1.0 + 1e-9, p=np.inf, output_type="ndarray").T
    apart = np.linalg.norm(box.displacement(positions[i], positions[j]), axis=1)
    near = apart <= used.gap_space
    return np.asarray(i[near]), np.asarray(j[near])


def _folded(positions: np.ndarray, box: Box) -> np.ndarray:
    """Return positions with periodic axes counted from their lower face, inside the cell."""
    from_face = positions - np.asarray(box.lower)
    inside = np.minimum(np.mod(from_face, box.lengths), np.nextafter(box.lengths, 0.0))
    return np.asarray(np.where(box.periodic, inside, from_face))
