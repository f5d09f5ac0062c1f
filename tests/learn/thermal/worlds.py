"""An ideal gas with known functions under a stirring force, and its recording."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.dynamics.metriplectic.state import PhaseState, phase_state
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.records import Box, PhaseSeries

HEAT_CAPACITY, AMOUNT, EDGE, DENSITY = 20.0, 5.0, 8.0, 3.0
INTERVAL, SUBSTEPS = 0.02, 2


@dataclass(frozen=True)
class Stirring:
    """The force of a Taylor-Green vortex, A (sin kx cos ky, -cos kx sin ky)."""

    strength: float
    edge: float

    def at(self, positions: torch.Tensor, time: float) -> torch.Tensor:
        x, y = (2.0 * np.pi / self.edge * positions[:, axis] for axis in (0, 1))
        return self.strength * torch.stack([x.sin() * y.cos(), -x.cos() * y.sin()], dim=1)


def tensor(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def gas(*, strength: float = 1.5) -> MetriplecticModel:
    """Return the gas; kernel, frictions and heat exchange fall off as (1 - s)^2 does in the coefficients."""
    shape = (1.0 - torch.arange(10, dtype=torch.float64) / 10).square()[None]
    area = 2.0 * np.pi / 12.0  # integral of (1 - r)^2 over the disc is 2 pi / 12
    return MetriplecticModel(
        masses=tensor([1.0]),
        energy=ConstantHeatCapacity(
            heat_capacity=tensor([HEAT_CAPACITY]), temperature=tensor([1.0]), volume=tensor([1.0]),
            amount=tensor([AMOUNT]),
        ),
        radial=SplineRadial(
            lower=0.0, cutoff=1.0, kernel=shape / (1.0 + DENSITY * area), par=1.2 * shape, perp=0.8 * shape,
            heat=20.0 * shape,
        ),
        law=PowerLaw(temperature=1.0),
        body=Stirring(strength, EDGE),
    )  # fmt: skip


def start(model: MetriplecticModel, seed: int) -> PhaseState:
    rng = np.random.default_rng(seed)
    n = int(DENSITY * EDGE**2)
    velocities = rng.normal(size=(n, 2))
    box = Box(lower=(0.0, 0.0), upper=(EDGE, EDGE), periodic=(True, True))
    return phase_state(
        model, torch.tensor(rng.uniform(0.0, EDGE, (n, 2))), torch.tensor(velocities - velocities.mean(axis=0)),
        cell=Cell(box=box),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Recording:
    """What a camera of phase space sees, and what it does not: internal energies (T, n)."""

    series: PhaseSeries
    energies: np.ndarray


@cache
def recording(n_frames: int, seed: int = 1, settling: int = 150) -> Recording:
    model = gas()
    state, rng = start(model, seed), torch.Generator().manual_seed(seed)
    positions, velocities, energies = [], [], []
    for frame in range(-settling, n_frames):
        for _ in range(SUBSTEPS):
            state = reinjection_step(model, state, INTERVAL / SUBSTEPS, rng)
        if frame >= 0:
            positions.append(state.positions.numpy())
            velocities.append(state.velocities.numpy())
            energies.append((state.reference + state.internal).numpy())
    n = len(state.positions)
    series = PhaseSeries(
        positions=np.array(positions), velocities=np.array(velocities), species=np.zeros(n, dtype=int),
        masses=np.ones(n), box=state.cell.box, frame_interval=INTERVAL,
    )  # fmt: skip
    return Recording(series, np.array(energies))


def at_start(model: MetriplecticModel, series: PhaseSeries, energies: np.ndarray) -> PhaseState:
    """Return the first recorded state with its energies."""
    box = Cell(box=series.box)
    state = phase_state(
        model, torch.tensor(series.positions[0]), torch.tensor(series.velocities[0]), cell=box
    )  # fmt: skip
    energy = model.energy
    assert isinstance(energy, ConstantHeatCapacity)
    entropy = energy.entropy_of(torch.tensor(energies), state.volume, None)
    return phase_state(model, state.positions, state.velocities, cell=box, entropy=entropy)
