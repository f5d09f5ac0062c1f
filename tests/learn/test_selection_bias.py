"""What is seen is a selection: at the edge of the view, after drift removal, near the resolution of the tracker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from colloid_cg.dynamics import closure_flow
from colloid_cg.learn.banded import residuals
from colloid_cg.learn.drift_share import corrected, kept_share
from colloid_cg.learn.problem import fit_free, free_model, prepare
from colloid_cg.records import Box, ModelBundle, Trajectories, metric
from colloid_cg.states import from_trajectories

D, DT, VIEW = 1.0, 0.045, 10.0


def seen_through_a_small_view() -> Trajectories:
    """Brownian particles in a periodic cell three times as wide; whoever leaves the view comes back as another."""
    rng, side, n, frames = np.random.default_rng(5), 3 * VIEW, 1500, 80
    paths = rng.uniform(0, side, (n, 2)) + np.cumsum(rng.normal(0, np.sqrt(2 * D * DT), (frames, n, 2)), axis=0)
    folded = np.mod(paths, side)
    inside = ((folded > VIEW) & (folded < 2 * VIEW)).all(axis=-1)
    entry = np.cumsum(np.diff(inside.astype(int), axis=0, prepend=0) == 1, axis=0)
    frame, particle = np.nonzero(inside)
    table = pd.DataFrame({"frame": frame, "particle": particle * 1000 + entry[inside], "x": folded[inside][:, 0] - VIEW,
                          "y": folded[inside][:, 1] - VIEW})  # fmt: skip
    view = Box(lower=(0.0, 0.0), upper=(VIEW, VIEW), periodic=(False, False))
    return Trajectories(table=table, pixel_size=1.0, frame_interval=DT, field_of_view=view, n_frames=frames)


def test_steps_that_leave_the_view_do_not_lower_the_diffusion_coefficient() -> None:
    series = from_trajectories(seen_through_a_small_view())
    block = prepare(series, n_species=1, drift_velocity=np.zeros(2))
    everyone = replace(block, targets=np.ones_like(block.targets))
    assert fit_free(everyone).noise.diffusion[0] < 0.975 * D  # the bias is there to be seen
    assert fit_free(block).noise.diffusion[0] == pytest.approx(D, rel=0.02)


def test_particles_that_may_merge_are_no_targets() -> None:
    series = from_trajectories(seen_through_a_small_view())
    options = {"n_species": 1, "drift_velocity": np.zeros(2), "cutoff": 1.5, "diffusion": D}
    loose, strict = (prepare(series, **options, resolution=value).targets for value in (0.0, 0.8))
    first = series.rows(0)
    distance = np.linalg.norm(series.positions[first][:, None] - series.positions[first], axis=-1)
    np.fill_diagonal(distance, np.inf)
    near = distance.min(axis=1) < 0.8
    assert (loose[first] & near).any()
    np.testing.assert_array_equal(strict[first], loose[first] & ~near)


def test_a_closure_out_of_bounds_is_held_and_counted() -> None:
    series = from_trajectories(seen_through_a_small_view())
    block, model = prepare(series, n_species=1, drift_velocity=np.zeros(2)), free_model(1)
    flow = closure_flow(model, series.positions, species=series.species, frame_offsets=series.offsets,
                        neighbours=block.neighbours, dt=DT)  # fmt: skip
    options = {"diffusion": model.diffusion, "targets": block.targets}
    row = residuals(series, block.links, flow, **options).row[7]
    variance = flow.variance.copy()
    variance[row] = -50.0
    data = residuals(series, block.links, replace(flow, variance=variance), **options)
    assert data.clamped == 1
    assert (data.spread.per_diffusion > 0).all()
    assert np.isfinite(block.noise(data).diffusion).all()


def test_what_drift_removal_took_is_given_back() -> None:
    rng, n = np.random.default_rng(8), 25
    steps = rng.normal(0, np.sqrt(2 * D * DT), (4000, n, 2))
    left = ((steps - steps.mean(axis=1, keepdims=True)) ** 2).mean() / (2 * DT)
    tracks = seen_through_a_small_view()
    tracks = replace(
        tracks, metadata={"drift": {"removed": True, "diffusion_bias": -1 / n, "frame": [], "dx": [], "dy": []}}
    )
    share = kept_share(tracks)
    assert left == pytest.approx(D * share, rel=0.01)
    curve = {"value": [left], "low90": [left], "high90": [left]}
    force = pd.DataFrame({"r": [1.0], "force": [2.0], "low90": [1.0], "high90": [3.0], "species_a": 0, "species_b": 0})
    bundle = ModelBundle(
        config={}, pair_force=force,
        weights={"diffusion": np.array([left]), "localisation_variance": np.zeros(1),
                 "force_coefficients": np.ones((1, 4))},
        metrics={"diffusion_coefficient": [metric(float(left), low90=float(left), high90=float(left))]},
        diagnostics={"diffusion_against_lag": curve, "half_rate": curve, "stated_sigma": {"fitted_variance": 0.0},
                     "pair_potential": [{"value": [3.0], "low90": [2.0], "high90": [5.0]}]},
    )  # fmt: skip
    back = corrected(bundle, share)
    assert back.value("diffusion_coefficient") == pytest.approx(D, rel=0.01)
    drift = back.weights["diffusion"] * back.weights["force_coefficients"]
    np.testing.assert_allclose(drift, left)  # D F is what the data fix
    potential = back.diagnostics["pair_potential"][0]
    ends = [potential[name][0] for name in ("value", "low90", "high90")]
    np.testing.assert_allclose(ends, share * np.array([3.0, 2.0, 5.0]))
    assert kept_share(seen_through_a_small_view()) == 1.0
