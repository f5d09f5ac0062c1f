from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from colloid_cg.assessment import AssessConfig, assess
from colloid_cg.errors import DataError, InputError
from colloid_cg.records import Ledger
from tests.assessment.worlds import DIFFUSION, INTERVAL, SIGMA, bundle, experiment, free_rollout


@pytest.fixture(scope="module")
def world():
    return experiment(1)


@pytest.fixture(scope="module")
def alike(world):
    test, start = world
    return assess(test, free_rollout(2, start=start), bundle())


def test_the_same_physics_agrees_about_as_well_as_the_experiment_with_itself(alike):
    for name in ("rdf", "msd", "van_hove"):
        found = alike[name]
        assert found["verdict"] == "good", name
        assert found["rrmse"] <= max(0.03, 1.5 * found["reference_rrmse"])
    assert alike["msd"]["rrmse"] < 0.05
    assert alike["msd"]["rms_z"] < 2.5


def test_both_curves_are_the_closed_form(alike):
    """4 D t + 4 sigma^2 for experiment and model alike, within four standard errors."""
    curve = alike["msd"]
    expected = 4 * DIFFUSION * np.array(curve["x"]) + 4 * SIGMA**2
    for name in ("experiment", "model"):
        error = np.array(curve[f"{name}_error"])
        assert np.all(error < 0.1 * expected)
        assert np.all(np.abs(np.array(curve[name]) - expected) < 4 * error + 1e-12), name


def test_a_diffusion_coefficient_off_by_half_is_bad(world):
    test, start = world
    wrong = assess(test, free_rollout(3, diffusion=1.5 * DIFFUSION, start=start), bundle())
    assert wrong["msd"]["verdict"] == "bad"
    assert wrong["van_hove"]["verdict"] == "bad"
    # 4 D t dominates, so the curves differ by a little less than half.
    assert 0.4 < wrong["msd"]["rrmse"] < 0.6
    assert any("mean squared displacement" in sentence for sentence in wrong["warnings"])


def test_structure_that_is_not_there_is_seen_in_the_pair_correlation(world):
    test, _ = world
    side = np.arange(0.5, 40.0, 40.0 / 12)
    lattice = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    rollout = free_rollout(4, diffusion=1e-4, start=lattice)
    assert assess(test, rollout, bundle())["rdf"]["verdict"] == "bad"


def test_lags_stay_below_a_tenth_but_are_at_least_five(alike):
    lags = np.array(alike["msd"]["x"]) / INTERVAL
    assert lags[0] == pytest.approx(1)
    assert lags[-1] == pytest.approx(10)
    test, start = experiment(5, frames=24)
    short = assess(test, free_rollout(6, frames=20, start=start), bundle())
    assert len(short["msd"]["x"]) == 5


def test_nothing_but_numbers_in_the_json(world):
    """Replicas of one and empty bins leave unknown errors: None, never NaN."""
    test, start = world
    single = assess(test, free_rollout(7, replicas=1, start=start), bundle(), AssessConfig(rdf_bins=200))
    text = json.dumps(single, allow_nan=False)
    assert json.loads(text) == single
    assert single["ledger"]["mean_energy_standard_error"] is None
    assert any("single rollout" in sentence for sentence in single["warnings"])


def test_gaps_and_empty_frames_are_survived(world):
    test, start = world
    rng = np.random.default_rng(8)
    holes = test.table[(rng.uniform(size=len(test)) > 0.3) & (test.table["frame"] != 40)]
    found = assess(test.with_table(holes), free_rollout(9, start=start), bundle())
    json.dumps(found, allow_nan=False)
    assert found["msd"]["verdict"] == "good"


def test_first_law_residual_is_reported_and_warned_of(world):
    test, start = world
    run = free_rollout(10, start=start)
    energy = np.zeros(run.positions.shape[:2])
    energy[2, 30] = 1.5
    broken = replace(run, ledger=Ledger(energy=energy, work=0 * energy, bath_entropy=0 * energy))
    found = assess(test, broken, bundle())
    assert found["ledger"]["first_law_residual_max"] == 1.5
    assert found["ledger"]["first_law_residual_per_particle"] == pytest.approx(1.5 / 150)
    assert any("first law" in sentence for sentence in found["warnings"])


def test_bath_entropy_rate_per_particle_and_second(world):
    test, start = world
    run = free_rollout(11, start=start)
    given = np.broadcast_to(3.0 * np.arange(100), (4, 100))
    ledger = Ledger(energy=-given, work=0.0 * given, bath_entropy=given)
    found = assess(test, replace(run, ledger=ledger), bundle())["ledger"]
    assert found["bath_entropy_rate_per_particle"] == pytest.approx(3.0 / INTERVAL / 150)
    assert found["first_law_residual_max"] == 0.0


def test_another_frame_interval_is_refused(world):
    test, start = world
    with pytest.raises(InputError, match="frame interval"):
        assess(test, replace(free_rollout(12, start=start), frame_interval=0.1), bundle())


def test_too_short_a_rollout_is_refused(world):
    test, start = world
    with pytest.raises(DataError, match="3 frames"):
        assess(test, free_rollout(13, frames=3, start=start), bundle())


def test_the_same_bytes_twice(world, alike):
    test, start = world
    assert json.dumps(assess(test, free_rollout(2, start=start), bundle())) == json.dumps(alike)
