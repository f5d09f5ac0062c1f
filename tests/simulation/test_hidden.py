"""The hidden variable in rollouts: mobility that depends on the place must not change where particles are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from colloid_cg.dynamics import OverdampedModel, overdamped_step
from colloid_cg.learn.latent import HiddenModel, LatentLaw
from colloid_cg.learn.latent.living import Reliability
from colloid_cg.records import Box, State
from colloid_cg.simulation.hidden import HiddenRun, hidden_run

LENGTH = 4.0
SLOPE, MEMORY = 0.7, 0.5


class Waves(HiddenRun):
    """f = sqrt(2) sin(2 pi x/L): a structural variable of which everything is known."""

    def structure(self, state: State, positions: np.ndarray) -> np.ndarray:
        return np.sqrt(2.0) * np.sin(2.0 * np.pi * positions[:, :1] / LENGTH)


def _run(n: int) -> tuple[Waves, OverdampedModel, State]:
    law = LatentLaw(
        diffusion=np.array([1.0]), localisation_variance=0.0, structure_slope=np.array([[SLOPE]]),
        memory_slope=np.array([MEMORY]), persistence=3.0,
    )  # fmt: skip
    free = OverdampedModel(diffusion=np.array([1.0]), coefficients=np.zeros((1, 0)), lower=0.1, cutoff=1.0)
    structure: Any = SimpleNamespace(neighbourhood=SimpleNamespace(cutoff=1.0))
    model = HiddenModel(
        plain=free, dynamics=free, law=law, ablation=law, structure=structure, used=True,
        reliability=Reliability(share=np.ones((1, 1)), kept=np.ones((1, 1))),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    box = Box(lower=(0.0, 0.0), upper=(LENGTH, LENGTH), periodic=(True, True))
    state = State(positions=rng.uniform(0, LENGTH, (n, 2)), species=np.zeros(n, dtype=np.int64), box=box)
    return Waves(model=model, z=rng.standard_normal(n), memory=law.memory), free, state


def test_spurious_drift_is_the_divergence_of_the_mobility() -> None:
    run, _, state = _run(200)
    rng = np.random.default_rng(2)
    drift = np.mean([run.mobility(state, rng=rng)[1] for _ in range(4000)], axis=0)
    mobility, _, s = run.mobility(state, rng=rng)
    slope = SLOPE * np.sqrt(2.0) * 2.0 * np.pi / LENGTH * np.cos(2.0 * np.pi * state.positions[:, 0] / LENGTH)
    error = 4.5 * np.sqrt(2.0 / 4000) * np.abs(mobility * slope).max()
    assert np.abs(drift[:, 0] - mobility * slope).max() < error
    assert np.abs(drift[:, 1]).max() < error
    spread = np.hypot(SLOPE, MEMORY)
    assert np.allclose(s[:, 0], (np.log(mobility) + 0.5 * spread**2) / spread)


@pytest.mark.parametrize("with_drift", [True, False])
def test_particles_stay_spread_evenly(with_drift: bool) -> None:
    """Without the drift they would gather where they are slow: density ~ 1/lambda, contrast I_1(b)/I_0(b) of f."""
    run, free, state = _run(4000)
    rng, dt = np.random.default_rng(3), 0.01
    seen = []
    for step in range(400):
        mobility, drift, _ = run.mobility(state, rng=rng)
        state, _ = overdamped_step(
            free, state, dt=dt, rng=rng, mobility=mobility, spurious_drift=drift if with_drift else None
        )
        run.advance(rng=rng)
        if step >= 150:
            seen.append(np.sqrt(2.0) * np.sin(2.0 * np.pi * state.positions[:, 0] / LENGTH))
    mean = float(np.mean(seen))
    if with_drift:
        assert abs(mean) < 0.06
    else:
        assert mean < -0.3


def test_memory_variable_keeps_its_law_and_its_heat_is_counted() -> None:
    run, _, _ = _run(20_000)
    rng = np.random.default_rng(4)
    before, first = run.energy, run.z.copy()
    heat = run.advance(rng=rng)
    assert before - run.energy == pytest.approx(heat)
    assert np.corrcoef(first, run.z)[0, 1] == pytest.approx(run.memory, abs=0.02)
    for _ in range(30):
        run.advance(rng=rng)
    assert run.z.mean() == pytest.approx(0.0, abs=0.03)
    assert run.z.var() == pytest.approx(1.0, abs=0.03)


def test_rollouts_start_from_what_was_known_of_each_particle() -> None:
    run, _, _ = _run(10)
    table = pd.DataFrame({"frame": 7, "particle": [4, 9, 2], "x": 0.0, "y": 0.0})
    start: Any = SimpleNamespace(table=table, at=lambda frame: table[table["frame"] == frame])
    weights = {
        "hidden.start_particles": np.array([9.0, 4.0, 1.0]),
        "hidden.start_mean": np.array([5.0, -5.0, 0.0]),
        "hidden.start_deviation": np.array([0.1, 0.2, 0.3]),
    }
    bundle: Any = SimpleNamespace(weights=weights, config={"stride": 2})
    drawn = np.array([hidden_run(run.model, bundle, start, rng=np.random.default_rng(k)).z for k in range(400)])
    assert np.allclose(drawn.mean(axis=0), [-5.0, 5.0, 0.0], atol=norm.ppf(0.999) / np.sqrt(400))
    assert np.allclose(drawn.std(axis=0), [0.2, 0.1, 1.0], rtol=0.15)
    made = hidden_run(run.model, bundle, start, rng=np.random.default_rng(0))
    assert made.memory == pytest.approx(np.exp(-1.0 / 6.0))
