"""Hidden vectors of pairs: the laws in discrete time, and the memory they are to make, against dense linear algebra."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.linalg import expm

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.loops.hidden import exchange
from colloid_cg.dynamics.metriplectic.memory import HiddenState, MemoryKernel, PairMemory
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.dynamics.metriplectic.state import PhaseState, kinetic_energy, momentum, phase_state, total_energy
from colloid_cg.dynamics.metriplectic.steps import hidden
from colloid_cg.dynamics.metriplectic.steps.hidden import hidden_at_pairs, memory_forces, memory_step, memory_substep
from colloid_cg.errors import DataError, InputError
from colloid_cg.records import Box

THERMAL, RANGE = 1.5, 1.6
KERNELS = (MemoryKernel(8.0, 14.0), MemoryKernel(5.0))
_FALL = torch.tensor([1.0, 0.8, 0.6, 0.42, 0.28, 0.16, 0.07, 0.02], dtype=torch.float64)


def fluid(
    *, capacity: float = 1000.0, masses: tuple[float, ...] = (2.0,), force: float = 30.0, friction: float = 0.0
) -> MetriplecticModel:
    """Return particles with two modes of memory, one of them across the line of two particles too."""
    pairs = len(masses) * (len(masses) + 1) // 2
    rows = _FALL.repeat(pairs, 1) * torch.linspace(1.0, 1.4, pairs, dtype=torch.float64)[:, None]
    one = torch.ones(len(masses), dtype=torch.float64)
    knots = {"lower": 0.3, "cutoff": RANGE}
    return MetriplecticModel(
        masses=torch.tensor(masses, dtype=torch.float64),
        energy=ConstantHeatCapacity(heat_capacity=capacity * one, temperature=THERMAL * one),
        radial=SplineRadial(**knots, force=force * rows, par=THERMAL * friction * rows if friction else None),
        law=PowerLaw(temperature=THERMAL),
        memory=PairMemory(
            kernels=KERNELS,
            frictions=(SplineRadial(**knots, par=6.0 * rows, perp=2.0 * rows), SplineRadial(**knots, par=3.0 * rows)),
            temperature=THERMAL,
        ),
    )  # fmt: skip


def at_rest(model: MetriplecticModel, side: int = 7, *, seed: int = 1, periodic: bool = True) -> PhaseState:
    """Return particles on a square grid with Maxwellian velocities."""
    rng, spacing = np.random.default_rng(seed), 1.0
    grid = spacing * (np.stack(np.meshgrid(*[np.arange(side)] * 2, indexing="ij"), axis=-1).reshape(-1, 2) + 0.5)
    species = np.arange(len(grid)) % model.n_species
    spread = np.sqrt(THERMAL / model.masses.numpy())[species, None]
    return phase_state(
        model,
        torch.tensor(grid + 0.05 * rng.normal(size=grid.shape)),
        torch.tensor(spread * rng.normal(size=grid.shape)),
        cell=Cell(box=Box(lower=(0.0,) * 2, upper=(spacing * side,) * 2, periodic=(periodic,) * 2)),
        species=torch.tensor(species),
    )


def started(model: MetriplecticModel, state: PhaseState, seed: int = 2) -> tuple[PhaseState, torch.Generator]:
    rng = torch.Generator().manual_seed(seed)
    return hidden_at_pairs(model, state, rng), rng


@pytest.mark.parametrize("kernel", [MemoryKernel(5.0), MemoryKernel(8.0, 14.0), MemoryKernel(3.0, 0.2)])
def test_a_kernel_has_the_integrals_it_says(kernel: MemoryKernel) -> None:
    total = quad(lambda t: float(kernel.at(np.array(t))), 0.0, 12.0)[0]
    late = quad(lambda t: t * float(kernel.at(np.array(t))), 0.0, 12.0)[0]
    tau = 0.37
    twice = quad(lambda t: (tau - t) * float(kernel.at(np.array(t))), 0.0, tau)[0]
    assert total == pytest.approx(1.0, abs=1e-6)
    assert late == pytest.approx(kernel.mean_time, abs=1e-6)
    assert kernel.twice_integrated(np.array([tau]))[0] == pytest.approx(twice, rel=1e-6)
    assert kernel.at(np.zeros(1))[0] == pytest.approx(kernel.at_zero)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dt", [1e-4, 0.03, 0.5])
def test_relaxation_makes_the_kernel_and_keeps_unit_gaussians(kernel: MemoryKernel, dt: float) -> None:
    kept, noise = kernel.relaxation(dt)
    np.testing.assert_allclose(kept @ kept.T + noise @ noise.T, np.eye(len(kept)), atol=1e-12)
    correlation = [np.linalg.matrix_power(kept, n)[0, 0] for n in range(5)]
    np.testing.assert_allclose(correlation, kernel.at(dt * np.arange(5)) / kernel.at_zero, atol=1e-12)


def generator_of(model: MetriplecticModel, state: PhaseState) -> np.ndarray:
    """Return the antisymmetric generator of (sqrt(m) v, z) at fixed positions, written out pair by pair."""
    assert model.memory is not None
    n, d = state.positions.shape
    pairs, memory = state.pairs, model.memory
    masses = model.masses.numpy()[state.species.numpy()]
    size = n * d + len(pairs) * memory.n_vectors * d
    matrix = np.zeros((size, size))
    kinds = model.pair_kinds(state.species, pairs.first, pairs.second)
    for p in range(len(pairs)):
        i, j, e = int(pairs.first[p]), int(pairs.second[p]), state.direction[:, p].numpy()
        for mode, (kernel, friction) in enumerate(zip(memory.kernels, memory.frictions, strict=True)):
            found = friction.evaluate(state.distance[p : p + 1], None if kinds is None else kinds[p : p + 1])
            par, perp = (0.0 if g is None else float(g[0]) for g in (found.par, found.perp))
            along = np.outer(e, e)
            tensor = np.sqrt(kernel.at_zero) * (np.sqrt(par) * along + np.sqrt(perp) * (np.eye(d) - along))
            at = n * d + (p * memory.n_vectors + int(memory.coupled[mode])) * d
            for particle, sign in ((i, 1.0), (j, -1.0)):
                block = sign * tensor / np.sqrt(masses[particle])
                matrix[particle * d : (particle + 1) * d, at : at + d] += block
                matrix[at : at + d, particle * d : (particle + 1) * d] -= block
    return matrix


def exchanged(model: MetriplecticModel, state: PhaseState, dt: float, scaled: np.ndarray) -> np.ndarray:
    """Return what a forward and a backward sweep of dt/2 make of (sqrt(m) v, z)."""
    assert model.memory is not None
    n, d = state.positions.shape
    masses = model.masses.numpy()[state.species.numpy()]
    velocities = (scaled[: n * d].reshape(n, d) / np.sqrt(masses)[:, None]).copy()
    values = scaled[n * d :].reshape(len(state.pairs), model.memory.n_vectors, d).copy()
    pairs = state.pairs
    couplings = model.memory.couplings(
        state.distance, model.pair_kinds(state.species, pairs.first, pairs.second)
    ).numpy()
    where = (state.direction.numpy(), pairs.first.numpy(), pairs.second.numpy(), 1.0 / masses, couplings)
    for forward in (True, False):
        exchange(velocities, values, *where, model.memory.coupled, 0.5 * dt, forward)
    return np.concatenate([(velocities * np.sqrt(masses)[:, None]).ravel(), values.ravel()])


def test_exchange_is_a_rotation_and_follows_the_reversible_equations_to_second_order() -> None:
    model = fluid(masses=(1.0, 3.0))
    state = at_rest(model, 4)
    generator = generator_of(model, state)
    np.testing.assert_array_equal(generator, -generator.T)
    rng, size = np.random.default_rng(4), len(generator)
    errors = []
    for dt in (0.04, 0.02, 0.01):
        vectors = rng.normal(size=(size, 6))
        moved = np.stack([exchanged(model, state, dt, column) for column in vectors.T], axis=1)
        np.testing.assert_allclose(moved.T @ moved, vectors.T @ vectors, rtol=1e-12)
        errors.append(np.linalg.norm(moved - expm(dt * generator) @ vectors) / np.linalg.norm(vectors))
    # A symmetric composition: the error of a step is of third order.
    assert 6.0 < errors[0] / errors[1] < 10.0
    assert 6.0 < errors[1] / errors[2] < 10.0


def test_energy_and_momentum_hold_to_round_off_while_pairs_come_and_go() -> None:
    model = fluid(masses=(1.0, 3.0), friction=1.0)
    state, rng = started(model, at_rest(model))
    energy, carried = float(total_energy(model, state)), momentum(model, state)
    kinetic = float(kinetic_energy(model, state).sum())
    scale = float((model.inertia(state.species)[:, None] * state.velocities).abs().sum())
    for _ in range(400):
        state = memory_step(model, state, 0.02, rng)
        assert abs(float(total_energy(model, state)) - energy) < 1e-11 * kinetic
        assert float((momentum(model, state) - carried).abs().max()) < 1e-12 * scale
    assert state.neighbours.searches > 5
    assert abs(float(state.account.absorbed)) < 0.05 * kinetic


def test_motion_and_hidden_vectors_share_one_temperature() -> None:
    model = fluid(capacity=1000.0)
    state, rng = started(model, at_rest(model, 24))
    kinetic, stored, heat = [], [], []
    for step in range(1200):
        state = memory_step(model, state, 0.03, rng)
        if step >= 200 and step % 5 == 0:
            relative = state.velocities - state.velocities.mean(dim=0)
            n, d = relative.shape
            kinetic.append(float(model.masses[0] * relative.square().sum()) / (d * (n - 1)))
            assert state.hidden is not None
            stored.append(float(state.hidden.values.square().mean()))
            heat.append(float(state.thermal.temperature.mean()))
    for found in (kinetic, stored):
        ratio = np.array(found) / np.array(heat)
        blocks = ratio.reshape(20, -1).mean(axis=1)
        assert abs(blocks.mean() - 1.0) < 4.0 * blocks.std() / np.sqrt(20)
        assert blocks.std() / np.sqrt(20) < 0.006


def test_hidden_vectors_of_warm_and_small_heat_capacity_obey_the_microcanonical_identity() -> None:
    """<z^2 mean_ij (1/T)(1 - k_B/C)> = k_B for pi ~ exp[(S_i + S_j)/k_B]/(T_i T_j), U falling by z^2/4 each."""
    model = fluid(capacity=15.0, force=0.0)
    start = at_rest(model, 24)
    near = replace(start, velocities=torch.zeros_like(start.velocities))
    rng, found = torch.Generator().manual_seed(5), []
    # Pairs that share no particle and no motion: the hidden vectors exchange heat alone.
    assert model.memory is not None
    idle = tuple(replace(f, par=None if f.par is None else 0.0 * f.par, perp=None) for f in model.memory.frictions)
    model = replace(model, memory=replace(model.memory, frictions=idle))
    state = hidden_at_pairs(model, near, rng)
    for step in range(1500):
        state = memory_substep(model, state, 0.01, rng)
        if step >= 200 and step % 10 == 0:
            assert state.hidden is not None
            thermal = state.thermal
            inverse = (1.0 - 1.0 / thermal.heat_capacity) / thermal.temperature
            weight = 0.5 * state.pairs.added(inverse)
            found.append(float((weight * state.hidden.values.square().mean(dim=(1, 2))).mean()))
    blocks = np.array(found).reshape(10, -1).mean(axis=1)
    error = blocks.std() / np.sqrt(10)
    assert error < 0.002
    assert abs(blocks.mean() - 1.0) < 4.0 * error + 0.003


def test_friction_is_late_as_the_kernels_say_and_noise_matches_it() -> None:
    """Isolated pairs at fixed distance: the mean velocity and the variance follow the linear equations exactly."""
    model = fluid(force=0.0)
    assert model.memory is not None
    count, dt, steps = 12000, 0.02, 60
    across = 3.0 * np.arange(count)
    positions = np.concatenate([np.stack([across, np.zeros(count)], 1), np.stack([across, np.full(count, 0.8)], 1)])
    velocities = np.zeros((2 * count, 2))
    velocities[:count], velocities[count:] = (0.5, 2.0), (-0.5, -2.0)
    box = Box(lower=(-1.0, -5.0), upper=(3.0 * count, 5.0), periodic=(False, False))
    state = phase_state(model, torch.tensor(positions), torch.tensor(velocities), cell=Cell(box=box))
    state, rng = started(model, state)
    lone = phase_state(model, torch.tensor(positions[[0, count]]), torch.zeros(2, 2, dtype=torch.float64),
                       cell=Cell(box=Box(lower=(-1.0, -5.0), upper=(5.0, 5.0), periodic=(False, False))))  # fmt: skip
    drift = generator_of(model, lone)
    own = 4 + 2 * np.arange(3)  # z of mode 1, its inner vector, z of mode 2; two components each
    frequency = np.hypot(KERNELS[0].decay, KERNELS[0].swing or 0.0)
    for a in range(2):
        drift[own[0] + a, own[1] + a] += frequency
        drift[own[1] + a, own[0] + a] -= frequency
        drift[own[1] + a, own[1] + a] -= 2.0 * KERNELS[0].decay
        drift[own[2] + a, own[2] + a] -= KERNELS[1].decay
    begin = np.zeros(len(drift))
    root = np.sqrt(float(model.masses[0]))
    begin[:4] = root * np.array([0.5, 2.0, -0.5, -2.0])
    for step in range(1, steps + 1):
        state = memory_substep(model, state, dt, rng)
        if step % 10:
            continue
        moved = expm(step * dt * drift)
        expected = (moved @ begin)[:2] / root
        w = 0.5 * (state.velocities[:count] - state.velocities[count:]).numpy()
        # Variance: what started at zero spread in v and at k_B T in the hidden vectors.
        hot = np.diag(np.concatenate([np.zeros(4), np.full(len(drift) - 4, THERMAL)]))
        rest = THERMAL * (np.eye(len(drift)) - moved @ moved.T)
        covariance = (moved @ hot @ moved.T + rest)[:4, :4] / root**2
        combine = 0.5 * np.array([[1, 0, -1, 0], [0, 1, 0, -1]])
        spread = np.diag(combine @ covariance @ combine.T)
        error = np.sqrt(spread / count)
        np.testing.assert_array_less(np.abs(w.mean(axis=0) - expected), 4.0 * error + 0.003)
        np.testing.assert_allclose(w.var(axis=0), spread, rtol=4.0 * np.sqrt(2.0 / count) + 0.01)


def test_rotation_and_common_motion_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fluid()
    state = at_rest(model, 5, periodic=False)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    wide = Cell(box=Box(lower=(-20.0,) * 2, upper=(20.0,) * 2, periodic=(False,) * 2))
    drawn = hidden._normals

    def turned(shape: tuple[int, ...], like: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return drawn(shape, like, rng) @ turn.T

    still = phase_state(model, state.positions, state.velocities, cell=wide, skin=4.0)
    seen = phase_state(model, state.positions @ turn.T, state.velocities @ turn.T, cell=wide, skin=4.0)
    shift = torch.tensor([3.0, -1.0], dtype=torch.float64)
    boosted = phase_state(model, state.positions, state.velocities + shift, cell=wide, skin=4.0)
    outcomes = []
    for start, normals in ((still, drawn), (seen, turned), (boosted, drawn)):
        monkeypatch.setattr(hidden, "_normals", normals)
        outcome, rng = started(model, start)
        for _ in range(20):
            outcome = memory_step(model, outcome, 0.02, rng)
        outcomes.append(outcome)
    plain, rotated, moving = outcomes
    torch.testing.assert_close(rotated.velocities, plain.velocities @ turn.T, rtol=0, atol=1e-11)
    torch.testing.assert_close(moving.velocities, plain.velocities + shift, rtol=0, atol=1e-11)
    assert plain.hidden is not None
    assert rotated.hidden is not None
    torch.testing.assert_close(rotated.hidden.values, plain.hidden.values @ turn.T, rtol=0, atol=1e-11)


def test_forces_of_hidden_vectors_know_no_labels() -> None:
    model = fluid(masses=(1.0, 3.0))
    state, _ = started(model, at_rest(model, 5))
    order = torch.randperm(len(state.species), generator=torch.Generator().manual_seed(3))
    place = torch.argsort(order)
    other = phase_state(
        model, state.positions[order], state.velocities[order], cell=state.cell, species=state.species[order]
    )
    assert state.hidden is not None
    vectors = {
        (int(i), int(j)): value
        for i, j, value in zip(state.pairs.first, state.pairs.second, state.hidden.values, strict=True)
    }
    rows = []
    for i, j in zip(order[other.pairs.first].tolist(), order[other.pairs.second].tolist(), strict=True):
        rows.append(vectors[i, j] if (i, j) in vectors else -vectors[j, i])
    other = replace(other, hidden=HiddenState(pairs=other.pairs, values=torch.stack(rows), energy=state.hidden.energy))
    torch.testing.assert_close(memory_forces(model, other)[place], memory_forces(model, state), rtol=0, atol=1e-12)


def test_hidden_vectors_outlive_a_new_list_and_a_restart() -> None:
    model = fluid()
    state, rng = started(model, at_rest(model))
    for _ in range(10):
        state = memory_step(model, state, 0.02, rng)
    fresh = replace(state, neighbours=replace(state.neighbours, origin=state.neighbours.origin + 5.0))
    again = phase_state(model, fresh.positions, fresh.velocities, cell=fresh.cell, skin=0.05)
    listed = replace(state, neighbours=again.neighbours, direction=again.direction, distance=again.distance,
                     radial=again.radial)  # fmt: skip
    before = float(total_energy(model, state))
    carried = hidden_at_pairs(model, listed, rng)
    assert state.hidden is not None
    assert carried.hidden is not None
    known = {
        (int(i), int(j)): value
        for i, j, value in zip(state.pairs.first, state.pairs.second, state.hidden.values, strict=True)
    }
    kept = [
        torch.equal(value, known[int(i), int(j)])
        for i, j, value in zip(carried.pairs.first, carried.pairs.second, carried.hidden.values, strict=True)
        if (int(i), int(j)) in known
    ]
    assert len(kept) > 50
    assert all(kept)
    assert len(carried.pairs) < len(state.pairs)
    assert float(total_energy(model, carried)) == pytest.approx(before, rel=1e-12)
    through, later, seed = state, state, rng.get_state()
    for _ in range(5):
        through = memory_step(model, through, 0.02, rng)
    resumed = torch.Generator()
    resumed.set_state(seed)
    for _ in range(5):
        later = memory_step(model, later, 0.02, resumed)
    assert torch.equal(through.velocities, later.velocities)


def test_what_the_step_cannot_do_is_refused() -> None:
    model = fluid()
    state = at_rest(model, 5)
    rng = torch.Generator().manual_seed(1)
    with pytest.raises(InputError, match="without memory"):
        memory_step(replace(model, memory=None), state, 0.01, rng)
    sheared = Cell(box=replace(state.cell.box, shear_rate=0.1))
    with pytest.raises(InputError, match="sheared"):
        memory_step(model, phase_state(model, state.positions, state.velocities, cell=sheared), 0.01, rng)
    cold = fluid(capacity=1.0)
    with pytest.raises(DataError, match="heat capacity"):
        memory_step(cold, at_rest(cold, 9), 0.05, rng)
    with pytest.raises(InputError, match="above zero"):
        MemoryKernel(-1.0)
    assert model.memory is not None
    with pytest.raises(InputError, match="one friction for each"):
        replace(model.memory, kernels=KERNELS[:1])
