"""Spline force, potential and forces against scipy's splines and numerical gradients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from colloid_cg.dynamics import OverdampedModel, forces, pair_force, potential_energy
from colloid_cg.errors import InputError
from colloid_cg.records import Box, State

OPEN = Box(lower=(0.0, 0.0), upper=(50.0, 50.0), periodic=(False, False))


@pytest.fixture
def model() -> OverdampedModel:
    coefficients = np.random.default_rng(0).standard_normal((3, 6))
    return OverdampedModel(diffusion=np.array([1.0, 0.5]), coefficients=coefficients, lower=0.8, cutoff=2.0)


def _pair(distance: float, species: list[int]) -> State:
    positions = np.array([[1.0, 1.0], [1.0 + distance, 1.0]])
    return State(positions=positions, species=np.array(species), box=OPEN)


def test_force_is_scipys_cubic_spline(model: OverdampedModel) -> None:
    knots = model.lower + model.width * np.arange(-3, model.n_knots + 4)
    reference = BSpline(knots, np.append(model.coefficients[1], [0, 0, 0]), 3)
    r = np.linspace(0.8, 2.0, 500, endpoint=False)
    assert np.abs(pair_force(model, r, species=(1, 0)) - reference(r)).max() < 1e-13


def test_force_is_straight_below_the_first_knot_and_ends_smoothly(model: OverdampedModel) -> None:
    below = pair_force(model, np.linspace(0.3, 0.8, 11))
    assert np.abs(np.diff(below, 2)).max() < 1e-12
    step = 1e-4
    near = pair_force(model, 2.0 - step * np.arange(4))
    assert near[0] == 0.0
    assert np.abs(near[3]) < 30 * (3 * step / model.width) ** 3


@pytest.mark.parametrize("species", [[0, 0], [0, 1], [1, 1]])
def test_force_is_minus_the_slope_of_the_potential(model: OverdampedModel, species: list[int]) -> None:
    r, h = np.linspace(0.4, 2.1, 60), 1e-5
    slope = [
        (potential_energy(model, _pair(x + h, species)) - potential_energy(model, _pair(x - h, species))) / (2 * h)
        for x in r
    ]
    expected = pair_force(model, r, species=(species[0], species[1]))
    assert np.abs(np.array(slope) + expected).max() < 1e-7


@pytest.mark.parametrize("dimension", [2, 3])
def test_forces_are_minus_the_gradient_in_a_periodic_cell(model: OverdampedModel, dimension: int) -> None:
    rng = np.random.default_rng(1)
    box = Box(lower=(0.0,) * dimension, upper=(4.5,) * dimension, periodic=(True,) * dimension)
    positions, species = 4.5 * rng.random((20, dimension)), rng.integers(0, 2, 20)
    force = forces(model, State(positions=positions, species=species, box=box))
    assert np.abs(force.sum(axis=0)).max() < 1e-11
    for axis in range(dimension):
        energy = []
        for sign in (1, -1):
            moved = positions.copy()
            moved[3, axis] += sign * 1e-6
            energy.append(potential_energy(model, State(positions=moved, species=species, box=box)))
        assert force[3, axis] == pytest.approx(-(energy[0] - energy[1]) / 2e-6, abs=1e-6)


def test_model_refuses_a_missing_species_pair() -> None:
    with pytest.raises(InputError, match="one row per pair"):
        OverdampedModel(diffusion=np.ones(2), coefficients=np.zeros((2, 4)), lower=0.5, cutoff=1.0)
