"""Standard dissipative particle dynamics and Langevin particles with known numbers, in plain numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.records import Box, PhaseSeries
from tests.learn import pair_worlds


@dataclass(frozen=True, kw_only=True)
class Dpd(pair_worlds.World):
    """Force a (1 - r/r_c), friction gamma (1 - r/r_c)^2 along the line."""

    force: tuple[float, ...] = (25.0,)
    along: tuple[float, ...] = (4.5,)
    across: tuple[float, ...] = (0.0,)
    range: float = 1.0
    edge: float = 4.0
    n_particles: int = 192

    def curve(self, amplitudes: tuple[float, ...], r: np.ndarray, kind: np.ndarray | int = 0) -> np.ndarray:
        power = 1 if amplitudes == self.force else 2
        return np.asarray(amplitudes)[kind] * np.maximum(1.0 - np.asarray(r) / self.range, 0.0) ** power


def langevin_particles(
    rates: tuple[float, ...], masses: tuple[float, ...], *, n_particles: int, n_frames: int, dt: float,
    rng: np.random.Generator, thermal_energy: float = 1.0,
) -> PhaseSeries:  # fmt: skip
    """Return exact samples of m dv = -m gamma v dt + noise; positions by the trapezoidal rule, in a periodic cube."""
    species = np.arange(n_particles) % len(rates)
    decay = np.exp(-np.asarray(rates) * dt)[species, None]
    spread = np.sqrt(thermal_energy / np.asarray(masses))[species, None]
    velocities = np.empty((n_frames, n_particles, 3))
    velocities[0] = spread * rng.standard_normal((n_particles, 3))
    for t in range(1, n_frames):
        noise = spread * np.sqrt(1.0 - decay**2) * rng.standard_normal((n_particles, 3))
        velocities[t] = decay * velocities[t - 1] + noise
    moved = np.cumsum(0.5 * dt * (velocities[1:] + velocities[:-1]), axis=0)
    place = 10.0 * rng.random((1, n_particles, 3))
    return PhaseSeries(
        positions=np.concatenate([place, place + moved]), velocities=velocities, species=species,
        masses=np.asarray(masses, dtype=float)[species],
        box=Box(lower=(0.0,) * 3, upper=(10.0,) * 3, periodic=(True,) * 3),
        frame_interval=dt, thermal_energy=thermal_energy,
    )  # fmt: skip
