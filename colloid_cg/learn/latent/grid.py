"""The memory variable z of a particle on a grid: stationary law N(0, 1), reversible kernel over one frame.

dz = -mu_z dPsi/dz dt + sqrt(2 k_B T0 mu_z) dW with Psi/k_B T0 = z^2/2 (the gauge: any other Psi(z) is the same model in
another variable) and k_B T0 mu_z = 1/tau: an Ornstein-Uhlenbeck process of persistence time tau.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POINTS = 15
REACH = 3.2
"""Points of the grid and its largest abs(z)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Points z (k,), their stationary weights (k,) and the slow modes of the kernel between them.

    ``rates`` (k,) >= 0 in units of 1/tau, slowest first (0: equilibrium, 1: exp(-t/tau)); ``modes`` (k, k) orthonormal.
    """

    points: np.ndarray
    weights: np.ndarray
    rates: np.ndarray
    modes: np.ndarray

    def kernel(self, memory: float) -> np.ndarray:
        """Return P(z -> z') over one frame, shape (k, k), rows sum to 1; ``memory`` = exp(-dt/tau), 0: no memory."""
        decay = np.where(self.rates > 1e-9, np.power(max(memory, 1e-12), self.rates), 1.0)
        root = np.sqrt(self.weights)
        kernel = (self.modes * decay) @ self.modes.T * root / root[:, None]
        kernel = np.maximum(kernel, 0.0)
        return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))


def normal_grid(points: int = POINTS, reach: float = REACH) -> Grid:
    """Return the grid on which z lives, mean 0 and variance 1 exactly.

    Neighbouring points are joined by the rates sqrt(w'/w)/h^2 of a reversible walk (detailed balance with the
    weights; Scharfetter and Gummel 1969, doi:10.1109/T-ED.1969.16566), scaled so that the slowest mode decays as
    exp(-t/tau) exactly.
    """
    place = np.linspace(-reach, reach, points)
    weight = np.exp(-0.5 * place**2)
    weight /= weight.sum()
    place = place / np.sqrt((weight * place**2).sum())
    coupling = np.zeros((points, points))
    there = np.sqrt(weight[1:] / weight[:-1])
    coupling[np.arange(points - 1), np.arange(1, points)] = there
    coupling[np.arange(1, points), np.arange(points - 1)] = 1.0 / there
    generator = coupling - np.diag(coupling.sum(axis=1))
    root = np.sqrt(weight)
    symmetric = root[:, None] * generator / root
    value, modes = np.linalg.eigh(-0.5 * (symmetric + symmetric.T))
    return Grid(points=place, weights=weight, rates=np.maximum(value, 0.0) / value[1], modes=modes)
