"""Local maxima of a filtered picture: each once, none hidden by a blind margin."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numba import njit

BLOCK = 64
STRIP = 128  # rows


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
    candidates = _candidates(filtered, _highest(filtered, separation), np.float32(threshold))
    return _separated(candidates, filtered, separation)


def filter_and_find(
    picture: np.ndarray,
    *,
    band: Callable[[np.ndarray], np.ndarray],
    reach: int,
    margin: int,
    threshold: float,
    separation: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the filtered picture, zero in its margin, and its maxima.

    The same as filtering first and :func:`find_maxima` then, in strips that stay in the cache of the processor.

    Parameters
    ----------
    picture : float32 array
        With a margin on each side.
    band : callable
        The filter.
    reach : int
        Rows above and below a pixel that the filter looks at.
    margin : int
    threshold, separation : float
        As for :func:`find_maxima`.
    """
    filtered = np.empty_like(picture)
    filtered[:margin], filtered[-margin:] = 0.0, 0.0
    halo = reach + _half(separation)
    found = []
    last = len(picture) - margin
    for top in range(margin, last, STRIP):
        bottom = min(top + STRIP, last)
        start, stop = max(top - halo, 0), min(bottom + halo, len(picture))
        strip = band(picture[start:stop])
        strip[: max(margin - start, 0)], strip[max(last - start, 0) :] = 0.0, 0.0
        strip[:, :margin], strip[:, -margin:] = 0.0, 0.0
        inner = slice(top - start, bottom - start)
        filtered[top:bottom] = strip[inner]
        places = _candidates(strip[inner], _highest(strip, separation)[inner], np.float32(threshold))
        places[:, 0] += top
        found.append(places)
    return filtered, _separated(np.concatenate(found), filtered, separation)


def _half(separation: float) -> int:
    """Half the edge of the largest square of pixels that fits into the circle of radius ``separation``."""
    return max(1, int(separation / math.sqrt(2.0)))


def _highest(filtered: np.ndarray, separation: float) -> np.ndarray:
    edge = 2 * _half(separation) + 1
    return np.asarray(cv2.dilate(filtered, np.ones((edge, edge), dtype=np.uint8)))


def _separated(candidates: np.ndarray, filtered: np.ndarray, separation: float) -> np.ndarray:
    # The square was quick; what is left of the circle is compared in pairs.
    heights = filtered[candidates[:, 0], candidates[:, 1]]
    return np.asarray(candidates[highest_within(candidates.astype(np.float64), heights, float(separation), 0.0)])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _candidates(filtered: np.ndarray, highest: np.ndarray, threshold: np.float32) -> np.ndarray:
    """Pixels above the threshold that are the highest of their surroundings, in reading order."""
    height, width = filtered.shape
    found = np.empty((1024, 2), np.int32)
    count = 0
    for row in range(height):
        for start in range(0, width, BLOCK):  # most blocks hold none: looked through without branches
            line, top = filtered[row, start : start + BLOCK], highest[row, start : start + BLOCK]
            hits = 0
            for k in range(len(line)):
                hits += (line[k] > threshold) & (line[k] == top[k])
            if hits == 0:
                continue
            if count + hits > len(found):
                longer = np.empty((2 * (count + hits), 2), np.int32)
                longer[:count] = found[:count]
                found = longer
            for k in range(len(line)):
                if line[k] > threshold and line[k] == top[k]:
                    found[count, 0] = row
                    found[count, 1] = start + k
                    count += 1
    return found[:count]


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
    for first in range(len(points)):
        for second in range(first + 1, len(points)):
            step = points[second, 0] - points[first, 0]
            if step >= distance + disorder:
                break
            if step**2 + (points[second, 1] - points[first, 1]) ** 2 < distance**2:
                kept[second if heights[second] <= heights[first] else first] = False
    return kept
