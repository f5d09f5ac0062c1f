"""The scores and the protocol of the star-polymer tables, where the answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import star_protocol
from benchmarks.star_melts import Curve, StarMelt
from benchmarks.star_protocol import Candidate, Kept, rollout, run, start, statistics
from benchmarks.star_scores import distance, figures, noise_of, scored
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState, momentum
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.learn.baselines import langevin
from tests.learn.baselines.worlds import langevin_particles

RATE, MASS = 1.5, 2.0


def melt() -> StarMelt:
    recording = langevin_particles(
        (RATE,), (MASS,), n_particles=200, n_frames=200, dt=0.05, rng=np.random.default_rng(3)
    )
    times = np.arange(0.0, 4.01, 0.1)
    decay = np.exp(-RATE * times)
    return StarMelt(
        beads=2,
        recording=recording,
        rdf=Curve(at=np.arange(0.25, 5.0, 0.5), values=np.ones(10) * 199 / 200),
        msd=Curve(at=times, values=6.0 / (MASS * RATE) * (times - (1.0 - decay) / RATE)),
        vacf=Curve(at=times, values=decay / MASS),
    )


def test_a_rollout_of_langevin_particles_has_their_curves_and_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(star_protocol, "STEPS", 600)
    monkeypatch.setattr(star_protocol, "BURN", 40)
    case = melt()

    def step(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
        return reinjection_step(model, state, dt, rng, stages=2)

    found = rollout(case, Candidate(model=langevin(case.train), step=step), seed=5)
    scores = {name: figure(found) for name, figure in figures(case).items()}
    # 600 components over 45 relaxation times: a per cent or two of each curve.
    assert scores["RDF, r <= 5"] < 0.1
    assert scores["MSD, t <= 1"] < 0.06
    assert scores["MSD, t <= 4"] < 0.1
    assert scores["VACF, t <= 4"] < 0.06
    # The velocities of a bath have net momentum: 1, not 1 - 1/N.
    assert scores["VACF(0) over k_B T/m"] == pytest.approx(1.0, abs=0.03)
    assert scores["diffusion coefficient over that of the reference"] == pytest.approx(1.0, abs=0.1)
    assert found["energy_drift"] < 1e-12
    assert found["momentum_drift"] > 1e-3
    assert found["kinetic_temperature"].mean() == pytest.approx(1.0, abs=0.03)


def test_statistics_of_particles_that_fly_straight() -> None:
    case = melt()
    velocities = np.broadcast_to(np.array([1.0, -2.0, 0.5]), (100, 7, 3))
    times = 0.1 * np.arange(100)[:, None, None]
    found = statistics(case, times * velocities + np.linspace(0, 9, 7)[:, None], np.array(velocities), 0.1)
    np.testing.assert_allclose(found["msd"], 5.25 * case.msd.at**2, atol=1e-10)
    np.testing.assert_allclose(found["vacf"], 1.75, rtol=1e-12)


def test_a_start_is_thermal_without_net_momentum() -> None:
    case = melt()
    model = langevin(case.train)
    states = [start(case, model, seed) for seed in (1, 2, 1)]
    assert torch.equal(states[0].velocities, states[2].velocities)
    assert not torch.equal(states[0].velocities, states[1].velocities)
    assert float(momentum(model, states[0]).abs().max()) < 1e-12
    assert float(MASS * states[0].velocities.square().mean()) == pytest.approx(1.0, abs=4 * np.sqrt(2 / 600))


def test_scores_and_their_errors() -> None:
    rng, truth = np.random.default_rng(0), np.ones(50)
    flat = {"rdf": truth, "msd": truth, "vacf": truth}
    rollouts = [flat | {"msd": truth * (1.0 + 0.1 * rng.standard_normal())} for _ in range(400)]
    found = scored(rollouts, lambda curves: float(curves["msd"].mean()))
    assert found.error == pytest.approx(0.1 / np.sqrt(400), rel=0.15)
    assert found.value == pytest.approx(np.mean(found.single))
    assert distance(1.03 * truth, truth) == pytest.approx(0.03)
    assert np.isnan(scored(rollouts[:1], lambda curves: 1.0).error)
    assert noise_of(Curve(at=np.arange(50.0), values=2 * truth, error=0.02 * truth), 10.0) == pytest.approx(0.01)


def test_a_killed_run_goes_on_and_a_broken_rollout_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(star_protocol, "STEPS", 400)
    monkeypatch.setattr(star_protocol, "BURN", 4)
    case, fits = melt(), []

    def heating(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
        return replace(state, velocities=(1.0 if rng.initial_seed() == 1 else 1.5) * state.velocities)

    def fit(given: StarMelt) -> Candidate:
        fits.append(given)
        return Candidate(model=langevin(given.train), step=heating, figures={"seconds": 1.0})

    run(case, "hot", fit, range(1, 2), tmp_path)
    figures_of_fit, rollouts = run(case, "hot", fit, range(1, 3), tmp_path)
    assert len(fits) == 2
    assert figures_of_fit["seconds"] == 1.0
    assert "broken" not in rollouts[0]
    # 1.5^(2 k) > 25 at k = 4, in the burn-in.
    assert float(rollouts[1]["broken"]) == pytest.approx(-1 * 0.05)
    assert float(rollouts[1]["hotter"]) == pytest.approx(1.5**8)
    again = run(case, "hot", fit, range(1, 3), tmp_path)[1]
    assert len(fits) == 2
    np.testing.assert_array_equal(again[0]["msd"], rollouts[0]["msd"])
    monkeypatch.setattr(star_protocol, "STEPS", 300)
    assert Kept(tmp_path, case, "hot").rollouts(range(1, 3)) == {}


def test_common_motion_is_taken_off_where_there_is_much_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(star_protocol, "STEPS", 100)
    monkeypatch.setattr(star_protocol, "BURN", 2)

    def pushed(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
        positions = state.positions + dt * state.velocities
        return replace(state, positions=positions, velocities=state.velocities + 0.1)

    case = melt()
    case = replace(case, msd=Curve(at=case.msd.at[:5], values=case.msd.values[:5]), vacf=case.msd)
    case = replace(case, vacf=Curve(at=case.msd.at, values=case.vacf.values[:5]))
    found = rollout(case, Candidate(model=langevin(case.train), step=pushed), seed=1)
    still = float(start(case, langevin(case.train), 1).velocities.square().mean())
    np.testing.assert_allclose(found["vacf_relative"], still, rtol=1e-5)
    np.testing.assert_allclose(found["msd_relative"], 3.0 * still * case.msd.at**2, rtol=1e-5)
    assert found["vacf"][0] > 20 * still
    np.testing.assert_allclose(found["kinetic_temperature_relative"], MASS * still, rtol=1e-5)
