"""Every baseline runs from the same start over the same frames as the model it stands beside."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from colloid_cg.learn.baselines import GraphNetworkConfig, graph_network, langevin
from colloid_cg.simulation import SimulateConfig, baselines
from colloid_cg.simulation.phase import phase_rollout
from tests.learn.baselines.worlds import Dpd
from tests.learn.pair_worlds import simulate

WORLD = Dpd(force=(60.0,), along=(20.0,), n_particles=80, edge=3.0, dimension=3)


@pytest.mark.parametrize("name", ["langevin", "dpd", "graph_network"])
def test_start_length_and_interval_are_those_of_the_rollout_beside_it(
    name: baselines.Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A network trained for a moment: what counts here is the way from data to rollout.
    config = GraphNetworkConfig(cutoff=1.0, hidden=8, steps=20, check_every=10, check_frames=3)
    monkeypatch.setattr(baselines, "graph_network", partial(graph_network, config=config))
    series = simulate(WORLD, 90, rng=np.random.default_rng(1), dt=0.02)
    train, select, test = series.between(0, 50), series.between(50, 70), series.between(70, 90)
    settings = SimulateConfig(replicas=5, frames=7, every=2)
    like = phase_rollout(langevin(train), test, thermal_energy=1.0, config=settings)
    runs = [
        baselines.baseline_rollout(
            name, train, select, test, like, thermal_energy=1.0, rng=np.random.default_rng(seed)
        )
        for seed in (4, 4, 5)
    ]  # fmt: skip
    first = runs[0]
    assert first.positions.shape == (3, 4, WORLD.n_particles, 3)
    assert first.frame_interval == pytest.approx(like.frame_interval)
    for replica in first.positions:
        np.testing.assert_allclose(replica[0], test.positions[0])
    assert first.velocities is not None
    assert np.isfinite(first.velocities).all()
    np.testing.assert_array_equal(first.positions, runs[1].positions)
    assert np.abs(first.positions[:, 1:] - runs[2].positions[:, 1:]).max() > 0.0
