"""Slope of the background under each particle, where the light is uneven."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

CLOSE, WIDE = 1.5, 3.0  # diameters: half the edge of the square for a surface of third order, and for a plane
FEWEST = 2.0  # free cells per coefficient
SPARE = 0.3  # share of the square that must be free of particles for a surface of third order
COVERED = 0.75  # diameters around a particle


@dataclass(frozen=True, eq=False)
class Tilt:
    """Slopes of the background at the particles along x and y and their standard errors, grey levels per px, (n, 2)."""

    slope: np.ndarray
    error: np.ndarray

    def shift_error(self, width: np.ndarray | float, height: np.ndarray) -> np.ndarray:
        """Return the error in px, shape (n, 2), that the slopes leave in spots of width w and height A: 4 e w^2 / A."""
        return np.asarray(4.0 * self.error * (np.asarray(width) ** 2 / height)[:, None])


def background_tilt(picture: np.ndarray, x: np.ndarray, y: np.ndarray, *, diameter: int) -> Tilt:
    """Return the slope of the background along x and y at each particle.

    A surface of third order is fitted by least squares to the pixels around that belong to no particle, so that light
    that varies over some four diameters is followed; where too few of them are free, a plane to a larger square; no
    slope where hardly any are. Left in the picture, a slope g shifts the fit of a spot of height A and width w by
    4 g w^2 / A. The standard error follows from the residuals of the fit.

    Parameters
    ----------
    picture : float32 array
        Without a margin; NaN pixels are left out.
    x, y : arrays, shape (n,)
        Positions in px.
    diameter : int
        Of the particles in px.
    """
    cell = max(2, diameter // 3)
    height, width = (length // cell for length in picture.shape)
    result = np.zeros((len(x), 4))
    if min(height, width) > 0:
        free = np.isfinite(picture).astype(np.float32)
        _cover(free, x, y, int(np.ceil(COVERED * diameter)))
        light = np.where(free > 0, picture, np.float32(0.0))
        area = (slice(0, height * cell), slice(0, width * cell))
        weight, level = (
            cv2.resize(part[area], (width, height), interpolation=cv2.INTER_AREA).astype(np.float64)
            for part in (free, light)
        )
        # cells count from their middles
        places = [(along + 0.5) / cell - 0.5 for along in (x, y)]
        _slopes(weight, level, *places, CLOSE * diameter / cell, WIDE * diameter / cell, result)
    return Tilt(slope=result[:, :2] / cell, error=result[:, 2:] / cell)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _slopes(
    weight: np.ndarray, level: np.ndarray, x: np.ndarray, y: np.ndarray, close: float, wide: float, result: np.ndarray
) -> None:
    for index in range(len(x)):
        if not _surface(weight, level, x[index], y[index], close, 10, SPARE, result[index]):
            _surface(weight, level, x[index], y[index], wide, 3, 0.0, result[index])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _surface(
    weight: np.ndarray,
    level: np.ndarray,
    x: float,
    y: float,
    reach: float,
    terms: int,
    spare: float,
    result: np.ndarray,
) -> bool:
    """Fit 1, u, v, u^2, uv, v^2, u^3, u^2 v, u v^2, v^3 up to ``terms``; False where there are too few cells."""
    height, width = weight.shape
    top, bottom = max(round(y - reach), 0), min(round(y + reach), height - 1)
    left, right = max(round(x - reach), 0), min(round(x + reach), width - 1)
    matrix, target, powers = np.zeros((terms, terms)), np.zeros(terms), np.ones(10)
    total, square, count = 0.0, 0.0, 0
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            here = weight[row, column]
            if here <= 0.0:
                continue
            u, v = (column - x) / reach, (row - y) / reach
            powers[1], powers[2], powers[3], powers[4], powers[5] = u, v, u * u, u * v, v * v
            powers[6], powers[7], powers[8], powers[9] = u * u * u, u * u * v, u * v * v, v * v * v
            value = level[row, column]  # times the weight
            total += here
            count += 1
            square += value * value / here
            for a in range(terms):
                target[a] += powers[a] * value
                for b in range(a + 1):
                    matrix[a, b] += here * powers[a] * powers[b]
    if count < FEWEST * terms or total < spare * (2.0 * reach + 1.0) ** 2:
        return False
    for a in range(terms):
        for b in range(a):
            matrix[b, a] = matrix[a, b]
        matrix[a, a] += 1e-9 * total
    inverse = np.linalg.inv(matrix)
    solution = inverse @ target
    variance = max(float(square - solution @ target), 0.0) / (count - terms)
    result[0], result[1] = solution[1] / reach, solution[2] / reach
    result[2], result[3] = np.sqrt(variance * inverse[1, 1]) / reach, np.sqrt(variance * inverse[2, 2]) / reach
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _cover(free: np.ndarray, x: np.ndarray, y: np.ndarray, radius: int) -> None:
    """Set discs around the particles to zero."""
    height, width = free.shape
    for index in range(len(x)):
        row, column = round(y[index]), round(x[index])
        for i in range(max(row - radius, 0), min(row + radius + 1, height)):
            for j in range(max(column - radius, 0), min(column + radius + 1, width)):
                if (i - row) ** 2 + (j - column) ** 2 <= radius**2:
                    free[i, j] = 0.0
