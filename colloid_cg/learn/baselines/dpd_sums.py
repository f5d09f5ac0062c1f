"""Sums over pairs of the weights of dissipative particle dynamics, w = 1 - r/r_c within r_c and zero beyond.

e = (r_i - r_j)/r points to particle i. Species pairs are numbered as in
:class:`~colloid_cg.learn.momentum.contacts.Contacts`.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

from colloid_cg.learn.momentum.sums import separation


@njit(cache=True)
def weighted_directions(positions, pairs, offsets, species, kinds, periods, cutoff):
    """Return sum_j w e_ij of every frame by species pair, shape (T, N, d, n_kinds)."""
    n_frames, n, dimension = positions.shape
    sums, unit = np.zeros((n_frames, n, dimension, kinds.max() + 1)), np.empty(dimension)
    for t in range(n_frames):
        for p in range(offsets[t], offsets[t + 1]):
            i, j = pairs[p, 0], pairs[p, 1]
            weight = 1.0 - separation(positions[t], i, j, periods, unit) / cutoff
            if weight <= 0.0:
                continue
            kind = kinds[species[i], species[j]]
            for a in range(dimension):
                sums[t, i, a, kind] += weight * unit[a]
                sums[t, j, a, kind] -= weight * unit[a]
    return sums


@njit(cache=True)
def axial_drag(positions, velocities, pairs, offsets, species, kinds, periods, cutoff, friction):
    """Return -sum_j gamma w^2 (e.v_ij) e of every frame, shape (T, N, d); ``friction`` gamma, shape (n_kinds,)."""
    n_frames, _, dimension = positions.shape
    forces, unit = np.zeros(positions.shape), np.empty(dimension)
    for t in range(n_frames):
        for p in range(offsets[t], offsets[t + 1]):
            i, j = pairs[p, 0], pairs[p, 1]
            weight = 1.0 - separation(positions[t], i, j, periods, unit) / cutoff
            if weight <= 0.0:
                continue
            approach = 0.0
            for a in range(dimension):
                approach += unit[a] * (velocities[t, i, a] - velocities[t, j, a])
            drag = friction[kinds[species[i], species[j]]] * weight**2 * approach
            for a in range(dimension):
                forces[t, i, a] -= drag * unit[a]
                forces[t, j, a] += drag * unit[a]
    return forces


@njit(cache=True)
def axial_products(martingale, positions, pairs, offsets, species, kinds, periods, cutoff, short, long, first, block):
    """Return sum w^2 times -(e.R_i)(e.R_j), window ``long`` less window ``short``, and sum w^4 over pairs.

    At mid frames from ``first`` on, ``len(block)`` of them; both of shape (n_blocks, n_kinds).
    """
    dimension = positions.shape[2]
    shape = (block.max() + 1, kinds.max() + 1)
    products, information, unit = np.zeros(shape), np.zeros(shape), np.empty(dimension)
    for row in range(len(block)):
        t = first + row
        brief, whole = t - short // 2, t - long // 2
        for p in range(offsets[t], offsets[t + 1]):
            i, j = pairs[p, 0], pairs[p, 1]
            weight = 1.0 - separation(positions[t], i, j, periods, unit) / cutoff
            if weight <= 0.0:
                continue
            brief_i, brief_j, whole_i, whole_j = 0.0, 0.0, 0.0, 0.0
            for a in range(dimension):
                brief_i += unit[a] * (martingale[brief + short, i, a] - martingale[brief, i, a])
                brief_j += unit[a] * (martingale[brief + short, j, a] - martingale[brief, j, a])
                whole_i += unit[a] * (martingale[whole + long, i, a] - martingale[whole, i, a])
                whole_j += unit[a] * (martingale[whole + long, j, a] - martingale[whole, j, a])
            kind = kinds[species[i], species[j]]
            products[block[row], kind] -= weight**2 * (whole_i * whole_j - brief_i * brief_j)
            information[block[row], kind] += weight**4
    return products, information
