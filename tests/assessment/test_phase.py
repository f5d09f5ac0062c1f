"""From a known metriplectic model through fit, rollout and assessment; a wrong model is found out."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import colloid_cg as cg
from colloid_cg.assessment import assess
from colloid_cg.assessment.phase import against_reference, phase_replicas
from colloid_cg.assessment.phase_laws import phase_ledger, scatter_of_one_run
from colloid_cg.dynamics.metriplectic.bath import Bath
from colloid_cg.errors import DataError, InputError
from colloid_cg.learn import MomentumFitConfig
from colloid_cg.observables import rdf_of_frames, unwrapped_msd, vacf
from colloid_cg.records import ModelBundle, PhaseSeries, ReferenceCurves, Rollout, Trajectories
from colloid_cg.simulation import SimulateConfig, phase_rollout
from colloid_cg.states import phase_series
from colloid_cg.store import read_reference
from tests.learn.imported import as_imported
from tests.simulation.phase_worlds import CUTOFF, MASS, THERMAL_ENERGY, recorded, soft_fluid

CONFIG = cg.AssessConfig(rdf_bins=30, lag_fraction=0.2)


@cache
def recording() -> PhaseSeries:
    return recorded(soft_fluid(), 500, side=16, seed=3)


@cache
def blocks() -> tuple[Trajectories, Trajectories, Trajectories]:
    return cg.split_by_time(as_imported(recording()), (0.6, 0.1, 0.3))


@cache
def fitted() -> ModelBundle:
    train, select, _ = blocks()
    return cg.fit(train, select, momentum=MomentumFitConfig(cutoff=CUTOFF, n_knots=8))


@cache
def rolled(friction: float = 1.0) -> Rollout:
    replicas = 2 if friction == 1.0 else 1
    return cg.simulate(wrong(friction), blocks()[2], replicas=replicas, config=SimulateConfig(frames=150), rng=1)


def wrong(friction: float) -> ModelBundle:
    scaled = {f"friction_{name}": friction * fitted().weights[f"friction_{name}"] for name in ("along", "across")}
    return replace(fitted(), weights=fitted().weights | scaled)


def test_the_fitted_model_behaves_as_the_simulation_it_never_saw() -> None:
    found = assess(blocks()[2], rolled(), fitted(), CONFIG)
    json.dumps(found)
    assert [found[name]["verdict"] for name in ("rdf", "msd", "vacf")] == ["good"] * 3
    assert found["rdf"]["rrmse"] < 0.05
    assert found["vacf"]["rrmse"] < 0.05
    assert found["kinetic"]["verdict"] == "good"
    assert abs(found["kinetic"]["temperature"] - 1.0) < max(3.0 * found["kinetic"]["temperature_error"], 0.01)
    laws = found["ledger"]
    assert laws["first_law_residual_over_kinetic"] < 1e-11
    assert laws["momentum_drift"] < 1e-12
    assert 0.0 < laws["absorbed_over_kinetic_largest"] < 0.01
    drift, error = (laws[f"absorbed_per_10000_steps_over_kinetic{end}"] for end in ("", "_error"))
    assert abs(drift) < 3.0 * error < 0.5
    assert laws["redrawn"] == 0
    assert laws["entropy_change_per_particle"] != 0.0
    assert found["units"] == {"length": "reduced", "time": "reduced"}
    assert not [line for line in found["warnings"] if "differs from the test block" in line]


def test_four_times_the_friction_is_found_out() -> None:
    found = assess(blocks()[2], rolled(4.0), wrong(4.0), CONFIG)
    assert found["rdf"]["verdict"] != "bad"  # equilibrium cannot show it
    assert found["msd"]["verdict"] == "bad"
    assert found["vacf"]["verdict"] != "good"
    assert found["vacf"]["rrmse"] > 0.15
    assert found["vacf"]["rms_z"] > 3.0
    assert any("mean squared displacement of the rollouts differs" in line for line in found["warnings"])


def test_other_dynamics_stand_in_the_same_table() -> None:
    solvent = Bath(temperature=THERMAL_ENERGY, friction=torch.tensor([5.0 * MASS]), heat=torch.zeros(1))
    langevin = replace(soft_fluid(friction=0.0), bath=replace(solvent, friction=solvent.friction * THERMAL_ENERGY))
    test = phase_series(blocks()[2])
    other = phase_rollout(
        langevin, test, thermal_energy=THERMAL_ENERGY, config=SimulateConfig(frames=100, replicas=1), rng=4
    )
    found = assess(blocks()[2], rolled(), fitted(), CONFIG, others={"langevin": other})
    table = found["candidates"]
    assert list(table) == ["model", "langevin"]
    assert set(table["model"]) == set(table["langevin"])
    assert table["model"]["vacf_rrmse"] == found["vacf"]["rrmse"]
    assert table["langevin"]["momentum_drift"] > 0.01  # a bath takes momentum
    assert table["model"]["momentum_drift"] < 1e-12
    assert abs(table["langevin"]["temperature"] - 1.0) < 0.1


def test_a_test_block_scatters_like_one_replica() -> None:
    run = rolled()
    kinetic = np.array([[8.0, 10.0], [11.0, 11.0]])  # means 9 and 11
    found = scatter_of_one_run(replace(run, ledger=replace(run.ledger, kinetic=kinetic)))
    assert found == pytest.approx(np.sqrt(2.0) / 10.0 * np.sqrt(1.5))
    alone = replace(run, ledger=replace(run.ledger, kinetic=kinetic[:1]))
    assert scatter_of_one_run(alone) == pytest.approx(np.sqrt(1.0 / run.positions.shape[2]))


def test_references_are_compared_where_they_have_points(tmp_path: Path) -> None:
    replicas = phase_replicas(phase_series(blocks()[2]), rolled())
    long = recording()
    times = np.arange(0, 30) * long.frame_interval
    g = rdf_of_frames(long.positions, long.box, np.linspace(0.0, 4.0, 41), max_frames=200)
    c = vacf(long.velocities, range(30), masses=long.masses, frame_interval=long.frame_interval)
    x = unwrapped_msd(long.positions, range(0, 30, 3), masses=long.masses, frame_interval=long.frame_interval)
    np.savez(tmp_path / "far.npz", r=g.x, g=g.value, t=times, vacf=c.value, tm=x.x, msd=x.value, other=np.ones(3))
    reference = read_reference(tmp_path / "far.npz")
    found = against_reference(replicas, reference, CONFIG)
    assert found["rdf"]["rrmse"] < 0.05
    assert found["vacf"]["rrmse"] < 0.07
    assert found["msd"]["rrmse"] < 0.15
    assert found["msd"]["x"].tolist() == pytest.approx(x.x.tolist())
    assert found["too_short"] == []
    far = ReferenceCurves(source="far", msd=(4.0 * x.x, x.value))
    cut = against_reference(replicas, far, CONFIG)
    assert cut["too_short"] == ["msd"]
    assert cut["msd"]["x"].max() <= (0.4 * 149 + 0.5) * long.frame_interval
    result = assess(blocks()[2], rolled(), fitted(), CONFIG, references=(far,))
    assert any("too short for the whole mean squared displacement of far" in line for line in result["warnings"])


def test_bad_references_are_refused(tmp_path: Path) -> None:
    r = np.linspace(0.1, 2.0, 20)
    for arrays, words in (
        ({"other": r}, "no g, msd or vacf"),
        ({"g": r}, "without its x"),
        ({"r": r**2, "g": r}, "not equally spaced"),
        ({"t": r[::-1], "msd": r}, "does not increase"),
        ({"t": r, "vacf": np.full(20, np.nan)}, "finite"),
    ):
        np.savez(tmp_path / "bad.npz", **arrays)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=words):
            read_reference(tmp_path / "bad.npz")
    with pytest.raises(InputError, match="no readable archive"):
        read_reference(tmp_path / "none.npz")


def test_thinned_rollouts_are_compared_at_common_lags() -> None:
    thin = cg.simulate(fitted(), blocks()[2], replicas=2, config=SimulateConfig(frames=100, every=3), rng=1)
    found = assess(blocks()[2], thin, fitted(), CONFIG)
    np.testing.assert_allclose(np.diff(found["vacf"]["x"])[0], 3 * recording().frame_interval)
    assert found["vacf"]["verdict"] != "bad"
    assert found["ledger"]["steps"] == 99 * int(str(thin.metadata["substeps"]))


def test_what_cannot_be_compared_is_refused() -> None:
    test = blocks()[2]
    with pytest.raises(DataError, match="frames to compare"):
        assess(test.between(360, 370), rolled(), fitted(), CONFIG)
    with pytest.raises(InputError, match="a whole number of frame intervals"):
        assess(test, replace(rolled(), frame_interval=0.07), fitted(), CONFIG)
    with pytest.raises(InputError, match="without velocities"):
        assess(test, replace(rolled(), velocities=None), fitted(), CONFIG)
    with pytest.raises(InputError, match="a ledger without kinetic"):
        phase_ledger(replace(rolled(), ledger=replace(rolled().ledger, kinetic=None)), np.ones(100))
