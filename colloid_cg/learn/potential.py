"""Pair potential of a fitted force with its band.

phi(r) is the integral of the force from r to the cutoff, linear in the coefficients c of the force: phi = P c. Its
variance is P C P^T with the covariance C of all coefficients. The edges of the band of the force do not give it: there
neighbouring coefficients err against each other, and an edge is a force that is wrong everywhere to the same side.
Only what the band of the force is held for at its end, where no data speak, is added as such an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.dynamics import force_design, potential_design
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


def assumed_end(r: np.ndarray, own: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return what the end of the force adds to the half width of the potential, shape (m,), k_B T.

    That the force vanishes at the cutoff is assumed, and its band is held there (from ``own`` to ``held``, k_B T/um):
    what was added is an error of one sign over the last knots, integrated from the cutoff inwards.
    """
    added = np.sqrt(np.maximum(held**2 - own**2, 0.0))
    parts = 0.5 * (added[1:] + added[:-1]) * np.diff(r)
    return np.append(np.cumsum(parts[::-1])[::-1], 0.0)


def pair_potentials(
    candidate: Candidate | None, influences: list[np.ndarray], forces: pd.DataFrame
) -> list[dict[str, Any]]:
    """Return the potential of every species pair of an overdamped fit at the distances of its table of ``forces``."""
    if candidate is None or not candidate.model.n_knots:
        return []
    model, first = candidate.model, len(candidate.model.diffusion) + 1
    knots: dict[str, Any] = {"lower": model.lower, "cutoff": model.cutoff, "n_knots": model.n_knots}
    curves = []
    for pair, (a, b) in enumerate(zip(*np.triu_indices(model.n_species), strict=True)):
        table = forces[(forces["species_a"] == a) & (forces["species_b"] == b)]
        r, held = table["r"].to_numpy(), (table["high90"] - table["force"]).to_numpy()
        own, joint = (np.zeros((len(r), influences[0].shape[1])) for _ in range(2))
        columns = slice(first + pair * model.n_knots, first + (pair + 1) * model.n_knots)
        design = potential_design(r, **knots)
        own[:, columns], joint[:, columns] = force_design(r, **knots), design
        half = np.hypot(half_width(influences, joint), assumed_end(r, half_width(influences, own), held))
        curves.append(potential_curve(r, design @ model.coefficients[pair], half, pair=(int(a), int(b))))
    return curves
