"""The overdamped model: diffusion per species and a pair force per species pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.dynamics.spline import interval_energies, padded
from colloid_cg.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class OverdampedModel:
    """Brownian particles with conservative pair forces; energies in k_B T0, lengths in um, times in s.

    dr_i = D_i F_i dt + sqrt(2 D_i) dW, F_i = -dPsi/dr_i, Psi = sum_{i<j} phi_ab(r_ij) (mobility mu_i = D_i / k_B T0).

    Parameters
    ----------
    diffusion : array, shape (n_species,)
        um2/s.
    coefficients : array, shape (n_species_pairs, n_knots)
        Force spline in k_B T0/um, positive repulsive; pairs ordered 00, 01, .., 11, ..; no knots: free particles.
    lower, cutoff : float
        First knot and cutoff in um; below ``lower`` the force goes on as a straight line.
    n_prescribed : int
        Species, numbered after the others, whose particles move as prescribed: they push and are not pushed.
    """

    diffusion: np.ndarray
    coefficients: np.ndarray
    lower: float
    cutoff: float
    n_prescribed: int = 0

    def __post_init__(self) -> None:
        n_pairs = self.n_species * (self.n_species + 1) // 2
        if self.coefficients.ndim != 2 or self.coefficients.shape[0] != n_pairs:
            raise InputError(
                f"force coefficients of shape {self.coefficients.shape} for {self.n_species} species",
                expected=f"shape ({n_pairs}, n_knots)",
                action="give one row per pair of species",
            )
        if not (np.isfinite(self.diffusion).all() and (self.diffusion > 0).all()):
            raise InputError(
                f"diffusion coefficients {self.diffusion}", expected="positive numbers", action="check the fit"
            )
        if not 0 < self.lower < self.cutoff:
            raise InputError(
                f"a pair force from {self.lower} to {self.cutoff} um",
                expected="0 < lower < cutoff",
                action="choose a larger cutoff",
            )

    @property
    def n_species(self) -> int:
        """Number of species, the prescribed ones included."""
        return len(self.diffusion) + self.n_prescribed

    @property
    def mobility(self) -> np.ndarray:
        """Diffusion coefficient of every species in um2/s, zero for the prescribed ones, shape (n_species,)."""
        return np.append(self.diffusion, np.zeros(self.n_prescribed))

    @property
    def n_knots(self) -> int:
        """Free spline coefficients per species pair."""
        return int(self.coefficients.shape[1])

    @property
    def width(self) -> float:
        """Distance between knots in um."""
        return (self.cutoff - self.lower) / max(self.n_knots, 1)

    @property
    def pair_index(self) -> np.ndarray:
        """Row of ``coefficients`` for two species, shape (n_species, n_species)."""
        return species_pair_index(self.n_species)

    @property
    def spline(self) -> np.ndarray:
        """Coefficients with the zeros that end the spline smoothly, shape (n_species_pairs, n_knots + 3)."""
        return padded(self.coefficients)

    @property
    def knot_energy(self) -> np.ndarray:
        """Potential at the knots in k_B T0, shape (n_species_pairs, n_knots + 1)."""
        return interval_energies(self.coefficients, self.width)


def species_pair_index(n_species: int) -> np.ndarray:
    """Return the symmetric table of species-pair numbers 00, 01, .., 11, .."""
    index = np.zeros((n_species, n_species), dtype=np.int64)
    rows, columns = np.triu_indices(n_species)
    index[rows, columns] = index[columns, rows] = np.arange(len(rows))
    return index
