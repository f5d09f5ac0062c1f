"""Exact assignment on a sparse graph, and the groups of tracks and detections that compete with one another."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def assign(row_start: np.ndarray, column: np.ndarray, cost: np.ndarray, unmatched: float, n_columns: int) -> np.ndarray:
    r"""Return the pairing of least total cost.

    Minimises :math:`\sum_{(i,j)\,\mathrm{paired}} c_{ij} + u\,n_\mathrm{unpaired\ rows}` exactly, by shortest
    augmenting paths with dual prices (Jonker and Volgenant, Computing 38, 325 (1987), doi:10.1007/BF02278710), each
    row having a place of its own at cost u where it stays unpaired. A path ends as soon as it can, so the
    work per row depends on how many compete around it and not on the size of the problem.

    Parameters
    ----------
    row_start, column, cost : arrays
        Sparse matrix of the allowed pairs by row, as :func:`~.candidates.candidates` gives it.
    unmatched : float
        Cost u of leaving a row unpaired; between equals a pair is preferred.
    n_columns : int

    Returns
    -------
    int64 array, shape (m,)
        Index into ``column`` and ``cost`` of the pair chosen for each row, -1 for none.
    """
    m = len(row_start) - 1
    chosen = np.full(m, -1, np.int64)
    taken_by = np.full(n_columns, -1, np.int64)
    row_price, column_price = np.zeros(m), np.zeros(n_columns)
    waiting = np.empty(m, np.int64)
    n_waiting = 0
    for i in range(m):
        best, least = -1, unmatched
        for e in range(row_start[i], row_start[i + 1]):
            if cost[e] < least or (best < 0 and cost[e] == least):
                best, least = e, cost[e]
        row_price[i] = least
        if best >= 0:
            if taken_by[column[best]] < 0:
                chosen[i], taken_by[column[best]] = best, i
            else:
                waiting[n_waiting] = i
                n_waiting += 1
    if n_waiting > 0:
        _augment(row_start, column, cost, unmatched, waiting[:n_waiting], chosen, taken_by, row_price, column_price)
    return chosen


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _augment(
    row_start: np.ndarray,
    column: np.ndarray,
    cost: np.ndarray,
    unmatched: float,
    waiting: np.ndarray,
    chosen: np.ndarray,
    taken_by: np.ndarray,
    row_price: np.ndarray,
    column_price: np.ndarray,
) -> None:
    # one shortest path (Dijkstra on reduced costs) for each waiting row
    n_columns = len(taken_by)
    edge_row = np.repeat(np.arange(len(row_start) - 1), np.diff(row_start))
    distance = np.full(n_columns, np.inf)
    through = np.full(n_columns, -1, np.int64)  # edge by which the column is reached
    done = np.zeros(n_columns, np.bool_)
    touched, settled = np.empty(n_columns, np.int64), np.empty(n_columns, np.int64)
    heap_key, heap_column = np.empty(len(column) + 1), np.empty(len(column) + 1, np.int64)
    for start in waiting:
        n_touched, n_settled, n_heap = 0, 0, 0
        row, length = start, 0.0
        out_length, out_row, end = np.inf, -1, -1
        while True:
            leave = length + unmatched - row_price[row]
            if leave < out_length:
                out_length, out_row = leave, row
            for e in range(row_start[row], row_start[row + 1]):
                j = column[e]
                reach = length + cost[e] - row_price[row] - column_price[j]
                if not done[j] and reach < distance[j] and reach <= out_length:
                    if distance[j] == np.inf:
                        touched[n_touched] = j
                        n_touched += 1
                    distance[j], through[j] = reach, e
                    n_heap = _push(heap_key, heap_column, n_heap, reach, j)
            while n_heap > 0 and done[heap_column[0]]:
                n_heap = _pop(heap_key, heap_column, n_heap)
            if n_heap == 0 or heap_key[0] > out_length:
                break
            length, j = heap_key[0], heap_column[0]
            n_heap = _pop(heap_key, heap_column, n_heap)
            if taken_by[j] < 0:
                end = j
                break
            done[j], settled[n_settled] = True, j
            n_settled += 1
            row = taken_by[j]
        final = distance[end] if end >= 0 else out_length
        row_price[start] += final
        _reprice(settled[:n_settled], final, distance, taken_by, row_price, column_price)
        _turn(start, end, out_row, edge_row, column, through, chosen, taken_by)
        distance[touched[:n_touched]] = np.inf
        done[settled[:n_settled]] = False


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _reprice(
    settled: np.ndarray,
    final: float,
    distance: np.ndarray,
    taken_by: np.ndarray,
    row_price: np.ndarray,
    column_price: np.ndarray,
) -> None:
    # reduced costs stay non-negative, and zero along the new path
    for j in settled:
        column_price[j] += distance[j] - final
        row_price[taken_by[j]] += final - distance[j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _turn(
    start: int,
    end: int,
    out_row: int,
    edge_row: np.ndarray,
    column: np.ndarray,
    through: np.ndarray,
    chosen: np.ndarray,
    taken_by: np.ndarray,
) -> None:
    # pass the columns of the path on, from its end back to the row it began at
    j = end
    if end < 0:
        if out_row == start:
            return
        j = column[chosen[out_row]]
        chosen[out_row] = -1
    while True:
        e = through[j]
        row = edge_row[e]
        before = chosen[row]
        chosen[row], taken_by[j] = e, row
        if row == start:
            return
        j = column[before]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _push(key: np.ndarray, value: np.ndarray, n: int, new_key: float, new_value: int) -> int:
    # binary heap, smallest key first
    place = n
    while place > 0:
        parent = (place - 1) // 2
        if key[parent] <= new_key:
            break
        key[place], value[place] = key[parent], value[parent]
        place = parent
    key[place], value[place] = new_key, new_value
    return n + 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _pop(key: np.ndarray, value: np.ndarray, n: int) -> int:
    n -= 1
    last_key, last_value = key[n], value[n]
    place = 0
    while True:
        child = 2 * place + 1
        if child >= n:
            break
        if child + 1 < n and key[child + 1] < key[child]:
            child += 1
        if key[child] >= last_key:
            break
        key[place], value[place] = key[child], value[child]
        place = child
    key[place], value[place] = last_key, last_value
    return n


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def components(row_start: np.ndarray, column: np.ndarray, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the connected components of the rows that have a candidate.

    Returns
    -------
    first : int64 array, shape (number of components + 1,)
    rows : int64 array
        Rows of component c at ``first[c]:first[c + 1]``, in ascending order.
    """
    m = len(row_start) - 1
    parent = np.arange(m + n_columns)
    for i in range(m):
        a = i
        for e in range(row_start[i], row_start[i + 1]):
            b = column[e] + m
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = parent[b]
            while parent[a] != a:
                parent[a] = parent[parent[a]]
                a = parent[a]
            if a < b:
                parent[b] = a
            else:
                parent[a] = b
    label = np.full(m, -1, np.int64)
    of_row = np.full(m, -1, np.int64)
    n_components = 0
    for i in range(m):
        if row_start[i + 1] > row_start[i]:
            root = i
            while parent[root] != root:
                root = parent[root]
            # the root of a component is its smallest row, which therefore comes first
            if label[root] < 0:
                label[root] = n_components
                n_components += 1
            of_row[i] = label[root]
    first = np.zeros(n_components + 1, np.int64)
    for i in range(m):
        if of_row[i] >= 0:
            first[of_row[i] + 1] += 1
    for c in range(n_components):
        first[c + 1] += first[c]
    place, rows = first.copy(), np.empty(first[n_components], np.int64)
    for i in range(m):
        if of_row[i] >= 0:
            rows[place[of_row[i]]] = i
            place[of_row[i]] += 1
    return first, rows
