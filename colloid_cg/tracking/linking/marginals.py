r"""How probable each link is, given every way to pair tracks with detections.

Every pairing M of tracks with detections in which each appears at most once has a probability proportional to
:math:`\prod_{(i,j) \in M} w_{ij}`. The probability that i and j belong together is the share of the pairings
that contain the pair. Groups that do not touch are independent.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from colloid_cg.tracking.linking.assignment import components

LARGEST_WEIGHT = 1e10
"""Weights are cut off here: a link is never certain to more than ten digits."""

_NEGLIGIBLE = 1e-4  # odds; no pair is more probable than its odds
_EXACT = 6  # groups with more rows and more columns than this are approximated
_WINDOW_ROWS = 8
_SWEEPS = 100
_CONVERGED = 1e-4


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def marginals(row_start: np.ndarray, column: np.ndarray, weight: np.ndarray, n_columns: int) -> tuple[np.ndarray, int]:
    """Return the probability of every candidate pair, shape of ``weight``, and the largest group's number of rows.

    Exact where a group has at most six rows or six columns, and where one of a kind stands against many. In a larger
    group each row is computed exactly together with those it competes with most; what the others ask for comes from
    belief propagation (Williams and Lau, IEEE Trans. Aerosp. Electron. Syst. 50, 2942 (2014),
    doi:10.1109/TAES.2014.120568), which alone would be too sure of itself where two pairs might be swapped.

    Parameters
    ----------
    row_start, column : arrays
        Sparse matrix of the allowed pairs by row.
    weight : array
        Odds of a pair against both being unpaired. Pairs with odds below 1e-4 count as impossible.
    n_columns : int
    """
    start, edge = _worth_it(row_start, weight)
    columns, odds = column[edge], np.minimum(weight[edge], LARGEST_WEIGHT)
    first, rows = components(start, columns, n_columns)
    kept, message = np.zeros(len(edge)), np.zeros(len(edge))
    local, members = np.full(n_columns, -1, np.int64), np.empty(n_columns, np.int64)
    total = np.empty(n_columns)
    largest = np.diff(first).max() if len(first) > 1 else 0
    for c in range(len(first) - 1):
        if first[c + 1] - first[c] == 1:
            _one_row(start, odds, rows[first[c]], kept)
            continue
        group = rows[first[c] : first[c + 1]]
        n_members = 0
        for i in group:
            for e in range(start[i], start[i + 1]):
                if local[columns[e]] < 0:
                    local[columns[e]] = n_members
                    members[n_members] = columns[e]
                    n_members += 1
        if n_members == 1:
            _one_column(start, odds, group, kept)
        elif n_members <= _EXACT:
            _exact_by_columns(start, columns, odds, group, local, n_members, kept)
        elif len(group) <= _EXACT:
            _exact_by_rows(start, columns, odds, group, local, n_members, kept)
        else:
            _propagate(start, columns, odds, group, members[:n_members], message, total, kept)
            _refine(start, columns, odds, group, members[:n_members], message, total, local, kept)
        for k in range(n_members):
            local[members[k]] = -1
    probability = np.zeros(len(weight))
    probability[edge] = kept
    return probability, largest


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _worth_it(row_start: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    start, edge = np.zeros_like(row_start), np.empty(len(weight), np.int64)
    n = 0
    for i in range(len(row_start) - 1):
        for e in range(row_start[i], row_start[i + 1]):
            if weight[e] >= _NEGLIGIBLE:
                edge[n] = e
                n += 1
        start[i + 1] = n
    return start, edge[:n].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _one_row(row_start: np.ndarray, weight: np.ndarray, row: int, probability: np.ndarray) -> None:
    total = 1.0
    for e in range(row_start[row], row_start[row + 1]):
        total += weight[e]
    for e in range(row_start[row], row_start[row + 1]):
        probability[e] = weight[e] / total


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _one_column(row_start: np.ndarray, weight: np.ndarray, group: np.ndarray, probability: np.ndarray) -> None:
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
    start, edge, row = _by_column(row_start, column, group, local, n_members)
    turned = np.zeros(len(edge))
    _exact_by_columns(start, row, weight[edge], np.arange(n_members), np.arange(len(group)), len(group), turned)
    for k in range(len(edge)):
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _refine(
    row_start: np.ndarray,
    column: np.ndarray,
    weight: np.ndarray,
    group: np.ndarray,
    members: np.ndarray,
    message: np.ndarray,
    total: np.ndarray,
    local: np.ndarray,
    probability: np.ndarray,
) -> None:
    # Every row again, exactly within a window of the columns it wants most, their strongest other suitors, and the best
    # columns of those; what lies outside takes part through its messages.
    by_start, by_edge, place = _by_column(row_start, column, group, local, len(members))
    by_row = group[place]
    demand = np.empty(len(column))  # odds with which a row wants a column, given how free the column is
    for j in members:
        total[j] = 1.0
    for i in group:
        for e in range(row_start[i], row_start[i + 1]):
            total[column[e]] += message[e]
    for i in group:
        for e in range(row_start[i], row_start[i + 1]):
            demand[e] = weight[e] / max(total[column[e]] - message[e], 1.0)
    rows, columns = np.empty(_WINDOW_ROWS, np.int64), np.empty(_EXACT, np.int64)
    window = np.empty((_WINDOW_ROWS, _EXACT))
    for i in group:
        n_columns = _add_best(row_start, column, demand, i, columns, 0, _EXACT - 2)
        rows[0], n_rows = i, 1
        for k in range(_WINDOW_ROWS - 1):
            j = local[columns[k % n_columns]]
            n_rows = _add_suitor(by_start, by_edge, by_row, message, j, rows, n_rows)
        for k in range(1, n_rows):
            n_columns = _add_best(row_start, column, demand, rows[k], columns, n_columns, min(n_columns + 1, _EXACT))
        rest = _fill(row_start, column, weight, message, total, demand, rows[:n_rows], columns[:n_columns], window)
        unpaired = _first_row(window, n_rows, n_columns)
        for e in range(row_start[i], row_start[i + 1]):
            probability[e] = unpaired * demand[e] / rest
            for k in range(n_columns):
                if columns[k] == column[e]:
                    probability[e] = window[0, k]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _by_column(
    row_start: np.ndarray, column: np.ndarray, group: np.ndarray, local: np.ndarray, n_members: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # the edges of a group sorted by column, and the place of their rows in the group
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
    return start, edge, row


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_best(
    row_start: np.ndarray, column: np.ndarray, demand: np.ndarray, row: int, columns: np.ndarray, n: int, most: int
) -> int:
    # add the columns that a row wants most, until there are so many
    while n < most:
        best = -1
        for e in range(row_start[row], row_start[row + 1]):
            if best < 0 or demand[e] > demand[best]:
                known = False
                for k in range(n):
                    known = known or columns[k] == column[e]
                if not known:
                    best = e
        if best < 0:
            break
        columns[n] = column[best]
        n += 1
    return n


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_suitor(
    by_start: np.ndarray,
    by_edge: np.ndarray,
    by_row: np.ndarray,
    message: np.ndarray,
    j: int,
    rows: np.ndarray,
    n: int,
) -> int:
    # add the row that asks most for a column, if there is one more
    best = -1
    for a in range(by_start[j], by_start[j + 1]):
        if best < 0 or message[by_edge[a]] > message[by_edge[best]]:
            known = False
            for k in range(n):
                known = known or rows[k] == by_row[a]
            if not known:
                best = a
    if best >= 0:
        rows[n] = by_row[best]
        n += 1
    return n


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(
    row_start: np.ndarray,
    column: np.ndarray,
    weight: np.ndarray,
    message: np.ndarray,
    total: np.ndarray,
    demand: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    window: np.ndarray,
) -> float:
    # odds within the window against being unpaired or paired outside; returns what the first row wants outside
    busy = np.empty(len(columns))
    for k in range(len(columns)):
        busy[k] = total[columns[k]]
    first_rest = 1.0
    for a in range(len(rows)):
        rest = 1.0
        window[a] = 0.0
        for e in range(row_start[rows[a]], row_start[rows[a] + 1]):
            outside = True
            for k in range(len(columns)):
                if columns[k] == column[e]:
                    outside = False
                    window[a, k] = weight[e]
                    busy[k] -= message[e]
            if outside:
                rest += demand[e]
        window[a] /= rest
        if a == 0:
            first_rest = rest
    for k in range(len(columns)):
        window[: len(rows), k] /= max(busy[k], 1.0)
    return first_rest


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _first_row(window: np.ndarray, n_rows: int, n_columns: int) -> float:
    # replaces the odds of the first row by its probabilities, returns that of being unpaired
    n_sets = 1 << n_columns
    after = np.ones(n_sets)  # sum over all pairings of the rows from a on that leave these columns alone
    for a in range(n_rows - 1, 0, -1):
        # a set only asks for larger ones, which are overwritten after it
        for used in range(n_sets):
            for k in range(n_columns):
                if not used & (1 << k):
                    after[used] += window[a, k] * after[used | (1 << k)]
        after /= after[0]
    norm = after[0]
    for k in range(n_columns):
        window[0, k] *= after[1 << k]
        norm += window[0, k]
    for k in range(n_columns):
        window[0, k] /= norm
    return float(after[0] / norm)
