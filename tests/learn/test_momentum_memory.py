"""Memory of the random forces: recovery of known kernels and frictions, what is missed without it, bundles."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.star_polymer.analysis import velocity_autocorrelation
from colloid_cg.dynamics.metriplectic.memory import MemoryKernel
from colloid_cg.errors import DataError
from colloid_cg.learn.momentum import (
    MomentumFitConfig,
    PairDynamics,
    bundle_of,
    fit_pair_dynamics,
    pair_dynamics_of,
    phase_model,
)
from colloid_cg.learn.momentum.hidden import delays
from colloid_cg.records import PhaseSeries
from colloid_cg.simulation import SimulateConfig
from colloid_cg.simulation.phase import simulate_phase
from colloid_cg.store import read_model, read_rollout, write_model, write_rollout
from tests.learn.imported import as_imported
from tests.learn.memory_worlds import MemoryWorld, friction_of_particles, simulate

SIMPLE = MemoryWorld()
SWINGING = MemoryWorld(decay=12.0, swing=25.0)


@cache
def recording(world: MemoryWorld, n_frames: int = 600, seed: int = 1) -> PhaseSeries:
    return simulate(world, n_frames, rng=np.random.default_rng(seed))


@cache
def fitted(world: MemoryWorld, memory: str) -> PairDynamics:
    series = recording(world)
    config = MomentumFitConfig(cutoff=world.range, n_knots=8, time_blocks=6, memory=memory)
    return fit_pair_dynamics(series.between(0, 420), series.between(420, 600), config)


def test_late_friction_is_what_the_frames_remember() -> None:
    """Weights of past frames are those of the kernel against straight lines between frames."""
    kernel, dt = MemoryKernel(6.0, 11.0), 0.05
    weights = delays((kernel,), dt, 80)[0]
    fine = np.linspace(0.0, 4.0, 40001)
    signal = np.interp(fine, dt * np.arange(81), np.cos(3.0 * dt * np.arange(81)))
    expected = np.trapezoid(kernel.at(fine) * signal, fine)
    assert float(weights @ np.cos(3.0 * dt * np.arange(80))) == pytest.approx(expected, abs=1e-6)


def test_an_exponential_memory_is_recovered_and_missed_without() -> None:
    late, forgetful = fitted(SIMPLE, "hidden"), fitted(SIMPLE, "none")
    memory, truth = late.memory, friction_of_particles(SIMPLE, recording(SIMPLE))
    assert memory is not None
    assert late.converged
    assert forgetful.memory is None
    assert late.friction_per_mass_error < 0.06 * truth
    assert abs(late.friction_per_mass - truth) < 3.0 * late.friction_per_mass_error
    (kernel,), error = memory.kernels, float(memory.rates_error[0, 0])
    assert kernel.swing is None
    assert error < 0.08 * SIMPLE.decay
    assert abs(kernel.decay - SIMPLE.decay) < 3.0 * error
    # A step of one frame sees a sixth of this friction; its own law of one frame would be off by as much.
    assert forgetful.scan.values[0] < 0.25 * truth


def test_a_memory_that_swings_is_told_from_one_that_does_not() -> None:
    found = fitted(SWINGING, "hidden")
    assert found.memory is not None
    (kernel,), (error,) = found.memory.kernels, found.memory.rates_error
    assert kernel.swing is not None
    assert found.memory.misfits["exponential"] > 2.0 * found.memory.misfits["smooth"]
    assert abs(kernel.decay - SWINGING.decay) < 3.0 * error[0]
    assert abs(kernel.swing - SWINGING.swing) < 3.0 * error[1] < 0.15 * SWINGING.swing
    truth = friction_of_particles(SWINGING, recording(SWINGING))
    assert abs(found.friction_per_mass - truth) < 3.0 * found.friction_per_mass_error


def test_frictions_at_each_distance_lie_within_their_bands() -> None:
    late = fitted(SIMPLE, "hidden")
    r = np.linspace(0.45, 0.85, 8) * SIMPLE.range
    truth = np.stack([SIMPLE.curve(g, r) for g in (SIMPLE.along, SIMPLE.across)])
    off = (late.curves(r)[1:, 0] - truth) / (late.half_widths(r)[1:, 0] + 0.02 * truth.max())
    assert np.sqrt((off**2).mean()) < 1.2


def test_rollouts_with_memory_have_the_velocities_of_the_recording_and_those_without_miss_them(tmp_path: Path) -> None:
    series = recording(SIMPLE)
    expected = np.asarray(velocity_autocorrelation(series.velocities, 16))
    expected /= expected[0]
    errors = {}
    for memory in ("hidden", "none"):
        bundle = bundle_of(fitted(SIMPLE, memory), series.between(0, 420), MomentumFitConfig())
        run = simulate_phase(bundle, as_imported(series), SimulateConfig(frames=900, replicas=1, substeps=1), rng=3)
        assert run.velocities is not None
        found = np.asarray(velocity_autocorrelation(run.velocities[0, 100:], 16))
        errors[memory] = np.linalg.norm(found / found[0] - expected) / np.linalg.norm(expected)
        assert np.abs(run.ledger.residual()).max() < 1e-9
        write_rollout(tmp_path / memory, run)
        again = read_rollout(tmp_path / memory)
        if memory == "none":
            assert again.ledger.hidden is None
        else:
            assert run.ledger.hidden is not None
            np.testing.assert_array_equal(again.ledger.hidden, run.ledger.hidden)
            assert run.ledger.hidden.std() > 1.0
    assert errors["hidden"] < 0.5 * errors["none"]


def test_a_bundle_keeps_the_memory(tmp_path: Path) -> None:
    series = recording(SIMPLE).between(0, 420)
    bundle = bundle_of(fitted(SIMPLE, "hidden"), series, MomentumFitConfig(memory="hidden"))
    write_model(tmp_path / "model", bundle)
    again = read_model(tmp_path / "model")
    ours, theirs = fitted(SIMPLE, "hidden").memory, pair_dynamics_of(again).memory
    assert ours is not None
    assert theirs is not None
    assert theirs.kernels == ours.kernels
    np.testing.assert_array_equal(theirs.along, ours.along)
    np.testing.assert_array_equal(theirs.replicates, ours.replicates)
    assert theirs.misfits == ours.misfits
    assert "memory_decay" in again.metrics
    assert not any(item.startswith("memory") for item in again.diagnostics["not_modelled"])
    model = phase_model(again)
    assert model.memory is not None
    assert model.radial.par is None  # type: ignore[attr-defined]


def test_a_recording_too_short_for_a_memory_is_refused() -> None:
    series = recording(SIMPLE).between(0, 30)
    with pytest.raises(DataError, match="memory over windows"):
        fit_pair_dynamics(series, config=MomentumFitConfig(cutoff=1.5, windows=(2, 3), time_blocks=8, memory="hidden"))
