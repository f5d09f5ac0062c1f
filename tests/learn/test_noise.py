"""D and localisation variance from noisy, blurred steps; the likelihood against a dense Gaussian."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from colloid_cg.errors import DataError
from colloid_cg.learn.banded import Band, Residuals, innovations, log_likelihood_rows
from colloid_cg.learn.noise import fit_noise
from colloid_cg.learn.problem import Block, fit_free, free_model, prepare
from colloid_cg.learn.series import every_nth_frame
from colloid_cg.learn.stride import intervals
from colloid_cg.states import from_trajectories
from tests.learn.worlds import brownian, tracks

D, DT = 0.5, 0.04


def test_likelihood_is_the_dense_gaussian_with_restart_at_gaps() -> None:
    rng, n = np.random.default_rng(0), 9
    joined = np.array([False, True, True, True, False, True, True, False, True])

    def band(scale: float) -> Band:
        parts = scale * (0.5 + rng.random((3, n, 2)))
        return Band(per_diffusion=parts[0], per_noise=parts[1], fixed=parts[2])

    spread, coupling = band(1.0), band(-0.2)
    data = Residuals(
        row=np.arange(n), value=rng.standard_normal((n, 2)), gain=np.ones((n, 2)), spread=spread, coupling=coupling,
        joined=joined, species=np.arange(n) % 2,
    )  # fmt: skip
    diffusion, s2 = np.array([0.9, 0.7]), 0.35
    own = diffusion[np.arange(n) % 2]
    expected = 0.0
    for axis in (0, 1):
        zero, one = (
            own * part.per_diffusion[:, axis] + s2 * part.per_noise[:, axis] + part.fixed[:, axis]
            for part in (spread, coupling)
        )
        covariance = np.diag(zero)
        for t in np.flatnonzero(joined):
            covariance[t, t - 1] = covariance[t - 1, t] = one[t]
        expected += multivariate_normal(np.zeros(n), covariance).logpdf(data.value[:, axis])
    parameters = {"diffusion": diffusion, "localisation_variance": s2}
    assert log_likelihood_rows(data, **parameters).sum() == pytest.approx(expected, abs=1e-10)
    white = innovations(data, **parameters)[1]
    first = own[0] * spread.per_diffusion[0] + s2 * spread.per_noise[0] + spread.fixed[0]
    assert white[0] == pytest.approx(data.value[0] / np.sqrt(first))


@pytest.mark.parametrize("blurred", [False, True])
@pytest.mark.parametrize("ratio", [0.0, 0.25, 1.0])
def test_recovers_diffusion_and_noise(ratio: float, blurred: bool) -> None:
    rng = np.random.default_rng(int(100 * ratio) + blurred)
    path = brownian(rng, n=150, frames=300, diffusion=D, dt=DT, blurred=blurred)
    seen = path + np.sqrt(ratio * 2 * D * DT) * rng.standard_normal(path.shape)
    series = from_trajectories(tracks(seen, side=60.0, dt=DT, exposure=DT if blurred else None))
    block = prepare(series, n_species=1, drift_velocity=np.zeros(2))
    noise = fit_free(block, scores=True).noise
    assert noise.diffusion[0] == pytest.approx(D, rel=0.02)
    assert abs(noise.localisation_variance - ratio * 2 * D * DT) < max(0.05 * ratio, 0.02) * 2 * D * DT
    naive = float((np.diff(seen, axis=0) ** 2).mean()) / (2 * DT)
    if ratio or blurred:
        assert abs(naive / D - 1.0) > 0.1
    half = intervals(noise, series, _rows(block), 20)
    assert 0 < half[0] < 0.03 * D


def test_intervals_cover_the_truth() -> None:
    covered, width = 0, []
    for seed in range(60):
        rng = np.random.default_rng(1000 + seed)
        path = brownian(rng, n=20, frames=100, diffusion=D, dt=DT)
        seen = path + np.sqrt(0.5 * D * DT) * rng.standard_normal(path.shape)
        block = prepare(from_trajectories(tracks(seen, side=60.0, dt=DT)), n_species=1, drift_velocity=np.zeros(2))
        noise = fit_free(block, scores=True).noise
        half = intervals(noise, block.series, _rows(block), 20)
        covered += abs(noise.diffusion[0] - D) <= half[0]
        width.append(half[0] / D)
    assert 48 <= covered <= 60  # 90 % of 60 is 54, two binomial standard errors either way
    assert np.median(width) < 0.1


def _rows(block: Block) -> np.ndarray:
    return block.residuals(free_model(1)).row


def test_thinning_joins_only_unbroken_tracks() -> None:
    rng = np.random.default_rng(3)
    whole = tracks(brownian(rng, n=1, frames=9, diffusion=D, dt=DT), side=60.0, dt=DT)
    series = from_trajectories(whole.with_table(whole.table[whole.table["frame"] != 3]))
    thinned = every_nth_frame(series, 2)
    assert thinned.frame_interval == pytest.approx(2 * DT)
    assert thinned.following.tolist() == [1, -1, 3, 4, -1]
    assert np.array_equal(thinned.positions, series.positions[[0, 2, 3, 5, 7]])


def test_too_little_data_is_refused() -> None:
    rng = np.random.default_rng(4)
    block = prepare(
        from_trajectories(tracks(brownian(rng, n=2, frames=4, diffusion=D, dt=DT), side=60.0, dt=DT)),
        n_species=1,
        drift_velocity=np.zeros(2),
    )
    with pytest.raises(DataError, match="pairs of consecutive displacements"):
        fit_noise(block.residuals(free_model(1)), n_species=1, blur=0.0, frame_interval=DT)
