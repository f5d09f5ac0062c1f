"""Observables of positions and velocities against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.errors import InputError
from colloid_cg.observables import (
    kinetic_temperature,
    rdf_of_frames,
    thermal_speed_squared,
    unwrapped_msd,
    vacf,
    without_common_motion,
)
from colloid_cg.records import Box

RATE, VARIANCE, INTERVAL = 2.0, 0.7, 0.05


def relaxing(frames: int, n: int, d: int, seed: int) -> np.ndarray:
    """Ornstein-Uhlenbeck velocities: <v(0) v(t)> = VARIANCE exp(-RATE t) per component, exactly at all frames."""
    rng = np.random.default_rng(seed)
    kept = np.exp(-RATE * INTERVAL)
    v = np.empty((frames, n, d))
    v[0] = rng.normal(size=(n, d)) * np.sqrt(VARIANCE)
    for t in range(1, frames):
        v[t] = kept * v[t - 1] + np.sqrt(VARIANCE * (1.0 - kept**2)) * rng.normal(size=(n, d))
    return v


@pytest.mark.parametrize("dimension", [2, 3])
def test_vacf_of_relaxing_velocities(dimension: int) -> None:
    n, lags = 60, [0, 1, 5, 20]
    z = []
    for seed in range(8):
        curve = vacf(relaxing(600, n, dimension, seed), lags, masses=np.ones(n), frame_interval=INTERVAL)
        # relative to the common motion a share 1/n is missing
        truth = VARIANCE * (1.0 - 1.0 / n) * np.exp(-RATE * curve.x)
        z.append((curve.value - truth) / curve.standard_error)
    np.testing.assert_allclose(curve.x, np.array(lags) * INTERVAL)
    assert 0.5 < np.sqrt(np.mean(np.square(z))) < 1.5
    assert np.abs(np.mean(z, axis=0)).max() < 3.0 / np.sqrt(8)


def test_free_flight_and_common_drift() -> None:
    rng = np.random.default_rng(2)
    v, masses = rng.normal(size=(40, 3)), rng.uniform(1.0, 3.0, 40)
    times = np.arange(50)[:, None, None] * INTERVAL
    positions = times * (v + 5.0)
    own = v - np.average(v, axis=0, weights=masses)
    curve = unwrapped_msd(positions, [1, 7, 30], masses=masses, frame_interval=INTERVAL)
    np.testing.assert_allclose(curve.value, (own**2).sum(axis=1).mean() * curve.x**2, rtol=1e-9)
    np.testing.assert_allclose(without_common_motion((v + 5.0)[None], masses)[0], own, atol=1e-12)


def test_many_origins_are_thinned_out_without_bias() -> None:
    v = relaxing(5000, 10, 2, 3)
    curve = vacf(v, [3], masses=np.ones(10), frame_interval=INTERVAL)
    centred = v - v.mean(axis=1, keepdims=True)
    every = (centred[:-3] * centred[3:]).sum(axis=2).mean() / 2
    assert curve.count[0] < 2001 * 10
    assert abs(curve.value[0] - every) < 0.5 * curve.standard_error[0]


def test_temperature_and_equipartition_of_unequal_masses() -> None:
    rng = np.random.default_rng(4)
    masses, energy = np.repeat([1.0, 4.0], 10), 1.7
    v = rng.normal(size=(4000, 20, 3)) * np.sqrt(energy / masses)[:, None] + 3.0
    value, error = kinetic_temperature(v, masses)
    assert abs(value - energy) < 3.0 * error < 0.05
    found = vacf(v, [0], masses=masses, frame_interval=1.0)
    expected = thermal_speed_squared(masses, energy)
    assert expected == pytest.approx(energy * (np.mean(1.0 / masses) - 1.0 / masses.sum()))
    assert abs(found.value[0] - expected) < 3.0 * found.standard_error[0] < 0.05


def test_rdf_of_an_ideal_gas_however_unwrapped() -> None:
    rng = np.random.default_rng(5)
    box = Box(lower=(0.0, 0.0), upper=(8.0, 8.0), periodic=(True, True))
    positions = rng.uniform(0.0, 8.0, (40, 100, 2)) + 8.0 * rng.integers(-3, 4, (40, 100, 2))
    curve = rdf_of_frames(positions, box, np.linspace(0.0, 4.0, 9), max_frames=30)
    assert np.abs((curve.value - 1.0) / curve.standard_error).max() < 4.0
    assert curve.standard_error[4:].max() < 0.05


def test_lags_beyond_the_series_are_refused() -> None:
    with pytest.raises(InputError, match="lags from 0 to 4 frames"):
        vacf(np.zeros((5, 2, 2)), [5], masses=np.ones(2), frame_interval=1.0)
