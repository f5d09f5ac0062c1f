"""Hidden variables of pairs: forces between two particles that remember their motion, and friction that comes late.

Every pair has hidden vectors z, u in a quadratic energy, E_z = (z^2 + u^2)/2 for each mode:

    dp_i = A z dt = -dp_j,   dz = -A (v_i - v_j) dt + [chain],   A = c_par(r) e e^T + c_perp(r) (1 - e e^T).

The exchange between motion and z is reversible: it belongs to L, which stays antisymmetric, and adds nothing to the
entropy. Dissipation and noise act on the hidden vectors alone (M); what they lose the two particles keep as heat.
Integrated out (Mori 1965, doi:10.1143/PTP.33.423; chains as in Ceriotti, Bussi and Parrinello 2010,
doi:10.1021/ct900563s), each mode is friction with the memory kernel Gamma(r) kappa(t), c^2 = kappa(0) Gamma, and random
forces of covariance k_B T Gamma(r) kappa(t). z is even under reversal of time. Hidden vectors at equilibrium are
Gaussian and know nothing of positions and velocities: the structure of the fluid does not depend on them.

They belong to pairs and not to particles, so that the forces of two pairs are independent: a force c (z_i - z_j) from
vectors of the particles would couple neighbours of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.linalg import expm

from colloid_cg.dynamics.metriplectic.pairs import Pairs
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.errors import InputError


@dataclass(frozen=True)
class MemoryKernel:
    """kappa(t), of integral one: an exponential, or a damped oscillation that starts without a slope.

    Without ``swing``, kappa = a exp(-a t): one hidden vector, dz = -a z dt + noise. With it,
    kappa ~ exp(-a t) [cos bt + (a/b) sin bt]: two, dz = w u dt, du = -(w z + 2 a u) dt + noise, w^2 = a^2 + b^2. Forces
    of coarse particles are smooth in time, so their autocorrelation has no kink at zero.

    Parameters
    ----------
    decay : float
        a, 1/time.
    swing : float or None
        b > 0, radians per time.
    """

    decay: float
    swing: float | None = None

    def __post_init__(self) -> None:
        if not self.decay > 0.0 or not (self.swing is None or self.swing > 0.0):
            raise InputError(
                f"a memory with decay {self.decay} and swing {self.swing}",
                expected="rates above zero",
                action="use None for a memory that does not swing",
            )

    @property
    def n_vectors(self) -> int:
        """Hidden vectors of a pair."""
        return 1 if self.swing is None else 2

    @property
    def at_zero(self) -> float:
        """kappa(0), 1/time."""
        a = self.decay
        return a if self.swing is None else (a**2 + self.swing**2) / (2.0 * a)

    @property
    def mean_time(self) -> float:
        """Integral of t kappa(t): how late the friction comes."""
        a = self.decay
        return 1.0 / a if self.swing is None else (3.0 * a**2 - self.swing**2) / (2.0 * a * (a**2 + self.swing**2))

    def at(self, times: np.ndarray) -> np.ndarray:
        """Return kappa at ``times`` >= 0."""
        factor, rate = self._terms()
        return np.asarray((factor * np.exp(-rate * np.asarray(times))).real)

    def twice_integrated(self, times: np.ndarray) -> np.ndarray:
        """Return the integral of (tau - t) kappa(t) over t from 0 to tau: half the variance of a random impulse."""
        (factor, rate), tau = self._terms(), np.asarray(times, dtype=float)
        return np.asarray((factor * (tau / rate + np.expm1(-rate * tau) / rate**2)).real)

    def _terms(self) -> tuple[complex, complex]:
        """Return f and s of kappa(t) = Re f exp(-s t)."""
        if self.swing is None:
            return complex(self.decay), complex(self.decay)
        return self.at_zero * (1.0 - 1j * self.decay / self.swing), self.decay - 1j * self.swing

    def relaxation(self, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """Return P and L of z' = P z + sqrt(k_B T) L xi over ``dt``, exact, (k, k) each: variance k_B T stays k_B T."""
        return _relaxation(self.decay, self.swing, dt)


@lru_cache(maxsize=64)
def _relaxation(decay: float, swing: float | None, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return P and L of :meth:`MemoryKernel.relaxation`: the same at every step of a rollout."""
    if swing is None:
        drift = np.array([[decay]])
    else:
        own = float(np.hypot(decay, swing))
        drift = np.array([[0.0, -own], [own, 2.0 * decay]])
    kept = expm(-dt * drift)
    lost = np.eye(len(kept)) - kept @ kept.T
    # Over a very short step the spread of the undriven vector, of order dt^3, drowns in round-off.
    values, vectors = np.linalg.eigh(lost)
    return kept, vectors * np.sqrt(np.maximum(values, 0.0))


@dataclass(frozen=True, kw_only=True, eq=False)
class PairMemory:
    """How the hidden vectors of a pair couple to its motion, and how they relax.

    Parameters
    ----------
    kernels : tuple of MemoryKernel
    frictions : tuple of SplineRadial
        One for each kernel, its ``par`` and ``perp`` the friction Gamma(r) over all times (mass / time).
    temperature : float
        T0: energies of hidden vectors are counted from k_B T0/2 per component.
    """

    kernels: tuple[MemoryKernel, ...]
    frictions: tuple[SplineRadial, ...]
    temperature: float

    def __post_init__(self) -> None:
        if not self.kernels or len(self.kernels) != len(self.frictions):
            raise InputError(
                f"{len(self.kernels)} memory kernels with {len(self.frictions)} frictions",
                expected="one friction for each kernel",
                action="check the model",
            )
        if not self.temperature > 0.0:
            raise InputError(f"T0 = {self.temperature}", expected="a positive number", action="check the model")

    @property
    def n_vectors(self) -> int:
        """Hidden vectors of a pair."""
        return sum(kernel.n_vectors for kernel in self.kernels)

    @property
    def coupled(self) -> np.ndarray:
        """Which of the hidden vectors feels the motion, shape (n_modes,)."""
        counts = [kernel.n_vectors for kernel in self.kernels]
        return np.cumsum([0, *counts[:-1]])

    @property
    def cutoff(self) -> float:
        """Distance beyond which nothing is coupled."""
        return max(friction.cutoff for friction in self.frictions)

    def couplings(self, distance: torch.Tensor, species_pair: torch.Tensor | None) -> torch.Tensor:
        """Return c_par and c_perp of every mode and pair, shape (n_modes, 2, p)."""
        found = []
        for kernel, friction in zip(self.kernels, self.frictions, strict=True):
            values = friction.evaluate(distance, species_pair)
            parts = [torch.zeros_like(distance) if part is None else part for part in (values.par, values.perp)]
            found.append((kernel.at_zero * torch.stack(parts)).sqrt())
        return torch.stack(found)

    def relaxation(self, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """Return P and L of all hidden vectors together, shape (n_vectors, n_vectors)."""
        kept, noise = np.zeros((2, self.n_vectors, self.n_vectors))
        for first, kernel in zip(self.coupled, self.kernels, strict=True):
            rows = slice(first, first + kernel.n_vectors)
            kept[rows, rows], noise[rows, rows] = kernel.relaxation(dt)
        return kept, noise


@dataclass(frozen=True, kw_only=True, eq=False)
class HiddenState:
    """Hidden vectors of the pairs of a neighbour list.

    Parameters
    ----------
    pairs : Pairs
        The list they belong to; vectors are those of the first particle against the second.
    values : tensor, shape (p, n_vectors, d)
        In square roots of energy.
    energy : tensor, shape ()
        Sum of z^2/2 less k_B T0/2 per component, so that pairs that come into range bring none on average.
    """

    pairs: Pairs
    values: torch.Tensor
    energy: torch.Tensor


def hidden_energy(memory: PairMemory, values: torch.Tensor, boltzmann: float) -> torch.Tensor:
    """Return sum z^2/2 less k_B T0/2 per component, shape ()."""
    return 0.5 * (values.square().sum() - boltzmann * memory.temperature * values.numel())
