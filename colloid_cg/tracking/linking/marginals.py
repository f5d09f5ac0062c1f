r"""How probable each link is, given every way to pair tracks with detections.

Every pairing M of tracks with detections in which each appears at most once has a probability proportional to
:math:`\prod_{(i,j) \in M} w_{ij}`. The probability that i and j belong together is the share of the pairings
that contain the pair. Groups that do not touch are independent.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LARGEST_WEIGHT = 1e10
"""Weights are cut off here: a link is never certain to more than ten digits."""

_EXACT = 6  # groups with more rows and more columns than this are approximated
_SWEEPS = 200
_CONVERGED = 1e-5


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def marginals(
    row_start: np.ndarray, column: np.ndarray, weight: np.ndarray, first: np.ndarray, rows: np.ndarray, n_columns: int
) -> np.ndarray:
    """Return the probability of every candidate pair, shape of ``weight``.

    Exact where a group has at most six rows or six columns, and where one of a kind stands against many; else by
    belief propagation, which converges for this problem and is exact on groups without loops (Williams and Lau,
    IEEE Trans. Aerosp. Electron. Syst. 50, 2942 (2014), doi:10.1109/TAES.2014.120568).

    Parameters
    ----------
    row_start, column : arrays
        Sparse matrix of the allowed pairs by row.
    weight : array
        Odds of a pair against both being unpaired, positive.
    first, rows : arrays
        Groups, as :func:`~.assignment.components` gives them.
    n_columns : int
    """
    weight = np.minimum(weight, LARGEST_WEIGHT)
    probability = np.zeros(len(weight))
    local = np.full(n_columns, -1, np.int64)
    members = np.empty(n_columns, np.int64)
    total = np.empty(n_columns)
    message = np.zeros(len(weight))
    for c in range(len(first) - 1):
        group = rows[first[c] : first[c + 1]]
        if len(group) == 1:
            _one_against_many(row_start, weight, group, probability)
            continue
        n_members = 0
        for i in group:
            for e in range(row_start[i], row_start[i + 1]):
                if local[column[e]] < 0:
                    local[column[e]] = n_members
                    members[n_members] = column[e]
                    n_members += 1
        if n_members == 1:
            _one_against_many(row_start, weight, group, probability)
        elif n_members <= _EXACT:
            _exact_by_columns(row_start, column, weight, group, local, n_members, probability)
        elif len(group) <= _EXACT:
            _exact_by_rows(row_start, column, weight, group, local, n_members, probability)
        else:
            _propagate(row_start, column, weight, group, members[:n_members], message, total, probability)
        for k in range(n_members):
            local[members[k]] = -1
    return probability


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _one_against_many(row_start: np.ndarray, weight: np.ndarray, group: np.ndarray, probability: np.ndarray) -> None:
    total = 1.0
    for i in group:
        for e in range(row_start[i], row_start[i + 1]):
            total += weight[e]
    for i in group:
        for e in range(row_start[i], row_start[i + 1]):
            probability[e] = weight[e] / total


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _exact_by_columns(
    row_start: np.ndarray,
    column: np.ndarray,
    weight: np.ndarray,
    group: np.ndarray,
    local: np.ndarray,
    n_members: int,
    probability: np.ndarray,
) -> None:
    # sums over all pairings by the set of columns used: before[k] by the first k rows, after by the rows from k on
    n_rows, n_sets = len(group), 1 << n_members
    before = np.zeros((n_rows + 1, n_sets))
    before[0, 0] = 1.0
    for k in range(n_rows):
        for used in range(n_sets):
            if before[k, used] > 0.0:
                before[k + 1, used] += before[k, used]
                for e in range(row_start[group[k]], row_start[group[k] + 1]):
                    bit = 1 << local[column[e]]
                    if not used & bit:
                        before[k + 1, used | bit] += before[k, used] * weight[e]
        # only ratios count, and a product of many weights would overflow
        before[k + 1] /= before[k + 1].max()
    after = np.ones(n_sets)
    for k in range(n_rows - 1, -1, -1):
        earlier = after.copy()
        norm = 0.0
        for used in range(n_sets):
            norm += before[k, used] * after[used]
            for e in range(row_start[group[k]], row_start[group[k] + 1]):
                bit = 1 << local[column[e]]
                if not used & bit:
                    part = weight[e] * after[used | bit]
                    earlier[used] += part
                    probability[e] += before[k, used] * part
                    norm += before[k, used] * part
        for e in range(row_start[group[k]], row_start[group[k] + 1]):
            probability[e] /= norm
        after = earlier / earlier.max()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _exact_by_rows(
    row_start: np.ndarray,
    column: np.ndarray,
    weight: np.ndarray,
    group: np.ndarray,
    local: np.ndarray,
    n_members: int,
    probability: np.ndarray,
) -> None:
    # the same with rows and columns exchanged
    start = np.zeros(n_members + 1, np.int64)
    n_edges = 0
    for i in group:
        for e in range(row_start[i], row_start[i + 1]):
            start[local[column[e]] + 1] += 1
            n_edges += 1
    for j in range(n_members):
        start[j + 1] += start[j]
    place = start.copy()
    edge, row = np.empty(n_edges, np.int64), np.empty(n_edges, np.int64)
    for k in range(len(group)):
        for e in range(row_start[group[k]], row_start[group[k] + 1]):
            at = place[local[column[e]]]
            edge[at], row[at] = e, k
            place[local[column[e]]] += 1
    turned = np.zeros(n_edges)
    _exact_by_columns(start, row, weight[edge], np.arange(n_members), np.arange(len(group)), len(group), turned)
    for k in range(n_edges):
        probability[edge[k]] = turned[k]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _propagate(
    row_start: np.ndarray,
    column: np.ndarray,
    weight: np.ndarray,
    group: np.ndarray,
    members: np.ndarray,
    message: np.ndarray,
    total: np.ndarray,
    probability: np.ndarray,
) -> None:
    # message[e]: odds with which row i asks for column j; 1 / (1 + what the others ask) is how free j is for i
    for _ in range(_SWEEPS):
        for j in members:
            total[j] = 1.0
        for i in group:
            for e in range(row_start[i], row_start[i + 1]):
                total[column[e]] += message[e]
        change = 0.0
        for i in group:
            norm = 1.0
            for e in range(row_start[i], row_start[i + 1]):
                norm += weight[e] / max(total[column[e]] - message[e], 1.0)
            for e in range(row_start[i], row_start[i + 1]):
                free = 1.0 / max(total[column[e]] - message[e], 1.0)
                share = weight[e] * free / norm
                change = max(change, abs(share - probability[e]))
                probability[e] = share
                message[e] = weight[e] / max(norm - weight[e] * free, 1.0)
        if change < _CONVERGED:
            return
