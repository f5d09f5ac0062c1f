"""Metriplectic models with known force and friction, and recordings of them that look like imported simulations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.records import Box, PhaseSeries
from colloid_cg.simulation import SimulateConfig, phase_rollout

MASS, THERMAL_ENERGY, CUTOFF, SPACING = 2.0, 1.5, 1.6, 1.1
_FALL = torch.tensor([1.0, 0.8, 0.6, 0.42, 0.28, 0.16, 0.07, 0.02], dtype=torch.float64)


def soft_fluid(*, friction: float = 1.0) -> MetriplecticModel:
    """Return a one-species model; ``friction`` multiplies both frictions."""
    one = torch.ones(1, dtype=torch.float64)
    return MetriplecticModel(
        masses=MASS * one,
        energy=ConstantHeatCapacity(heat_capacity=1000.0 * one, temperature=THERMAL_ENERGY * one),
        radial=SplineRadial(
            lower=0.3,
            cutoff=CUTOFF,
            force=(30.0 * _FALL)[None],
            par=(THERMAL_ENERGY * friction * 5.0 * _FALL)[None],
            perp=(THERMAL_ENERGY * friction * 1.5 * _FALL)[None],
        ),
        law=PowerLaw(temperature=THERMAL_ENERGY),
    )


def lattice(dimension: int = 2, side: int = 10, *, rng: np.random.Generator, interval: float = 0.05) -> PhaseSeries:
    """Return two frames of particles on a grid with Maxwellian velocities."""
    n, edge = side**dimension, SPACING * side
    grid = np.stack(np.meshgrid(*[np.arange(side)] * dimension, indexing="ij"), axis=-1).reshape(n, dimension)
    x = SPACING * (grid + 0.5)
    v = rng.normal(size=x.shape) * np.sqrt(THERMAL_ENERGY / MASS)
    return PhaseSeries(
        positions=np.stack([x, x + interval * v]),
        velocities=np.stack([v, v]),
        species=np.zeros(n, dtype=int),
        masses=np.full(n, MASS),
        box=Box(lower=(0.0,) * dimension, upper=(edge,) * dimension, periodic=(True,) * dimension),
        frame_interval=interval,
        thermal_energy=THERMAL_ENERGY,
    )


def recorded(
    model: MetriplecticModel, frames: int, *, dimension: int = 2, side: int = 10, seed: int = 1
) -> PhaseSeries:
    """Return frames of the model after 100 frames from a lattice."""
    start = lattice(dimension, side, rng=np.random.default_rng(seed))
    config = SimulateConfig(frames=frames + 100, replicas=1)
    run = phase_rollout(model, start, thermal_energy=THERMAL_ENERGY, config=config, rng=seed)
    assert run.velocities is not None
    return replace(start, positions=run.positions[0, 100:], velocities=run.velocities[0, 100:])
