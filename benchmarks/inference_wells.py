"""Particles in harmonic or quartic wells, the external field of the benchmark of inference; own integrator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

PARTICLES, FRAMES, SPACING = 64, 250, 5.0
WELL_SIDE = 9 * SPACING
"""Edge of the square view, um: eight by eight wells."""
STEPS = 200
"""Euler steps per frame."""


@dataclass(frozen=True, kw_only=True)
class Wells:
    """Force -(k + q u^2) u on a particle at distance u (um) from its centre, in k_B T/um."""

    stiffness: float
    quartic: float
    diffusion: float = 0.5
    frame_interval: float = 0.02

    @property
    def centres(self) -> np.ndarray:
        """Return the centres, one per particle, shape (n, 2), um."""
        side = np.arange(1, round(PARTICLES**0.5) + 1) * SPACING
        return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)

    def force(self, positions: np.ndarray, particle: np.ndarray) -> np.ndarray:
        """Return the force on each particle, shape (n, 2)."""
        away = positions - self.centres[particle]
        return -(self.stiffness + self.quartic * (away**2).sum(axis=1, keepdims=True)) * away


def motion_in_wells(wells: Wells, *, pixel_size: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return frame, particle, species and, in px, x, y averaged over each frame and x_start, y_start at its beginning.

    Euler-Maruyama: (k + 3 q u^2) D h is 1e-3, and so is the relative error of <u^2>.
    """
    everyone, centres = np.arange(PARTICLES), wells.centres
    h = wells.frame_interval / STEPS
    x = centres + 0.2 * rng.standard_normal(centres.shape)
    starts, means = np.empty((2, FRAMES, PARTICLES, 2))
    for frame in range(-50, FRAMES):
        start, total = x, np.zeros_like(x)
        for noise in np.sqrt(2.0 * wells.diffusion * h) * rng.standard_normal((STEPS, *x.shape)):
            moved = x + wells.diffusion * h * wells.force(x, everyone) + noise
            total += 0.5 * (x + moved)
            x = moved
        if frame >= 0:
            starts[frame], means[frame] = start, total / STEPS
    frame, particle = (index.ravel() for index in np.meshgrid(np.arange(FRAMES), everyone, indexing="ij"))
    table = pd.DataFrame({"frame": frame, "particle": particle, "species": 0})
    for name, path in (("", means), ("_start", starts)):
        flat = path.reshape(-1, 2) / pixel_size
        table[f"x{name}"], table[f"y{name}"] = flat[:, 0], flat[:, 1]
    return table
