"""Errors of estimates that depend on each other, and the bootstrap that checks them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from colloid_cg.dynamics import force_design
from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.coupled import coupled_influence, leading, score_slopes
from colloid_cg.learn.diagnostics import half_rate
from colloid_cg.learn.forces import roughness
from colloid_cg.learn.noise import total_score
from colloid_cg.learn.problem import Candidate, free_model, prepare, with_knots
from colloid_cg.learn.sandwich import block_bootstrap_error, cluster_sums, covariance_of
from colloid_cg.states import from_trajectories
from tests.learn.worlds import tracks, yukawa, yukawa_force

DT, CUTOFF = 0.005, 3.0


def test_two_linear_equations_solved_in_turn_have_the_joint_error() -> None:
    """a = mean(x) + b/2 and b = mean(y) + a/4: the solution is linear in the means, so its influence is exact."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 500, 1))
    n = len(x)
    influence = coupled_influence(
        x - x.mean(), y - y.mean(), information=np.array([[1.0 * n]]), stiffness=np.array([[1.0 * n]]),
        score_slopes=(np.array([[0.5 * n]]), np.zeros((1, 1))), force_slope=np.array([[0.25 * n]]),
    )  # fmt: skip
    solution = np.linalg.solve(
        np.array([[1.0, -0.5], [-0.25, 1.0]]), np.stack([x, y])[..., 0] - [[x.mean()], [y.mean()]]
    )
    np.testing.assert_allclose(influence, solution.T / n, atol=1e-12)


def test_score_slopes_are_those_of_refitted_noise() -> None:
    """D refitted under a force 5 % stronger moves by the information's inverse times C c, and so does it for D."""
    positions, side = yukawa(21, frames=120)
    series = from_trajectories(tracks(positions, side=side, dt=DT))
    block = prepare(series, n_species=1, drift_velocity=np.zeros(2), cutoff=CUTOFF)
    r = np.linspace(0.7, CUTOFF, 500)
    design = force_design(r, lower=0.6, cutoff=CUTOFF, n_knots=10)
    shape = np.linalg.lstsq(design, yukawa_force(r), rcond=None)[0]
    model = replace(with_knots(free_model(1), n_knots=10, lower=0.6, cutoff=CUTOFF), coefficients=shape[None])
    noise = block.noise(block.residuals(model), scores=True)
    left = total_score(block.residuals(model), noise)  # at the maximum: nothing, in standard deviations of a score
    assert np.abs(left / np.sqrt(np.diag(noise.information))).max() < 0.02
    by_force, by_diffusion = score_slopes(block, model, noise)
    part = leading(block, len(series.positions) // 2)
    assert len(part.targets) == len(part.series.edge_distance) == len(part.series.positions) < len(block.targets)
    some, every = part.residuals(model), block.residuals(model)
    common = np.isin(every.row, some.row)
    np.testing.assert_allclose(some.value, every.value[common], atol=1e-12)
    stronger = replace(model, coefficients=1.05 * model.coefficients)
    refitted = block.noise(block.residuals(stronger), noise.parameters).parameters
    expected = np.linalg.solve(noise.information, by_force @ (0.05 * shape))
    assert abs(expected[0]) > 1e-3
    assert refitted - noise.parameters == pytest.approx(expected, rel=0.15)
    # D enters the drift as D F, and besides only through the curvature of the force over the spread of one frame
    np.testing.assert_allclose(by_diffusion[:, 0], by_force @ shape / model.diffusion[0], rtol=0.1)


def test_bootstrap_of_blocks_sees_correlation_in_time() -> None:
    rng = np.random.default_rng(1)
    frames, length = 4000, 50
    white = rng.standard_normal((frames, 1))
    slow = np.convolve(white[:, 0], np.ones(8) / 8, mode="same")[:, None]
    for values, factor in ((white, 1.0), (slow, 1.0)):
        found = block_bootstrap_error(values / frames, length=length, rng=np.random.default_rng(2), samples=2000)
        assert found[0] == pytest.approx(factor / np.sqrt(frames), rel=0.2)
    unblocked = block_bootstrap_error(slow / frames, length=1, rng=np.random.default_rng(2), samples=2000)
    assert unblocked[0] == pytest.approx(np.sqrt(1 / 8) / np.sqrt(frames), rel=0.15)
    clusters = cluster_sums(slow / frames, np.arange(frames) // length)
    sandwich = np.sqrt(covariance_of(clusters)[0, 0])
    assert sandwich == pytest.approx(1 / np.sqrt(frames), rel=0.25)


def test_unseen_distances_are_straight_and_well_seen_ones_free() -> None:
    information = np.array([0.0, 0.0, 4.0, 5.0, 6.0, 5.0])
    penalty = 0.01 * roughness((1, 6), information)
    data = np.diag(information)
    target = np.array([99.0, -99.0, 8.0, 4.0, 2.0, 1.0])
    found = np.linalg.solve(data + penalty, data @ target)
    assert found[2:] == pytest.approx(target[2:], rel=0.05)
    assert found[1] == pytest.approx(2 * found[2] - found[3], abs=0.2)
    assert found[0] == pytest.approx(2 * found[1] - found[2], abs=0.2)


def test_half_rate_is_not_judged_where_two_frames_are_too_long() -> None:
    positions, side = yukawa(22, frames=60, dt=0.02, substeps=40)
    series = from_trajectories(tracks(positions, side=side, dt=0.02))
    block = prepare(series, n_species=1, drift_velocity=np.zeros(2), cutoff=CUTOFF)
    r = np.linspace(0.7, CUTOFF, 500)
    design = force_design(r, lower=0.6, cutoff=CUTOFF, n_knots=10)
    shape = np.linalg.lstsq(design, yukawa_force(r), rcond=None)[0]
    model = replace(with_knots(free_model(1), n_knots=10, lower=0.6, cutoff=CUTOFF), coefficients=shape[None])
    candidate = Candidate(n_knots=10, model=model, noise=block.noise(block.residuals(model)), forces=None)
    answer = half_rate(block, candidate, FitConfig(), np.zeros(2))
    assert answer["value"] is None
    assert answer["note"].startswith("not applicable")
    free = Candidate(n_knots=0, model=free_model(1), noise=candidate.noise, forces=None)
    assert half_rate(block, free, FitConfig(), np.zeros(2))["value"] is not None
