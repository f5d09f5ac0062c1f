"""Spread of a scale between particles, from chi-squares of one and two degrees of freedom."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.events.spread import scale_and_spread, spread_between


@pytest.mark.parametrize("degrees", [1, 2])
@pytest.mark.parametrize("spread", [0.0, 0.5, 1.5])
def test_scale_and_spread_are_found_in_spite_of_events(degrees, spread):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(300), rng.integers(5, 25, 300))
        level = 3.0 * np.exp(spread * rng.normal(size=300))
        values = level[group] * rng.chisquare(degrees, len(group))
        values[rng.integers(0, len(group), 20)] *= 100.0
        drawn = rng.chisquare(degrees, 100_000)
        found = scale_and_spread(values, drawn, group, np.ones(len(group), dtype=bool), rng)
        assert found.scale == pytest.approx(3.0, rel=0.15 + 0.15 * spread)
        if spread:
            assert found.dispersion == pytest.approx(spread, abs=0.2)
        else:
            assert found.dispersion < 0.3


def test_no_spread_is_claimed_of_noise():
    rng = np.random.default_rng(0)
    claimed = [spread_between(rng.normal(size=2000), rng.integers(0, 200, 2000)) > 0 for _ in range(200)]
    # Two standard errors, one-sided.
    assert np.mean(claimed) < 0.06
    assert spread_between(rng.normal(size=5), np.arange(5)) == 0.0
    assert spread_between(np.empty(0), np.empty(0, dtype=int)) == 0.0
