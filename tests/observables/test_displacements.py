"""Displacement statistics of known Brownian motion with noise; gaps; stated errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import DataError, InputError
from colloid_cg.observables import msd, non_gaussian_parameter, pairs_at_lag, van_hove
from colloid_cg.records import Box, Trajectories

VIEW = Box(lower=(-1e6, -1e6), upper=(1e6, 1e6), periodic=(False, False))


def brownian(seed, *, n_frames=200, n_particles=60, diffusion=0.4, sigma=0.05, interval=0.1, keep=1.0, common=0.0):
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, np.sqrt(2 * diffusion * interval), (n_frames, n_particles, 2))
    steps += rng.normal(0, 1, (n_frames, 1, 2)) * common
    observed = np.cumsum(steps, axis=0) + rng.normal(0, sigma, steps.shape)
    table = pd.DataFrame(
        {
            "frame": np.repeat(np.arange(n_frames), n_particles),
            "particle": np.tile(np.arange(n_particles), n_frames),
            "x": observed[..., 0].ravel() / 0.1,
            "y": observed[..., 1].ravel() / 0.1,
        }
    )
    table = table[rng.uniform(size=len(table)) < keep]
    return Trajectories(table=table, pixel_size=0.1, frame_interval=interval, field_of_view=VIEW, n_frames=n_frames)


def test_pairs_skip_gaps():
    frame = np.array([0, 1, 3, 4, 0, 2, 3, 9])
    particle = np.array([7, 7, 7, 7, 2, 2, 2, 2])
    start, end = pairs_at_lag(frame, particle, 1)
    assert [(int(particle[s]), int(frame[s]), int(frame[e])) for s, e in zip(start, end, strict=True)] == [
        (7, 0, 1),
        (2, 2, 3),
        (7, 3, 4),
    ]
    start, end = pairs_at_lag(frame, particle, 3)
    assert sorted(zip(particle[start].tolist(), frame[start].tolist(), strict=True)) == [(2, 0), (7, 0), (7, 1)]
    np.testing.assert_array_equal(particle[start], particle[end])
    assert len(pairs_at_lag(frame[:0], particle[:0], 1)[0]) == 0
    with pytest.raises(InputError, match="at least 1"):
        pairs_at_lag(frame, particle, 0)


def test_msd_is_4dt_plus_4_sigma_squared_with_and_without_gaps():
    for keep in (1.0, 0.6):
        curve = msd(brownian(1, keep=keep, n_particles=300), lags=[1, 2, 5, 10])
        expected = 4 * 0.4 * curve.x + 4 * 0.05**2
        assert np.abs((curve.value - expected) / curve.standard_error).max() < 4
        assert (curve.standard_error / curve.value < 0.03).all()
    full, thin = msd(brownian(1), lags=[3]), msd(brownian(1, keep=0.6), lags=[3])
    assert thin.count[0] == pytest.approx(0.36 * full.count[0], rel=0.05)


@pytest.mark.parametrize("common", [0.0, 0.2])
def test_stated_errors_cover_also_when_all_particles_move_together(common):
    """Shared motion makes tracks dependent; an error from tracks alone would be several times too small."""
    lags = [1, 8]
    curves = [msd(brownian(seed, common=common), lags=lags) for seed in range(40)]
    true = np.std([curve.value for curve in curves], axis=0)
    stated = np.sqrt(np.mean([curve.standard_error**2 for curve in curves], axis=0))
    assert ((stated / true > 0.8) & (stated / true < 1.5)).all()


def test_van_hove_is_the_gaussian_of_the_noisy_motion():
    tracks = brownian(2, n_particles=200)
    curve = van_hove(tracks, 2, bins=np.linspace(-2.0, 2.0, 41))
    variance = 2 * 0.4 * 0.2 + 2 * 0.05**2
    density = np.exp(-(curve.x**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    # Mean of the density over a bin: second-order term of the bin width.
    density *= 1 + 0.1**2 / 24 * (curve.x**2 / variance - 1) / variance
    busy = curve.count > 100
    score = (curve.value - density)[busy] / curve.standard_error[busy]
    assert busy.sum() > 20
    assert np.sqrt(np.mean(score**2)) < 1.5
    assert np.abs(score).max() < 4.5
    assert (van_hove(tracks, 2).value * 12 * np.sqrt(variance) / 61).sum() == pytest.approx(1.0, abs=0.01)
    with pytest.raises(DataError, match="500 frames apart"):
        van_hove(tracks, 500)


def test_non_gaussian_parameter_of_one_and_of_two_populations():
    curve = non_gaussian_parameter(brownian(3, n_particles=300), lags=[1, 4])
    assert np.abs(curve.value / curve.standard_error).max() < 4
    slow, fast = (
        brownian(4, diffusion=0.2, sigma=0.0, n_particles=300),
        brownian(5, diffusion=0.8, sigma=0.0, n_particles=300),
    )
    both = pd.concat([slow.table, fast.table.assign(particle=fast.table["particle"] + 300)])
    # Equal numbers with variances 1 : 4: <v^2>/<v>^2 - 1 = 8.5/6.25 - 1.
    mixed = non_gaussian_parameter(slow.with_table(both), lags=[1])
    assert mixed.value[0] == pytest.approx(8.5 / 6.25 - 1, abs=4 * mixed.standard_error[0])
    assert mixed.standard_error[0] < 0.05


def test_a_single_track_has_an_error_from_time_blocks_and_a_missing_lag_is_nan():
    curve = msd(brownian(6, n_particles=1, n_frames=100), lags=[1, 40, 200])
    assert np.isfinite(curve.standard_error[0])
    assert np.isnan(curve.standard_error[1:]).all()
    assert np.isnan(curve.value[2])
    assert curve.count[2] == 0
