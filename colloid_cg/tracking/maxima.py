"""Local maxima of a filtered picture: each once, none hidden by a blind margin."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numba import njit


def find_maxima(filtered: np.ndarray, *, threshold: float, separation: float) -> np.ndarray:
    """Return the pixels that are highest within ``separation``, int32 array of (row, column), shape (n, 2).

    Of equal pixels closer than ``separation`` the first in reading order stays. Found up to the edge of the picture.

    Parameters
    ----------
    filtered : float32 array
    threshold : float
        Lowest height of a maximum in grey levels.
    separation : float
        Distance in px within which only one maximum can be.
    """
    # The square that fits into the circle of that radius is fast; what is left is compared in pairs.
    reach = max(1, int(separation / math.sqrt(2.0)))
    square = np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)
    candidates = _candidates(filtered, cv2.dilate(filtered, square), np.float32(threshold))
    heights = filtered[candidates[:, 0], candidates[:, 1]]
    return np.asarray(candidates[highest_within(candidates.astype(np.float64), heights, float(separation))])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _candidates(filtered: np.ndarray, highest: np.ndarray, threshold: np.float32) -> np.ndarray:
    height, width = filtered.shape
    found = np.empty((1024, 2), np.int32)
    count = 0
    for row in range(height):
        for column in range(width):
            value = filtered[row, column]
            if value > threshold and value == highest[row, column]:
                if count == len(found):
                    longer = np.empty((2 * count, 2), np.int32)
                    longer[:count] = found
                    found = longer
                found[count, 0] = row
                found[count, 1] = column
                count += 1
    return found[:count]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def highest_within(points: np.ndarray, heights: np.ndarray, distance: float) -> np.ndarray:
    """Return a mask of the points with no higher one (or equal and earlier one) closer than ``distance``.

    Parameters
    ----------
    points : float array, shape (n, 2)
        Sorted by their first coordinate up to ``distance`` / 2 or less.
    heights : array, shape (n,)
    distance : float
    """
    kept = np.ones(len(points), np.bool_)
    for first in range(len(points)):
        for second in range(first + 1, len(points)):
            step = points[second, 0] - points[first, 0]
            if step >= 2.0 * distance:
                break
            if step**2 + (points[second, 1] - points[first, 1]) ** 2 < distance**2:
                kept[second if heights[second] <= heights[first] else first] = False
    return kept
