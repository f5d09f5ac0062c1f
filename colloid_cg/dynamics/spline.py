"""Cubic B-spline of a radial force: uniform knots, smooth end at the cutoff, straight line below the first knot."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

TAIL = 3
"""Basis functions held at zero, so that force, slope and curvature vanish at the cutoff."""


@njit(cache=True)
def active_basis(distance: float, lower: float, width: float, n_intervals: int, value, slope, curvature):
    """Fill the four non-zero cubic B-splines at ``distance`` with first and second derivatives.

    Returns
    -------
    int
        Index of the first of the four; -1 at and beyond the cutoff.
    """
    position = (distance - lower) / width
    if position >= n_intervals:
        return -1
    if position < 0.0:
        value[0], value[1], value[2], value[3] = 1 / 6 - position / 2, 2 / 3, 1 / 6 + position / 2, 0.0
        slope[0], slope[1], slope[2], slope[3] = -0.5 / width, 0.0, 0.5 / width, 0.0
        curvature[:] = 0.0
        return 0
    interval = int(position)
    u = position - interval
    v = 1.0 - u
    value[0] = v * v * v / 6
    value[1] = (3 * u * u * u - 6 * u * u + 4) / 6
    value[2] = (3 * v * v * v - 6 * v * v + 4) / 6
    value[3] = u * u * u / 6
    slope[0], slope[3] = -v * v / 2 / width, u * u / 2 / width
    slope[1], slope[2] = (1.5 * u * u - 2 * u) / width, (2 * v - 1.5 * v * v) / width
    square = width * width
    curvature[0], curvature[1] = v / square, (3 * u - 2) / square
    curvature[2], curvature[3] = (3 * v - 2) / square, u / square
    return interval


@njit(cache=True)
def _fill_design(distances, lower, width, n_intervals, design):
    value, slope, curvature = np.zeros(4), np.zeros(4), np.zeros(4)
    for row in range(distances.size):
        first = active_basis(distances[row], lower, width, n_intervals, value, slope, curvature)
        if first >= 0:
            for k in range(4):
                if first + k < n_intervals:
                    design[row, first + k] = value[k]


def force_design(distances: np.ndarray, *, lower: float, cutoff: float, n_knots: int) -> np.ndarray:
    """Return the basis at ``distances`` (um), shape (m, n_knots): force = design @ coefficients."""
    design = np.zeros((len(distances), n_knots))
    if n_knots:
        _fill_design(np.asarray(distances, dtype=float), lower, (cutoff - lower) / n_knots, n_knots, design)
    return design


def padded(coefficients: np.ndarray) -> np.ndarray:
    """Append the coefficients held at zero, shape (p, n_knots + 3)."""
    return np.concatenate([coefficients, np.zeros((len(coefficients), TAIL))], axis=1)


def interval_energies(coefficients: np.ndarray, width: float) -> np.ndarray:
    """Return the potential at every knot, integral of the force from there to the cutoff, shape (p, n_knots + 1)."""
    filled = padded(coefficients)
    weights = np.array([1.0, 11.0, 11.0, 1.0]) / 24.0 * width
    n_knots = coefficients.shape[1]
    pieces = sum(weight * filled[:, k : k + n_knots] for k, weight in enumerate(weights))
    energy = np.zeros((len(coefficients), n_knots + 1))
    energy[:, :-1] = np.cumsum(np.asarray(pieces)[:, ::-1], axis=1)[:, ::-1]
    return energy


@njit(cache=True)
def pair_energy(distance: float, lower: float, width: float, n_intervals: int, coefficients, knot_energy):
    """Return the potential at ``distance``: exact integral of the spline, parabola below the first knot."""
    position = (distance - lower) / width
    if position >= n_intervals:
        return 0.0
    if position < 0.0:
        force = (coefficients[0] + 4 * coefficients[1] + coefficients[2]) / 6
        slope = (coefficients[2] - coefficients[0]) / 2
        return knot_energy[0] - width * (force * position + slope * position * position / 2)
    interval = int(position)
    u = position - interval
    v = 1.0 - u
    rest0 = v**4 / 24
    rest3 = (1 - u**4) / 24
    rest1 = 11 / 24 - (0.75 * u**4 - 2 * u**3 + 4 * u) / 6
    rest2 = (0.75 * v**4 - 2 * v**3 + 4 * v) / 6
    c = coefficients[interval : interval + 4]
    return knot_energy[interval + 1] + width * (c[0] * rest0 + c[1] * rest1 + c[2] * rest2 + c[3] * rest3)


def potential_design(distances: np.ndarray, *, lower: float, cutoff: float, n_knots: int) -> np.ndarray:
    """Return each spline integrated from ``distances`` (um) to the cutoff, shape (m, n_knots), um.

    potential = design @ coefficients, zero at the cutoff: exact, the energy that rollouts use.
    """
    design, width = np.zeros((len(distances), n_knots)), (cutoff - lower) / max(n_knots, 1)
    for k in range(n_knots):
        unit = (np.arange(n_knots) == k).astype(float)[None]
        knot_energy = interval_energies(unit, width)[0]
        design[:, k] = [pair_energy(r, lower, width, n_knots, padded(unit)[0], knot_energy) for r in distances]
    return design
