"""The common motion summed over the frames, with an error that follows each particle through the movie.

With the homogeneous step S_k = (1 + A_k | t_k) the map from the first frame is M_t = S_t M_{t-1}. An error dS_k in
one step gives dM_t = S_t dM_{t-1} + dS_t M_{t-1}. Each particle i carries its own share psi_i of dM, so that its
localisation error, which enters two steps with opposite signs, cancels; particles are independent of each other:

    cov M_t = sum_i psi_i psi_i^T.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np

from colloid_cg.tracking.drift.steps import Step

N_PARAMETERS = 8
"""Mean displacement (x, y); displacement of the centre (x, y); rotation; dilation, shear_plus, shear_cross."""


@dataclass
class Path:
    """Common motion so far, and the influence of the particles that may be seen again.

    ``influence`` has the shape (8, m): the mean displacement (2) and M (2 x 3, row by row) of the m live particles;
    ``settled`` is the sum of its outer products over particles that will not come back.
    """

    map: np.ndarray = field(default_factory=lambda: np.eye(3))
    mean: np.ndarray = field(default_factory=lambda: np.zeros(2))
    influence: np.ndarray = field(default_factory=lambda: np.zeros((8, 0)))
    settled: np.ndarray = field(default_factory=lambda: np.zeros((8, 8)))
    jacobian: np.ndarray = field(default_factory=lambda: np.zeros((8, 8)))
    has_gradient: bool = False
    n_links: int = 0
    n_steps_left: int = 0
    n_left_out: int = 0
    taken: dict[str, float] = field(default_factory=lambda: {"translation": 0.0, "rigid": 0.0, "affine": 0.0})
    added: dict[str, float] = field(default_factory=lambda: {"translation": 0.0, "rigid": 0.0, "affine": 0.0})
    parameters: list[np.ndarray] = field(default_factory=list)
    variance: list[np.ndarray] = field(default_factory=list)
    onward: list[np.ndarray] = field(default_factory=list)
    scatter: list[float] = field(default_factory=list)

    def copied(self) -> Path:
        """Return an independent copy."""
        return copy.deepcopy(self)

    def leave(self, n_links: int) -> None:
        """Take one step as zero."""
        self.n_steps_left += 1
        self.n_links += n_links
        self.scatter.append(np.nan)
        self.onward.append(np.zeros(N_PARAMETERS))
        self._note()

    def advance(self, step: Step, live: np.ndarray, n_links: int) -> None:
        """Take one step; ``live`` (n,) says which live particles its n links belong to."""
        full = np.vstack([step.gradient, [0.0, 0.0, 0.0]]) + np.diag([1.0, 1.0, 1.0])
        weight = self.map.T @ step.weight
        change = np.empty((8, len(live)))
        change[:2] = step.mean_influence
        change[2:] = (step.residual[:, None, :] * weight[None, :, :]).reshape(6, -1)
        carry = np.eye(8)
        carry[2:, 2:].reshape(2, 3, 2, 3)[:, [0, 1, 2], :, [0, 1, 2]] = full[:2, :2]
        if self.parameters:
            self.onward.append(self._projected(self.influence[:, live] @ change.T))
        self.influence = carry @ self.influence
        self.influence[:, live] += change
        self.settled = carry @ self.settled @ carry.T
        self.map = full @ self.map
        self.mean = self.mean + step.mean
        self.has_gradient |= step.has_gradient
        self.n_links += n_links
        self.n_left_out += step.n_left_out
        for kind in self.taken:
            self.taken[kind] += step.taken.get(kind, step.taken["translation"])
            self.added[kind] += step.added.get(kind, step.added["translation"])
        self.scatter.append(step.scatter)
        self._note()

    def start(self) -> None:
        """Note the first frame."""
        self.scatter.append(np.nan)
        self._note()

    def rearrange(self, rows: np.ndarray) -> None:
        """Reorder the live particles: row -1 is a new one."""
        padded = np.hstack([self.influence, np.zeros((8, 1))])
        self.influence = padded[:, rows]

    def settle(self, gone: np.ndarray) -> None:
        """Add up the influence of live particles that will not come back, shape (m,) bool; the others stay."""
        left = self.influence[:, gone]
        self.settled = self.settled + left @ left.T
        self.influence = self.influence[:, ~gone]

    def _note(self) -> None:
        self.jacobian = _parameter_jacobian(self.map[:2, :2])
        covariance = self.settled + self.influence @ self.influence.T
        variance = self._projected(covariance)
        if not self.has_gradient and len(self.variance):
            variance[4:] = np.nan
        self.parameters.append(np.concatenate([self.mean, self.map[:2, 2], polar(self.map[:2, :2])]))
        self.variance.append(variance)

    def _projected(self, covariance: np.ndarray) -> np.ndarray:
        """Return the diagonal of J C J^T, J from (mean, M) to the parameters."""
        return np.asarray(((self.jacobian @ covariance) * self.jacobian).sum(axis=1))


def _parameter_jacobian(f: np.ndarray) -> np.ndarray:
    jacobian = np.zeros((8, 8))
    jacobian[[0, 1], [0, 1]] = 1.0
    jacobian[[2, 3], [4, 7]] = 1.0
    jacobian[4:, [2, 3, 5, 6]] = polar_jacobian(f)
    return jacobian


def polar(f: np.ndarray) -> np.ndarray:
    """Return rotation (rad), dilation, shear_plus, shear_cross of F = R(theta) U, U symmetric, shape (4,)."""
    theta = np.arctan2(f[1, 0] - f[0, 1], f[0, 0] + f[1, 1])
    u = _turn(-theta) @ f
    return np.array([theta, (u[0, 0] + u[1, 1]) / 2 - 1.0, (u[0, 0] - u[1, 1]) / 2, (u[0, 1] + u[1, 0]) / 2])


def polar_jacobian(f: np.ndarray) -> np.ndarray:
    """Return the derivative of :func:`polar` by F (row by row), shape (4, 4).

    With a = F_yx - F_xy, s = F_xx + F_yy: d theta = (s da - a ds) / (s^2 + a^2); dU = R^T dF - J U d theta.
    """
    a, s = f[1, 0] - f[0, 1], f[0, 0] + f[1, 1]
    theta = np.array([-a, -s, s, -a]) / (s**2 + a**2)
    back = _turn(-np.arctan2(a, s))
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    du = np.zeros((4, 4))
    du[:2, :2], du[:2, 2:], du[2:, :2], du[2:, 2:] = (value * np.eye(2) for value in back.ravel())
    du -= np.outer((quarter @ back @ f).ravel(), theta)
    return np.vstack([theta, (du[0] + du[3]) / 2, (du[0] - du[3]) / 2, (du[1] + du[2]) / 2])


def _turn(theta: float) -> np.ndarray:
    return np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
