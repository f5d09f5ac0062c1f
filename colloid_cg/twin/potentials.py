"""Pair potentials of the twin: closed forms, and the tables the force loop reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

TABLE_POINTS = 8192
"""Points of a force table; with linear interpolation its relative error is below 1e-5."""


def yukawa_energy(distance: ArrayLike, *, amplitude: float, screening_length: float, contact: float) -> np.ndarray:
    """Return the screened repulsion phi(r) = A exp(-(r - a)/l) a/r, in the unit of A.

    The far field of the screened Coulomb interaction of two charged spheres [1]_.

    References
    ----------
    .. [1] E. J. W. Verwey, J. Th. G. Overbeek, "Theory of the Stability of Lyophobic Colloids", Elsevier, 1948.
    """
    r = np.asarray(distance, dtype=float)
    return np.asarray(amplitude * np.exp(-(r - contact) / screening_length) * contact / r)


def yukawa_force(distance: ArrayLike, *, amplitude: float, screening_length: float, contact: float) -> np.ndarray:
    """Return -dphi/dr = phi(r) (1/l + 1/r) of :func:`yukawa_energy`; positive pushes apart."""
    r = np.asarray(distance, dtype=float)
    energy = yukawa_energy(r, amplitude=amplitude, screening_length=screening_length, contact=contact)
    return np.asarray(energy * (1.0 / screening_length + 1.0 / r))


def soft_disc_energy(distance: ArrayLike, *, amplitude: float, contact: float) -> np.ndarray:
    """Return the harmonic contact repulsion phi(r) = (A/2) (1 - r/a)^2 for r < a, else 0.

    As in DOI 10.1103/PhysRevE.68.011306, exponent 2.
    """
    overlap = np.clip(1.0 - np.asarray(distance, dtype=float) / contact, 0.0, None)
    return np.asarray(0.5 * amplitude * overlap**2)


def soft_disc_force(distance: ArrayLike, *, amplitude: float, contact: float) -> np.ndarray:
    """Return -dphi/dr = (A/a) (1 - r/a) for r < a, else 0, of :func:`soft_disc_energy`."""
    overlap = np.clip(1.0 - np.asarray(distance, dtype=float) / contact, 0.0, None)
    return np.asarray(amplitude / contact * overlap)


@dataclass(frozen=True, kw_only=True, eq=False)
class PairPotential:
    """An isotropic pair potential, zero from ``cutoff`` on.

    Parameters
    ----------
    energy, force : callable
        k_B T and k_B T/um at distances in um; the force is positive where the pair repels.
    cutoff : float
        um.
    """

    energy: Callable[[ArrayLike], np.ndarray]
    force: Callable[[ArrayLike], np.ndarray]
    cutoff: float

    def distance_at(self, level: float) -> float:
        """Return the distance (um) where a repulsive potential has risen to ``level`` (k_B T), 0 if it never does."""
        grid = np.linspace(1e-3, 1.0, 4000) * self.cutoff
        above = grid[self.energy(grid) >= level]
        return float(above.max()) if above.size else 0.0

    def curvature(self, level: float) -> float:
        """Return the largest |phi''| (k_B T/um2) at the distances where phi < ``level``."""
        grid = np.linspace(max(self.distance_at(level), 1e-3 * self.cutoff), self.cutoff, 4000)
        return float(np.abs(np.gradient(self.force(grid), grid)).max())


def shifted_force(potential: PairPotential) -> PairPotential:
    """Return the potential with energy and force both brought to zero at the cutoff.

    phi_s(r) = phi(r) - phi(c) + (r - c) F(c) and F_s(r) = F(r) - F(c) for r < c: the force is continuous
    (Allen and Tildesley, "Computer Simulation of Liquids", DOI 10.1093/oso/9780198803195.001.0001).
    """
    cutoff = potential.cutoff
    end_energy, end_force = float(potential.energy(cutoff)), float(potential.force(cutoff))

    def energy(distance: ArrayLike) -> np.ndarray:
        r = np.asarray(distance, dtype=float)
        return np.where(r < cutoff, potential.energy(r) - end_energy + (r - cutoff) * end_force, 0.0)

    def force(distance: ArrayLike) -> np.ndarray:
        r = np.asarray(distance, dtype=float)
        return np.where(r < cutoff, potential.force(r) - end_force, 0.0)

    return PairPotential(energy=energy, force=force, cutoff=cutoff)


def yukawa(*, amplitude: float, screening_length: float, contact: float, cutoff: float) -> PairPotential:
    """Return the Yukawa potential with shifted force."""
    parameters = {"amplitude": amplitude, "screening_length": screening_length, "contact": contact}
    bare = PairPotential(
        energy=lambda r: yukawa_energy(r, **parameters), force=lambda r: yukawa_force(r, **parameters), cutoff=cutoff
    )
    return shifted_force(bare)


def soft_discs(*, amplitude: float, contact: float) -> PairPotential:
    """Return the harmonic contact repulsion."""
    parameters = {"amplitude": amplitude, "contact": contact}
    return PairPotential(
        energy=lambda r: soft_disc_energy(r, **parameters),
        force=lambda r: soft_disc_force(r, **parameters),
        cutoff=contact,
    )


SpeciesPotentials = dict[tuple[int, int], PairPotential]
"""Potential of each unordered pair of species, keyed (a, b) with a <= b."""


def largest_cutoff(potentials: SpeciesPotentials) -> float:
    """Return the largest cutoff in um."""
    return max(potential.cutoff for potential in potentials.values())


def tabulate(potentials: SpeciesPotentials, *, n_species: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return force and energy at equal distances for each pair of species.

    Returns
    -------
    force, energy : arrays, shape (n_species, n_species, TABLE_POINTS)
        k_B T/um and k_B T. Below 1/20 of the largest cutoff the force keeps its value there: no pair at
        equilibrium comes that close, and overlaps of a random start stay finite.
    spacing : float
        Distance between points in um; the first point is r = 0.
    """
    cutoff = largest_cutoff(potentials)
    distance = np.linspace(0.0, cutoff, TABLE_POINTS)
    safe = np.maximum(distance, 0.05 * cutoff)
    force = np.zeros((n_species, n_species, TABLE_POINTS))
    energy = np.zeros_like(force)
    for (a, b), potential in potentials.items():
        force[a, b] = force[b, a] = potential.force(safe)
        energy[a, b] = energy[b, a] = potential.energy(safe)
    return force, energy, float(distance[1])


def pair_force_table(potentials: SpeciesPotentials, *, highest_energy: float = 10.0, points: int = 200) -> pd.DataFrame:
    """Return the true pair force: columns r (um), force (k_B T/um), species_a, species_b.

    Distances run from where phi reaches ``highest_energy`` (k_B T), closer than which no pair is ever seen, to
    the cutoff.
    """
    parts = []
    for (a, b), potential in sorted(potentials.items()):
        start = max(potential.distance_at(highest_energy), 0.05 * potential.cutoff)
        r = np.linspace(start, potential.cutoff, points)
        parts.append(pd.DataFrame({"r": r, "force": potential.force(r), "species_a": a, "species_b": b}))
    return pd.concat(parts, ignore_index=True)
