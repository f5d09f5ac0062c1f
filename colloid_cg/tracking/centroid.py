"""Centre of mass of the filtered light of a particle, refined until its neighbourhood is centred on it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from scipy import signal

from colloid_cg.tracking.filters import response

MOVES = 10
"""Most pixels by which the neighbourhood follows its centre of mass."""
TURN = 0.6  # px: off-centre by more than this the neighbourhood moves; above 1/2, or it could move back and forth


def centroids(filtered: np.ndarray, maxima: np.ndarray, *, radius: int, floor: float) -> np.ndarray:
    """Return one row per maximum, shape (n, 6): x, y, mass, size, ecc, signal.

    Crocker and Grier, J. Colloid Interface Sci. 179, 298 (1996), doi:10.1006/jcis.1996.0217, section 3: the centre
    of mass of the pixels within ``radius``; where it is more than .6 px from the centre of the neighbourhood, this
    moves by a pixel. ``mass`` is the sum over the neighbourhood, ``size`` its radius of gyration about the centre of
    mass (px), ``ecc`` its eccentricity as trackpy defines it, ``signal`` its highest pixel. Pixels below ``floor``
    count as zero; at the edge of the picture the neighbourhood is cut.
    """
    offset = np.arange(-radius, radius + 1)
    inside = offset**2 + offset[:, None] ** 2 <= radius**2
    half = (inside.sum(axis=1) // 2).astype(np.int64)
    angle = 2.0 * np.arctan2(offset[:, None], offset[None, :])
    turn = np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    turn[:, radius, radius] = 0.0
    result = np.empty((len(maxima), 6))
    _measure(filtered, maxima, radius, np.float32(floor), half, turn, result)
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _measure(
    filtered: np.ndarray,
    maxima: np.ndarray,
    radius: int,
    floor: np.float32,
    half: np.ndarray,
    turn: np.ndarray,
    result: np.ndarray,
) -> None:
    height, width = filtered.shape
    zero: Any = np.float32(0.0)
    for index in range(len(maxima)):
        row, column = maxima[index, 0], maxima[index, 1]
        off_y, off_x = 0.0, 0.0
        for _ in range(MOVES):
            mass, off_y, off_x = 0.0, 0.0, 0.0
            for i in range(max(-radius, -row), min(radius, height - 1 - row) + 1):
                reach = half[i + radius]
                line, moment = zero, zero
                for j in range(max(-reach, -column), min(reach, width - 1 - column) + 1):
                    value = filtered[row + i, column + j]
                    value = value if value > floor else zero
                    line += value
                    moment += value * np.float32(j)
                mass += line
                off_y += line * i
                off_x += moment
            off_y /= mass
            off_x /= mass
            step_y = (1 if off_y > TURN else 0) - (1 if off_y < -TURN else 0)
            step_x = (1 if off_x > TURN else 0) - (1 if off_x < -TURN else 0)
            step_y = min(max(row + step_y, 0), height - 1) - row
            step_x = min(max(column + step_x, 0), width - 1) - column
            if step_y == 0 and step_x == 0:
                break
            row += step_y
            column += step_x
        _describe(filtered, row, column, radius, floor, half, turn, result[index])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _describe(
    filtered: np.ndarray,
    row: int,
    column: int,
    radius: int,
    floor: np.float32,
    half: np.ndarray,
    turn: np.ndarray,
    result: np.ndarray,
) -> None:
    height, width = filtered.shape
    mass, off_y, off_x, square = 0.0, 0.0, 0.0, 0.0
    cosine, sine, highest = 0.0, 0.0, np.float32(0.0)
    for i in range(max(-radius, -row), min(radius, height - 1 - row) + 1):
        reach = half[i + radius]
        zero: Any = np.float32(0.0)
        line, moment, second, along, across = zero, zero, zero, zero, zero
        for j in range(max(-reach, -column), min(reach, width - 1 - column) + 1):
            value = filtered[row + i, column + j]
            value = value if value > floor else zero
            line += value
            moment += value * np.float32(j)
            second += value * np.float32(j * j)
            along += value * turn[0, i + radius, j + radius]
            across += value * turn[1, i + radius, j + radius]
            highest = max(highest, value)
        mass += line
        off_y += line * i
        off_x += moment
        square += second + line * (i * i)
        cosine += along
        sine += across
    off_y /= mass
    off_x /= mass
    result[0] = column + off_x
    result[1] = row + off_y
    result[2] = mass
    result[3] = np.sqrt(max(square / mass - off_x**2 - off_y**2, 0.0))
    result[4] = np.sqrt(cosine**2 + sine**2) / max(mass - filtered[row, column], 1e-6 * mass)
    result[5] = highest


@lru_cache(maxsize=64)
def noise_ratios(radius: int, noise_size: float, smoothing: int) -> np.ndarray:
    """Return how much of the noise passes filter and centroid, for discs of light of each size, shape (n, 2).

    The centroid is sum_k u_k f_k / mass over the pixels k that count, with u the distance from the centre and f the
    picture filtered by K; its noise is that of the pixels times the square root of sum_m (sum_k u_k K(k - m))^2.
    Rows hold the sum of u^2 over a disc, and that double sum divided by it.
    """
    kernel = response(noise_size=noise_size, smoothing=smoothing)
    offset = np.arange(-radius - 1.0, radius + 2.0)
    rows = []
    for edge in np.arange(1.0, radius + 0.51, 0.5):
        along = np.where(offset**2 + offset[:, None] ** 2 <= edge**2, offset, 0.0)
        spread = signal.fftconvolve(along, kernel)
        rows.append(((along**2).sum(), (spread**2).sum() / (along**2).sum()))
    return np.array(rows)


def centroid_errors(
    picture: np.ndarray,
    filtered: np.ndarray,
    found: np.ndarray,
    *,
    radius: int,
    ratios: np.ndarray,
    noise: tuple[float, float, float],
) -> np.ndarray:
    """Return the standard errors of the centroids along x and y in px, shape (n, 2).

    The variance of each pixel, ``offset + slope * picture`` but not below ``least``, is propagated linearly through
    the centroid of the pixels above zero; what the filter makes of it is that of a disc with the same second moment.

    Parameters
    ----------
    picture, filtered : float32 arrays
        Before and after the band-pass.
    found : array, shape (n, 6)
        From :func:`centroids`.
    radius : int
        As for the centroids.
    ratios : array
        From :func:`noise_ratios`.
    noise : (offset, slope, least)
    """
    sums = np.empty((len(found), 4))
    _moments(picture, filtered, found, radius, sums)
    offset, slope, least = noise
    moment = np.maximum(sums[:, :2], 1e-30)
    level = np.maximum(offset + slope * sums[:, 2:] / moment, least)
    passed = np.interp(moment, ratios[:, 0], ratios[:, 1])
    return np.asarray(np.sqrt(level * moment * passed) / found[:, 2:3])


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _moments(picture: np.ndarray, filtered: np.ndarray, found: np.ndarray, radius: int, sums: np.ndarray) -> None:
    """Second moments of the pixels that count, along x and y, and the same times their grey level."""
    height, width = picture.shape
    zero: Any = np.float32(0.0)
    for index in range(len(found)):
        x, y = found[index, 0], found[index, 1]
        column, row = round(x), round(y)
        along, down, level_along, level_down = 0.0, 0.0, 0.0, 0.0
        for i in range(max(row - radius, 0), min(row + radius + 1, height)):
            square, count, level_square, level = zero, zero, zero, zero
            reach = int(math.sqrt(radius**2 - (i - row) ** 2))
            for j in range(max(column - reach, 0), min(column + reach + 1, width)):
                used = np.float32(1.0) if filtered[i, j] > zero else zero
                value = used * picture[i, j]
                distance = np.float32((j - x) ** 2)
                square += used * distance
                level_square += value * distance
                count += used
                level += value
            along += square
            level_along += level_square
            down += count * (i - y) ** 2
            level_down += level * (i - y) ** 2
        sums[index, 0], sums[index, 1] = along, down
        sums[index, 2], sums[index, 3] = level_along, level_down
