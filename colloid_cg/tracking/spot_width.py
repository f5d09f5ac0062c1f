"""Fit of a Gaussian spot whose width is free too: for measuring how wide the particles of a movie are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from colloid_cg.tracking.spot_profile import LANES

STEPS = 30
SETTLED = 0.1  # of the standard errors of position and width
NARROWEST = 0.4  # px


def fit_widths(
    picture: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    *,
    radius: int,
    noise: tuple[float, float, float],
    tilt: np.ndarray | None = None,
) -> np.ndarray:
    """Fit position, height, background and width: rows of width, its error, height, background, chi^2, freedom, x, y.

    As :func:`~colloid_cg.tracking.likelihood.fit_spots` with one more parameter; NaN where the fit fails.
    """
    result = np.full((len(x), 10), np.nan)
    _fit(picture, x, y, radius, *noise, np.zeros((len(x), 2)) if tilt is None else tilt, result)
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def copy_window(picture: np.ndarray, top: int, left: int, count: int, pixels: np.ndarray, used: np.ndarray) -> int:
    """Copy a square of pixels; returns how many are known (not NaN)."""
    zero: Any = np.float32(0.0)
    one: Any = np.float32(1.0)
    known = 0
    for i in range(count):
        line = picture[top + i, left : left + count]  # a view: its index needs no check for negative values
        for j in range(count):
            value = line[j]
            there = value == value
            pixels[i, j] = value if there else zero
            used[i, j] = one if there else zero
            known += there
    return known


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def level_window(pixels: np.ndarray, used: np.ndarray, along: float, down: float) -> None:
    """Take a slope of the background off a square of pixels; its middle stays."""
    if along == 0.0 and down == 0.0:
        return
    radius = len(pixels) // 2
    for i in range(len(pixels)):
        for j in range(2 * radius + 1):
            pixels[i, j] -= used[i, j] * np.float32(along * (j - radius) + down * (i - radius))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _edges(offset: float, width: float, radius: int, values: np.ndarray) -> None:
    """Light of each pixel of a line, and its derivatives to position and width."""
    scale, density = math.sqrt(2.0) * width, 1.0 / math.sqrt(2.0 * math.pi)
    left = (-radius - 0.5 - offset) / width
    left_total = 0.5 * math.erf((-radius - 0.5 - offset) / scale)
    left_density = density * math.exp(-0.5 * left * left)
    for k in range(2 * radius + 1):
        right = (k - radius + 0.5 - offset) / width
        right_total = 0.5 * math.erf((k - radius + 0.5 - offset) / scale)
        right_density = density * math.exp(-0.5 * right * right)
        values[0, k] = right_total - left_total
        values[1, k] = (left_density - right_density) / width
        values[2, k] = (left * left_density - right * right_density) / width
        left, left_total, left_density = right, right_total, right_density


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _system(
    pixels: np.ndarray,
    used: np.ndarray,
    along: np.ndarray,
    down: np.ndarray,
    parameters: np.ndarray,
    noise: tuple[float, float, float],
    fisher: np.ndarray,
    score: np.ndarray,
) -> float:
    """Fill Fisher matrix and score of (x, y, light, background, width); return chi^2."""
    fisher[:] = 0.0
    score[:] = 0.0
    chi2 = 0.0
    slope = np.zeros(5)
    light, ground = parameters[2], parameters[3]
    for i in range(down.shape[1]):
        for j in range(along.shape[1]):
            if used[i, j] == 0.0:
                continue
            shape = down[0, i] * along[0, j]
            expected = light * shape + ground
            weight = 1.0 / max(noise[0] + noise[1] * expected, noise[2])
            difference = pixels[i, j] - expected
            slope[0] = light * down[0, i] * along[1, j]
            slope[1] = light * down[1, i] * along[0, j]
            slope[2] = shape
            slope[3] = 1.0
            slope[4] = light * (down[2, i] * along[0, j] + down[0, i] * along[2, j])
            chi2 += weight * difference**2
            for a in range(5):
                score[a] += slope[a] * weight * difference
                for b in range(a, 5):
                    fisher[a, b] += slope[a] * slope[b] * weight
    return chi2


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fit(
    picture: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    radius: int,
    offset: float,
    slope: float,
    least: float,
    tilt: np.ndarray,
    result: np.ndarray,
) -> None:
    count, margin = 2 * radius + 1, -(-(2 * radius + 1) // LANES) * LANES
    pixels, used = np.zeros((count, count), np.float32), np.zeros((count, count), np.float32)
    along, down = np.zeros((3, count)), np.zeros((3, count))
    fisher, score, parameters, move = np.zeros((5, 5)), np.zeros(5), np.zeros(5), np.zeros(5)
    for index in range(len(x)):
        row, column = round(y[index]), round(x[index])
        if row < 0 or column < 0 or row >= picture.shape[0] - 2 * margin or column >= picture.shape[1] - 2 * margin:
            continue
        n_used = copy_window(picture, row + margin - radius, column + margin - radius, count, pixels, used)
        level_window(pixels, used, tilt[index, 0], tilt[index, 1])
        lowest = np.sort(pixels.ravel())[count * count // 5]
        width = 0.45 * radius
        parameters[0], parameters[1] = x[index] - column, y[index] - row
        parameters[2] = max(pixels[radius, radius] - lowest, 1e-6) * 2.0 * math.pi * width * width
        parameters[3], parameters[4] = lowest, width
        for step in range(STEPS):
            width = parameters[4]
            _edges(parameters[0], width, radius, along)
            _edges(parameters[1], width, radius, down)
            chi2 = _system(pixels, used, along, down, parameters, (offset, slope, least), fisher, score)
            # A little damping at first: far from the solution the width runs away.
            for a in range(5):
                fisher[a, a] *= 1.0 + (0.3 if step < 4 else 0.0)
            if not _invert(fisher):
                break
            for a in range(5):
                move[a] = 0.0
                for b in range(5):
                    move[a] += fisher[a, b] * score[b]
            shorter = max(1.0, 3.0 * max(abs(move[0]), abs(move[1]), abs(move[4])) / width)
            for a in range(5):
                parameters[a] += move[a] / shorter
            parameters[4] = min(max(parameters[4], NARROWEST), 2.0 * radius)
            if max(abs(parameters[0]), abs(parameters[1])) > radius or not math.isfinite(parameters[2]):
                break
            if step >= 4 and move[0] ** 2 + move[1] ** 2 + move[4] ** 2 < SETTLED**2 * (fisher[0, 0] + fisher[4, 4]):
                if parameters[4] <= NARROWEST or parameters[4] >= 1.5 * radius:
                    break
                result[index, 0] = width
                result[index, 1] = math.sqrt(fisher[4, 4])
                result[index, 2] = parameters[2] / (2.0 * math.pi * width * width)
                result[index, 3] = parameters[3]
                result[index, 4] = chi2
                result[index, 5] = n_used - 5
                result[index, 6] = column + parameters[0]
                result[index, 7] = row + parameters[1]
                result[index, 8] = math.sqrt(fisher[0, 0])
                result[index, 9] = math.sqrt(fisher[1, 1])
                break


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _invert(matrix: np.ndarray) -> bool:
    """Invert a symmetric positive matrix given by its upper triangle, in place; False if it is not positive."""
    n = len(matrix)
    for i in range(n):
        for j in range(i + 1):
            value = matrix[j, i]
            for k in range(j):
                value -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not value > 1e-12 * abs(matrix[i, i]) or value <= 0.0:
                    return False
                matrix[i, i] = math.sqrt(value)
            else:
                matrix[i, j] = value / matrix[j, j]
    for j in range(n):  # inverse of the triangle
        matrix[j, j] = 1.0 / matrix[j, j]
        for i in range(j + 1, n):
            value = 0.0
            for k in range(j, i):
                value -= matrix[i, k] * matrix[k, j]
            matrix[i, j] = value / matrix[i, i]
    for i in range(n):
        for j in range(i + 1):
            value = 0.0
            for k in range(i, n):
                value += matrix[k, i] * matrix[k, j]
            matrix[j, i] = value
            if i != j:
                matrix[i, j] = 0.0
    for i in range(n):
        for j in range(i):
            matrix[i, j] = matrix[j, i]
    return True
