"""Jumps of a scalar along the track: calibrated on correlated noise, planted ones found, gaps left open."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import InputError
from colloid_cg.events.jumps import field_jumps


def wandering(seed, *, n_frames=60, n_particles=300, noise=0.2, memory=20.0):
    """An Ornstein-Uhlenbeck process of variance one per particle, about a mean of its own, and white noise."""
    rng = np.random.default_rng(seed)
    keep = np.exp(-1.0 / memory)
    s = np.empty((n_frames, n_particles))
    s[0] = rng.normal(size=n_particles)
    for t in range(1, n_frames):
        s[t] = keep * s[t - 1] + np.sqrt(1 - keep**2) * rng.normal(size=n_particles)
    s += 5 * rng.normal(size=n_particles) + noise * rng.normal(size=s.shape)
    return pd.DataFrame(
        {
            "frame": np.repeat(np.arange(n_frames), n_particles),
            "particle": np.tile(np.arange(n_particles), n_frames),
            "s0": s.ravel(),
        }
    )


@pytest.mark.parametrize("half_window", [1, 4])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_p_values_are_uniform_without_jumps(half_window, noise):
    tables = [field_jumps(wandering(seed, noise=noise), half_window=half_window) for seed in range(3)]
    p = pd.concat(tables)["s0_jump_p"].dropna()
    assert len(p) == 3 * 300 * (60 - 2 * half_window + 1)
    for level in (0.9, 0.5, 0.1, 0.01, 0.001):
        error = np.sqrt(level * (1 - level) / (len(p) / (2 * half_window)))
        assert (p < level).mean() == pytest.approx(level, abs=4 * error + 0.05 * level)
    assert all(table.attrs["jumps"]["s0"]["null_fit"] for table in tables)


def test_value_is_the_difference_of_means_and_a_common_jump_is_none():
    table = wandering(1)
    table.loc[table["frame"] >= 30, "s0"] += 50.0
    found = field_jumps(table, ["s0"], half_window=3)
    s = table["s0"].to_numpy().reshape(60, 300)
    raw = s[20:23].mean(axis=0) - s[17:20].mean(axis=0)
    np.testing.assert_allclose(found.loc[found["frame"] == 20, "s0_jump"], raw - np.median(raw), atol=1e-12)
    assert found["s0_jump"].abs().max() < 6
    assert found.loc[~found["frame"].between(3, 57), "s0_jump"].isna().all()
    assert found.loc[found["frame"].between(3, 57), "s0_jump_p"].notna().all()


def test_a_planted_jump_stands_out_in_its_frame():
    table = wandering(2)
    table.loc[(table["particle"] == 7) & (table["frame"] >= 33), "s0"] += 6.0
    found = field_jumps(table, half_window=3)
    best = found.loc[found["s0_jump_p"].idxmin()]
    assert (best["frame"], best["particle"]) == (33, 7)
    assert best["s0_jump_p"] < 1e-8
    assert best["s0_jump"] == pytest.approx(6.0, abs=1.5)
    # Rows in any order, further columns, gaps.
    mixed = table.sample(frac=1.0, random_state=0)
    mixed = mixed[~((mixed["particle"] == 8) & (mixed["frame"] == 20))]
    mixed.loc[(mixed["particle"] == 9) & (mixed["frame"] == 40), "s0"] = np.nan
    holed = field_jumps(mixed, half_window=3).set_index(["particle", "frame"])["s0_jump"]
    whole = found.set_index(["particle", "frame"])["s0_jump"]
    assert holed.loc[8].loc[[18, 19, 21, 22, 23]].isna().all()
    assert holed.loc[8].loc[[17, 24]].notna().all()
    assert holed.loc[9].loc[range(38, 44)].isna().all()
    np.testing.assert_allclose(holed.loc[7].sort_index(), whole.loc[7], rtol=0, atol=0.05)


def test_known_errors_decide_which_jumps_are_large():
    rng = np.random.default_rng(3)
    table = wandering(3, noise=0.0, memory=1e6, n_particles=400)
    sigma = np.where(table["particle"] % 2 == 0, 0.1, 0.8)
    noisy = table.assign(s0=table["s0"] + sigma * rng.normal(size=len(table)))
    for known in (True, False):
        found = field_jumps(noisy.assign(s0_std=sigma) if known else noisy, half_window=3)
        p = found["s0_jump_p"].to_numpy()
        loud = np.nanmean(p[found["particle"] % 2 == 1] < 0.01)
        quiet = np.nanmean(p[found["particle"] % 2 == 0] < 0.01)
        if known:
            assert loud == pytest.approx(0.01, abs=0.004)
            assert quiet == pytest.approx(0.01, abs=0.004)
        else:
            assert quiet == 0.0
            assert found.attrs["jumps"]["s0"]["dispersion"] > 0.5
            assert loud < 0.05


def test_too_little_is_said_and_wrong_columns_are_refused():
    few = field_jumps(wandering(4, n_frames=8, n_particles=5), half_window=3)
    assert few["s0_jump"].notna().any()
    assert few["s0_jump_p"].isna().all()
    assert "too few" in few.attrs["jumps"]["s0"]["warnings"][0]
    still = field_jumps(wandering(5).assign(s0=1.0), half_window=3)
    assert still["s0_jump_p"].isna().all()
    assert field_jumps(wandering(5)[:1], half_window=3)["s0_jump"].isna().all()
    with pytest.raises(InputError, match="without s9"):
        field_jumps(wandering(5), ["s9"], half_window=3)
    with pytest.raises(InputError, match="half window of 0"):
        field_jumps(wandering(5), half_window=0)
