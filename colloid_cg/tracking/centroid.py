"""Centre of mass of the filtered light of a particle, refined until its neighbourhood is centred on it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from scipy import signal

from colloid_cg.tracking.filters import response
from colloid_cg.tracking.spot_profile import needed_lanes

MOVES = 10
"""Most pixels by which the neighbourhood follows its centre of mass."""
PIXELS_AT_ONCE = 16
"""Pixels of a neighbourhood are handled in groups of so many."""
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
    result, sums = np.empty((len(maxima), 6)), np.empty((len(maxima), 4))
    middles = np.empty((len(maxima), 2), np.int32)
    rows, columns, patterns = _disc(radius)
    _measure(filtered, picture, maxima, rows, columns, margin, patterns, result, sums, middles)
    _shapes(result, filtered[middles[:, 0], middles[:, 1]])
    result[:, :2] += middles[:, ::-1] - margin
    return result, sums


def needed_margin(radius: int) -> int:
    """Return the margin within which a neighbourhood, padded to whole vector registers, always stays."""
    return needed_lanes(radius)


@lru_cache(maxsize=64)
def _disc(radius: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pixels of the neighbourhood: rows and columns from its middle, and what their light is weighted with.

    The weights are 1, x, y, x^2, y^2, cos 2 theta and sin 2 theta, float32, shape (7, lanes). The pixels are padded to
    whole vector registers by the middle one with weight zero.
    """
    offset = np.arange(-radius, radius + 1)
    y, x = (part[offset**2 + offset[:, None] ** 2 <= radius**2] for part in np.meshgrid(offset, offset, indexing="ij"))
    angle = 2.0 * np.arctan2(y, x)
    turns = [np.where((x == 0) & (y == 0), 0.0, part) for part in (np.cos(angle), np.sin(angle))]
    weights = np.stack([np.ones(len(x)), x, y, x**2, y**2, *turns])
    surplus = -len(x) % PIXELS_AT_ONCE
    patterns = np.pad(weights, ((0, 0), (0, surplus))).astype(np.float32)
    disc = (np.pad(y, (0, surplus)).astype(np.int32), np.pad(x, (0, surplus)).astype(np.int32), patterns)
    for part in disc:
        part.setflags(write=False)
    return disc


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _measure(
    filtered: np.ndarray,
    picture: np.ndarray,
    maxima: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    margin: int,
    patterns: np.ndarray,
    result: np.ndarray,
    sums: np.ndarray,
    middles: np.ndarray,
) -> None:
    height, width = filtered.shape
    places = rows.astype(np.int64) * width + columns
    all_filtered, all_picture = filtered.ravel(), picture.ravel()
    light = np.zeros(len(places), np.float32)
    before, top = np.zeros_like(light), np.zeros(1, np.int32)
    for index in range(len(maxima)):
        row, column = maxima[index, 0], maxima[index, 1]
        mass, off_x, off_y = 0.0, 0.0, 0.0
        for move in range(MOVES + 1):
            _gather(all_filtered, row * width + column, places, light)
            mass, off_x, off_y = _centre(light, patterns)
            step_y = (1 if off_y > TURN else 0) - (1 if off_y < -TURN else 0)
            step_x = (1 if off_x > TURN else 0) - (1 if off_x < -TURN else 0)
            step_y = min(max(row + step_y, margin), height - 1 - margin) - row
            step_x = min(max(column + step_x, margin), width - 1 - margin) - column
            if move == MOVES or (step_y == 0 and step_x == 0):
                break
            row += step_y
            column += step_x
        _gather(all_picture, row * width + column, places, before)
        _describe(light, patterns, result[index])
        _moments(light, before, patterns, off_x, off_y, sums[index])
        result[index, 0], result[index, 1], result[index, 2] = off_x, off_y, mass
        top[0] = _highest(light.view(np.int32))
        result[index, 5] = top.view(np.float32)[0]
        middles[index, 0], middles[index, 1] = row, column


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _gather(source: np.ndarray, middle: int, places: np.ndarray, target: np.ndarray) -> None:
    """Collect the pixels of a neighbourhood, negative ones and all, so that sums run over whole vector registers."""
    for k in range(len(places)):
        target[k] = source[middle + places[k]]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nnan", "nsz"})  # type: ignore[untyped-decorator]
def _centre(light: np.ndarray, patterns: np.ndarray) -> tuple[float, float, float]:
    """Mass, and centre of mass relative to the middle pixel, x and y."""
    zero: Any = np.float32(0.0)
    inside, x, y = patterns[0], patterns[1], patterns[2]
    mass, off_x, off_y = zero, zero, zero
    for k in range(len(light)):
        value = max(light[k], zero)
        mass += value * inside[k]
        off_x += value * x[k]
        off_y += value * y[k]
    if mass <= zero:
        return 0.0, 0.0, 0.0
    return mass, off_x / mass, off_y / mass


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nnan", "nsz"})  # type: ignore[untyped-decorator]
def _describe(light: np.ndarray, patterns: np.ndarray, result: np.ndarray) -> None:
    """Second moments about the middle pixel: x^2 + y^2, and of the light turned to cos 2 theta and sin 2 theta."""
    zero: Any = np.float32(0.0)
    xx, yy, cosine, sine = patterns[3], patterns[4], patterns[5], patterns[6]
    moment, turned_x, turned_y = zero, zero, zero
    for k in range(len(light)):
        value = max(light[k], zero)
        moment += value * (xx[k] + yy[k])
        turned_x += value * cosine[k]
        turned_y += value * sine[k]
    result[3] = moment
    result[4] = turned_x**2 + turned_y**2


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _highest(bits: np.ndarray) -> np.int32:
    """Highest of the pixels given by their bits: not negative, floats are in the order of these as integers."""
    highest = np.int32(0)
    for k in range(len(bits)):
        highest = max(highest, bits[k])
    return highest


def _shapes(found: np.ndarray, middle: np.ndarray) -> None:
    """Turn, in place, the moments of the light into radius of gyration and eccentricity; zero where there is none."""
    off_x, off_y, mass, moment, turned = found[:, 0], found[:, 1], found[:, 2], found[:, 3], found[:, 4]
    lit = np.where(mass > 0.0, mass, np.inf)
    # about the centre of mass; the middle pixel has no direction
    found[:, 3] = np.sqrt(np.maximum(moment / lit - off_x**2 - off_y**2, 0.0))
    found[:, 4] = np.sqrt(turned) / np.maximum(lit - middle, 1e-6 * lit)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nnan", "nsz"})  # type: ignore[untyped-decorator]
def _moments(
    light: np.ndarray, before: np.ndarray, patterns: np.ndarray, off_x: float, off_y: float, sums: np.ndarray
) -> None:
    """Second moments about the centre, along x and y, of the pixels that count: alone, and times their level."""
    zero: Any = np.float32(0.0)
    inside, x, y, xx, yy = patterns[0], patterns[1], patterns[2], patterns[3], patterns[4]
    n, n_x, n_y, n_xx, n_yy = zero, zero, zero, zero, zero
    level, level_x, level_y, level_xx, level_yy = zero, zero, zero, zero, zero
    for k in range(len(light)):
        used = np.float32(light[k] > zero)
        shade = used * before[k]
        n += used * inside[k]
        n_x += used * x[k]
        n_y += used * y[k]
        n_xx += used * xx[k]
        n_yy += used * yy[k]
        level += shade * inside[k]
        level_x += shade * x[k]
        level_y += shade * y[k]
        level_xx += shade * xx[k]
        level_yy += shade * yy[k]
    sums[0] = n_xx - off_x * (2.0 * n_x - off_x * n)
    sums[1] = n_yy - off_y * (2.0 * n_y - off_y * n)
    sums[2] = level_xx - off_x * (2.0 * level_x - off_x * level)
    sums[3] = level_yy - off_y * (2.0 * level_y - off_y * level)


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
