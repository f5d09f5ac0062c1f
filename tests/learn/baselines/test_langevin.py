"""Langevin's equation from velocities: known frictions, and what the model that comes out does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.state import phase_state, total_energy
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.errors import DataError
from colloid_cg.learn.baselines import langevin, velocity_relaxation
from tests.learn.baselines.worlds import langevin_particles

RATES, MASSES, HEAT = (0.8, 2.5), (2.0, 5.0), 1.6


def test_known_rates_are_recovered_within_their_errors() -> None:
    deviations = []
    for seed in range(6):
        series = langevin_particles(
            RATES, MASSES, n_particles=300, n_frames=300, dt=0.02, rng=np.random.default_rng(seed), thermal_energy=HEAT
        )
        rates, errors = velocity_relaxation(series)
        assert (errors < 0.08 * np.array(RATES)).all()
        deviations.append((rates - RATES) / errors)
    z = np.array(deviations)
    # Twelve deviations in standard errors from ten groups each: Student's t with nine degrees of freedom.
    assert np.abs(z).max() < 4.0
    assert 0.4 < np.sqrt((z**2).mean()) < 1.8
    assert abs(z.mean()) < 1.0


def test_a_bath_at_rest_carries_the_diffusion_of_the_data() -> None:
    """Velocities that oscillate before they decay: the integral of their autocorrelation is kept, 1/gamma."""
    rng, n = np.random.default_rng(2), 2000
    times = 0.05 * np.arange(200)
    phase, size = rng.uniform(0, 2 * np.pi, (n, 3)), rng.standard_normal((n, 3))
    rate = np.abs(rng.standard_cauchy((n, 3)))
    velocities = size * np.sqrt(2) * np.cos(rate * times[:, None, None] + phase)
    series = langevin_particles((1.0,), (1.0,), n_particles=n, n_frames=200, dt=0.05, rng=rng)
    # Cauchy frequencies of width one: <v v(t)> = exp(-t), though no single velocity ever decays.
    rates, errors = velocity_relaxation(replace(series, velocities=velocities))
    assert abs(rates[0] - 1.0) < 4.0 * errors[0]
    assert errors[0] < 0.05


def test_the_model_has_the_temperature_and_the_decay() -> None:
    series = langevin_particles(
        RATES, MASSES, n_particles=400, n_frames=300, dt=0.02, rng=np.random.default_rng(5), thermal_energy=HEAT
    )
    model, rates = langevin(series), velocity_relaxation(series)[0]
    rng = torch.Generator().manual_seed(3)
    state = phase_state(
        model,
        torch.as_tensor(series.positions[0]),
        torch.as_tensor(series.velocities[0]),
        cell=Cell(box=series.box),
        species=torch.as_tensor(series.species),
    )
    begin, energy, dt, kept = state, float(total_energy(model, state)), 0.02, []
    for _ in range(600):
        state = reinjection_step(model, state, dt, rng, stages=2)
        kept.append(state.velocities.numpy())
    velocities = np.array(kept[100:])
    lag = 20
    for kind, (mass, rate) in enumerate(zip(MASSES, rates, strict=True)):
        own = velocities[:, series.species == kind]
        heat = mass * (own**2).mean()
        error = HEAT * np.sqrt(2.0 / (own.size * dt * rate))
        assert abs(heat - HEAT) < 4.0 * error
        decay = (own[:-lag] * own[lag:]).mean() / (own**2).mean()
        assert decay == pytest.approx(np.exp(-rate * lag * dt), abs=4.0 * error / HEAT)
    assert float(total_energy(model, state)) == pytest.approx(energy - float(state.account.bath), rel=1e-9)
    assert float((state.internal - begin.internal).abs().max()) == 0.0
    assert len(state.pairs) == 0


def test_velocities_that_never_decay_are_refused() -> None:
    series = langevin_particles((1.0,), (1.0,), n_particles=10, n_frames=20, dt=0.1, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="decay"):
        langevin(replace(series, velocities=np.repeat(series.velocities[:1], 20, axis=0)))
    with pytest.raises(DataError, match="at least two"):
        langevin(replace(series, species=np.r_[1, np.zeros(9, dtype=int)]))
