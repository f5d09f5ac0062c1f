"""The terms of the overdamped equations, one function per term."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

from colloid_cg.dynamics.model import OverdampedModel
from colloid_cg.dynamics.pairs import close_pairs
from colloid_cg.dynamics.spline import active_basis, force_design, pair_energy
from colloid_cg.records import State


def pair_force(model: OverdampedModel, distances: np.ndarray, *, species: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Return the force F(r) = -dphi/dr between two particles in k_B T0/um, positive repulsive, shape (m,)."""
    design = force_design(distances, lower=model.lower, cutoff=model.cutoff, n_knots=model.n_knots)
    return np.asarray(design @ model.coefficients[model.pair_index[species]])


def potential_energy(model: OverdampedModel, state: State, *, pairs: np.ndarray | None = None) -> float:
    """Return Psi = sum_{i<j} phi_ab(r_ij) in k_B T0, with phi = 0 at the cutoff."""
    return forces_and_energy(model, state, pairs=pairs)[1]


def forces(model: OverdampedModel, state: State, *, pairs: np.ndarray | None = None) -> np.ndarray:
    """Return F_i = -dPsi/dr_i in k_B T0/um, shape (n, d)."""
    return forces_and_energy(model, state, pairs=pairs)[0]


def forces_and_energy(
    model: OverdampedModel, state: State, *, pairs: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Return forces and Psi in one pass; ``pairs`` (any superset of those within the cutoff) saves the search."""
    force = np.zeros_like(state.positions)
    if not model.n_knots:
        return force, 0.0
    if pairs is None:
        pairs = close_pairs(state.positions, model.cutoff, state.box)
    period = np.where(state.box.periodic, state.box.lengths, 0.0)
    energy = _sum_pairs(
        state.positions, state.species, pairs, period, model.pair_index, model.spline, model.knot_energy,
        model.lower, model.width, model.n_knots, force,
    )  # fmt: skip
    return force, float(energy)


@njit(cache=True)
def _sum_pairs(positions, species, pairs, period, pair_index, spline, knot_energy, lower, width, n_knots, force):
    dimension = positions.shape[1]
    value, slope, curvature, vector = np.zeros(4), np.zeros(4), np.zeros(4), np.zeros(dimension)
    total = 0.0
    for p in range(pairs.shape[0]):
        i, j = pairs[p, 0], pairs[p, 1]
        square = 0.0
        for axis in range(dimension):
            difference = positions[i, axis] - positions[j, axis]
            if period[axis] > 0:
                difference -= period[axis] * np.round(difference / period[axis])
            vector[axis] = difference
            square += difference * difference
        distance = np.sqrt(square)
        first = active_basis(distance, lower, width, n_knots, value, slope, curvature)
        if first < 0 or distance == 0.0:
            continue
        coefficients = spline[pair_index[species[i], species[j]]]
        size = 0.0
        for k in range(4):
            size += coefficients[first + k] * value[k]
        for axis in range(dimension):
            force[i, axis] += size * vector[axis] / distance
            force[j, axis] -= size * vector[axis] / distance
        total += pair_energy(
            distance, lower, width, n_knots, coefficients, knot_energy[pair_index[species[i], species[j]]]
        )
    return total
