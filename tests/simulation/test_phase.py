"""Rollouts in phase space: how they begin, their time steps, their ledger, other dynamics run by the same code."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ideal_gas_system import gas, random_start
from colloid_cg.dynamics.metriplectic.bath import Bath
from colloid_cg.dynamics.metriplectic.dissipative import friction_rates
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState, moved_to
from colloid_cg.errors import DataError
from colloid_cg.records import Ledger, PhaseSeries
from colloid_cg.simulation import SimulateConfig, phase_rollout
from colloid_cg.simulation.phase import thinning
from colloid_cg.simulation.phase_schedule import phase_schedule, stiffest_frequency
from colloid_cg.simulation.phase_start import starting_state
from colloid_cg.store import read_rollout, write_rollout
from tests.simulation.phase_worlds import MASS, THERMAL_ENERGY, lattice, soft_fluid


def begin(dimension: int = 2, side: int = 6, seed: int = 5) -> PhaseSeries:
    return lattice(dimension, side, rng=np.random.default_rng(seed))


def flight(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
    """Move freely."""
    return moved_to(model, state, state.positions + dt * state.velocities, state.time + dt)


def test_it_starts_at_rest_at_the_temperature_of_the_model() -> None:
    start = begin()
    pushed = replace(start, velocities=start.velocities + 3.0)
    state, scale = starting_state(soft_fluid(), pushed, THERMAL_ENERGY)
    v = state.velocities.numpy()
    np.testing.assert_allclose(v.mean(axis=0), 0.0, atol=1e-14)
    assert MASS * (v**2).sum() == pytest.approx(THERMAL_ENERGY * 2 * 35)
    own = start.velocities[0] - start.velocities[0].mean(axis=0)
    np.testing.assert_allclose(v, scale * own, atol=1e-12)
    np.testing.assert_allclose(state.thermal.temperature.numpy(), THERMAL_ENERGY)


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_friction_rate_of_a_particle_is_the_trace_of_its_own_block(dimension: int) -> None:
    start, model = begin(dimension, 5), soft_fluid()
    state, _ = starting_state(model, start, THERMAL_ENERGY)
    x, box = start.positions[0], start.box
    i, j = np.triu_indices(len(x), 1)
    r = torch.tensor(np.linalg.norm(box.shortest(x[i] - x[j]), axis=1))
    radial = model.radial.evaluate(r, None)
    assert radial.par is not None
    assert radial.perp is not None
    trace = ((radial.par + (dimension - 1) * radial.perp) / THERMAL_ENERGY / dimension / MASS).numpy()
    expected = np.bincount(i, trace, len(x)) + np.bincount(j, trace, len(x))
    # C = 1000 k_B: the Ito term of the friction is a thousandth.
    np.testing.assert_allclose(friction_rates(model, state).numpy(), expected, rtol=2e-3)
    solvent = Bath(temperature=1.0, friction=torch.tensor([0.6 * MASS]), heat=torch.zeros(1))
    np.testing.assert_allclose(friction_rates(replace(model, bath=solvent), state).numpy(), expected + 0.6, rtol=2e-3)


def test_steps_are_short_against_friction_and_against_the_stiffest_force() -> None:
    start, model = begin(), soft_fluid()
    state, _ = starting_state(model, start, THERMAL_ENERGY)
    rate, stiffest = float(friction_rates(model, state).max()), stiffest_frequency(model, state)
    r = torch.linspace(0.3, 1.6, 4001, dtype=torch.float64)  # from the first knot to the cutoff
    slope = model.radial.evaluate(r, None).potential_slope
    assert slope is not None
    truth = np.abs(np.gradient(slope.numpy(), r.numpy())).max()
    assert stiffest == pytest.approx(np.sqrt(truth * 2.0 / MASS), rel=0.01)
    for interval in (0.001, 0.1, 2.0):
        found = phase_schedule(model, state, frame_interval=interval)
        assert found.dt * found.substeps == pytest.approx(interval)
        assert rate * found.dt <= 0.05 * (1 + 1e-9)
        assert stiffest * found.dt <= 0.2 * (1 + 1e-9)
        fewer = interval / max(found.substeps - 1, 1e-9)
        assert rate * fewer > 0.05 or stiffest * fewer > 0.2
    sticky = soft_fluid(friction=50.0)
    rough = phase_schedule(sticky, starting_state(sticky, start, THERMAL_ENERGY)[0], frame_interval=0.1)
    assert rough.friction_step == pytest.approx(50.0 * rate * rough.dt, rel=1e-6)
    assert rough.friction_step <= 0.05 < rough.friction_step * rough.substeps / (rough.substeps - 1)
    assert rough.stiff_step < 0.1
    assert phase_schedule(model, state, frame_interval=0.1, substeps=7).substeps == 7


def test_steps_are_short_against_the_pressure() -> None:
    model = gas()
    state = random_start(model, 6.0, 1)
    r = np.linspace(0.0, 1.0, 4001)
    kernel = model.radial.evaluate(torch.tensor(r), None).kernel
    assert kernel is not None
    assert state.volume is not None
    assert state.thermal.pressure is not None
    pushed = float((state.thermal.pressure * state.volume**2).max())
    truth = 2.0 * pushed * np.abs(np.gradient(np.gradient(kernel.numpy(), r), r)[5:-5]).max()
    assert stiffest_frequency(model, state) == pytest.approx(np.sqrt(2.0 * truth), rel=0.02)
    assert phase_schedule(model, state, frame_interval=1.0).stiff_step == pytest.approx(0.2, rel=0.1)


def test_energy_and_momentum_hold_and_the_ledger_says_so() -> None:
    run = phase_rollout(
        soft_fluid(), begin(), thermal_energy=THERMAL_ENERGY, config=SimulateConfig(frames=60, replicas=2), rng=3
    )
    ledger = run.ledger
    assert run.velocities is not None
    assert run.observed is run.positions
    kinetic = 0.5 * MASS * (run.velocities**2).sum(axis=(2, 3)) / THERMAL_ENERGY
    np.testing.assert_allclose(ledger.kinetic, kinetic, rtol=1e-12)
    assert np.abs(ledger.residual()).max() < 1e-10 * kinetic[0, 0]
    assert ledger.momentum is not None
    assert np.abs(ledger.momentum).max() < 1e-10
    assert not ledger.bath_entropy.any()
    for name in ("internal", "absorbed", "entropy", "redrawn"):
        assert getattr(ledger, name).shape == (2, 60)
    assert np.ptp(ledger.internal) > 1.0  # heat is made and used up
    assert not np.allclose(run.positions[0, -1], run.positions[1, -1])


def test_a_bath_takes_up_what_the_particles_lose() -> None:
    solvent = Bath(temperature=THERMAL_ENERGY, friction=torch.tensor([4.0]), heat=torch.zeros(1))
    model = replace(soft_fluid(), bath=solvent)
    run = phase_rollout(model, begin(), thermal_energy=THERMAL_ENERGY, config=SimulateConfig(frames=20, replicas=1))
    assert np.abs(run.ledger.bath_entropy).max() > 0.1
    assert np.abs(run.ledger.residual()).max() < 1e-9


def test_another_dynamics_is_run_by_the_same_code() -> None:
    start = begin()
    run = phase_rollout(
        soft_fluid(), start, flight, thermal_energy=THERMAL_ENERGY, config=SimulateConfig(frames=5, replicas=1)
    )
    assert run.velocities is not None
    times = np.arange(5)[:, None, None] * start.frame_interval
    np.testing.assert_allclose(run.positions[0], start.positions[0] + times * run.velocities[0, 0], atol=1e-12)


def test_thinned_out_rollouts_are_those_of_every_frame() -> None:
    start, model = begin(), soft_fluid()
    config = SimulateConfig(frames=21, replicas=2)
    whole = phase_rollout(model, start, thermal_energy=THERMAL_ENERGY, config=config, rng=2)
    few = phase_rollout(model, start, thermal_energy=THERMAL_ENERGY, config=config, rng=2, most_rows=2 * 36 * 6)
    assert few.metadata["every"] == 4
    assert few.frame_interval == pytest.approx(4 * start.frame_interval)
    np.testing.assert_array_equal(few.positions, whole.positions[:, ::4])
    np.testing.assert_array_equal(few.ledger.energy, whole.ledger.energy[:, ::4])
    assert "One frame in 4" in str(few.metadata["warnings"])
    assert not whole.metadata["warnings"]
    assert thinning(10_000, 8000, 20_000_000) == 4
    assert thinning(3, 10, 1) == 2


def test_the_whole_ledger_is_stored(tmp_path: Path) -> None:
    run = phase_rollout(
        soft_fluid(), begin(), thermal_energy=THERMAL_ENERGY, config=SimulateConfig(frames=3, replicas=2)
    )
    write_rollout(tmp_path / "rollout.zarr", run)
    again = read_rollout(tmp_path / "rollout.zarr")
    for account in fields(Ledger):
        np.testing.assert_array_equal(getattr(again.ledger, account.name), getattr(run.ledger, account.name))
    np.testing.assert_array_equal(again.velocities, run.velocities)
    assert again.metadata == run.metadata


def test_unknown_species_and_dynamics_that_explode_are_refused() -> None:
    start = begin()
    other = replace(start, species=np.ones(36, dtype=int))
    with pytest.raises(DataError, match="species 1 in the block"):
        phase_rollout(soft_fluid(), other, thermal_energy=THERMAL_ENERGY)

    def broken(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
        return replace(state, velocities=state.velocities * np.nan)

    with pytest.raises(DataError, match="no numbers any more after 1 frames"):
        phase_rollout(soft_fluid(), start, broken, thermal_energy=THERMAL_ENERGY)
