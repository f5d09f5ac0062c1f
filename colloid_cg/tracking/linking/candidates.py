"""Pairs of a track and a detection that are close enough to be linked, found on a grid of cells."""

from __future__ import annotations

import numpy as np
from numba import njit

TOLERANCE = 1e-7
"""A step longer than the search range by less than this (px) is still allowed, so that rounding decides nothing."""

_CELLS_PER_DETECTION = 4  # cells grow beyond the search range where the field is larger than this allows


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def candidates(
    predicted: np.ndarray, ranges: np.ndarray, detections: np.ndarray, cell: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all pairs within reach, by track: start of each row, detection and squared distance of each pair.

    Parameters
    ----------
    predicted : array, shape (m, d)
        Where each track is looked for, d >= 2. The grid divides the first two axes.
    ranges : array, shape (m,)
        How far from there.
    detections : array, shape (n, d)
    cell : float
        Edge of a cell, best the smallest of the ranges; enlarged where the field would need too many cells.

    Returns
    -------
    row_start : int64 array, shape (m + 1,); column : int64 array; squared : float64 array, both of one entry per pair
        The pairs of track i stand at ``row_start[i]:row_start[i + 1]``.
    """
    m, n, d = predicted.shape[0], detections.shape[0], detections.shape[1]
    row_start = np.zeros(m + 1, np.int64)
    if m == 0 or n == 0:
        return row_start, np.empty(0, np.int64), np.empty(0, np.float64)
    low0, low1, per_px, n0, n1 = _grid(detections, cell)
    cell_start, order, first, second = _by_cell(detections, low0, low1, per_px, n0, n1)
    capacity = 3 * m + 64
    column, squared = np.empty(capacity, np.int64), np.empty(capacity, np.float64)
    count = 0
    for i in range(m):
        reach = ranges[i] + TOLERANCE
        limit = reach * reach
        at0, at1 = predicted[i, 0], predicted[i, 1]
        # compared as floats: a predicted place may be too far away for an integer
        from0, to0 = (at0 - reach - low0) * per_px, (at0 + reach - low0) * per_px
        from1, to1 = (at1 - reach - low1) * per_px, (at1 + reach - low1) * per_px
        if to0 >= 0.0 and to1 >= 0.0 and from0 < n0 and from1 < n1:
            left, right = int(max(from1, 0.0)), int(min(to1, n1 - 1.0))
            for a in range(int(max(from0, 0.0)), int(min(to0, n0 - 1.0)) + 1):
                # cells of a row lie one after the other
                for k in range(cell_start[a * n1 + left], cell_start[a * n1 + right + 1]):
                    distance = (first[k] - at0) ** 2 + (second[k] - at1) ** 2
                    for axis in range(2, d):
                        distance += (detections[order[k], axis] - predicted[i, axis]) ** 2
                    if distance <= limit:
                        if count == capacity:
                            capacity *= 2
                            column, squared = _longer(column, squared, capacity)
                        column[count], squared[count] = order[k], distance
                        count += 1
        row_start[i + 1] = count
    return row_start, column[:count].copy(), squared[:count].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _grid(positions: np.ndarray, cell: float) -> tuple[float, float, float, int, int]:
    # corner, cells per px, and number of cells along both axes
    low0, low1 = positions[:, 0].min(), positions[:, 1].min()
    extent0, extent1 = positions[:, 0].max() - low0, positions[:, 1].max() - low1
    most = float(_CELLS_PER_DETECTION * positions.shape[0] + 64)
    per_px = 1.0 / cell
    while (np.floor(extent0 * per_px) + 1.0) * (np.floor(extent1 * per_px) + 1.0) > most:
        per_px /= 1.5
    return low0, low1, per_px, int(extent0 * per_px) + 1, int(extent1 * per_px) + 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _by_cell(
    positions: np.ndarray, low0: float, low1: float, per_px: float, n0: int, n1: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    # Counting sort: detections of cell c are order[start[c]:start[c + 1]], in their original order; their first two
    # coordinates in that order lie side by side.
    n = positions.shape[0]
    cells = np.empty(n, np.int64)
    start = np.zeros(n0 * n1 + 1, np.int64)
    for j in range(n):
        cells[j] = int((positions[j, 0] - low0) * per_px) * n1 + int((positions[j, 1] - low1) * per_px)
        start[cells[j] + 1] += 1
    for c in range(n0 * n1):
        start[c + 1] += start[c]
    place = start.copy()
    order, first, second = np.empty(n, np.int64), np.empty(n), np.empty(n)
    for j in range(n):
        k = place[cells[j]]
        place[cells[j]] += 1
        order[k], first[k], second[k] = j, positions[j, 0], positions[j, 1]
    return start, order, first, second


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _longer(column: np.ndarray, squared: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    more_columns, more_squared = np.empty(capacity, np.int64), np.empty(capacity, np.float64)
    more_columns[: len(column)], more_squared[: len(squared)] = column, squared
    return more_columns, more_squared
