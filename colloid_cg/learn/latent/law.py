"""Parameters of overdamped dynamics whose mobility depends on a hidden variable."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

REACH = 3.0
"""Structural variables are held within this many standard deviations: nothing was learnt of what lies beyond."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentLaw:
    """Mobility of particle i: mu_i k_B T0 = D lambda_i, ln lambda = b . f + a z - (|b|^2 + a^2)/2.

    f are the structural variables of the encoder (mean 0, variance 1 on the training block), z the memory variable
    (N(0, 1), persistence time tau, independent of f): lambda has the mean 1 where both are Gaussian. f counts no
    further than :data:`REACH`: an encoder says anything of a neighbourhood unlike those it was trained on.

    Parameters
    ----------
    diffusion : array, shape (n_species,)
        D, um2/s.
    localisation_variance : float
        s2, um2.
    structure_slope : array, shape (n_species, k)
        b.
    memory_slope : array, shape (n_species,)
        a >= 0.
    persistence : float
        tau in frames; 0: z is drawn anew in every frame.
    """

    diffusion: np.ndarray
    localisation_variance: float
    structure_slope: np.ndarray
    memory_slope: np.ndarray
    persistence: float

    @property
    def memory(self) -> float:
        """Return exp(-dt/tau)."""
        return float(np.exp(-1.0 / self.persistence)) if self.persistence > 0 else 0.0

    @property
    def spread(self) -> np.ndarray:
        """Return the standard deviation of ln lambda, sqrt(|b|^2 + a^2), per species."""
        return np.asarray(np.sqrt((self.structure_slope**2).sum(axis=1) + self.memory_slope**2))

    @property
    def structure_share(self) -> np.ndarray:
        """Return the share of the variance of s that the present structure explains, |b|^2/(|b|^2 + a^2)."""
        return np.asarray((self.structure_slope**2).sum(axis=1) / np.maximum(self.spread**2, 1e-300))

    def level(self, f: np.ndarray, species: np.ndarray) -> np.ndarray:
        """Return ln lambda at z = 0, shape (m,), for structural variables f (m, k)."""
        own = self.structure_slope[species]
        return np.asarray((own * np.clip(f, -REACH, REACH)).sum(axis=1) - 0.5 * self.spread[species] ** 2)

    def log_mobility(self, f: np.ndarray, z: np.ndarray, species: np.ndarray) -> np.ndarray:
        """Return ln lambda, shape (m,)."""
        return np.asarray(self.level(f, species) + self.memory_slope[species] * z)

    def corrected(self, share: float) -> LatentLaw:
        """Return the law with D and s2 divided by the share of the motion that drift removal left."""
        return replace(self, diffusion=self.diffusion / share, localisation_variance=self.localisation_variance / share)

    def hidden(self, log_mobility: np.ndarray, species: np.ndarray) -> np.ndarray:
        """Return s = (ln lambda + (|b|^2 + a^2)/2)/sqrt(|b|^2 + a^2): mean 0, variance 1; 0 without a spread."""
        spread = self.spread[species]
        return np.asarray((log_mobility + 0.5 * spread**2) / np.maximum(spread, 1e-12))


@dataclass(frozen=True, kw_only=True)
class Freedom:
    """Which parameters of the law are free; the others are those of particles that are all alike."""

    structure: bool = True
    spread: bool = True
    memory: bool = True


NONE = Freedom(structure=False, spread=False, memory=False)
"""No hidden variable."""
SPREAD = Freedom(structure=False, spread=True, memory=False)
"""Mobilities that differ, drawn anew in every frame: what a heavy-tailed displacement is worth by itself."""
STRUCTURE = Freedom(structure=True, spread=True, memory=False)
MEMORY = Freedom(structure=False, spread=True, memory=True)
FULL = Freedom()


def pack(law: LatentLaw, free: Freedom, scale: float) -> np.ndarray:
    """Return the free parameters as one vector: ln D, s2/scale, b, a, ln tau."""
    parts = [np.log(law.diffusion), [law.localisation_variance / scale]]
    if free.structure:
        parts.append(law.structure_slope.ravel())
    if free.spread:
        parts.append(law.memory_slope)
    if free.memory:
        parts.append([np.log(law.persistence)])
    return np.concatenate([np.asarray(part, dtype=float) for part in parts])


def unpack(values: np.ndarray, free: Freedom, scale: float, *, shape: tuple[int, int]) -> LatentLaw:
    """Return the law of a vector made by :func:`pack`; ``shape``: (n_species, k)."""
    n, k = shape
    rest = values[n + 1 :]
    slope, memory = np.zeros((n, k)), np.zeros(n)
    if free.structure:
        slope, rest = rest[: n * k].reshape(n, k), rest[n * k :]
    if free.spread:
        memory, rest = rest[:n], rest[n:]
    return LatentLaw(
        diffusion=np.exp(values[:n]),
        localisation_variance=float(values[n] * scale),
        structure_slope=slope,
        memory_slope=np.abs(memory),
        persistence=float(np.exp(rest[0])) if free.memory else 0.0,
    )
