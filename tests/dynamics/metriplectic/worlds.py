"""Small metriplectic worlds for tests: two species with everything the model can have, and an ideal thermostat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.bath import Bath
from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.dynamics.metriplectic.state import PhaseState, phase_state
from colloid_cg.records import Box

REAL = torch.float64


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=REAL)


@dataclass(frozen=True)
class Bowl:
    """psi = k |r - centre|^2 / 2 for every particle."""

    stiffness: float
    centre: torch.Tensor

    def at(self, positions: torch.Tensor, species: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        away = positions - self.centre
        return 0.5 * self.stiffness * away.square().sum(dim=1), -self.stiffness * away


@dataclass(frozen=True)
class Needle:
    """Prescribed particles on straight lines."""

    start: torch.Tensor
    velocity: torch.Tensor

    def at(self, time: float) -> torch.Tensor:
        return self.start + time * self.velocity


def falling(knots: int, strength: float, *, kinds: int = 3) -> torch.Tensor:
    """Coefficients that fall off with distance, different for every pair of species."""
    shape = strength * torch.exp(-torch.arange(knots, dtype=REAL) / 2.5)
    return shape[None] * (1.0 + 0.3 * torch.arange(kinds, dtype=REAL)[:, None])


def rich_model(
    *, kinds: int = 2, heat_capacity: float = 9.0, bath: bool = False, masses: tuple[float, ...] = (1.0, 2.7)
) -> MetriplecticModel:
    """Return a model with potential, density kernel, both frictions and heat, unequal masses and heat capacities."""
    pairs = kinds * (kinds + 1) // 2
    capacity = heat_capacity * row(1.0, 1.6, 1.3)[:kinds]
    return MetriplecticModel(
        masses=row(*masses[:kinds]),
        energy=ConstantHeatCapacity(
            heat_capacity=capacity, temperature=row(1.0, 1.0, 1.0)[:kinds], volume=row(0.3, 0.25, 0.3)[:kinds],
            amount=row(1.0, 0.7, 1.0)[:kinds], boltzmann=0.8,
        ),
        radial=SplineRadial(
            lower=0.1, cutoff=1.0, force=falling(7, 6.0, kinds=pairs), kernel=falling(7, 1.5, kinds=pairs),
            par=falling(7, 3.0, kinds=pairs), perp=falling(7, 1.0, kinds=pairs), heat=falling(7, 0.6, kinds=pairs),
        ),
        law=PowerLaw(
            temperature=1.0, par=row(0.5, -0.3, 0.0)[:kinds], perp=row(0.2, 0.4, 0.0)[:kinds],
            heat=row(1.0, 0.6, 0.0)[:kinds],
        ),
        boltzmann=0.8,
        bath=Bath(temperature=1.2, friction=row(0.5, 0.2, 0.0)[:kinds], heat=row(0.4, 0.3, 0.0)[:kinds])
        if bath
        else None,
    )  # fmt: skip


def crowd(
    model: MetriplecticModel, *, n: int = 40, edge: float = 3.0, d: int = 2, shear: float = 0.0, seed: int = 0
) -> PhaseState:
    """Return ``n`` particles on a shaken lattice in a periodic cell, species in turn."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(n ** (1 / d)))
    lattice = np.stack(np.meshgrid(*[np.arange(side)] * d, indexing="ij"), axis=-1).reshape(-1, d)[:n]
    positions = (lattice + 0.5 + 0.15 * rng.standard_normal((n, d))) * edge / side
    velocities = rng.standard_normal((n, d))
    box = Box(lower=(0.0,) * d, upper=(edge,) * d, periodic=(True,) * d, shear_rate=shear)
    return phase_state(
        model,
        torch.as_tensor(positions),
        torch.as_tensor(velocities - velocities.mean(axis=0)),
        cell=Cell(box=box),
        species=torch.arange(n) % model.n_species,
        entropy=torch.as_tensor(0.3 * rng.standard_normal(n)),
    )
