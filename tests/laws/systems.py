"""States of the metriplectic model for tests of laws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.friction import Channel, PairCoefficients
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.testing import random_cell, random_model, random_state


def system(
    cell: str = "periodic", *, dimension: int = 2, n_particles: int = 6, seed: int = 11, **model: Any
) -> tuple[MetriplecticModel, PhaseState]:
    """A random model (two species, k_B = .4) and a state with enough pairs in reach of each other."""
    found = random_model(seed, **{"boltzmann": 0.4, **model})
    box = random_cell(cell, dimension=dimension, edge=2.1)
    state = random_state(found, seed, cell=Cell(box=box), n_particles=n_particles)
    assert n_particles < 2 or int((state.distance < found.cutoff).sum()) >= 3
    return found, state


@dataclass(frozen=True, kw_only=True)
class ChangedLaw:
    """A pair law of which one channel goes through ``change(channel, pairs, temperature)``."""

    inner: Any
    name: str
    change: Any

    def at(self, radial: Any, temperature: torch.Tensor, pairs: Any, species: torch.Tensor | None) -> PairCoefficients:
        found = self.inner.at(radial, temperature, pairs, species)
        channels = {name: getattr(found, name) for name in ("par", "perp", "heat")}
        channels[self.name] = self.change(channels[self.name], pairs, temperature)
        return PairCoefficients(**channels)


def scaled(channel: Channel, factor: torch.Tensor | float) -> Channel:
    return Channel(
        value=channel.value * factor,
        first=None if channel.first is None else channel.first * factor,
        second=None if channel.second is None else channel.second * factor,
    )
