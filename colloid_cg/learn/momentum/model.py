"""Fitted pair dynamics: force, friction along and across the line between two particles, with their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from colloid_cg.learn.momentum.hidden import FittedMemory
from colloid_cg.learn.momentum.knots import Knots
from colloid_cg.learn.momentum.memory import FrictionScan
from colloid_cg.learn.sandwich import quantile


@dataclass(frozen=True, kw_only=True, eq=False)
class PairDynamics:
    """Isothermal momentum-conserving pair dynamics (dissipative particle dynamics with both friction channels).

    m_i dv_i = sum_j { f e - [g_par e e^T + g_perp (1 - e e^T)] (v_i - v_j) } dt + sum_j noise, of covariance
    2 k_B T [g_par e e^T + g_perp (1 - e e^T)] dt, equal and opposite for the two of a pair.

    Curves are cubic B-splines in the convention of :mod:`colloid_cg.dynamics.spline`: the force goes on below
    ``lower`` as a straight line, friction as a constant; all vanish smoothly at ``cutoff``. Species pairs are ordered
    00, 01, .., 11, ... The friction is the mechanical one, force per velocity (mass / time). With temperatures and
    heat, dp = -1/2 (1/T_i + 1/T_j) gamma w dt, that is Gamma = gamma / T at a single temperature.

    Parameters
    ----------
    lower, cutoff : float
        First and last knot; ``lower`` is the shortest distance in the training data.
    force : array, shape (n_kinds, n_knots)
        Coefficients of the pair force, positive where it repels.
    friction_along, friction_across : arrays, shape (n_kinds, n_knots)
        Coefficients of g_par and g_perp, not negative.
    replicates : array, shape (n_blocks, 3, n_kinds, n_knots)
        The three sets of coefficients refitted without one block of time each, those of the friction free of sign.
    thermal_energy : float
        k_B T.
    thermal_energy_from : "given" or "velocities"
        Known with the data, or the mean of m v^2 per degree of freedom.
    windows : tuple of int
        Frames n1, n2 of the random impulses.
    friction_per_mass, friction_per_mass_error : float
        Gamma_ii / m_i of a particle with all its neighbours, mean over axes, particles and frames; standard error.
    scan : FrictionScan
        Friction against the window of the impulses.
    converged : bool
        Whether friction and random impulses settled.
    memory : FittedMemory or None
        How late the friction acts: ``friction_along`` and ``friction_across`` are then the frictions over all times,
        the sums over its modes. None: at once.
    """

    lower: float
    cutoff: float
    force: np.ndarray
    friction_along: np.ndarray
    friction_across: np.ndarray
    replicates: np.ndarray
    thermal_energy: float
    thermal_energy_from: Literal["given", "velocities"]
    windows: tuple[int, int]
    friction_per_mass: float
    friction_per_mass_error: float
    scan: FrictionScan
    converged: bool
    memory: FittedMemory | None = None

    def __repr__(self) -> str:
        """Return range and friction, for a notebook."""
        return (
            f"<PairDynamics: {len(self.force)} species pairs, {self.lower:.4g} to {self.cutoff:.4g}, "
            f"friction per mass {self.friction_per_mass:.3g}({self.friction_per_mass_error:.1g})>"
        )

    @property
    def knots(self) -> Knots:
        """Knots of all curves."""
        return Knots(self.lower, self.cutoff, self.force.shape[1])

    def curves(self, distances: np.ndarray) -> np.ndarray:
        """Return force, g_par and g_perp at ``distances`` (m,), shape (3, n_kinds, m)."""
        coefficients = np.stack([self.force, self.friction_along, self.friction_across])
        return _curves(self.knots, coefficients, distances)

    def half_widths(self, distances: np.ndarray) -> np.ndarray:
        """Return half the 90 % intervals of :meth:`curves`, shape (3, n_kinds, m), blocks of time left out in turn."""
        refits = np.stack([_curves(self.knots, replicate, distances) for replicate in self.replicates])
        n_blocks = len(refits)
        return np.asarray(quantile(n_blocks) * np.sqrt((n_blocks - 1) * refits.var(axis=0)))


def _curves(knots: Knots, coefficients: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the three curves; friction is constant below the first knot."""
    distances = np.asarray(distances, dtype=float)
    force = coefficients[0] @ knots.design(distances).T
    friction = coefficients[1:] @ knots.design(np.maximum(distances, knots.lower)).T
    return np.concatenate([force[None], friction])
