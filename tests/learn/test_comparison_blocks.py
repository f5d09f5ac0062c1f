"""Which block trains, stops and judges: scores of the comparison against closed forms, with a network that is a spy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from colloid_cg.learn import FitConfig, fit
from colloid_cg.learn.banded import Residuals
from colloid_cg.learn.comparison import ComparisonConfig, compare, compare_models
from colloid_cg.learn.comparison.training import Sample
from colloid_cg.learn.noise import NoiseFit
from colloid_cg.learn.problem import Block
from colloid_cg.learn.sandwich import mean_interval
from colloid_cg.records import ModelBundle, Trajectories
from tests.learn.worlds import brownian, tracks, yukawa, yukawa_force

DT, SIDE = 0.01, 60.0
ALONE = ComparisonConfig(network=False)


def _blocks(diffusion: tuple[float, float, float], seed: int = 1) -> list[Trajectories]:
    """Blocks of one movie in which D jumps from block to block (um2/s); nobody near an edge."""
    rng = np.random.default_rng(seed)
    parts, last = [], 20.0 + 20.0 * rng.random((50, 2))
    for value in diffusion:
        path = brownian(rng, n=50, frames=120, diffusion=value, dt=DT)
        path += last - path[0]
        parts.append(path[1:])
        last = path[-1]
    whole = tracks(np.concatenate(parts), side=SIDE, dt=DT, exposure=0.0)
    return [whole.between(119 * k, 119 * (k + 1)) for k in range(3)]


@pytest.fixture(scope="module")
def jumping() -> tuple[list[Trajectories], ModelBundle]:
    blocks = _blocks((1.0, 4.0, 2.0))
    return blocks, fit(blocks[0], blocks[1], FitConfig(knots=(0,), cutoff=1.5, regime="overdamped"), rng=1)


def test_free_diffusion_is_fitted_to_the_training_block_and_scored_on_the_test_block(
    jumping: tuple[list[Trajectories], ModelBundle],
) -> None:
    """Two axes of variance 2 D_test dt under a law of 2 D_train dt: -log(2 pi 2 D_train dt) - D_test/D_train nats."""
    blocks, bundle = jumping
    found = compare_models(*blocks, bundle, ALONE)
    expected = -np.log(2 * np.pi * 2 * 1.0 * DT) - 2.0
    assert [model["name"] for model in found["models"]] == ["free diffusion"]
    assert found["models"][0]["log_likelihood"] == pytest.approx(expected, abs=0.06)
    assert found["n_steps"] == pytest.approx(50 * 118, rel=0.02)


class Constant:
    """A network whose drift is the same everywhere."""

    def __init__(self, drift: tuple[float, float]) -> None:
        self.drift = np.array(drift)


def _spied(monkeypatch: pytest.MonkeyPatch, drift: tuple[float, float]) -> dict[str, Any]:
    seen: dict[str, Any] = {"clusters": []}

    def train(first: Sample, second: Sample, noise: NoiseFit, *_: Any, **__: Any) -> tuple[Constant, int]:
        seen.update(train=first, select=second, noise=noise)
        return Constant(drift), 7

    def interval(values: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
        seen["clusters"].append(clusters)
        return mean_interval(values, clusters)

    monkeypatch.setattr(compare, "train_network", train)
    monkeypatch.setattr(compare, "drift_of", lambda network, around: np.tile(network.drift, (len(around.place), 1)))
    monkeypatch.setattr(compare, "mean_interval", interval)
    return seen


def test_the_network_never_sees_the_test_block(
    jumping: tuple[list[Trajectories], ModelBundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Constant drift c on free particles loses <c^2>/(2 S) per axis; its law is that of the training residuals."""
    blocks, bundle = jumping
    seen = _spied(monkeypatch, (0.08, 0.0))
    found = compare_models(*blocks, bundle, ComparisonConfig())
    for name, block in (("train", blocks[0]), ("select", blocks[1])):
        positions = seen[name].block.series.positions
        shown = block.table[["x", "y"]].to_numpy() * block.pixel_size
        assert len(positions) == len(shown)
        assert np.sort(positions[:, 0]) == pytest.approx(np.sort(shown[:, 0]))
    assert seen["noise"].diffusion == pytest.approx([1.0], rel=0.05)
    # D and s2 of the residuals under a constant drift: the drift adds c^2 to lag 0 and to lag 1 alike, per axis
    gain = found["gains"][0]
    assert (gain["model"], gain["over"]) == ("network", "free diffusion")
    assert "trained for 7 passes" in found["note"]
    values = {model["name"]: model["log_likelihood"] for model in found["models"]}
    assert gain["value"] == pytest.approx(values["network"] - values["free diffusion"])
    assert gain["low90"] < gain["value"] < gain["high90"]
    assert len(np.unique(seen["clusters"][0])) == 20  # blocks of time, not single rows


def test_a_network_without_drift_is_free_diffusion(
    jumping: tuple[list[Trajectories], ModelBundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its D and s2 are those of the training block too: on the test block, twice as mobile, they would gain."""
    _spied(monkeypatch, (0.0, 0.0))
    gain = compare_models(*jumping[0], jumping[1], ComparisonConfig())["gains"][0]
    assert gain["value"] == pytest.approx(0.0, abs=1e-6)


def test_a_pair_potential_gains_part_of_what_its_drift_is_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A known drift Phi is worth <Phi^2>/(4 D dt) nats per step over D alone, a bound: free diffusion may also take the
    turning back of crowded particles for localisation noise. D and s2 are those of the training block.
    """
    dt = 0.005
    path, side = yukawa(3, frames=210)
    whole = tracks(path, side=side, dt=dt, exposure=0.0)
    blocks = [whole.between(0, 130), whole.between(130, 170), whole.between(170, 210)]
    bundle = fit(blocks[0], blocks[1], FitConfig(knots=(5,), cutoff=2.0), rng=1)
    fitted_to: list[int] = []
    original = compare._noise

    def spy(data: Residuals, block: Block) -> NoiseFit:
        fitted_to.append(len(block.series.positions))
        return original(data, block)

    monkeypatch.setattr(compare, "_noise", spy)
    gain = compare_models(*blocks, bundle, ALONE)["gains"][0]
    assert fitted_to == [len(blocks[0].table)]
    assert (gain["model"], gain["over"]) == ("pair potential", "free diffusion")
    drift = []
    for x in path[170:210:10]:
        apart = x[:, None] - x[None]
        apart -= side * np.round(apart / side)
        r = np.linalg.norm(apart, axis=2) + 1e9 * np.eye(len(x))
        push = (yukawa_force(r) / r)[:, :, None] * apart
        drift.append(push.sum(axis=1) * dt)
    worth = float((np.array(drift) ** 2).sum(axis=2).mean() / (4.0 * dt))
    assert gain["low90"] > 0.3 * worth
    assert gain["value"] < 1.1 * worth
