"""What a file of a particle simulation holds, before it becomes trajectories."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from colloid_cg.records.box import Box

REDUCED = "reduced"
"""Name of units that are fixed by the interaction itself (Lennard-Jones), not by metres and seconds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedFrames:
    """The same N particles in each of T frames, in the units of their file.

    Parameters
    ----------
    kind : str
        Format of the file.
    labels : int array, shape (N,)
        Particle ids as the file has them.
    types : int array, shape (N,)
        Types as the file has them.
    positions : array, shape (T, N, d)
        Unwrapped.
    velocities : array, shape (T, N, d), or None
    masses : array, shape (N,), or None
    box : Box
    steps : int array, shape (T,), or None
        Numbers of the time steps of the frames; None where the file states the frame interval alone.
    times : array, shape (T,), or None
    frame_interval : float or None
        Where the file states it.
    thermal_energy : float or None
        k_B T.
    units : str
        ``"reduced"``, or the name the file gives.
    warnings : tuple of str
    stated : dict
        Whatever else the file says, JSON-able.
    """

    kind: str
    labels: np.ndarray
    types: np.ndarray
    positions: np.ndarray
    box: Box
    velocities: np.ndarray | None = None
    masses: np.ndarray | None = None
    steps: np.ndarray | None = None
    times: np.ndarray | None = None
    frame_interval: float | None = None
    thermal_energy: float | None = None
    units: str = REDUCED
    warnings: tuple[str, ...] = ()
    stated: dict[str, Any] = field(default_factory=dict)
