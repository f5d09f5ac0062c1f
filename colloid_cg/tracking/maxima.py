"""Local maxima of a filtered picture: each once, none hidden by a blind margin."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

WORD = 8  # marks of a byte each that are looked at together


def find_maxima(filtered: np.ndarray, *, threshold: float, separation: float) -> np.ndarray:
    """Return the local maxima with no higher one within ``separation``, int32 array of (row, column), shape (n, 2).

    Of equal pixels closer than ``separation`` the first in reading order stays. Found up to the edge of the picture.

    Parameters
    ----------
    filtered : float32 array
    threshold : float
        Height that a maximum exceeds, in grey levels.
    separation : float
        Distance in px within which only one maximum can be.
    """
    # The largest square of pixels in the circle is quick to look through; what it leaves is compared in pairs.
    candidates = _candidates(filtered, np.float32(threshold), max(1, int(separation / math.sqrt(2.0))))
    heights = filtered[candidates[:, 0], candidates[:, 1]]
    return np.asarray(candidates[highest_within(candidates.astype(np.float64), heights, float(separation), 0.0)])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _candidates(filtered: np.ndarray, threshold: np.float32, half: int) -> np.ndarray:
    """Pixels above the threshold and below none of the square of edge ``2 half + 1`` around, in reading order."""
    height, width = filtered.shape
    found = np.empty((1024, 2), np.int32)
    count = 0
    peaks = np.zeros(-(-width // WORD) * WORD, np.uint8)
    words = peaks.view(np.uint64)
    for row in range(height):
        _mark_peaks(filtered[row], filtered[max(row - 1, 0)], filtered[min(row + 1, height - 1)], threshold, peaks)
        for word in range(len(words)):
            if words[word] == 0:  # nearly always
                continue
            for column in range(WORD * word, min(WORD * (word + 1), width)):
                if peaks[column] and _is_highest(filtered, row, column, half):
                    if count == len(found):
                        longer = np.empty((2 * count, 2), np.int32)
                        longer[:count] = found
                        found = longer
                    found[count, 0], found[count, 1] = row, column
                    count += 1
    return found[:count]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _mark_peaks(
    line: np.ndarray, above: np.ndarray, below: np.ndarray, threshold: np.float32, peaks: np.ndarray
) -> None:
    """Mark the pixels of a row that are above the threshold and below none of their four neighbours."""
    last = len(line) - 1
    here, left, right, up, down, marks = (
        line[1:last],
        line[: last - 1],
        line[2:],
        above[1:last],
        below[1:last],
        peaks[1:],
    )
    for k in range(len(here)):
        value = here[k]
        marks[k] = (
            (value > threshold) & (value >= up[k]) & (value >= down[k]) & (value >= left[k]) & (value >= right[k])
        )
    for k in (0, last):  # _is_highest looks at the rest
        peaks[k] = line[k] > threshold


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_highest(filtered: np.ndarray, row: int, column: int, half: int) -> bool:
    """Whether no pixel of the square is higher; the nearest are asked first."""
    value = filtered[row, column]
    last_row, last_column = filtered.shape[0] - 1, filtered.shape[1] - 1
    for i in (row, row - 1, row + 1):
        for j in (column - 1, column, column + 1):
            if 0 <= i <= last_row and 0 <= j <= last_column and filtered[i, j] > value:
                return False
    left, right = max(column - half, 0), min(column + half, last_column) + 1
    for i in range(max(row - half, 0), min(row + half, last_row) + 1):
        line, higher = filtered[i, left:right], 0
        for k in range(len(line)):  # without branches: several pixels at once
            higher += line[k] > value
        if higher:
            return False
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def highest_within(points: np.ndarray, heights: np.ndarray, distance: float, disorder: float) -> np.ndarray:
    """Return a mask of the points with no higher one (or equal and earlier one) closer than ``distance``.

    Parameters
    ----------
    points : float array, shape (n, 2)
        Sorted by their first coordinate, up to ``disorder``.
    heights : array, shape (n,)
    distance, disorder : float
    """
    kept = np.ones(len(points), np.bool_)
    along, across = points[:, 0].copy(), points[:, 1].copy()
    stop = 0
    for first in range(len(points)):
        stop = max(stop, first + 1)
        while stop < len(points) and along[stop] < along[first] + distance + disorder:
            stop += 1
        if not _any_within(along[first + 1 : stop], across[first + 1 : stop], along[first], across[first], distance):
            continue
        for second in range(first + 1, stop):
            if (along[second] - along[first]) ** 2 + (across[second] - across[first]) ** 2 < distance**2:
                kept[second if heights[second] <= heights[first] else first] = False
    return kept


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _any_within(along: np.ndarray, across: np.ndarray, x: float, y: float, distance: float) -> bool:
    near = 0
    for k in range(len(along)):  # without branches: several points at once
        near += (along[k] - x) ** 2 + (across[k] - y) ** 2 < distance**2
    return near > 0
