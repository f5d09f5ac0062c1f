"""Overdamped or inertial: decided by lags two and up and the likelihood, not by the sign at lag one."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.learn.regime import Regime, decide_regime
from colloid_cg.learn.series import chains
from colloid_cg.states import from_trajectories
from tests.learn.worlds import brownian, inertial, tracks, trapped

D, DT = 0.5, 0.04


def _regime(path: np.ndarray) -> Regime:
    series = from_trajectories(tracks(path, side=60.0, dt=DT))
    return decide_regime(series, chains(series))


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_noisy_brownian_motion_is_overdamped(ratio: float) -> None:
    rng = np.random.default_rng(1)
    path = brownian(rng, n=60, frames=150, diffusion=D, dt=DT)
    regime = _regime(path + np.sqrt(ratio * 2 * D * DT) * rng.standard_normal(path.shape))
    assert regime.name == "overdamped"
    lags, errors = np.array(regime.evidence["covariance"]), np.array(regime.evidence["standard_error"])
    expected = 2 * D * DT * np.array([1 + 2 * ratio, -ratio, 0, 0, 0, 0])
    assert np.abs((lags - expected) / errors).max() < 4


def test_blur_a_trap_and_a_slow_flow_are_overdamped() -> None:
    rng = np.random.default_rng(2)
    blurred = brownian(rng, n=60, frames=150, diffusion=D, dt=DT, blurred=True)
    flowing = brownian(rng, n=60, frames=150, diffusion=D, dt=DT)
    flowing += 0.15 * np.sqrt(2 * D * DT) * np.arange(150)[:, None, None] * rng.standard_normal((1, 60, 2))
    confined = _regime(trapped(rng, n=60, frames=150, diffusion=D, dt=DT, rate=5.0))
    assert [_regime(path).name for path in (blurred, flowing)] == ["overdamped", "overdamped"]
    assert confined.name == "overdamped"
    assert confined.evidence["covariance"][2] < -3 * confined.evidence["standard_error"][2]


def test_inertia_is_recognised_and_its_rate_recovered() -> None:
    rng = np.random.default_rng(3)
    path = inertial(rng, n=60, frames=150, diffusion=D, dt=DT, theta=0.3)
    regime = _regime(path + np.sqrt(0.05 * 2 * D * DT) * rng.standard_normal(path.shape))
    assert regime.name == "underdamped"
    assert regime.evidence["friction_times_interval"] == pytest.approx(0.3, rel=0.1)
    assert "inertia matters" in regime.evidence["reason"]


def test_correlated_steps_with_a_white_part_are_not_inertia() -> None:
    """A recording that mixes frames, as video compression does, on top of Brownian motion."""
    rng = np.random.default_rng(4)
    wander = inertial(rng, n=60, frames=300, diffusion=0.6 * D, dt=DT, theta=0.8)
    regime = _regime(wander + brownian(rng, n=60, frames=300, diffusion=0.5 * D, dt=DT))
    assert regime.name == "overdamped"
    assert regime.evidence["white_share"] > 0.4
    assert "inertia cannot be" in regime.evidence["reason"]
