"""Laws of the time step: first law, equilibrium (PHYSICS P1), free diffusion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from colloid_cg.dynamics import OverdampedModel, metropolis_sweep, overdamped_step, pair_force, potential_energy
from colloid_cg.records import Box, State

CELL = Box(lower=(0.0, 0.0), upper=(6.0, 6.0), periodic=(True, True))


def _model(scale: float = 1.0) -> OverdampedModel:
    coefficients = scale * np.array([[14.0, 8.0, 4.5, 2.0, 0.8, 0.2]])
    return OverdampedModel(diffusion=np.array([1.3]), coefficients=coefficients, lower=0.6, cutoff=1.8)


def _start(rng: np.random.Generator, n: int = 25) -> State:
    side = int(np.ceil(np.sqrt(n)))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)[:n] + 0.5
    positions = grid * 6.0 / side + 0.05 * rng.standard_normal((n, 2))
    return State(positions=positions, species=np.zeros(n, dtype=np.int64), box=CELL)


def test_first_law_holds_and_an_undriven_step_does_no_work() -> None:
    rng, model = np.random.default_rng(0), _model()
    state = _start(rng)
    first, heat = potential_energy(model, state), 0.0
    for _ in range(50):
        state, increments = overdamped_step(model, state, dt=2e-3, rng=rng)
        assert increments.work == 0.0
        heat += increments.heat
    assert state.bath_entropy == pytest.approx(heat, abs=1e-12)
    assert potential_energy(model, state) - first + state.bath_entropy == pytest.approx(0.0, abs=1e-10)


def test_a_drive_splits_work_from_heat() -> None:
    rng, model, stronger = np.random.default_rng(1), _model(), _model(1.5)
    state = _start(rng)
    before, during = potential_energy(model, state), potential_energy(stronger, state)
    after, increments = overdamped_step(model, state, dt=2e-3, rng=rng, driven=stronger)
    assert increments.work == pytest.approx(during - before, abs=1e-12)
    assert increments.heat == pytest.approx(during - potential_energy(stronger, after), abs=1e-10)
    assert increments.energy + increments.heat == pytest.approx(increments.work, abs=1e-12)


def _energy(model: OverdampedModel, r: np.ndarray) -> np.ndarray:
    grid = np.linspace(0.02, 1.8, 4000)
    step, force = grid[1] - grid[0], pair_force(model, grid)
    return np.interp(r, grid, np.cumsum(force[::-1])[::-1] * step - force * step / 2, right=0.0)


def _quadrature(model: OverdampedModel, side: float, edges: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean energy and share of distances per bin of two particles in a periodic square, by summing exp(-phi)."""
    axis = (np.arange(800) + 0.5) / 800 * side / 2
    r = np.hypot(*np.meshgrid(axis, axis)).ravel()
    energy = _energy(model, r)
    weight = np.exp(-energy)
    return float((energy * weight).sum() / weight.sum()), np.histogram(r, edges, weights=weight)[0] / weight.sum()


def test_equilibrium_of_the_step_within_one_percent() -> None:
    """P1: pairs that meet only each other, drawn from the Boltzmann law, must stay there; stiffness as in rollouts."""
    rng, model, side, pairs_n = np.random.default_rng(2), _model(), 3.8, 6000
    cell = Box(lower=(0.0, 0.0), upper=(side, side), periodic=(True, True))
    pairs = np.arange(2 * pairs_n).reshape(-1, 2)
    edges = np.array([0.5, 0.8, 1.1, 1.4, 1.7])
    exact, share = _quadrature(model, side, edges)
    positions = _boltzmann_pairs(model, cell, pairs_n, rng)
    state = State(positions=positions, species=np.zeros(2 * pairs_n, dtype=np.int64), box=cell)
    stiffness = np.abs(np.gradient(pair_force(model, np.linspace(0.6, 1.8, 400)), 1.2 / 399)).max()
    energies, counts = [], []
    for index in range(2400):
        state, _ = overdamped_step(model, state, dt=0.05 / (1.3 * stiffness), rng=rng, pairs=pairs)
        if index % 8 == 0 and index > 200:
            energies.append(potential_energy(model, state, pairs=pairs) / pairs_n)
            vectors = cell.displacement(state.positions[::2], state.positions[1::2])
            counts.append(np.histogram(np.linalg.norm(vectors, axis=1), edges)[0] / pairs_n)
    error = np.std([block.mean() for block in np.array_split(np.array(energies), 12)], ddof=1) / np.sqrt(12)
    assert error < 0.005 * exact  # two standard errors are one percent
    assert abs(np.mean(energies) - exact) < 0.01 * exact
    assert np.abs(np.mean(counts, axis=0) / share - 1.0)[1:].max() < 0.01


def _boltzmann_pairs(model: OverdampedModel, cell: Box, count: int, rng: np.random.Generator) -> np.ndarray:
    offers = rng.random((4 * count, 2, 2)) * cell.lengths
    distance = np.linalg.norm(cell.displacement(offers[:, 0], offers[:, 1]), axis=1)
    kept = rng.random(len(offers)) < np.exp(-_energy(model, distance))
    return np.asarray(offers[kept][:count].reshape(-1, 2))


def test_two_particles_follow_the_boltzmann_law() -> None:
    """Metropolis against quadrature of exp(-phi) over the cell."""
    model, rng = _model(), np.random.default_rng(3)
    cell = Box(lower=(0.0, 0.0), upper=(4.0, 4.0), periodic=(True, True))
    state = State(positions=np.array([[1.0, 1.0], [3.0, 3.0]]), species=np.zeros(2, dtype=np.int64), box=cell)
    axis = (np.arange(200) + 0.5) / 50.0 - 2.0
    energy = np.array(
        [
            potential_energy(model, replace(state, positions=np.array([[0.0, 0.0], [x, y]])))
            for x in axis[::4]
            for y in axis[::4]
        ]
    )
    expected = (energy * np.exp(-energy)).sum() / np.exp(-energy).sum()
    found = []
    for _ in range(20000):
        state, _rate = metropolis_sweep(model, state, step=1.5, rng=rng)
        found.append(potential_energy(model, state))
    error = np.std([block.mean() for block in np.array_split(np.array(found), 30)], ddof=1) / np.sqrt(30)
    assert error < 0.03 * expected
    assert abs(np.mean(found) - expected) < 3.5 * error


def test_free_particles_diffuse() -> None:
    rng = np.random.default_rng(4)
    model = OverdampedModel(diffusion=np.array([0.4, 1.6]), coefficients=np.zeros((3, 0)), lower=0.1, cutoff=1.0)
    species = np.arange(20000) % 2
    state = State(positions=np.zeros((20000, 2)), species=species, box=CELL)
    moved, _ = overdamped_step(model, state, dt=0.5, rng=rng)
    variance = [float((moved.positions[species == kind] ** 2).mean()) for kind in (0, 1)]
    assert variance == pytest.approx([0.4, 1.6], rel=0.04)
