"""Pair potential of a fitted force with its band.

phi(r) is the integral of the force from r to the cutoff, linear in the coefficients c of the force: phi = P c. Its
variance is P C P^T with the covariance C of all coefficients. The edges of the band of the force do not give it: there
neighbouring coefficients err against each other, and an edge is a force that is wrong everywhere to the same side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.dynamics import potential_design
from colloid_cg.learn.problem import Candidate
from colloid_cg.learn.sandwich import half_width


def potential_curve(r: np.ndarray, value: np.ndarray, half: np.ndarray, *, pair: tuple[int, int]) -> dict[str, Any]:
    """Return one curve for the diagnostics, JSON-able: r in um, phi and 90 % band in k_B T, zero at the last r."""
    return {
        "r": r.tolist(),
        "value": value.tolist(),
        "low90": (value - half).tolist(),
        "high90": (value + half).tolist(),
        "species_a": pair[0],
        "species_b": pair[1],
        "unit": "k_B T",
    }


def pair_potentials(candidate: Candidate | None, influences: list[np.ndarray], r: np.ndarray) -> list[dict[str, Any]]:
    """Return the potential of every species pair of an overdamped fit at ``r`` (um); empty without a force."""
    if candidate is None or not candidate.model.n_knots:
        return []
    model = candidate.model
    design = potential_design(r, lower=model.lower, cutoff=model.cutoff, n_knots=model.n_knots)
    first = len(model.diffusion) + 1
    curves = []
    for pair, (a, b) in enumerate(zip(*np.triu_indices(model.n_species), strict=True)):
        direction = np.zeros((len(r), influences[0].shape[1]))
        direction[:, first + pair * model.n_knots : first + (pair + 1) * model.n_knots] = design
        value = design @ model.coefficients[pair]
        curves.append(potential_curve(r, value, half_width(influences, direction), pair=(int(a), int(b))))
    return curves
