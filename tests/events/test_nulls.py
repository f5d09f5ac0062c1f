"""Null laws against exact cases, direct simulation and each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from colloid_cg.events.hopnull import hop_table, variogram, window_covariance
from colloid_cg.events.nulls import d2min_draw, d2min_tail, dispersed_tail
from colloid_cg.events.scale import NullScale, check, fit_scale
from colloid_cg.observables import p_hop


@pytest.mark.parametrize(("dimension", "count"), [(2, 3), (2, 4), (2, 7), (2, 18), (3, 4), (3, 5), (3, 12), (3, 20)])
@pytest.mark.parametrize("shared", [0.0, 1e-12, 1e-7, 0.03, 2.0, 15.0])
def test_d2min_tail_equals_a_mixture_of_gammas(dimension, count, shared):
    """Gamma(b, 1 + c) is a negative-binomial mixture of Gamma(b + K, 1): the same law by another road."""
    x = np.array([0.5, 5.0, 40.0, 150.0])
    found = d2min_tail(x, np.full(4, count), np.full(4, shared), dimension=dimension)
    extra = np.arange(4000)
    weight = stats.nbinom.pmf(extra, dimension / 2, 1 / (1 + shared))
    shape = dimension * (count - dimension - 1) / 2 + dimension / 2 + extra
    expected = (weight * special.gammaincc(shape, x[:, None] / 2)).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dimension == 3 else 1e-9)


def test_d2min_draws_follow_the_tail():
    rng = np.random.default_rng(1)
    count, shared = rng.integers(4, 15, 20_000).astype(float), rng.uniform(0, 10, 20_000)
    for dimension in (2, 3):
        n = count + 2
        drawn = d2min_draw(n, shared, rng, dimension=dimension)
        p = d2min_tail(drawn, n, shared, dimension=dimension)
        assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_dispersed_tail_equals_simulation_and_without_dispersion_the_tail():
    rng = np.random.default_rng(2)
    value = np.array([0.1, 1.0, 5.0, 12.0])
    plain = dispersed_tail(lambda x, _: np.exp(-x), value, 0.0)
    np.testing.assert_allclose(plain, np.exp(-value))
    drawn = rng.exponential(size=2_000_000) * np.exp(0.5 * rng.normal(size=2_000_000))
    wide = dispersed_tail(lambda x, _: np.exp(-x), value, 0.5)
    simulated = np.array([(drawn > v).mean() for v in value])
    assert np.abs((wide - simulated) / np.sqrt(simulated / 2e6)).max() < 4


def test_hop_law_with_half_window_one_is_exponential_to_the_far_tail():
    """h = 1: p_hop = |r' - r|^2 with variance 2 sigma^2 per coordinate, so P(> x) = exp(-x / (4 sigma^2)) in 2-D."""
    table = hop_table(window_covariance(np.array([0.0, 2 * 0.3**2])), np.random.default_rng(3), dimension=2)
    for probability, tolerance in ((0.9, 0.02), (0.5, 0.02), (0.01, 0.03), (1e-5, 0.05), (1e-9, 0.1), (1e-30, 2.0)):
        value = np.array([-4 * 0.3**2 * np.log(probability)])
        assert np.log(table.tail(value)[0] / probability) == pytest.approx(0.0, abs=tolerance)


@pytest.mark.parametrize("kind", ["white", "diffusing"])
def test_hop_law_equals_direct_simulation(kind):
    rng = np.random.default_rng(4)
    half, draws = 4, 400_000
    variance = np.r_[0.0, np.full(7, 2.0)] if kind == "white" else np.arange(8) * 0.5 + np.r_[0.0, np.full(7, 0.2)]
    table = hop_table(window_covariance(variance), np.random.default_rng(5), dimension=2)
    noise = rng.normal(size=(8, draws, 2))
    windows = (
        noise
        if kind == "white"
        else np.cumsum(noise * np.sqrt(0.5), axis=0) + np.sqrt(0.1) * rng.normal(size=noise.shape)
    )
    value = p_hop(windows, half_window=half)[half]
    for level in (0.9, 0.5, 0.1, 0.01, 1e-3):
        at = np.quantile(value, 1 - level)
        error = np.sqrt(1 / (level * draws))
        assert table.tail(np.array([at]))[0] / level == pytest.approx(1.0, abs=0.03 + 4 * error)


def test_variogram_of_noise_plus_diffusion_ignores_rare_jumps_and_gaps():
    rng = np.random.default_rng(6)
    walk = np.cumsum(rng.normal(0, 0.1, (200, 300, 2)), axis=0) + rng.normal(0, 0.2, (200, 300, 2))
    walk[100:, :3] += 50.0
    frame, particle = (index.ravel() for index in np.meshgrid(np.arange(200), np.arange(300), indexing="ij"))
    keep = rng.uniform(size=60_000) < 0.8
    found = variogram(frame[keep], particle[keep], walk.reshape(-1, 2)[keep], 3)
    np.testing.assert_allclose(found, [0.0, 0.09, 0.10, 0.11], rtol=0.03)


def test_fit_finds_scale_and_dispersion_in_spite_of_events():
    rng = np.random.default_rng(7)
    drawn = rng.gamma(8.0, size=50_000) / 8
    for spread in (0.0, 0.4):
        observed = 3.0 * rng.gamma(8.0, size=50_000) / 8 * np.exp(spread * rng.normal(size=50_000))
        observed[:500] *= 100.0
        fitted = fit_scale(observed, drawn, rng)
        assert fitted.scale == pytest.approx(3.0, rel=0.02)
        assert fitted.dispersion == pytest.approx(spread, abs=0.08 if spread == 0 else 0.02)


def test_check_raises_its_flag_where_the_null_fails():
    rng = np.random.default_rng(8)
    fitted = NullScale(scale=1.0, dispersion=0.0)
    assert check(rng.uniform(size=20_000), fitted)["null_fit"]
    assert check(rng.uniform(size=20_000), fitted)["warnings"] == []
    assert not check(rng.beta(0.6, 0.6, 20_000), fitted)["null_fit"]
    many = np.r_[rng.uniform(size=18_000), np.full(2_000, 1e-6)]
    assert "not rare" in check(many, fitted)["warnings"][-1]
    assert "mobility differs" in check(rng.uniform(size=20_000), NullScale(scale=1.0, dispersion=0.5))["warnings"][0]
