"""Tracks in a periodic cell: folded or unwrapped, partly periodic, with gaps, the displacements are the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.dynamics import Flow, OverdampedModel
from colloid_cg.learn import FitConfig, fit
from colloid_cg.learn.problem import prepare
from colloid_cg.records import Box, StateSeries, Trajectories
from colloid_cg.states import from_trajectories

SIDE, PIXEL, DT, D, FRAMES, N = 6.0, 0.1, 0.02, 0.5, 120, 40


def tracks_of(x: np.ndarray, *, periodic: tuple[bool, bool], keep: np.ndarray | None = None) -> Trajectories:
    frame, particle = (index.ravel() for index in np.meshgrid(np.arange(FRAMES), np.arange(N), indexing="ij"))
    table = pd.DataFrame({"frame": frame, "particle": particle, "species": 0})
    table["x"], table["y"] = x.reshape(-1, 2).T / PIXEL
    table = table if keep is None else table[keep]
    view = Box(lower=(0.0, 0.0), upper=(SIDE / PIXEL, SIDE / PIXEL), periodic=periodic)
    return Trajectories(
        table=table, pixel_size=PIXEL, frame_interval=DT, exposure=0.0, field_of_view=view, n_frames=FRAMES
    )


@pytest.fixture(scope="module")
def path() -> np.ndarray:
    """Brownian paths that cross the cell several times, (frames, n, 2) in um."""
    rng = np.random.default_rng(4)
    steps = np.sqrt(2 * D * DT) * rng.standard_normal((FRAMES, N, 2))
    steps[:, :5] += 0.4  # a few run across the cell again and again
    return SIDE * rng.random((N, 2)) + np.cumsum(steps, axis=0)


def linked_steps(series: StateSeries) -> np.ndarray:
    rows = np.flatnonzero(series.following >= 0)
    return series.positions[series.following[rows]] - series.positions[rows]


@pytest.mark.parametrize("periodic", [(True, True), (True, False)])
def test_displacements_do_not_jump_at_the_border(path: np.ndarray, periodic: tuple[bool, bool]) -> None:
    keep = np.random.default_rng(5).random(FRAMES * N) > 0.1
    folded = np.where(periodic, path % SIDE, path)
    found = from_trajectories(tracks_of(folded, periodic=periodic, keep=keep))
    true = from_trajectories(tracks_of(path, periodic=(False, False), keep=keep))
    np.testing.assert_array_equal(found.following, true.following)
    assert len(linked_steps(found)) > 0.75 * FRAMES * N
    np.testing.assert_allclose(linked_steps(found), linked_steps(true), atol=1e-10)
    begins = found.previous < 0
    np.testing.assert_array_equal(
        found.positions[begins], tracks_of(folded, periodic=periodic, keep=keep).positions[begins]
    )
    cells = (found.positions - true.positions) / np.where(periodic, SIDE, 1.0)
    np.testing.assert_allclose(cells, np.where(periodic, np.round(cells), 0.0), atol=1e-10)


def test_free_diffusion_does_not_care_whether_positions_are_folded(path: np.ndarray) -> None:
    config = FitConfig(knots=(0,), regime="overdamped", stride=1)
    found = [
        fit(whole.between(0, 90), whole.between(90, FRAMES), config, rng=1)
        for whole in (tracks_of(x, periodic=(True, True)) for x in (path, path % SIDE))
    ]
    for name in ("diffusion_coefficient", "localisation_variance"):
        values = [bundle.metrics[name][0]["value"] for bundle in found]
        assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_pairs_meet_across_the_border() -> None:
    """One frame ahead in a periodic cell is what it is among explicit copies of the cell."""
    rng = np.random.default_rng(6)
    n = 24
    model = OverdampedModel(
        diffusion=np.array([0.5]), coefficients=np.array([[30.0, 18.0, 9.0, 3.0, 0.5]]), lower=0.3, cutoff=1.2
    )
    inside = SIDE / 2 * rng.random((n, 2))
    away = inside + SIDE / 2 * rng.integers(-3, 4, (n, 2))  # the same particles, any number of cells away
    copies = np.concatenate([inside + SIDE / 2 * np.array([a, b]) for a in (0, -1, 1) for b in (0, -1, 1)])
    found = flow_of(model, away, Box(lower=(0.0, 0.0), upper=(SIDE / 2, SIDE / 2), periodic=(True, True)))
    true = flow_of(model, copies, Box(lower=(-SIDE, -SIDE), upper=(SIDE, SIDE), periodic=(False, False)))
    free = np.abs(flow_of(model, away, Box(lower=(-9e9, -9e9), upper=(9e9, 9e9), periodic=(False, False))).displacement)
    assert np.abs(true.displacement[:n]).max() > 10.0 * free.max() + 0.01
    np.testing.assert_allclose(found.displacement, true.displacement[:n], atol=1e-9)
    np.testing.assert_allclose(found.gain, true.gain[:n], atol=1e-9)
    np.testing.assert_allclose(found.variance, true.variance[:n], atol=1e-9)
    np.testing.assert_allclose(found.leak, true.leak[:n], atol=1e-9)


def flow_of(model: OverdampedModel, x: np.ndarray, box: Box) -> Flow:
    n = len(x)
    series = StateSeries(
        positions=x, species=np.zeros(n, dtype=int), particle=np.arange(n), localisation_variance=np.full((n, 2), 0.0),
        offsets=np.array([0, n]), previous=np.full(n, -1), following=np.full(n, -1), edge_distance=np.full(n, np.inf),
        times=np.zeros(1), box=box, frame_interval=0.005, exposure=0.0,
    )  # fmt: skip
    return prepare(series, n_species=1, drift_velocity=np.zeros(2), cutoff=model.cutoff).flow(model)
