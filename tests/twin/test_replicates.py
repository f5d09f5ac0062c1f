"""Runs from one configuration: the same start, other noise, each run the same whatever the others are."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.errors import ConfigError
from colloid_cg.observables import msd
from colloid_cg.twin import (
    CameraConfig,
    TwinConfig,
    isoconfigurational_runs,
    simulate_case,
    truth_trajectories,
)

SMALL = TwinConfig(
    width=110, height=110, n_frames=12, equilibration=0.3, repulsion=300.0, drive="needle", needle_radius=1.0,
    margin=3.0, camera=CameraConfig(exposure=0.0),
)  # fmt: skip


def test_runs_share_the_start_and_nothing_else():
    first, second = isoconfigurational_runs(SMALL, runs=2)
    np.testing.assert_array_equal(first.instants[0], second.instants[0])
    free = ~first.prescribed
    steps = [run.instants[1:, free] - run.instants[:1, free] for run in (first, second)]
    assert (steps[0] != steps[1]).all()
    # Prescribed discs have no noise.
    np.testing.assert_array_equal(first.instants[:, ~free], second.instants[:, ~free])
    # Free motion over one frame: the noise of the runs is independent.
    a, b = (step[0].ravel() for step in steps)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.4
    np.testing.assert_array_equal(first.instants, simulate_case("soft_glass", SMALL).instants)
    (again,) = isoconfigurational_runs(SMALL, runs=1, first=1)
    np.testing.assert_array_equal(second.instants, again.instants)
    with pytest.raises(ConfigError):
        isoconfigurational_runs(SMALL, runs=0)


def test_true_trajectories_are_those_of_the_truth():
    truth = simulate_case("soft_glass", SMALL)
    tracks = truth_trajectories(truth, driven=False)
    free = int((~truth.prescribed).sum())
    assert len(tracks) == 12 * free
    np.testing.assert_allclose(tracks.positions.reshape(12, free, 2), truth.instants[:, :free])
    np.testing.assert_allclose(tracks.box.lengths, truth.cell[1])
    assert tracks.box.periodic == (True, True)
    assert truth_trajectories(truth).n_particles == free + 1
    moved = (truth.instants[3:, :free] - truth.instants[:-3, :free]) ** 2
    assert msd(tracks, [3]).value[0] == pytest.approx(moved.sum(axis=2).mean())
