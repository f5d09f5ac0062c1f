"""The inertial model: bath friction, pair friction and pair force of one species, with its thermal speed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from colloid_cg.dynamics import force_design


@dataclass(frozen=True, kw_only=True, eq=False)
class InertialModel:
    """Particles of one species with velocities at one temperature.

    dv_i = F_i/m dt - gamma_b v_i dt - sum_j [g_par(r) e e^T + g_perp(r) (1 - e e^T)] (v_i - v_j) dt + noise,
    the noise of each term by fluctuation-dissipation at the variance theta = k_B T/m of a velocity component.

    Parameters
    ----------
    bath : float
        gamma_b, 1/s.
    parallel, perpendicular : arrays, shape (n_friction,)
        Spline coefficients of g_par and g_perp, 1/s.
    force : array, shape (n_force,)
        Spline coefficients of F/m, um/s2, positive repulsive.
    thermal_speed_squared : float
        theta, um2/s2.
    localisation_variance : float
        s2 per coordinate, um2.
    noise_scale : array, shape (3,) or (1,)
        Strength of the random force over its fluctuation-dissipation value, by origin of the friction (bath, g_par,
        g_perp; bath alone without pair friction); 1 in a model that is right.
    lower, cutoff : float
        First knot and range of both splines, um.
    """

    bath: float
    parallel: np.ndarray
    perpendicular: np.ndarray
    force: np.ndarray
    thermal_speed_squared: float
    localisation_variance: float
    lower: float
    cutoff: float
    noise_scale: np.ndarray = field(default_factory=lambda: np.ones(1))

    @property
    def n_friction(self) -> int:
        """Free spline coefficients of each pair friction."""
        return len(self.parallel)

    @property
    def n_force(self) -> int:
        """Free spline coefficients of the force."""
        return len(self.force)

    @property
    def coefficients(self) -> np.ndarray:
        """gamma_b, g_par, g_perp and F/m in one vector, in this order."""
        return np.concatenate([[self.bath], self.parallel, self.perpendicular, self.force])

    def curves(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return g_par, g_perp (1/s) and F/m (um/s2) at ``distances`` (um)."""
        friction = self.friction_basis(distances)
        return friction @ self.parallel, friction @ self.perpendicular, self.force_basis(distances) @ self.force

    def friction_basis(self, distances: np.ndarray) -> np.ndarray:
        """Return the splines of g_par and g_perp, shape (m, n_friction)."""
        return force_design(distances, lower=self.lower, cutoff=self.cutoff, n_knots=self.n_friction)

    def force_basis(self, distances: np.ndarray) -> np.ndarray:
        """Return the splines of F/m, shape (m, n_force)."""
        return force_design(distances, lower=self.lower, cutoff=self.cutoff, n_knots=self.n_force)


def with_coefficients(model: InertialModel, coefficients: np.ndarray) -> InertialModel:
    """Return the model with a vector ordered as :attr:`InertialModel.coefficients`."""
    n = model.n_friction
    return replace(
        model,
        bath=float(coefficients[0]),
        parallel=coefficients[1 : n + 1],
        perpendicular=coefficients[n + 1 : 2 * n + 1],
        force=coefficients[2 * n + 1 :],
    )
