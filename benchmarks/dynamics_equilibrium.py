"""Equilibrium of each dissipative step on frozen positions: R = m_red <|v_ij|^2> / (D k_B <T>), which must be one.

The identity is exact for an isolated system that conserves momentum and energy, whatever masses and heat capacities.
Equal masses: R = N/(N-1) sum m v^2 / (D k_B sum T). lambda is the mean friction rate Gamma_ii/m of a particle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.dynamics.metriplectic.state import PhaseState, phase_state
from colloid_cg.dynamics.metriplectic.steps.pair_metropolis import exchanges
from colloid_cg.dynamics.metriplectic.steps.reinjection import dissipative_substep
from colloid_cg.records import Box

HEAT_CAPACITY = 8.0
NEIGHBOURS = 10.0
MOST_BLOCKS = 40
LEAST_BLOCK = 4.0
"""Relaxation times of a block."""

Substep = Callable[[MetriplecticModel, PhaseState, float, torch.Generator], PhaseState]


@dataclass(frozen=True)
class Equilibrium:
    """R with its standard error from blocks in time."""

    ratio: float
    error: float


def substep(name: str) -> Substep:
    """Return the dissipative part of a time step by name."""
    if name == "metropolis":
        return exchanges
    stages = {"one stage": 1, "two stages": 2}[name]
    return lambda model, state, dt, rng: dissipative_substep(model, state, dt, rng, stages=stages)


def thermostat(n: int, *, seed: int, boltzmann: float = 1.0) -> tuple[MetriplecticModel, PhaseState]:
    """Return a gas of ``n`` particles in a plane with frictions and heat exchange that depend on temperature."""

    def one(value: float) -> torch.Tensor:
        return torch.tensor([value], dtype=torch.float64)

    knots = torch.ones(1, 8, dtype=torch.float64)
    model = MetriplecticModel(
        masses=one(1.0),
        energy=ConstantHeatCapacity(heat_capacity=one(HEAT_CAPACITY), temperature=one(1.0)),
        radial=SplineRadial(lower=0.0, cutoff=1.0, par=1.5 * knots, perp=knots, heat=0.5 * knots),
        law=PowerLaw(temperature=1.0, par=one(0.5), perp=one(0.5), heat=one(1.0)),
        boltzmann=boltzmann,
    )
    rng = np.random.default_rng(seed)
    edge = float(np.sqrt(n * np.pi / NEIGHBOURS))
    # Drawn from equilibrium, so that little has to be waited for: U^(C/k_B) dU / U, velocities normal.
    energies = boltzmann * rng.standard_gamma(HEAT_CAPACITY / boltzmann, n)
    velocities = rng.standard_normal((n, 2))
    box = Box(lower=(0.0, 0.0), upper=(edge, edge), periodic=(True, True))
    state = phase_state(
        model,
        torch.as_tensor(edge * rng.random((n, 2))),
        torch.as_tensor(np.sqrt(boltzmann) * (velocities - velocities.mean(axis=0))),
        cell=Cell(box=box),
        entropy=HEAT_CAPACITY * torch.log(torch.as_tensor(energies / HEAT_CAPACITY)),
        skin=0.0,
    )
    return model, state


def friction_rate(state: PhaseState) -> float:
    """Return lambda = mean of sum_j tr(gamma_ij)/(D m T) over particles at T = 1."""
    assert state.radial.par is not None
    assert state.radial.perp is not None
    d = len(state.direction)
    return float((state.pairs.both(state.radial.par + (d - 1) * state.radial.perp) / d).mean())


def equilibrium(
    name: str, *, rate_dt: float, relaxations: float, n: int = 3000, seed: int = 1, burn: float = 4.0
) -> Equilibrium:
    """Return R of a step at lambda dt = ``rate_dt`` over ``relaxations`` times 1/lambda."""
    model, state = thermostat(n, seed=seed)
    advance, dt = substep(name), rate_dt / friction_rate(state)
    rng = torch.Generator().manual_seed(seed)
    kinetic, temperature = [], []
    for k in range(int((burn + relaxations) / rate_dt)):
        state = advance(model, state, dt, rng)
        if k * rate_dt >= burn:
            kinetic.append(float(state.velocities.square().sum()) * n / (n - 1))
            temperature.append(float(state.thermal.temperature.sum()))
    # Blocks of several relaxation times, or they would not be independent.
    blocks = int(np.clip(relaxations / LEAST_BLOCK, 4, MOST_BLOCKS))
    parts = [
        float(np.sum(v) / (2 * np.sum(t)))
        for v, t in zip(np.array_split(kinetic, blocks), np.array_split(temperature, blocks), strict=True)
    ]
    ratio = float(np.sum(kinetic) / (2 * np.sum(temperature)))
    return Equilibrium(ratio=ratio, error=float(np.std(parts, ddof=1) / np.sqrt(blocks)))
