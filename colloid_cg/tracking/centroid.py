"""Centre of mass of the filtered light of a particle, refined until its neighbourhood is centred on it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from scipy import signal

from colloid_cg.tracking.filters import response
from colloid_cg.tracking.spot_profile import needed_lanes

MOVES = 10
"""Most pixels by which the neighbourhood follows its centre of mass."""
TURN = 0.6  # px: off-centre by more than this the neighbourhood moves; above 1/2, or it could move back and forth


def centroids(
    filtered: np.ndarray, picture: np.ndarray, maxima: np.ndarray, *, radius: int, margin: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the particles, shape (n, 6): x, y, mass, size, ecc, signal, and sums for their errors, shape (n, 4).

    Crocker and Grier, J. Colloid Interface Sci. 179, 298 (1996), doi:10.1006/jcis.1996.0217, section 3: the centre
    of mass of the pixels within ``radius``; where it is more than .6 px from the centre of the neighbourhood, this
    moves by a pixel. ``mass`` is the sum over the neighbourhood, ``size`` its radius of gyration about the centre of
    mass (px), ``ecc`` its eccentricity as trackpy defines it, ``signal`` its highest pixel. Negative pixels count as
    zero.

    Parameters
    ----------
    filtered, picture : float32 arrays
        After and before the band-pass, with a margin on each side; the margin of ``filtered`` is zero.
    maxima : int32 array, shape (n, 2)
        Row and column, margin included.
    radius : int
    margin : int
        At least :func:`needed_margin`. Positions are given without it.
    """
    offset = np.zeros(needed_lanes(radius))
    offset[: 2 * radius + 1] = np.arange(-radius, radius + 1)
    x, y = np.broadcast_arrays(offset[None, :], offset[: 2 * radius + 1, None])
    inside = x**2 + y**2 <= radius**2
    inside[:, 2 * radius + 1 :] = False
    angle = 2.0 * np.arctan2(y, x)
    centre = (x == 0) & (y == 0)
    turn = [np.where(centre, 0.0, part) for part in (np.cos(angle), np.sin(angle))]
    patterns = np.stack([inside, x, y, *turn]).reshape(5, -1).astype(np.float32)
    result, sums = np.empty((len(maxima), 6)), np.empty((len(maxima), 4))
    _measure(filtered, picture, maxima, radius, margin, patterns, result, sums)
    return result, sums


def needed_margin(radius: int) -> int:
    """Return the margin within which a neighbourhood, padded to whole vector registers, always stays."""
    return needed_lanes(radius)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _measure(
    filtered: np.ndarray,
    picture: np.ndarray,
    maxima: np.ndarray,
    radius: int,
    margin: int,
    patterns: np.ndarray,
    result: np.ndarray,
    sums: np.ndarray,
) -> None:
    height, width = filtered.shape
    count = 2 * radius + 1
    light = np.zeros((count, patterns.shape[1] // count), np.float32)
    before = np.zeros_like(light)
    for index in range(len(maxima)):
        row, column = maxima[index, 0], maxima[index, 1]
        off_x, off_y = 0.0, 0.0
        for move in range(MOVES + 1):
            _copy(filtered, row - radius, column - radius, light)
            off_x, off_y = _centre(light.ravel(), patterns)
            step_y = (1 if off_y > TURN else 0) - (1 if off_y < -TURN else 0)
            step_x = (1 if off_x > TURN else 0) - (1 if off_x < -TURN else 0)
            step_y = min(max(row + step_y, margin), height - 1 - margin) - row
            step_x = min(max(column + step_x, margin), width - 1 - margin) - column
            if move == MOVES or (step_y == 0 and step_x == 0):
                break
            row += step_y
            column += step_x
        _copy(picture, row - radius, column - radius, before)
        _describe(
            light.ravel(), before.ravel(), patterns, off_x, off_y, light[radius, radius], result[index], sums[index]
        )
        result[index, 0] = column + off_x - margin
        result[index, 1] = row + off_y - margin


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _copy(source: np.ndarray, top: int, left: int, target: np.ndarray) -> None:
    """Copy a neighbourhood into one block of memory, over which sums are taken in whole vector registers."""
    for i in range(target.shape[0]):
        line, copy = source[top + i, left : left + target.shape[1]], target[i]
        for j in range(target.shape[1]):
            copy[j] = line[j]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nnan", "nsz"})  # type: ignore[untyped-decorator]
def _centre(light: np.ndarray, patterns: np.ndarray) -> tuple[float, float]:
    """Centre of mass relative to the middle pixel, x and y."""
    zero: Any = np.float32(0.0)
    inside, x, y = patterns[0], patterns[1], patterns[2]
    mass, off_x, off_y = zero, zero, zero
    for k in range(len(light)):
        value = max(light[k], zero) * inside[k]
        mass += value
        off_x += value * x[k]
        off_y += value * y[k]
    if mass <= zero:
        return 0.0, 0.0
    return off_x / mass, off_y / mass


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nnan", "nsz"})  # type: ignore[untyped-decorator]
def _describe(
    light: np.ndarray,
    before: np.ndarray,
    patterns: np.ndarray,
    off_x: float,
    off_y: float,
    middle: float,
    result: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Mass, size, eccentricity and highest pixel; second moments of the pixels that count, alone and times level."""
    zero: Any = np.float32(0.0)
    centre_x, centre_y = np.float32(off_x), np.float32(off_y)
    inside, x, y, cosine, sine = patterns[0], patterns[1], patterns[2], patterns[3], patterns[4]
    mass, moment, turned_x, turned_y, highest = zero, zero, zero, zero, zero
    along, down, level_along, level_down = zero, zero, zero, zero
    for k in range(len(light)):
        value = max(light[k], zero) * inside[k]
        used = np.float32(value > zero)
        level = used * before[k]
        far_x, far_y = x[k] - centre_x, y[k] - centre_y
        far_x *= far_x
        far_y *= far_y
        mass += value
        moment += value * (far_x + far_y)
        turned_x += value * cosine[k]
        turned_y += value * sine[k]
        along += used * far_x
        down += used * far_y
        level_along += level * far_x
        level_down += level * far_y
    for k in range(len(light)):
        value = light[k] * inside[k]
        if value > highest:
            highest = value
    result[2], result[5] = mass, highest
    result[3] = math.sqrt(moment / mass) if mass > zero else 0.0
    rest = max(mass - np.float32(middle), np.float32(1e-6) * mass)
    result[4] = math.sqrt(turned_x**2 + turned_y**2) / rest if mass > zero else 0.0
    sums[0], sums[1], sums[2], sums[3] = along, down, level_along, level_down


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
    found: np.ndarray, sums: np.ndarray, *, ratios: np.ndarray, noise: tuple[float, float, float]
) -> np.ndarray:
    """Return the standard errors of the centroids along x and y in px, shape (n, 2).

    The variance of each pixel, ``offset + slope * picture`` but not below ``least``, is propagated linearly through
    the centroid of the pixels above zero; what the filter makes of it is that of a disc with the same second moment.
    What the finite neighbourhood does to the position (a bias that depends on its sub-pixel part) is not included.

    Parameters
    ----------
    found, sums : arrays, shapes (n, 6) and (n, 4)
        From :func:`centroids`.
    ratios : array
        From :func:`noise_ratios`.
    noise : (offset, slope, least)
    """
    offset, slope, least = noise
    moment = np.maximum(sums[:, :2], 1e-30)
    level = np.maximum(offset + slope * sums[:, 2:] / moment, least)
    passed = np.interp(moment, ratios[:, 0], ratios[:, 1])
    return np.asarray(np.sqrt(level * moment * passed) / found[:, 2:3])
