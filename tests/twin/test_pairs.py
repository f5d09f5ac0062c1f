"""Pair potentials, forces and their equilibrium against closed forms and brute force."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from colloid_cg.errors import ConfigError
from colloid_cg.seeding import generator
from colloid_cg.twin import CameraConfig, TwinConfig, simulate_case
from colloid_cg.twin.forces import HarmonicTraps, PairForces, neighbour_pairs
from colloid_cg.twin.motion import equilibrate
from colloid_cg.twin.potentials import (
    PairPotential,
    pair_force_table,
    soft_discs,
    tabulate,
    yukawa,
    yukawa_energy,
    yukawa_force,
)

YUKAWA = yukawa(amplitude=35.0, screening_length=0.33, contact=1.0, cutoff=3.64)
DISCS = {(0, 0): soft_discs(amplitude=80.0, contact=1.0), (1, 1): soft_discs(amplitude=60.0, contact=1.4)}
MIXTURE = DISCS | {(0, 1): soft_discs(amplitude=50.0, contact=1.2)}


def brute_forces(
    potentials: dict[tuple[int, int], PairPotential], positions: np.ndarray, species: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, float]:
    difference = positions[None] - positions[:, None]
    difference -= lengths * np.round(difference / lengths)
    distance = np.linalg.norm(difference, axis=-1)
    np.fill_diagonal(distance, np.inf)
    forces, energy = np.zeros_like(positions), 0.0
    for (a, b), potential in potentials.items():
        for one, other in {(a, b), (b, a)}:
            chosen = (species[:, None] == one) & (species[None] == other)
            strength = np.where(chosen, potential.force(distance), 0.0)
            forces -= np.einsum("ij,ijk->ik", strength / distance, difference)
            energy += 0.5 * np.where(chosen, potential.energy(distance), 0.0).sum()
    return forces, float(energy)


def test_yukawa_formula() -> None:
    parameters = {"amplitude": 7.0, "screening_length": 0.5, "contact": 2.0}
    assert yukawa_energy(2.0, **parameters) == pytest.approx(7.0)
    assert yukawa_energy(3.0, **parameters) == pytest.approx(7.0 * np.exp(-2.0) * 2 / 3)
    r = np.linspace(1.0, 5.0, 50)
    slope = (yukawa_energy(r + 1e-5, **parameters) - yukawa_energy(r - 1e-5, **parameters)) / 2e-5
    assert yukawa_force(r, **parameters) == pytest.approx(-slope, rel=1e-7)


@pytest.mark.parametrize("potential", [YUKAWA, *MIXTURE.values()])
def test_force_is_minus_the_slope_of_the_energy_and_ends_at_the_cutoff(potential: PairPotential) -> None:
    r = np.linspace(0.3, 0.999, 60) * potential.cutoff
    slope = (potential.energy(r + 1e-5) - potential.energy(r - 1e-5)) / 2e-5
    assert potential.force(r) == pytest.approx(-slope, rel=1e-6, abs=1e-9)
    just_inside = potential.cutoff * (1 - 1e-9)
    assert potential.force(just_inside) == pytest.approx(0.0, abs=1e-6)
    assert potential.energy(just_inside) == pytest.approx(0.0, abs=1e-6)
    assert potential.force(potential.cutoff * 1.01) == 0.0


def test_shift_is_small_where_pairs_are_found() -> None:
    r = np.linspace(1.3, 2.2, 20)
    bare = yukawa_force(r, amplitude=35.0, screening_length=0.33, contact=1.0)
    assert YUKAWA.force(r) == pytest.approx(bare, rel=0.01)
    assert YUKAWA.force(1.6) == pytest.approx(bare[np.argmin(abs(r - 1.6))], rel=0.1)


def test_force_table_equals_the_closed_form() -> None:
    force, energy, spacing = tabulate({(0, 0): YUKAWA}, n_species=1)
    grid = np.arange(force.shape[2]) * spacing
    r = np.linspace(1.0, 3.5, 1001)
    assert np.interp(r, grid, force[0, 0]) == pytest.approx(YUKAWA.force(r), rel=1e-5)
    assert np.interp(r, grid, energy[0, 0]) == pytest.approx(YUKAWA.energy(r), rel=1e-5)


@pytest.mark.parametrize("lengths", [(9.0, 7.9), (30.0, 8.0), (24.0, 25.0)])
def test_pair_forces_equal_brute_force_in_a_periodic_cell(lengths: tuple[float, float]) -> None:
    rng = generator(2, "pairs")
    size = np.array(lengths)
    grid = np.stack(np.meshgrid(np.arange(0.5, size[0]), np.arange(0.5, size[1])), axis=-1).reshape(-1, 2)
    positions = grid + 0.1 * rng.standard_normal(grid.shape)
    species = rng.integers(0, 2, len(positions))
    for potentials, kinds in (({(0, 0): YUKAWA}, 0 * species), (MIXTURE, species)):
        forces = PairForces(potentials, species=kinds, lengths=size)
        # unwrapped; a small move that reuses the neighbour list; one that must rebuild it
        moves = [positions + size * rng.integers(-2, 3, positions.shape)]
        moves += [moves[0] + 0.02 * rng.random(positions.shape), rng.permutation(positions)]
        for moved in moves:
            expected, energy = brute_forces(potentials, moved, kinds, size)
            scale = np.abs(expected).max()
            assert forces(moved) == pytest.approx(expected, rel=0, abs=1e-5 * scale)
            assert forces.energy(moved) == pytest.approx(energy, rel=1e-5)


def test_neighbour_pairs_lists_each_pair_once_also_where_it_is_crowded() -> None:
    rng = generator(4)
    lengths = np.array([20.0, 31.0])
    # all in one corner: the first guess of the number of pairs is far too small
    positions = 2.0 * rng.random((60, 2))
    assert len(neighbour_pairs(positions, 3.0, lengths=lengths)) == 60 * 59 // 2
    spread = lengths * rng.random((300, 2))
    difference = spread[None] - spread[:, None]
    difference -= lengths * np.round(difference / lengths)
    i, j = np.nonzero(np.triu(np.linalg.norm(difference, axis=-1) < 3.0, 1))
    assert {tuple(pair) for pair in neighbour_pairs(spread, 3.0, lengths=lengths)} == set(zip(i, j, strict=True))


def test_two_particles_follow_boltzmann() -> None:
    """Two repelling particles in one trap k: p(r) ~ r exp(-phi(r) - k r^2/4), 1500 such pairs in one periodic cell."""
    stiffness, diffusion, spacing = 6.0, 1.0, 7.0
    index = np.arange(1521)
    # the first row and column sit on the faces of the cell, so that pairs see each other through them
    centres = np.repeat(np.stack([index % 39, index // 39], axis=1) * spacing, 2, axis=0)
    lengths = np.array([39 * spacing, 39 * spacing])
    pairs = PairForces({(0, 0): YUKAWA}, species=np.zeros(len(centres), dtype=np.int64), lengths=lengths)
    trap = HarmonicTraps(centres=centres, stiffness=stiffness)
    rng = generator(8, "two")
    positions = centres + np.tile([[-0.6, 0.0], [0.6, 0.0]], (1521, 1))
    diffusions = np.full(len(centres), diffusion)
    dt = 0.05 / (2 * YUKAWA.curvature(4.0))
    distances = []
    for _ in range(12):
        positions = equilibrate(
            lambda x: pairs(x) + trap(x), positions, diffusion=diffusions, dt=dt, duration=1.0 / stiffness, rng=rng
        )
        distances.append(np.linalg.norm(positions[1::2] - positions[::2], axis=1))
    r = np.concatenate(distances[2:])

    def weight(x: float) -> float:
        return float(x * np.exp(-YUKAWA.energy(x) - stiffness * x**2 / 4))

    total = quad(weight, 0.2, 3.6, epsabs=1e-12)[0]
    mean = quad(lambda x: x * weight(x), 0.2, 3.6, epsabs=1e-12)[0] / total
    second = quad(lambda x: x**2 * weight(x), 0.2, 3.6, epsabs=1e-12)[0] / total
    error = np.sqrt((second - mean**2) / len(r))
    assert error < 0.005 * mean
    assert r.mean() == pytest.approx(mean, abs=4 * error)
    assert r.var() == pytest.approx(second - mean**2, rel=0.05)
    edges = np.quantile(r, np.linspace(0, 1, 21))
    edges[[0, -1]] = 0.2, 3.6
    expected = np.array([quad(weight, a, b)[0] for a, b in pairwise(edges)]) / total
    assert expected == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / len(r)) * 1.5)


def laplacian(
    potentials: dict[tuple[int, int], PairPotential], positions: np.ndarray, species: np.ndarray, lengths: np.ndarray
) -> float:
    """Sum over particles of div grad U = 2 sum over pairs of phi'' + phi'/r."""
    total = 0.0
    i, j = neighbour_pairs(positions, max(potential.cutoff for potential in potentials.values()), lengths=lengths).T
    difference = positions[j] - positions[i]
    r = np.linalg.norm(difference - lengths * np.round(difference / lengths), axis=1)
    kinds = np.sort(species[np.stack([i, j])], axis=0).T
    for pair, potential in potentials.items():
        some = r[(kinds == pair).all(axis=1)]
        curvature = (potential.force(some - 1e-6) - potential.force(some)) / 1e-6
        total += 2 * np.sum(curvature - potential.force(some) / some)
    return float(total)


@pytest.mark.parametrize("case", ["yukawa", "soft_discs"])
def test_fluids_are_filmed_at_equilibrium(case: str) -> None:
    """Hypervirial theorem at k_B T = 1: <sum F^2> = <sum div grad U>."""
    config = TwinConfig(width=140, height=130, n_frames=200, frame_interval=0.05, camera=CameraConfig(exposure=0.0))
    truth = simulate_case(case, config)
    assert truth.cell is not None
    if case == "yukawa":
        potentials = {(0, 0): YUKAWA}
    else:
        contacts = {(0, 0): 1.6, (0, 1): 1.92, (1, 1): 2.24}
        potentials = {pair: soft_discs(amplitude=200.0, contact=contact) for pair, contact in contacts.items()}
    assert truth.parameters["cutoff"] == pytest.approx(max(potential.cutoff for potential in potentials.values()))
    values = []
    for positions in truth.instants:
        forces, energy = brute_forces(potentials, positions, truth.species, truth.cell[1])
        values.append((np.sum(forces**2), laplacian(potentials, positions, truth.species, truth.cell[1]), energy))
    squared, curved, energies = np.array(values).T
    blocks = np.array([part.mean() for part in np.array_split(squared - curved, 15)]) / curved.mean()
    error = blocks.std(ddof=1) / np.sqrt(15)
    assert error < 0.015
    assert blocks.mean() == pytest.approx(0.0, abs=4 * error)
    # from the first frame on, not only once the film has run for a while
    late = energies[100:]
    assert energies[:5].mean() == pytest.approx(late.mean(), abs=4 * late.std())


def test_particles_drift_at_diffusion_times_force() -> None:
    """Regression of the displacements on D F dt has slope 1 for either size, and a spread of 2 D dt."""
    dt = 0.001
    camera = CameraConfig(exposure=0.0)
    config = TwinConfig(width=140, height=130, n_frames=400, frame_interval=dt, camera=camera, equilibration=2.0)
    truth = simulate_case("soft_discs", config)
    assert truth.cell is not None
    contacts = {(0, 0): 1.6, (0, 1): 1.92, (1, 1): 2.24}
    potentials = {pair: soft_discs(amplitude=200.0, contact=contact) for pair, contact in contacts.items()}
    force = PairForces(potentials, species=truth.species, lengths=truth.cell[1])
    forces = np.array([force(positions) for positions in truth.instants[:-1]])
    moved = np.diff(truth.instants, axis=0)
    for kind, diffusion in ((0, 0.12), (1, 0.12 / 1.4)):
        drift = diffusion * dt * forces[:, truth.species == kind]
        step = moved[:, truth.species == kind]
        error = np.sqrt(2 * diffusion * dt / np.sum(drift**2))
        assert error < 0.1
        assert np.sum(drift * step) / np.sum(drift**2) == pytest.approx(1.0, abs=4 * error)
        assert np.var(step - drift) == pytest.approx(2 * diffusion * dt, rel=4 * np.sqrt(2 / step.size) + 0.005)


def test_pair_force_table_is_the_force_that_acted() -> None:
    table = pair_force_table(MIXTURE)
    assert list(table.columns) == ["r", "force", "species_a", "species_b"]
    for (a, b), part in table.groupby(["species_a", "species_b"]):
        potential = MIXTURE[(a, b)]
        assert part["force"].to_numpy() == pytest.approx(potential.force(part["r"].to_numpy()))
        assert part["r"].max() == pytest.approx(potential.cutoff)
    start = pair_force_table({(0, 0): YUKAWA})["r"].min()
    assert YUKAWA.energy(start) == pytest.approx(10.0, rel=0.02)


def test_a_cell_too_small_for_the_cutoff_is_refused() -> None:
    with pytest.raises(ConfigError, match="twice the cutoff"):
        simulate_case("yukawa", TwinConfig(width=32, height=32, margin=1.0, particles=5))
