from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from colloid_cg.assessment import interaction_range, potential_from_force
from colloid_cg.assessment.agreement import jsonable, rrmse, verdict, z_scores
from colloid_cg.assessment.extrapolation import extrapolation, pair_distances
from colloid_cg.assessment.inversion import crowding, inversion_check
from colloid_cg.records import Box
from tests.assessment.worlds import bundle, empty_force, free_rollout


def test_rrmse_of_a_scaled_curve_is_the_scale():
    curve = np.array([1.0, 2.0, np.nan, 4.0])
    assert rrmse(1.07 * curve, curve) == pytest.approx(0.07)
    assert rrmse(curve, np.zeros(4)) is None


def test_z_scores_add_variances_and_know_what_they_do_not_know():
    scores = z_scores(np.array([5.0, 5.0]), np.array([3.0, np.nan]), np.zeros(2), np.array([4.0, 0.0]))
    assert scores[0] == pytest.approx(1.0)
    assert np.isnan(scores[1])


@pytest.mark.parametrize(
    ("error", "z", "expected"),
    [(0.03, 9.0, "good"), (0.05, 9.0, "look"), (0.5, 1.0, "look"), (0.5, 9.0, "bad"), (None, None, "not run")],
)
def test_verdicts(error, z, expected):
    assert verdict(error, allowed=0.03, rms_z=z) == expected


def test_jsonable_leaves_no_nan_and_no_numpy():
    found = jsonable({"a": np.array([1.0, np.nan]), 3: (np.float64(2), np.int64(4), np.inf), "b": {"c": np.nan}})
    assert found == {"a": [1.0, None], "3": [2.0, 4, None], "b": {"c": None}}
    assert type(found["3"][1]) is int


def force_table(scale: float = 1.0) -> pd.DataFrame:
    """Force of phi = 2 exp(-(r - 1)/.5) with a narrow band."""
    r = np.linspace(1.0, 4.0, 301)
    force = scale * 4.0 * np.exp(-(r - 1.0) / 0.5)
    table = pd.DataFrame({"r": r, "force": force, "low90": force - 0.05, "high90": force + 0.05})
    return table.assign(species_a=0, species_b=0)


def test_potential_is_the_integral_of_the_force():
    table = force_table()
    r = table["r"].to_numpy()
    expected = 2.0 * (np.exp(-(r - 1.0) / 0.5) - np.exp(-3.0 / 0.5))
    np.testing.assert_allclose(potential_from_force(r, table["force"].to_numpy()), expected, atol=1e-4)


def test_range_ends_where_the_band_reaches_zero():
    # 4 exp(-(r - 1)/.5) = .05 at r = 1 + .5 ln 80.
    assert interaction_range(force_table()) == pytest.approx(1.0 + 0.5 * np.log(80.0), abs=0.011)
    assert interaction_range(empty_force()) == 0.0


def boltzmann(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    r = np.linspace(1.05, 3.95, 30)
    phi = potential_from_force(table["r"].to_numpy(), table["force"].to_numpy())
    return r, np.exp(-np.interp(r, table["r"], phi))


def test_inversion_agrees_for_a_dilute_gas_and_notices_a_wrong_force():
    r, g = boltzmann(force_table())
    options = {"density": 1e-3, "dimension": 2, "dilute_limit": 0.3}
    right = inversion_check(r, g, 0.01 * g, force_table(), **options)
    wrong = inversion_check(r, g, 0.01 * g, force_table(2.0), **options)
    assert right["status"] == "compared"
    assert right["rms_difference"] < 1e-6
    assert wrong["rms_difference"] > 0.5
    assert wrong["rms_z"] > 50
    assert right["fitted_low90"] is None  # the band of a force does not tell that of its integral
    curve = {"r": [1.0, 4.0], "value": [0.0, 0.0], "low90": [-1.0, -4.0], "high90": [2.0, 8.0]}
    banded = inversion_check(r, g, 0.01 * g, force_table(), potentials=[curve], **options)
    np.testing.assert_allclose(banded["fitted_low90"], -r)
    np.testing.assert_allclose(banded["fitted_high90"], 2.0 * r)


def test_inversion_refuses_dense_mixed_and_forceless_systems():
    r, g = boltzmann(force_table())
    options = {"dimension": 2, "dilute_limit": 0.3}
    assert "dense" in inversion_check(r, g, g, force_table(), density=0.5, **options)["status"]
    mixed = pd.concat([force_table(), force_table().assign(species_b=1)])
    assert "mixtures" in inversion_check(r, g, g, mixed, density=1e-3, **options)["status"]
    assert "has no pair force" in inversion_check(r, g, g, empty_force(), density=1e-3, **options)["status"]
    flat = force_table(0.0)
    assert "nowhere" in inversion_check(r, g, g, flat, density=1e-3, **options)["status"]


def test_crowding_counts_particles_in_a_disc_and_a_sphere():
    assert crowding(0.5, 2.0, 2) == pytest.approx(2 * np.pi)
    assert crowding(0.75, 1.0, 3) == pytest.approx(np.pi)


@pytest.mark.parametrize("periodic", [(True, True), (False, False), (True, False)])
def test_pair_distances_are_those_of_brute_force(periodic):
    box = Box(lower=(-1.0, 2.0), upper=(9.0, 9.0), periodic=periodic)
    positions = np.random.default_rng(0).uniform((-1, 2), (9, 9), size=(60, 2))
    i, j = np.triu_indices(60, 1)
    every = np.linalg.norm(box.displacement(positions[i], positions[j]), axis=1)
    np.testing.assert_allclose(np.sort(pair_distances(positions, 2.5, box)), np.sort(every[every <= 2.5]))


def test_extrapolated_share_is_the_share_of_area_in_a_gas():
    """Of the pairs of an ideal gas within 3 um, (1/3)^2 are nearer than 1 um."""
    samples = {"r_min": 1.0, "r_max": 3.0, "n_pairs": 1}
    found = extrapolation(free_rollout(1, diffusion=20.0), bundle(force_table(), force_samples=samples))
    assert found["fraction"] == pytest.approx(1 / 9, abs=4 * np.sqrt(1 / 9 / found["pairs"]) + 0.004)
    assert extrapolation(free_rollout(1), bundle(force_table()))["fraction"] is None


def test_a_force_the_fit_does_not_use_extrapolates_nothing():
    model = replace(
        bundle(force_table(), force_samples={"r_min": 1.0, "r_max": 3.0}), config={"pair_force_used": False}
    )
    assert extrapolation(free_rollout(1), model)["applies"] is False
    assert extrapolation(free_rollout(1), bundle())["applies"] is False
