"""From fitted pair dynamics at one temperature to a metriplectic model that conserves energy."""

from __future__ import annotations

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.memory import PairMemory
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.errors import InputError
from colloid_cg.learn.momentum.model import PairDynamics

HEAT_CAPACITY = 1000.0
"""C/k_B of a particle where nothing is known of it: temperatures then stay within a few per cent of T0."""


def metriplectic_model(
    dynamics: PairDynamics,
    masses: np.ndarray,
    *,
    heat_capacity: float = HEAT_CAPACITY,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = "cpu",
) -> MetriplecticModel:
    """Return the metriplectic model whose isothermal limit is ``dynamics``; k_B = 1, so that T0 is k_B T.

    The friction of the model acts as dp = -(1/2)(1/T_i + 1/T_j) gamma w dt: gamma = T0 Gamma, Gamma the mechanical
    friction of the fit. Data at a single temperature say nothing of the heat capacity of a particle: it is an
    assumption, of no consequence where it is much above k_B. Dynamics with memory become hidden vectors of pairs, with
    no friction beside them (:func:`~colloid_cg.dynamics.metriplectic.steps.hidden.memory_step` runs them).

    Parameters
    ----------
    dynamics : PairDynamics
    masses : array, shape (n_species,)
    heat_capacity : float
        C/k_B of every particle.
    dtype, device : optional
        Of the tensors.

    Raises
    ------
    InputError
        If the number of masses does not match the species pairs of the fit, or the heat capacity is not above one.
    """
    masses = np.asarray(masses, dtype=float)
    n_species = len(masses)
    if len(dynamics.force) != n_species * (n_species + 1) // 2:
        raise InputError(
            f"{n_species} masses for {len(dynamics.force)} species pairs",
            expected="one mass per species of the fit",
            action="pass the masses of the species, not of the particles",
        )
    if not heat_capacity > 1.0:
        raise InputError(
            f"a heat capacity of {heat_capacity:g} k_B",
            expected="more than one k_B",
            action="use 1000 to stay close to one temperature",
        )

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    temperature, memory = dynamics.thermal_energy, dynamics.memory
    hidden = (
        None
        if memory is None
        else PairMemory(
            kernels=memory.kernels,
            frictions=tuple(
                SplineRadial(lower=dynamics.lower, cutoff=dynamics.cutoff, par=tensor(along), perp=tensor(across))
                for along, across in zip(memory.along, memory.across, strict=True)
            ),
            temperature=temperature,
        )
    )
    return MetriplecticModel(
        masses=tensor(masses),
        energy=ConstantHeatCapacity(
            heat_capacity=tensor(np.full(n_species, heat_capacity)),
            temperature=tensor(np.full(n_species, temperature)),
        ),
        radial=SplineRadial(
            lower=dynamics.lower,
            cutoff=dynamics.cutoff,
            force=tensor(dynamics.force),
            par=tensor(temperature * dynamics.friction_along) if memory is None else None,
            perp=tensor(temperature * dynamics.friction_across) if memory is None else None,
        ),
        law=PowerLaw(temperature=temperature),
        memory=hidden,
    )
