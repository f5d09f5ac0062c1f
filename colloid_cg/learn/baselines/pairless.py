"""A metriplectic model without any pair interaction: what carries particles that a bath or a network pushes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.bath import Bath
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import RadialValues
from colloid_cg.learn.momentum.metriplectic import HEAT_CAPACITY
from colloid_cg.records import PhaseSeries


@dataclass(frozen=True, kw_only=True)
class NoPairFunctions:
    """Radial functions of particles that do not act on each other; pairs are found up to ``cutoff`` all the same."""

    cutoff: float

    @property
    def kernel_at_zero(self) -> None:
        """There is no local density."""
        return

    def evaluate(self, distance: torch.Tensor, species_pair: torch.Tensor | None) -> RadialValues:
        """Return no function at all."""
        return RadialValues()


def species_masses(series: PhaseSeries) -> np.ndarray:
    """Return the mass of each species, that of its first particle, shape (n_species,)."""
    _, first = np.unique(series.species, return_index=True)
    return np.asarray(series.masses)[first]


def pairless_model(
    series: PhaseSeries, *, cutoff: float, temperature: float, bath: Bath | None = None
) -> MetriplecticModel:
    """Return a model of free flight with the species and masses of ``series``, at ``temperature`` = k_B T."""
    masses = torch.tensor(species_masses(series), dtype=torch.float64)
    return MetriplecticModel(
        masses=masses,
        energy=ConstantHeatCapacity(
            heat_capacity=torch.full_like(masses, HEAT_CAPACITY), temperature=torch.full_like(masses, temperature)
        ),
        radial=NoPairFunctions(cutoff=cutoff),
        law=PowerLaw(temperature=temperature),
        bath=bath,
    )
