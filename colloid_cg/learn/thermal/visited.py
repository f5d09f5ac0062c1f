"""States that a recording visits according to a learned model: volumes, energies, frictions, the equation of state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from colloid_cg.dynamics.metriplectic.dissipative import friction_rates
from colloid_cg.dynamics.metriplectic.energy import entropy_at
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.learn.thermal.hidden import HiddenEnergies
from colloid_cg.learn.thermal.observed import observed
from colloid_cg.learn.thermal.transition import coefficients_of
from colloid_cg.records import EQUATION_OF_STATE_COLUMNS, PhaseSeries

_FRAMES = 20
_POINTS = 15
SHARE = (0.05, 0.95)
"""Quantiles of U and V between which the equation of state is tabulated."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Visited:
    """Evenly spaced frames of a training block side by side, at the estimated entropies."""

    model: MetriplecticModel
    state: PhaseState

    def friction_rate(self, model: MetriplecticModel) -> torch.Tensor:
        """Return the mean friction of a particle over its mass, 1/time, with the functions of another model; shape ().

        At the distances and temperatures of these states.
        """
        pairs = self.state.pairs
        kinds = model.pair_kinds(self.state.species, pairs.first, pairs.second)
        radial = model.radial.evaluate(self.state.distance, kinds)
        return friction_rates(model, replace(self.state, radial=radial)).mean()

    @property
    def heat_rate(self) -> float:
        """Mean rate at which a particle's temperature follows those of its neighbours, sum_j C2_ij / (T_i^2 C_i)."""
        found, thermal = coefficients_of(self.model, self.state).heat, self.state.thermal
        if found is None:
            return 0.0
        shared = self.state.pairs.both(found.value)
        return float((shared / (thermal.temperature.square() * thermal.heat_capacity)).mean())

    def equation_of_state(self) -> pd.DataFrame:
        """Return U, V, k_B T and P of each species on a grid, columns EQUATION_OF_STATE_COLUMNS.

        From the 5 % to the 95 % quantiles of U and V; V in units in which the mean of 1/V is one.
        """
        parts = []
        for kind in range(self.model.n_species):
            own = self.state.species == kind
            energy, volume = torch.cartesian_prod(
                _spread(self.state.thermal.energy[own]), _spread(_volume(self.state)[own])
            ).unbind(dim=1)
            species = torch.full((len(energy),), kind)
            possible = energy > self.model.energy.lowest(volume, species)
            energy, volume, species = energy[possible], volume[possible], species[possible]
            start = torch.zeros_like(energy)
            _, thermal = entropy_at(self.model.energy, energy, volume, species, start=start)
            heat = self.model.boltzmann * thermal.temperature
            pressure = start if thermal.pressure is None else thermal.pressure
            columns = (energy, volume, heat, pressure, species)
            parts.append(
                pd.DataFrame(np.stack([c.numpy() for c in columns], axis=1), columns=EQUATION_OF_STATE_COLUMNS)
            )
        return pd.concat(parts, ignore_index=True).astype({"species": int})


@torch.no_grad()
def visited(model: MetriplecticModel, train: PhaseSeries, hidden: HiddenEnergies, *, settling: int) -> Visited:
    """Return frames of ``train`` after the first ``settling`` at the entropies of ``hidden``, which begins with it."""
    frames = np.unique(np.linspace(min(settling, train.n_frames - 2), train.n_frames - 1, _FRAMES).round().astype(int))
    few = replace(train, positions=train.positions[frames], velocities=train.velocities[frames])
    state = observed(few, model.cutoff).state(model, list(range(len(frames))))
    entropy = hidden.entropy[torch.as_tensor(frames)].flatten()
    thermal = model.energy.at(entropy, state.volume, model.kinds(state.species))
    return Visited(model=model, state=replace(state, entropy=entropy, thermal=thermal))


def _spread(values: torch.Tensor) -> torch.Tensor:
    """Return points between the quantiles."""
    low, high = np.quantile(values.numpy(), SHARE)
    return torch.linspace(low, high, _POINTS, dtype=values.dtype)


def _volume(state: PhaseState) -> torch.Tensor:
    return torch.ones_like(state.entropy) if state.volume is None else state.volume
