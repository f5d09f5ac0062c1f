"""The metriplectic model of a fit: the same force, friction and noise at the temperature of the fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.reversible import pair_forces
from colloid_cg.dynamics.metriplectic.state import phase_state
from colloid_cg.errors import InputError
from colloid_cg.learn.momentum import PairDynamics, metriplectic_model
from colloid_cg.learn.momentum.memory import FrictionScan
from colloid_cg.records import Box
from colloid_cg.testing.dense import dense_friction

MASSES, TEMPERATURE = np.array([1.0, 3.0]), 1.7


def fitted() -> PairDynamics:
    rng = np.random.default_rng(4)
    force, along, across = rng.uniform(0.5, 3.0, (3, 3, 8))
    one = np.ones(1)
    scan = FrictionScan(
        windows=one.astype(int),
        values=one,
        errors=one,
        plateau=1.0,
        memory_time=0.0,
        plateau_error=0.0,
        memory_error=0.0,
    )
    return PairDynamics(
        lower=0.5,
        cutoff=2.0,
        force=force,
        friction_along=along,
        friction_across=across,
        replicates=np.zeros((4, 3, 3, 8)),
        thermal_energy=TEMPERATURE,
        thermal_energy_from="given",
        windows=(1, 2),
        friction_per_mass=1.0,
        friction_per_mass_error=0.1,
        scan=scan,
        converged=True,
    )


def test_force_friction_and_noise_are_those_of_the_fit() -> None:
    dynamics = fitted()
    model = metriplectic_model(dynamics, MASSES)
    box = Box(lower=(0.0,) * 3, upper=(9.0,) * 3, periodic=(True,) * 3)
    for kinds, row in (((0, 0), 0), ((0, 1), 1), ((1, 1), 2)):
        positions = torch.tensor([[0.2, 4.0, 4.0], [8.7, 4.0, 4.9]], dtype=torch.float64)
        state = phase_state(model, positions, 0 * positions, cell=Cell(box=box), species=torch.tensor(kinds))
        apart = np.array([0.5, 0.0, -0.9])
        r = np.linalg.norm(apart)
        force, along, across = dynamics.curves(np.array([r]))[:, row, 0]
        unit = apart / r
        np.testing.assert_allclose(pair_forces(state, state.thermal)[0], force * unit, rtol=1e-12)
        # Kubo: the noise of the velocities has covariance 2 k_B M dt = 2 k_B T Gamma dt / (m_i m_j).
        dense = dense_friction(model, state)
        matrix = dense.matrix(dense.start).reshape(2, 4, 2, 4)[:, :3, :, :3]
        friction = along * np.outer(unit, unit) + across * (np.eye(3) - np.outer(unit, unit))
        m = MASSES[list(kinds)]
        np.testing.assert_allclose(matrix[0, :, 0], TEMPERATURE * friction / m[0] ** 2, rtol=1e-12)
        np.testing.assert_allclose(matrix[0, :, 1], -TEMPERATURE * friction / (m[0] * m[1]), rtol=1e-12)
        assert float(state.thermal.temperature[0]) == pytest.approx(TEMPERATURE)


def test_wrong_masses_and_heat_capacities_are_refused() -> None:
    with pytest.raises(InputError, match="one mass per species"):
        metriplectic_model(fitted(), np.ones(3))
    with pytest.raises(InputError, match="more than one k_B"):
        metriplectic_model(fitted(), MASSES, heat_capacity=0.5)
