"""Rollouts in external fields: trapped particles stay, flows carry, needles move as prescribed and push."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from colloid_cg.learn import FieldTables, FitConfig, fit
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.simulation import SimulateConfig, simulate
from tests.learn.field_worlds import DT, needle, stabilised, uniform_flow, wells
from tests.learn.worlds import brownian, tracks


def _trapped(traps: str) -> tuple[ModelBundle, Trajectories]:
    whole, centres = wells(7, k=10.0, ratio=0.25, n=16, frames=300)
    tables = FieldTables(traps=centres) if traps == "t.csv" else None
    blocks = whole.between(0, 180), whole.between(180, 240), whole.between(240, 300)
    return fit(*blocks[:2], FitConfig(traps=traps, knots=(0,)), fields=tables), blocks[2]


@pytest.mark.parametrize("traps", ["each", "t.csv"])
def test_trapped_particles_stay_in_their_wells(traps: str) -> None:
    bundle, test = _trapped(traps)
    rollout = simulate(bundle, test, SimulateConfig(frames=400, replicas=2), rng=1)
    stiffness = bundle.weights["trap_strengths"][0]
    late = rollout.positions[:, 50:]
    # over 350 frames of 10 per relaxation time the variance within the run falls short of 1/k by 2 tau/T = 6 %
    assert late.var(axis=1).mean() == pytest.approx(0.94 / stiffness, rel=0.12)
    assert np.abs(rollout.ledger.residual()).max() < 1e-9 * rollout.positions.shape[2]
    assert not (rollout.ledger.work != 0.0).any()


@pytest.mark.parametrize("traps", ["each", "t.csv"])
def test_rollouts_start_where_the_wells_are_known(traps: str) -> None:
    bundle, test = _trapped(traps)
    moved = stabilised(test, 6.0)
    rollout = simulate(bundle, moved, SimulateConfig(frames=2, replicas=1), rng=1)
    known = test if traps == "t.csv" else moved  # a table means places in the video, means of tracks their own frame
    first = known.table["frame"] == known.table["frame"].min()
    np.testing.assert_allclose(rollout.positions[0, 0], known.positions[first], atol=1e-9)


def test_unknown_particles_get_wells_and_a_sentence() -> None:
    bundle, test = _trapped("each")
    renamed = test.with_table(test.table.assign(particle=test.table["particle"] + 500))
    rollout = simulate(bundle, renamed, SimulateConfig(frames=300, replicas=1), rng=1)
    assert "16 particles unknown to the fit" in str(rollout.metadata["warnings"])
    assert rollout.positions[:, 50:].var(axis=1).mean() < 2.0 / bundle.weights["trap_strengths"][0]


def test_a_given_flow_carries_the_particles() -> None:
    rng = np.random.default_rng(3)
    path = brownian(rng, n=60, frames=120, diffusion=1.0, dt=DT) + 4.0 * DT * np.arange(120)[:, None, None] * [1, 0]
    whole = tracks(path, side=20.0, dt=DT)
    table = uniform_flow(np.full(120, 4.0))
    config = FitConfig(flow="u.csv", knots=(0,))
    bundle = fit(whole.between(0, 80), whole.between(80, 100), config, fields=FieldTables(flow=table))
    rollout = simulate(bundle, whole.between(100, 120), SimulateConfig(frames=60, replicas=2), rng=1)
    moved = (rollout.positions[:, -1] - rollout.positions[:, 0]).mean(axis=(0, 1)) / (59 * DT)
    assert moved == pytest.approx([4.0, 0.0], abs=0.8)
    assert "up to frame 119" in str(rollout.metadata["warnings"])


def test_a_needle_moves_as_prescribed_and_does_work() -> None:
    whole, beads, speed = needle(4, frames=240, ratio=0.0)
    tables = FieldTables(prescribed=beads, flow=uniform_flow(speed))
    config = FitConfig(
        prescribed="b.csv", flow="u.csv", knots=(6,), cutoff=1.8, stride=1, regime="overdamped"
    )  # fmt: skip
    bundle = fit(whole.between(0, 160), whole.between(160, 200), config, fields=tables)
    test = whole.between(200, 240)
    rollout = simulate(bundle, test, SimulateConfig(replicas=1), rng=1)
    n = int((test.table["frame"] == 200).sum())
    assert rollout.positions.shape == (1, 40, n, 2)  # the beads were not tracked: they are not shown
    place = beads[beads["frame"] == 239][["x", "y"]].to_numpy() * 0.1
    gaps = np.linalg.norm(rollout.positions[0, -1][:, None] - place[None], axis=2)
    assert gaps.min() > 0.8  # they push: without a force discs would lie under the needle
    assert np.abs(np.diff(rollout.ledger.work[0])).max() > 0.1
    assert np.abs(rollout.ledger.residual()).max() < 1e-8 * n
    early = replace(bundle, weights=bundle.weights | {"prescribed_rows": bundle.weights["prescribed_rows"] * [0, 1, 1]})
    alone = simulate(early, test, SimulateConfig(replicas=1, frames=6), rng=1)
    assert "runs without" in str(alone.metadata["warnings"])


def test_tracked_needles_are_shown() -> None:
    whole, beads, _ = needle(4, frames=240, ratio=0.0)
    extra = beads.assign(particle=beads["particle"] + 10**6)
    table = pd.concat([whole.table, extra.assign(species=0, flags=0)], ignore_index=True)
    both = whole.with_table(table)
    config = FitConfig(
        prescribed_particles=tuple(range(10**6, 10**6 + 8)), knots=(6,), cutoff=1.8, stride=1, regime="overdamped"
    )
    bundle = fit(both.between(0, 160), both.between(160, 200), config)
    test = both.between(200, 240)
    rollout = simulate(bundle, test, SimulateConfig(replicas=1), rng=1)
    shown = rollout.positions[0, -1][rollout.species == 1]
    np.testing.assert_allclose(shown, beads[beads["frame"] == 239][["x", "y"]].to_numpy() * 0.1, atol=1e-6)
