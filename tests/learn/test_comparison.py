"""Models side by side: the likelihood against dense algebra, and who wins where the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from colloid_cg.errors import DataError
from colloid_cg.learn import FitConfig, fit
from colloid_cg.learn.banded import Band, Residuals, log_likelihood_rows
from colloid_cg.learn.comparison import ComparisonConfig, compare_models
from colloid_cg.learn.comparison.likelihood import whitened
from colloid_cg.learn.series import first_rows
from colloid_cg.records import Trajectories
from colloid_cg.states import from_trajectories, split_by_time
from tests.learn.worlds import brownian, tracks

DT = 0.01
QUICK = ComparisonConfig(epochs=30, patience=30, hidden=16, features=4, batch=1500)


def residuals_of(rng: np.random.Generator, rows: int) -> Residuals:
    share = 0.5 + rng.random((rows, 2))
    data = Residuals(
        row=np.arange(rows),
        value=rng.standard_normal((rows, 2)),
        gain=np.ones((rows, 2)),
        spread=Band(per_diffusion=np.full((rows, 2), 2.0 * DT), per_noise=2.0 * share, fixed=0.01 * share),
        coupling=Band(per_diffusion=np.full((rows, 2), 0.1 * DT), per_noise=-share, fixed=-0.001 * share),
        joined=rng.random(rows) < 0.8,
        species=rng.integers(0, 2, rows),
    )
    data.joined[0] = False
    return data


def test_whitened_residuals_are_the_gradient_of_the_banded_likelihood() -> None:
    rng = np.random.default_rng(3)
    data = residuals_of(rng, 12)
    law = {"diffusion": np.array([1.0, 2.0]), "localisation_variance": 0.01}
    slope = whitened(data, **law)
    step = 1e-6
    for row, axis in ((0, 0), (5, 1), (11, 0)):
        shift = np.zeros_like(data.value)
        shift[row, axis] = step
        upper, lower = (
            log_likelihood_rows(replace(data, value=data.value + sign * shift), **law).sum() for sign in (1, -1)
        )
        assert slope[row, axis] == pytest.approx(-(upper - lower) / (2 * step), rel=1e-5)


def test_a_covariance_that_is_not_positive_is_refused() -> None:
    data = residuals_of(np.random.default_rng(4), 30)
    with pytest.raises(DataError, match="positive definite"):
        whitened(data, diffusion=np.array([1.0, 1.0]), localisation_variance=-0.5)


def world(seed: int, *, shear: float, noise: float = 0.05) -> Trajectories:
    """Free particles in a flow u_x = shear (y - side/2), seen with localisation noise."""
    rng = np.random.default_rng(seed)
    side = 12.0
    path = brownian(rng, n=60, frames=260, diffusion=1.0, dt=DT)
    for t in range(1, len(path)):
        step = shear * (np.mod(path[t - 1, :, 1], side) - side / 2) * DT
        path[t:, :, 0] += step
    return tracks(path + noise * rng.standard_normal(path.shape), side=side, dt=DT, exposure=0.0)


def gains(seed: int, shear: float) -> dict[tuple[str, str], dict[str, float]]:
    blocks = split_by_time(world(seed, shear=shear), fractions=(0.6, 0.2, 0.2))
    bundle = fit(blocks[0], blocks[1], FitConfig(knots=(0, 4), cutoff=1.5), rng=1)
    found = compare_models(*blocks, bundle, QUICK, rng=2)
    return {(gain["model"], gain["over"]): gain for gain in found["gains"]}


def test_a_network_finds_a_flow_that_no_pair_potential_has() -> None:
    gain = gains(5, shear=6.0)[("network", "free diffusion")]
    # a known drift u gains <u^2> dt / (4 D) per step without noise: 6^2 * 12 * .01 / 4 = 1.08 nats
    assert gain["low90"] > 0.3
    assert gain["value"] < 1.1


def test_a_network_finds_nothing_in_free_diffusion() -> None:
    gain = gains(6, shear=0.0)[("network", "free diffusion")]
    assert gain["low90"] <= 0.0
    assert gain["value"] == pytest.approx(0.0, abs=0.01)


def test_same_seed_same_numbers() -> None:
    assert gains(7, shear=3.0) == gains(7, shear=3.0)


def test_leading_frames_of_a_long_series() -> None:
    series = from_trajectories(world(8, shear=0.0))
    limit = len(series.positions) // 3
    part = first_rows(series, limit)
    assert limit - 120 < len(part.positions) <= limit
    assert np.array_equal(part.edge_distance, series.edge_distance[: len(part.positions)])
    assert part.following.max() < len(part.positions)
