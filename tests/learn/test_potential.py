"""The potential with its band: the integral of the force, and how often the band holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.dynamics import force_design, potential_design
from colloid_cg.learn import FitConfig, fit
from tests.learn.worlds import tracks, yukawa, yukawa_force


def test_potential_is_the_integral_of_the_force_to_the_cutoff() -> None:
    knots = {"lower": 0.8, "cutoff": 2.3, "n_knots": 5}
    fine = np.linspace(0.7, 2.3, 40001)
    force = force_design(fine, **knots)
    design = potential_design(np.array([0.7, 0.8, 1.234, 2.29, 2.3, 2.5]), **knots)
    for row, r in zip(design, (0.7, 0.8, 1.234, 2.29, 2.3), strict=False):
        beyond = fine >= r - 1e-12
        assert row == pytest.approx(np.trapezoid(force[beyond], fine[beyond], axis=0), abs=5e-5)
    assert not design[-2:].any()


def test_bands_of_the_potential_hold_the_truth_and_are_narrower_than_edges_integrated() -> None:
    """Noisy Yukawa particles: three distances of three seeds, errors known."""
    held, ratio, dt = [], [], 0.005
    fine = np.linspace(0.5, 3.0, 5001)
    force = yukawa_force(fine)
    beyond = np.append(np.cumsum((0.5 * (force[1:] + force[:-1]) * np.diff(fine))[::-1])[::-1], 0.0)
    for seed in range(3):
        path, side = yukawa(seed, frames=105)
        seen = path + 0.03 * np.random.default_rng([seed, 1]).standard_normal(path.shape)
        whole = tracks(seen, side=side, dt=dt, exposure=0.0)
        bundle = fit(whole.between(0, 90), whole.between(90, 105), FitConfig(knots=(6,), cutoff=3.0), rng=1)
        table, (curve,) = bundle.pair_force, bundle.diagnostics["pair_potential"]
        r, low, high = (np.array(curve[name]) for name in ("r", "low90", "high90"))
        assert r == pytest.approx(table["r"].to_numpy())
        assert curve["value"][0] == pytest.approx(np.trapezoid(table["force"], r), rel=1e-3)
        places = np.searchsorted(r, [1.0, 1.3, 1.8])
        truth = np.interp(r[places], fine, beyond)
        held.append((low[places] < truth) & (truth < high[places]))
        edge = np.trapezoid((table["high90"] - table["force"])[places[0] :], r[places[0] :])
        ratio.append(0.5 * (high - low)[places[0]] / edge)
    assert np.mean(held) >= 0.6
    assert np.mean(ratio) < 0.8
