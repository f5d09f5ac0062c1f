"""Pair friction and pair force as sums over neighbours, and functions of the friction matrix by Chebyshev series."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev

from colloid_cg.learn.inertial.model import InertialModel
from colloid_cg.records import Box

_DEGREES = ((0.5, 3), (1.5, 5), (3.0, 7), (np.inf, 12))
"""Largest eigenvalue up to which a degree holds T(x) = 2 tanh(x/2)/x to 1e-5 (poles at i pi)."""
_SLOPE_STEP = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Contacts:
    """Pairs within the cutoff: rows ``pairs`` (p, 2), unit vectors from j to i ``unit`` (p, d), ``distance`` (p,)."""

    pairs: np.ndarray
    unit: np.ndarray
    distance: np.ndarray


def contacts(positions: np.ndarray, pairs: np.ndarray, *, box: Box, cutoff: float) -> Contacts:
    """Return the pairs of a list that are closer than the cutoff."""
    difference = box.shortest(positions[pairs[:, 0]] - positions[pairs[:, 1]])
    distance = np.linalg.norm(difference, axis=1)
    near = (distance < cutoff) & (distance > 0.0)
    return Contacts(pairs=pairs[near], unit=difference[near] / distance[near, None], distance=distance[near])


def force_terms(found: Contacts, basis: np.ndarray, n_rows: int) -> np.ndarray:
    """Return sum_j B_k(r_ij) e_ij, shape (n, d, k): the acceleration of every row is this times the coefficients."""
    terms = np.zeros((n_rows, found.unit.shape[1], basis.shape[1]))
    _add_force(found.pairs, found.unit, basis, terms)
    return terms


def friction_terms(found: Contacts, basis: np.ndarray, velocity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sum_j B_k(r_ij) of the parts of v_i - v_j along and across e_ij, each of shape (n, d, k)."""
    shape = (*velocity.shape, basis.shape[1])
    along, across = np.zeros(shape), np.zeros(shape)
    _add_friction(found.pairs, found.unit, basis, velocity, along, across)
    return along, across


def pair_drag(found: Contacts, parallel: np.ndarray, perpendicular: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Return sum_j [g_par e e^T + g_perp (1 - e e^T)] (v_i - v_j) for g given per pair (p,), shape (n, d)."""
    drag = np.zeros_like(velocity)
    _add_drag(found.pairs, found.unit, parallel, perpendicular, velocity, drag)
    return drag


def own_friction(model: InertialModel, found: Contacts, shape: tuple[int, ...]) -> np.ndarray:
    """Return the diagonal of the friction matrix by origin in 1/s, shape (p, n, d).

    gamma_b, and where pairs rub sum_j g_par e_a^2 and sum_j g_perp (1 - e_a^2).
    """
    bath = np.full((1, *shape), model.bath)
    if not model.n_friction:
        return bath
    parallel, perpendicular, _ = model.curves(found.distance)
    own = np.zeros((2, *shape))
    none = np.zeros_like(parallel)
    _add_diagonal(found.pairs, found.unit, parallel, none, own[0])
    _add_diagonal(found.pairs, found.unit, none, perpendicular, own[1])
    return np.concatenate([bath, own])


def own_stiffness(model: InertialModel, found: Contacts, shape: tuple[int, ...]) -> np.ndarray:
    """Return -d(F_a/m)/dx_a = -sum_j [f' e_a^2 + f/r (1 - e_a^2)] of every row and axis, in 1/s2."""
    step = _SLOPE_STEP * model.cutoff
    force = model.curves(found.distance)[2]
    slope = (model.curves(found.distance + step)[2] - model.curves(found.distance - step)[2]) / (2.0 * step)
    own = np.zeros(shape)
    _add_diagonal(found.pairs, found.unit, -slope, -force / found.distance, own)
    return own


def matrix_function(
    function: Callable[[np.ndarray], np.ndarray],
    apply: Callable[[np.ndarray], np.ndarray],
    vector: np.ndarray,
    *,
    largest: float,
) -> np.ndarray:
    """Return f(A) vector for a symmetric A with eigenvalues in [0, largest], given only by its action."""
    degree = next(degree for limit, degree in _DEGREES if largest <= limit)
    nodes = chebyshev.chebpts1(degree + 1)
    coefficients = chebyshev.chebfit(nodes, function(0.5 * largest * (nodes + 1.0)), degree)
    scaled = 2.0 / largest

    def shifted(x: np.ndarray) -> np.ndarray:
        return np.asarray(scaled * apply(x) - x)

    ahead, after = np.zeros_like(vector), np.zeros_like(vector)
    for coefficient in coefficients[:0:-1]:
        ahead, after = coefficient * vector + 2.0 * shifted(ahead) - after, ahead
    return np.asarray(coefficients[0] * vector + shifted(ahead) - after)


@njit(cache=True)
def _add_force(pairs, unit, basis, terms):
    for p in range(len(pairs)):
        i, j = pairs[p]
        for k in range(basis.shape[1]):
            if basis[p, k] != 0.0:
                for a in range(unit.shape[1]):
                    terms[i, a, k] += basis[p, k] * unit[p, a]
                    terms[j, a, k] -= basis[p, k] * unit[p, a]


@njit(cache=True)
def _add_friction(pairs, unit, basis, velocity, along, across):
    d = unit.shape[1]
    for p in range(len(pairs)):
        i, j = pairs[p]
        speed = 0.0
        for a in range(d):
            speed += unit[p, a] * (velocity[i, a] - velocity[j, a])
        for k in range(basis.shape[1]):
            if basis[p, k] != 0.0:
                for a in range(d):
                    closing = speed * unit[p, a]
                    rest = velocity[i, a] - velocity[j, a] - closing
                    along[i, a, k] += basis[p, k] * closing
                    along[j, a, k] -= basis[p, k] * closing
                    across[i, a, k] += basis[p, k] * rest
                    across[j, a, k] -= basis[p, k] * rest


@njit(cache=True)
def _add_drag(pairs, unit, parallel, perpendicular, velocity, drag):
    d = unit.shape[1]
    for p in range(len(pairs)):
        i, j = pairs[p]
        speed = 0.0
        for a in range(d):
            speed += unit[p, a] * (velocity[i, a] - velocity[j, a])
        for a in range(d):
            closing = speed * unit[p, a]
            rest = velocity[i, a] - velocity[j, a] - closing
            size = parallel[p] * closing + perpendicular[p] * rest
            drag[i, a] += size
            drag[j, a] -= size


@njit(cache=True)
def _add_diagonal(pairs, unit, along, across, own):
    for p in range(len(pairs)):
        for a in range(unit.shape[1]):
            square = unit[p, a] * unit[p, a]
            size = along[p] * square + across[p] * (1.0 - square)
            own[pairs[p, 0], a] += size
            own[pairs[p, 1], a] += size
