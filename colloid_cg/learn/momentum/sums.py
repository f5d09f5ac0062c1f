"""Sums over pairs: designs, forces, friction forces, and covariances of impulses between the two of a pair.

e = (r_i - r_j)/r points to particle i; a positive force repels. Species pairs are numbered as in
:class:`~colloid_cg.learn.momentum.contacts.Contacts`.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

from colloid_cg.dynamics.spline import active_basis


@njit(cache=True)
def separation(positions, i, j, periods, unit):
    """Fill ``unit`` with e and return r; two particles at one place have no direction, e = 0."""
    square = 0.0
    for a in range(positions.shape[1]):
        step = positions[i, a] - positions[j, a]
        if periods[a] < np.inf:
            step -= periods[a] * np.rint(step / periods[a])
        unit[a] = step
        square += step * step
    distance = np.sqrt(square)
    if distance > 0.0:
        for a in range(positions.shape[1]):
            unit[a] /= distance
    return distance


@njit(cache=True)
def force_features(positions, pairs, species, kinds, periods, lower, width, n_knots, features):
    """Add sum_j B_k(r_ij) e_ij to ``features``, shape (N, d, n_kinds * n_knots), of one frame."""
    unit = np.empty(positions.shape[1])
    value, slope, curvature = np.zeros(4), np.zeros(4), np.zeros(4)
    for p in range(len(pairs)):
        i, j = pairs[p, 0], pairs[p, 1]
        distance = separation(positions, i, j, periods, unit)
        first = active_basis(distance, lower, width, n_knots, value, slope, curvature)
        if first < 0:
            continue
        column = kinds[species[i], species[j]] * n_knots + first
        for k in range(min(4, n_knots - first)):
            for a in range(positions.shape[1]):
                features[i, a, column + k] += value[k] * unit[a]
                features[j, a, column + k] -= value[k] * unit[a]


@njit(cache=True)
def _curve(value, coefficients, kind, first):
    total = 0.0
    for k in range(min(4, coefficients.shape[1] - first)):
        total += value[k] * coefficients[kind, first + k]
    return total


@njit(cache=True)
def pair_forces(positions, pairs, offsets, species, kinds, periods, lower, width, coefficients):
    """Return sum_j f(r_ij) e_ij of every frame, shape (T, N, d)."""
    n_frames, _, dimension = positions.shape
    forces, unit = np.zeros(positions.shape), np.empty(dimension)
    value, slope, curvature = np.zeros(4), np.zeros(4), np.zeros(4)
    for t in range(n_frames):
        for p in range(offsets[t], offsets[t + 1]):
            i, j = pairs[p, 0], pairs[p, 1]
            distance = separation(positions[t], i, j, periods, unit)
            first = active_basis(distance, lower, width, coefficients.shape[1], value, slope, curvature)
            if first < 0:
                continue
            strength = _curve(value, coefficients, kinds[species[i], species[j]], first)
            for a in range(dimension):
                forces[t, i, a] += strength * unit[a]
                forces[t, j, a] -= strength * unit[a]
    return forces


@njit(cache=True)
def friction_forces(positions, velocities, pairs, offsets, species, kinds, periods, lower, width, along, across):
    """Return sum_j [g_par e e^T + g_perp (1 - e e^T)] (v_j - v_i) of every frame, shape (T, N, d).

    ``along, across``: coefficients of g_par and g_perp, shape (n_kinds, n_knots); constant below ``lower``.
    """
    n_frames, _, dimension = positions.shape
    forces, unit, relative = np.zeros(positions.shape), np.empty(dimension), np.empty(dimension)
    value, slope, curvature = np.zeros(4), np.zeros(4), np.zeros(4)
    for t in range(n_frames):
        for p in range(offsets[t], offsets[t + 1]):
            i, j = pairs[p, 0], pairs[p, 1]
            distance = max(separation(positions[t], i, j, periods, unit), lower)
            first = active_basis(distance, lower, width, along.shape[1], value, slope, curvature)
            if first < 0:
                continue
            kind = kinds[species[i], species[j]]
            parallel, transverse = _curve(value, along, kind, first), _curve(value, across, kind, first)
            approach = 0.0
            for a in range(dimension):
                relative[a] = velocities[t, i, a] - velocities[t, j, a]
                approach += unit[a] * relative[a]
            for a in range(dimension):
                drag = (parallel - transverse) * approach * unit[a] + transverse * relative[a]
                forces[t, i, a] -= drag
                forces[t, j, a] += drag
    return forces


@njit(cache=True)
def spline_products(positions, pairs, offsets, species, kinds, periods, lower, width, n_knots, first, block):
    """Return sum B B^T over pairs of ``len(block)`` frames from ``first`` on, (n_blocks, n_kinds, n_knots, n_knots)."""
    gram = np.zeros((block.max() + 1, kinds.max() + 1, n_knots, n_knots))
    unit, value, slope, curvature = np.empty(positions.shape[2]), np.zeros(4), np.zeros(4), np.zeros(4)
    for row in range(len(block)):
        t, b = first + row, block[row]
        for p in range(offsets[t], offsets[t + 1]):
            i, j = pairs[p, 0], pairs[p, 1]
            distance = max(separation(positions[t], i, j, periods, unit), lower)
            head = active_basis(distance, lower, width, n_knots, value, slope, curvature)
            if head < 0:
                continue
            kind = kinds[species[i], species[j]]
            for k in range(min(4, n_knots - head)):
                for m in range(min(4, n_knots - head)):
                    gram[b, kind, head + k, head + m] += value[k] * value[m]
    return gram


@njit(cache=True)
def _impulses(martingale, t, window, impulse):
    """Fill ``impulse`` (N, d) with martingale(t + window - window//2) - martingale(t - window//2)."""
    start = t - window // 2
    for i in range(impulse.shape[0]):
        for a in range(impulse.shape[1]):
            impulse[i, a] = martingale[start + window, i, a] - martingale[start, i, a]


@njit(cache=True)
def impulse_products(
    martingale, positions, pairs, offsets, species, kinds, periods, lower, width, n_knots, short, long, first, block
):
    """Project the covariances of the impulses of two partners on the splines: window ``long`` less window ``short``.

    -(e.R_i)(e.R_j) and -(R_i.R_j - (e.R_i)(e.R_j))/(d - 1) of each pair at its mid frame t, from ``first`` on for
    ``len(block)`` frames, each added to the sums of block ``block[t - first]``.

    Returns
    -------
    array, shape (2, n_blocks, n_kinds, n_knots)
    """
    dimension = positions.shape[2]
    sums = np.zeros((2, block.max() + 1, kinds.max() + 1, n_knots))
    unit, value, slope, curvature = np.empty(dimension), np.zeros(4), np.zeros(4), np.zeros(4)
    brief, whole = np.empty(positions.shape[1:]), np.empty(positions.shape[1:])
    for row in range(len(block)):
        t, b = first + row, block[row]
        _impulses(martingale, t, short, brief)
        _impulses(martingale, t, long, whole)
        for p in range(offsets[t], offsets[t + 1]):
            i, j = pairs[p, 0], pairs[p, 1]
            distance = max(separation(positions[t], i, j, periods, unit), lower)
            head = active_basis(distance, lower, width, n_knots, value, slope, curvature)
            if head < 0:
                continue
            product, brief_i, brief_j, whole_i, whole_j = 0.0, 0.0, 0.0, 0.0, 0.0
            for a in range(dimension):
                product += whole[i, a] * whole[j, a] - brief[i, a] * brief[j, a]
                brief_i += brief[i, a] * unit[a]
                brief_j += brief[j, a] * unit[a]
                whole_i += whole[i, a] * unit[a]
                whole_j += whole[j, a] * unit[a]
            parallel = whole_i * whole_j - brief_i * brief_j
            transverse = (product - parallel) / (dimension - 1)
            kind = kinds[species[i], species[j]]
            for k in range(min(4, n_knots - head)):
                sums[0, b, kind, head + k] -= value[k] * parallel
                sums[1, b, kind, head + k] -= value[k] * transverse
    return sums


@njit(cache=True)
def total_products(martingale, positions, pairs, offsets, masses, periods, cutoff, window, block):
    """Return sum over pairs of -(R_i.R_j)(1/m_i + 1/m_j) and the number of frames, each by block of the mid frame.

    Every window that fits; ``block`` has one number per frame.
    """
    n_frames, _, dimension = positions.shape
    totals, frames, unit = np.zeros(block.max() + 1), np.zeros(block.max() + 1), np.empty(dimension)
    for start in range(n_frames - window):
        t = start + window // 2
        frames[block[t]] += 1
        for p in range(offsets[t], offsets[t + 1]):
            i, j = pairs[p, 0], pairs[p, 1]
            if separation(positions[t], i, j, periods, unit) >= cutoff:
                continue
            product = 0.0
            for a in range(dimension):
                of_i = martingale[start + window, i, a] - martingale[start, i, a]
                product += of_i * (martingale[start + window, j, a] - martingale[start, j, a])
            totals[block[t]] -= product * (1.0 / masses[i] + 1.0 / masses[j])
    return totals, frames


@njit(cache=True)
def mean_spline_weights(positions, pairs, offsets, species, kinds, periods, lower, width, n_knots, masses):
    """Return w with w . (g_par + (d - 1) g_perp)/d = mean over particles and frames of the friction per mass.

    Shape (n_kinds, n_knots): sum over pairs of B_k (1/m_i + 1/m_j), over N T.
    """
    weights = np.zeros((kinds.max() + 1, n_knots))
    unit, value, slope, curvature = np.empty(positions.shape[2]), np.zeros(4), np.zeros(4), np.zeros(4)
    for t in range(positions.shape[0]):
        for p in range(offsets[t], offsets[t + 1]):
            i, j = pairs[p, 0], pairs[p, 1]
            distance = max(separation(positions[t], i, j, periods, unit), lower)
            head = active_basis(distance, lower, width, n_knots, value, slope, curvature)
            if head < 0:
                continue
            kind = kinds[species[i], species[j]]
            for k in range(min(4, n_knots - head)):
                weights[kind, head + k] += value[k] * (1.0 / masses[i] + 1.0 / masses[j])
    return weights / (positions.shape[0] * positions.shape[1])
