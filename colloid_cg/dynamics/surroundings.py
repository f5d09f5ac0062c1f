"""External fields of a simulation: wells around given centres, and the velocity of a background flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.records import Box, State


@dataclass(frozen=True, kw_only=True, eq=False)
class Wells:
    """One well per particle, psi = k u^2/2 + q u^4/4 with u = r - centre (shortest image), in k_B T0.

    ``centres`` (n, d) um, ``stiffness`` (n,) k_B T0/um2, ``quartic`` (n,) k_B T0/um4; zero for a free particle.
    """

    centres: np.ndarray
    stiffness: np.ndarray
    quartic: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """Fields that act during one time step: ``wells`` or None, ``velocity`` of the flow at each particle (um/s)."""

    wells: Wells | None = None
    velocity: np.ndarray | None = None


def well_forces_and_energy(wells: Wells | None, state: State) -> tuple[np.ndarray, float]:
    """Return -(k + q u^2) u, shape (n, d), in k_B T0/um, and the energy of all wells in k_B T0."""
    if wells is None:
        return np.zeros_like(state.positions), 0.0
    u = displacement(wells.centres, state.positions, state.box)
    square = (u**2).sum(axis=1)
    force = -(wells.stiffness + wells.quartic * square)[:, None] * u
    return force, float((0.5 * wells.stiffness * square + 0.25 * wells.quartic * square**2).sum())


def displacement(centres: np.ndarray, positions: np.ndarray, box: Box) -> np.ndarray:
    """Return positions - centres, the shortest image along periodic axes, shape (n, d)."""
    return np.asarray(box.shortest(positions - centres))
