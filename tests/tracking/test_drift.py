"""Drift: recovered within its stated error, and left alone where too few particles vouch for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.tracking import estimate_drift, remove_drift, subtract_drift
from tests.tracking.pictures import brownian

DRIFT = (0.25, -0.1)


def table_of(positions: np.ndarray) -> pd.DataFrame:
    n_frames, n, _ = positions.shape
    return pd.DataFrame(
        {
            "frame": np.repeat(np.arange(n_frames), n),
            "particle": np.tile(np.arange(n), n_frames),
            "x": positions[..., 0].ravel(),
            "y": positions[..., 1].ravel(),
        }
    )


def tracks(seed: int, *, n: int = 80, n_frames: int = 40, noise: float = 0.2, lost: float = 0.1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    positions = brownian(rng, rng.uniform(0, 500, (n, 2)), n_frames=n_frames, step=0.5, drift=DRIFT)
    table = table_of(positions + rng.normal(0.0, noise, positions.shape))
    return table[rng.random(len(table)) > lost]


def test_constant_drift_is_recovered_within_three_standard_errors() -> None:
    drift = estimate_drift(tracks(1))
    for name, error, truth in (("dx", "se_x", DRIFT[0]), ("dy", "se_y", DRIFT[1])):
        z = ((drift[name] - truth * drift["frame"]) / drift[error])[1:]
        assert z.abs().max() < 3.0


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_standard_error_is_the_true_scatter(noise: float) -> None:
    # Scatter of the drift over independent movies against the stated error, with localisation noise that would
    # triple a naive sum of squares at the end of the movie.
    runs = [estimate_drift(tracks(seed, noise=noise, lost=0.05)) for seed in range(60)]
    last = np.array([[run["dx"].iloc[-1] - 39 * DRIFT[0], run["dy"].iloc[-1] - 39 * DRIFT[1]] for run in runs])
    stated = np.mean([run[["se_x", "se_y"]].iloc[-1].to_numpy() ** 2 for run in runs])
    assert 0.75 < np.mean(last**2) / stated < 1.33  # 120 samples: standard error of the ratio .13


def test_without_gaps_the_error_is_that_of_the_mean_displacement() -> None:
    table = tracks(2, lost=0.0)
    drift = estimate_drift(table)
    wide = table.pivot(index="frame", columns="particle", values="x")
    moved = wide.sub(wide.iloc[0], axis=1)
    assert np.allclose(drift["dx"], moved.mean(axis=1))
    assert np.allclose(drift["se_x"], moved.std(axis=1, ddof=1) / np.sqrt(wide.shape[1]))


def test_subtracting_leaves_no_drift() -> None:
    table = tracks(3)
    left = estimate_drift(subtract_drift(table, estimate_drift(table)))
    assert np.abs(left[["dx", "dy"]].to_numpy()).max() < 1e-9


def test_few_particles_keep_their_motion_and_the_report_says_so() -> None:
    table = tracks(4, n=5)
    same, report = remove_drift(table, minimum_particles=20)
    pd.testing.assert_frame_equal(same, table)
    assert report["removed"] is False
    assert "track.drift_minimum_particles = 20" in report["reason"]
    assert len(report["dx"]) == 40  # still estimated and reported
    assert report["se_x"][-1] > 0.3


def test_removal_lowers_the_diffusion_by_the_documented_share() -> None:
    # n particles with independent steps: variance about the mean is (1 - 1/n) of the true one.
    rng = np.random.default_rng(5)
    n = 8
    table = table_of(brownian(rng, rng.uniform(0, 500, (n, 2)), n_frames=4000, step=1.0))
    moved, report = remove_drift(table, minimum_particles=n)
    assert report["removed"] is True
    assert report["diffusion_bias"] == pytest.approx(-1 / n)
    step = moved.sort_values(["particle", "frame"])["x"].to_numpy().reshape(n, -1)
    assert np.mean(np.diff(step, axis=1) ** 2) == pytest.approx(1 - 1 / n, rel=0.03)


def test_steps_with_too_few_particles_are_left_alone() -> None:
    table = tracks(6, lost=0.0)
    thin = table[(table["frame"] != 20) | (table["particle"] < 5)]
    _, report = remove_drift(thin, minimum_particles=20)
    assert report["removed"] is True
    assert report["n_steps_left"] == 2
    assert report["dx"][19] == report["dx"][20] == report["dx"][21]
