"""Free inertial particles: friction, thermal speed and noise from positions, where backward differences fail."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.learn.inertial.candidate import Candidate, fit_free, influence
from colloid_cg.learn.inertial.equation import frames_of
from colloid_cg.learn.problem import prepare
from colloid_cg.learn.sandwich import half_width
from colloid_cg.learn.stride import influence_by_cluster
from colloid_cg.records import Trajectories
from colloid_cg.states import from_trajectories
from tests.learn.langevin_worlds import free_particles, noisy, with_gaps
from tests.learn.worlds import tracks

THETA, FRICTION, DT = 1.0, 4.0, 0.05


def _fit(whole: Trajectories) -> Candidate:
    block = prepare(from_trajectories(whole), n_species=1, drift_velocity=np.zeros(2))
    return fit_free(frames_of(block, np.random.default_rng(0)), cutoff=1.0)


def _paths(seed: int, *, share: float, friction: float = FRICTION) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return free_particles(rng, n=40, frames=200, theta=THETA, friction=friction, dt=DT, exposure_share=share, parts=12)


@pytest.mark.parametrize(("share", "ratio"), [(0.0, 0.0), (0.0, 0.3), (1.0, 0.3)])
def test_mean_over_seeds_is_right_and_backward_differences_are_not(share: float, ratio: float) -> None:
    found, naive, variances = [], [], []
    for seed in range(10):
        seen, variance = noisy(_paths(seed, share=share), ratio, seed)
        model = _fit(tracks(seen, side=60.0, dt=DT, exposure=share * DT)).model
        found.append([model.bath / FRICTION, model.thermal_speed_squared / THETA, model.localisation_variance])
        variances.append(variance)
        d = np.diff(seen, axis=0)
        naive.append((1 - (d[1:] * d[:-1]).mean() / (d**2).mean()) / DT / FRICTION)
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(10)
    step = THETA * DT**2
    allowed = np.maximum([0.02, 0.02, max(0.05 * np.mean(variances), 0.02 * step)], 2 * error)
    assert (np.abs(mean - [1.0, 1.0, np.mean(variances)]) < allowed).all()
    assert (error[:2] < 0.03).all()
    assert abs(np.mean(naive) - 1.0) > 0.25


def test_gaps_and_births_do_no_harm() -> None:
    path = free_particles(np.random.default_rng(3), n=150, frames=200, theta=THETA, friction=FRICTION, dt=DT)
    seen, variance = noisy(path, 0.1, 3)
    whole = tracks(seen, side=60.0, dt=DT)
    kept = with_gaps(np.random.default_rng(4), 200, 150, 0.05)
    order = whole.table["particle"].to_numpy() % 150
    whole = whole.with_table(whole.table[kept[whole.table["frame"].to_numpy(), order]])
    model = _fit(whole).model
    assert model.bath == pytest.approx(FRICTION, rel=0.08)
    assert model.thermal_speed_squared == pytest.approx(THETA, rel=0.06)
    assert model.localisation_variance == pytest.approx(variance, rel=0.05)


def test_particles_that_enter_from_the_edge_do_not_heat_the_fit() -> None:
    """In a small view many tracks begin with a particle fast enough to reach the middle: theta must not rise."""
    found = []
    for seed in range(6):
        path = free_particles(np.random.default_rng(seed), n=150, frames=120, theta=THETA, friction=1.0, dt=DT)
        found.append(_fit(tracks(path, side=6.0, dt=DT)).model.thermal_speed_squared)
    assert abs(np.mean(found) - THETA) < max(0.02, 2.5 * np.std(found, ddof=1) / np.sqrt(6))


def test_strong_friction_is_recovered_too() -> None:
    """gamma dt = 1: the exact law, not its first order."""
    seen, _ = noisy(_paths(5, share=0.0, friction=20.0), 0.1, 5)
    model = _fit(tracks(seen, side=60.0, dt=DT)).model
    assert model.bath == pytest.approx(20.0, rel=0.08)
    assert model.thermal_speed_squared == pytest.approx(THETA, rel=0.08)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """90 % intervals of theta, s2 and gamma over seeds; 120 draws have a standard error of 2.7 %."""
    held = []
    for seed in range(40):
        rng = np.random.default_rng([seed, 2])
        path = free_particles(rng, n=24, frames=80, theta=THETA, friction=FRICTION, dt=DT)
        seen, variance = noisy(path, 0.2, seed)
        block = prepare(from_trajectories(tracks(seen, side=60.0, dt=DT)), n_species=1, drift_velocity=np.zeros(2))
        frames = frames_of(block, rng)
        found = fit_free(frames, cutoff=1.0)
        rows = influence(frames, found, smoothness=0.01)
        half = half_width(influence_by_cluster(rows, block.series, np.arange(len(rows)), 20), np.eye(4)[:3])
        model = found.model
        estimate = np.array([model.thermal_speed_squared, model.localisation_variance, model.bath])
        held.append(np.abs(estimate - [THETA, variance, FRICTION]) < half)
    assert 0.82 <= np.mean(held) <= 0.98
    assert (np.mean(held, axis=0) > 0.75).all()
