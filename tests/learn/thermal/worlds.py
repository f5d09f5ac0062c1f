"""Short recordings of the ideal gas of the benchmarks in a small cell."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from benchmarks.ideal_gas_system import INTERVAL, Run, Stirring, gas, random_start, run, tensor
from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import phase_state
from colloid_cg.records import Box, PhaseSeries

EDGE = 8.0
BODY = Stirring(1.5, EDGE)


@cache
def recording(n_frames: int, seed: int = 1, settling: int = 150) -> Run:
    """Return a stirred run."""
    model = gas(BODY)
    return run(model, random_start(model, EDGE, seed), n_frames, seed, settling=settling)


@cache
def quiet_recording(n_frames: int, seed: int = 1, settling: int = 20) -> Run:
    """Return a run that nothing drives: particles anywhere push each other apart and heat up."""
    model = gas()
    return run(model, random_start(model, EDGE, seed), n_frames, seed, settling=settling)


def mixture(heat_capacities: tuple[float, float]) -> MetriplecticModel:
    """Return two gases that share a cell: masses 1 and 2.7, and heat capacities as given."""
    model = gas()
    one = tensor([1.0, 1.0])
    energy = ConstantHeatCapacity(
        heat_capacity=tensor(list(heat_capacities)), temperature=one, volume=one, amount=tensor([5.0, 3.0])
    )
    return replace(
        model, masses=tensor([1.0, 2.7]), energy=energy,
        radial=replace(
            model.radial,
            **{name: getattr(model.radial, name).repeat(3, 1) for name in ("kernel", "par", "perp", "heat")},
        ),
    )  # fmt: skip


def mixed_recording(model: MetriplecticModel, n_frames: int, seed: int = 1) -> tuple[PhaseSeries, np.ndarray]:
    """Return a recording of 96 particles of each species, and their internal energies (T, n)."""
    rng, n = np.random.default_rng(seed), 192
    species = torch.arange(n) % 2
    masses = model.masses[species]
    velocities = torch.tensor(rng.normal(size=(n, 2))) / masses.sqrt()[:, None]
    velocities = velocities - (masses[:, None] * velocities).sum(dim=0) / masses.sum()
    box = Box(lower=(0.0, 0.0), upper=(EDGE, EDGE), periodic=(True, True))
    start = phase_state(
        model, torch.tensor(rng.uniform(0.0, EDGE, (n, 2))), velocities, cell=Cell(box=box), species=species
    )
    source = run(model, start, n_frames, seed, settling=20)
    series = PhaseSeries(
        positions=source.positions, velocities=source.velocities, species=species.numpy(), masses=masses.numpy(),
        box=box, frame_interval=INTERVAL,
    )  # fmt: skip
    return series, source.energies
