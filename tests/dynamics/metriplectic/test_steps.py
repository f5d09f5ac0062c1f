"""Laws of the time steps: energy and momentum to round-off with every kind of exchange, order, equilibrium."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.dynamics_equilibrium import equilibrium
from benchmarks.dynamics_systems import published_system
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.reversible import pair_forces
from colloid_cg.dynamics.metriplectic.state import (
    PhaseState,
    kinetic_energy,
    momentum,
    phase_state,
    total_energy,
)
from colloid_cg.dynamics.metriplectic.steps import reinjection
from colloid_cg.dynamics.metriplectic.steps.conservative import verlet_substep
from colloid_cg.dynamics.metriplectic.steps.euler_maruyama import drift, euler_maruyama_step
from colloid_cg.dynamics.metriplectic.steps.pair_metropolis import matchings, pair_metropolis_step
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.errors import DataError, InputError
from tests.dynamics.metriplectic.worlds import REAL, Bowl, Needle, crowd, rich_model, row


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def violation(model: MetriplecticModel, start: PhaseState, state: PhaseState) -> float:
    """|E - E(0) + bath - work| in units of the kinetic energy at the start."""
    change = total_energy(model, state) - total_energy(model, start)
    broken = change + state.account.bath - state.account.work
    return float(broken.abs() / kinetic_energy(model, start).sum())


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("dimension", [2, 3])
def test_energy_and_momentum_are_conserved_to_round_off(stages: int, dimension: int) -> None:
    model = rich_model()
    start = state = crowd(model, d=dimension, n=40 if dimension == 2 else 64)
    rng = stream()
    for _ in range(150):
        state = reinjection_step(model, state, 0.01, rng, stages=stages)
    assert violation(model, start, state) < 1e-12
    carried = (model.inertia(state.species)[:, None] * state.velocities).abs().sum()
    assert float((momentum(model, state) - momentum(model, start)).abs().max() / carried) < 1e-13
    assert float((state.velocities - start.velocities).abs().max()) > 0.1  # it did move
    assert float((state.internal).abs().max()) > 0.01  # and heat was exchanged
    recovered = model.energy.at(state.entropy, state.volume, model.kinds(state.species)).energy
    torch.testing.assert_close(recovered, state.reference + state.internal, rtol=1e-12, atol=1e-12)


def test_the_ledger_closes_with_bath_and_external_potential() -> None:
    model = replace(rich_model(bath=True), external=Bowl(0.7, row(1.5, 1.5)))
    start = state = crowd(model)
    rng = stream(1)
    for _ in range(150):
        state = reinjection_step(model, state, 0.01, rng)
    assert violation(model, start, state) < 1e-12
    assert abs(float(state.account.bath)) > 0.1


def test_the_ledger_closes_under_shear_and_shear_heats() -> None:
    model = rich_model()
    start = state = crowd(model, shear=0.8)
    rng = stream(2)
    for _ in range(300):
        state = reinjection_step(model, state, 0.01, rng)
    assert violation(model, start, state) < 1e-12
    assert float(state.account.work) > 0.0


def test_the_ledger_closes_with_prescribed_particles_and_they_follow_their_path() -> None:
    model = rich_model(kinds=3, masses=(1.0, 2.7, float("inf")))
    state = crowd(model)
    resting = state.species == 2
    needle = Needle(state.positions[resting].clone(), row(0.6, -0.2))
    model = replace(model, drive=needle)
    velocities = torch.where(resting[:, None], needle.velocity, state.velocities)
    start = state = phase_state(
        model, state.positions, velocities, cell=state.cell, species=state.species, entropy=state.entropy
    )
    rng = stream(3)
    for _ in range(150):
        state = reinjection_step(model, state, 0.01, rng)
    torch.testing.assert_close(state.positions[resting], needle.at(1.5), rtol=0, atol=1e-12)
    assert violation(model, start, state) < 1e-12
    assert float(state.account.work.abs()) > 0.1


def test_absorbed_energy_is_of_second_order_in_the_time_step() -> None:
    model = rich_model()

    def absorbed(steps: int) -> float:
        state = crowd(model, seed=4)
        worst = 0.0
        for _ in range(steps):
            state = verlet_substep(model, state, 0.4 / steps)
            worst = max(worst, abs(float(state.account.absorbed)))
        return worst

    coarse, fine = absorbed(80), absorbed(160)
    assert 3.0 < coarse / fine < 5.0


def test_verlet_is_reversible_and_of_second_order() -> None:
    model = rich_model()
    start = crowd(model, seed=5)

    def run(steps: int) -> torch.Tensor:
        state = start
        for _ in range(steps):
            state = verlet_substep(model, state, 0.4 / steps)
        return state.positions

    exact = run(1280)
    errors = [float((run(n) - exact).abs().max()) for n in (40, 80)]
    assert 3.3 < errors[0] / errors[1] < 4.7


def test_noise_that_would_leave_no_energy_is_drawn_again_and_counted() -> None:
    model = rich_model(heat_capacity=1.5)
    start = state = crowd(model, seed=6)
    rng = stream(6)
    for _ in range(60):
        state = reinjection_step(model, state, 0.01, rng)
    assert state.account.redrawn > 0
    assert violation(model, start, state) < 1e-11
    assert float((state.reference + state.internal).min()) > 0


def test_a_step_far_too_long_is_refused_with_its_dt() -> None:
    model = rich_model(heat_capacity=0.9)
    with pytest.raises(DataError, match="dt = 5"):
        reinjection_step(model, crowd(model, seed=7), 5.0, stream())


def test_a_step_of_three_stages_is_refused() -> None:
    model = rich_model()
    with pytest.raises(InputError, match="3 stages"):
        reinjection_step(model, crowd(model), 0.01, stream(), stages=3)


def test_a_state_may_be_continued_twice() -> None:
    model = rich_model()
    kept = crowd(model)
    ends = []
    for _ in range(2):
        state, rng = kept, stream(12)
        for _ in range(40):
            state = reinjection_step(model, state, 0.01, rng)
        assert state.neighbours.searches > 1
        ends.append(state)
    assert ends[0].velocities.numpy().tobytes() == ends[1].velocities.numpy().tobytes()
    assert kept.neighbours.searches == 1


def test_euler_maruyama_does_not_conserve_energy() -> None:
    model = rich_model()
    start = state = crowd(model)
    rng = stream()
    for _ in range(50):
        state = euler_maruyama_step(model, state, 0.01, rng)
    assert violation(model, start, state) > 1e-3


@pytest.mark.parametrize("friction", [True, False])
def test_mean_of_a_reinjection_step_is_the_drift_of_the_equations(
    monkeypatch: pytest.MonkeyPatch, *, friction: bool
) -> None:
    """The mean over noise xi and -xi of (x' - x)/dt is M gradS + k_B div M: what is linear in the noise cancels.

    Of one stage; the second one differs from the first in order dt.

    Without friction the terms of heat exchange stand alone; beside friction they are too small to be seen.
    """
    model = rich_model(heat_capacity=4.0)
    if not friction:
        model = replace(model, radial=replace(model.radial, par=None, perp=None))
    start = crowd(model, n=16, edge=2.0, seed=8)
    force = model.inverse_mass(start.species) * pair_forces(start, start.thermal)
    drift_v, drift_s = drift(model, start)
    rng, dt, draws = stream(8), 1e-6, 1200
    changes = []
    for _ in range(draws):
        normals = reinjection.draw(model, start, rng)
        both = []
        for sign in (1.0, -1.0):
            signed = replace(normals, impulse=sign * normals.impulse, heat=sign * normals.heat)
            monkeypatch.setattr(reinjection, "draw", lambda *_, signed=signed: signed)
            state = reinjection.dissipative_substep(model, start, dt, rng, stages=1)
            both.append(torch.cat([(state.velocities - start.velocities).flatten(), state.entropy - start.entropy]))
            monkeypatch.undo()
        changes.append((both[0] + both[1]) / (2.0 * dt))
    sample = torch.stack(changes)
    expected = torch.cat([(drift_v - force).flatten(), drift_s])
    error = sample.std(dim=0) / draws**0.5
    n = start.velocities.numel()
    # Impulses have no quadratic part: their mean is exact. Entropies carry the scatter of (random impulse)^2.
    torch.testing.assert_close(sample.mean(dim=0)[:n], expected[:n], rtol=1e-6, atol=1e-6)
    z = (sample.mean(dim=0) - expected)[n:] / error[n:]
    assert float(z.abs().max()) < 4.0
    assert float((error[n:] / expected[n:].abs().max()).max()) < (0.03 if friction else 0.05)


def test_pair_metropolis_conserves_and_colours_properly() -> None:
    model = rich_model()
    start = state = crowd(model, seed=9)
    groups = matchings(state.pairs)
    assert sum(len(group) for group in groups) == len(state.pairs)
    for group in groups:
        ends = torch.cat([state.pairs.first[group], state.pairs.second[group]])
        assert len(torch.unique(ends)) == len(ends)
    rng = stream(9)
    for _ in range(20):
        state = pair_metropolis_step(model, state, 0.02, rng)
    assert violation(model, start, state) < 1e-12
    assert float(momentum(model, state).abs().max()) < 1e-11 + float(momentum(model, start).abs().max())
    assert float((state.velocities - start.velocities).abs().max()) > 0.1


def test_pair_metropolis_refuses_a_bath() -> None:
    model = rich_model(bath=True)
    with pytest.raises(InputError, match="bath"):
        pair_metropolis_step(model, crowd(model), 0.01, stream())


@pytest.mark.parametrize(
    ("name", "rate_dt", "expected"),
    [("one stage", 0.2, 1.107), ("two stages", 0.2, 0.988), ("metropolis", 0.4, 1.0)],
)
def test_equilibrium_ratio_of_each_step(name: str, rate_dt: float, expected: float) -> None:
    found = equilibrium(
        name, rate_dt=rate_dt, relaxations=20.0 if name == "metropolis" else 60.0, n=1000, burn=4.0, seed=3
    )
    assert found.error < 0.015
    assert abs(found.ratio - expected) < 3.5 * found.error + 0.003


def test_the_same_seed_gives_the_same_bytes() -> None:
    model = rich_model()

    def run() -> PhaseState:
        state, rng = crowd(model), stream(11)
        for _ in range(20):
            state = reinjection_step(model, state, 0.01, rng)
        return state

    one, two = run(), run()
    for name in ("positions", "velocities", "entropy", "internal"):
        assert getattr(one, name).numpy().tobytes() == getattr(two, name).numpy().tobytes()


def test_single_precision_runs_and_stays_close() -> None:
    model = rich_model()
    single = MetriplecticModel(
        masses=model.masses.float(),
        energy=replace(
            model.energy,
            **{k: getattr(model.energy, k).float() for k in ("heat_capacity", "temperature", "volume", "amount")},
        ),
        radial=replace(
            model.radial, **{k: getattr(model.radial, k).float() for k in ("force", "kernel", "par", "perp", "heat")}
        ),
        law=replace(model.law, **{k: getattr(model.law, k).float() for k in ("par", "perp", "heat")}),
        boltzmann=model.boltzmann,
    )
    full = crowd(model)
    low = phase_state(
        single, full.positions.float(), full.velocities.float(), cell=full.cell, species=full.species,
        entropy=full.entropy.float(),
    )  # fmt: skip
    for k in range(20):
        full, low = (reinjection_step(m, s, 0.01, stream(k)) for m, s in ((model, full), (single, low)))
    assert low.velocities.dtype == torch.float32
    torch.testing.assert_close(low.velocities.to(REAL), full.velocities, rtol=0, atol=2e-4)


@pytest.mark.data
@pytest.mark.parametrize("name", ["star_polymer_11", "taylor_green"])
def test_published_weights_give_the_published_numbers_and_conserve_energy(name: str) -> None:
    system, known = published_system(name)
    model, state = system.model, system.state
    dv, ds = drift(model, state)
    assert state.volume is not None
    assert state.thermal.pressure is not None
    for found, key in (
        (1.0 / state.volume, "density"), (state.thermal.energy, "U"), (state.thermal.temperature, "T"),
        (state.thermal.pressure, "P"), (state.thermal.heat_capacity, "Cv"), (dv, "dvdt"), (ds, "dSdt"),
    ):  # fmt: skip
        expected = torch.as_tensor(known[key]).reshape(found.shape)
        assert float((found - expected).abs().max() / expected.abs().max()) < 1e-6, key
    start, rng = state, stream()
    for _ in range(3):
        state = reinjection_step(model, state, float(known["dt"]), rng)
    assert violation(model, start, state) < 1e-12
