"""An ideal gas with known functions, stirred by a Taylor-Green force or sheared, and its recording."""

from __future__ import annotations

from dataclasses import dataclass

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
from colloid_cg.simulation.phase_start import at_energies

HEAT_CAPACITY, AMOUNT, TEMPERATURE, DENSITY = 20.0, 5.0, 1.0, 3.0
INTERVAL, SUBSTEPS = 0.02, 2


@dataclass(frozen=True)
class Stirring:
    """The force of Taylor-Green vortices, A (sin kx cos ky, -cos kx sin ky), k = 2 pi ``waves`` / edge."""

    strength: float
    edge: float
    waves: int = 1

    def at(self, positions: torch.Tensor, time: float) -> torch.Tensor:
        """Return forces (n, 2)."""
        x, y = (2.0 * np.pi * self.waves / self.edge * positions[:, axis] for axis in (0, 1))
        return self.strength * torch.stack([x.sin() * y.cos(), -x.cos() * y.sin()], dim=1)


def tensor(values: list[float]) -> torch.Tensor:
    """Return a float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


def gas(body: Stirring | None = None) -> MetriplecticModel:
    """Return the gas in a plane, cutoff 1; its functions fall off as the coefficients (1 - s)^2 do."""
    shape = (1.0 - torch.arange(10, dtype=torch.float64) / 10).square()[None]
    area = 2.0 * np.pi / 12.0  # integral of (1 - r)^2 over the disc, for a mean density of about one
    return MetriplecticModel(
        masses=tensor([1.0]),
        energy=ConstantHeatCapacity(
            heat_capacity=tensor([HEAT_CAPACITY]), temperature=tensor([TEMPERATURE]), volume=tensor([1.0]),
            amount=tensor([AMOUNT]),
        ),
        radial=SplineRadial(
            lower=0.0, cutoff=1.0, kernel=shape / (1.0 + DENSITY * area), par=1.2 * shape, perp=0.8 * shape,
            heat=20.0 * shape,
        ),
        law=PowerLaw(temperature=TEMPERATURE),
        body=body,
    )  # fmt: skip


def random_start(model: MetriplecticModel, edge: float, seed: int, *, shear_rate: float = 0.0) -> PhaseState:
    """Return particles anywhere, at S = 0 and k_B T = 1, with the velocity profile of the shear."""
    rng = np.random.default_rng(seed)
    n = int(DENSITY * edge**2)
    positions, velocities = rng.uniform(0.0, edge, (n, 2)), rng.normal(size=(n, 2))
    velocities[:, 0] += shear_rate * (positions[:, 1] - edge / 2.0)
    box = Box(lower=(0.0, 0.0), upper=(edge, edge), periodic=(True, True), shear_rate=shear_rate)
    return phase_state(
        model, torch.tensor(positions), torch.tensor(velocities - velocities.mean(axis=0)), cell=Cell(box=box)
    )


def continued(model: MetriplecticModel, state: PhaseState, energies: torch.Tensor) -> PhaseState:
    """Return the state of ``model`` at positions, velocities and time of another state, with energies U_i (n,)."""
    fresh = phase_state(
        model, state.positions, state.velocities, cell=state.cell, species=state.species, time=state.time
    )
    return at_energies(model, fresh, energies)


@dataclass(frozen=True, eq=False)
class Run:
    """Frames of a run: positions, velocities (T, n, 2), U and S (T, n), k_B T (T, n)."""

    positions: np.ndarray
    velocities: np.ndarray
    energies: np.ndarray
    entropies: np.ndarray
    temperatures: np.ndarray
    last: PhaseState

    def series(self, first: int, stop: int) -> PhaseSeries:
        """Return what can be seen of frames ``first`` to ``stop`` - 1."""
        n = self.positions.shape[1]
        return PhaseSeries(
            positions=self.positions[first:stop], velocities=self.velocities[first:stop],
            species=np.zeros(n, dtype=int), masses=np.ones(n), box=self.last.cell.box, frame_interval=INTERVAL,
            first_frame=first,
        )  # fmt: skip


def run(model: MetriplecticModel, state: PhaseState, n_frames: int, seed: int, *, settling: int = 0) -> Run:
    """Return ``n_frames`` frames, the first one after ``settling`` frames."""
    rng = torch.Generator().manual_seed(seed)
    rows = []
    for frame in range(-settling, n_frames):
        if frame > -settling:
            for _ in range(SUBSTEPS):
                state = reinjection_step(model, state, INTERVAL / SUBSTEPS, rng)
        if frame >= 0:
            thermal = (state.reference + state.internal, state.entropy, state.thermal.temperature)
            rows.append([each.numpy() for each in (state.positions, state.velocities, *thermal)])
    return Run(*(np.array(column) for column in zip(*rows, strict=True)), last=state)
