"""The network without laws: it learns what there is to learn, repeats to the byte, and conserves nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.state import PhaseState, momentum, phase_state
from colloid_cg.errors import DataError, InputError
from colloid_cg.learn.baselines import GraphNetwork, GraphNetworkConfig, graph_network
from colloid_cg.learn.baselines.graph_network import MessagePassing
from colloid_cg.learn.baselines.graph_training import graphs, scales_of, trained
from colloid_cg.learn.momentum.contacts import find_contacts
from colloid_cg.records import PhaseSeries
from tests.learn.baselines.worlds import Dpd
from tests.learn.pair_worlds import simulate

# Friction and force strong enough that an untrained network, the mean, is visibly worse.
WORLD = Dpd(force=(60.0,), along=(20.0,), n_particles=150, edge=3.7, dimension=3)
CONFIG = GraphNetworkConfig(cutoff=1.0, hidden=24, learning_rate=1e-2, steps=600, check_every=50, check_frames=5)


@cache
def blocks() -> tuple[PhaseSeries, PhaseSeries]:
    series = simulate(WORLD, 120, rng=np.random.default_rng(1), dt=0.02)
    return series.between(0, 90), series.between(90, 120)


@cache
def network(seed: int = 3) -> GraphNetwork:
    return graph_network(*blocks(), CONFIG, rng=np.random.default_rng(seed))


def truth(series: PhaseSeries, t: int) -> np.ndarray:
    """Return the force and friction that act in frame t."""
    i, j = np.triu_indices(series.n_particles, 1)
    step = series.box.shortest(series.positions[t, i] - series.positions[t, j])
    r = np.linalg.norm(step, axis=1)
    e, w = step / r[:, None], np.maximum(1.0 - r / WORLD.range, 0.0)
    approach = (e * (series.velocities[t, i] - series.velocities[t, j])).sum(axis=1)
    push = (WORLD.force[0] * w - WORLD.along[0] * w**2 * approach)[:, None] * e
    return np.stack([np.bincount(i, c, len(series.species)) - np.bincount(j, c, len(series.species)) for c in push.T]).T


def state_of(learned: GraphNetwork, series: PhaseSeries) -> PhaseState:
    return phase_state(
        learned.carrier,
        torch.as_tensor(series.positions[0]),
        torch.as_tensor(series.velocities[0]),
        cell=Cell(box=series.box),
    )


def test_it_learns_force_and_friction() -> None:
    """Held-out likelihood above that of the mean, and accelerations that follow the true ones."""
    learned, (_, select) = network(), blocks()
    before, after = learned.log_likelihood
    assert after > before + 0.1
    config = CONFIG.model_copy(update={"frames_per_step": 1})
    examples = graphs(select, find_contacts(select, 1.0), learned.scales, config)
    with torch.no_grad():
        found = np.array([learned.network(graph)[0].numpy() for graph in examples]) * learned.scales.change
    expected = 0.02 * np.array([truth(select, t) for t in range(len(examples))])
    left = ((found - expected) ** 2).sum() / (expected**2).sum()
    assert left < 0.25


def test_the_spread_is_that_of_the_noise() -> None:
    learned, (_, select) = network(), blocks()
    examples = graphs(select, find_contacts(select, 1.0), learned.scales, CONFIG)
    with torch.no_grad():
        outputs = [learned.network(graph) for graph in examples]
    z = np.array([((graph.change - mean) / spread.exp()).numpy() for graph, (mean, spread) in zip(
        examples, outputs, strict=True)])  # fmt: skip
    assert (z**2).mean() == pytest.approx(1.0, abs=0.1)


def test_the_same_random_numbers_give_the_same_network() -> None:
    again = graph_network(*blocks(), CONFIG, rng=np.random.default_rng(3))
    for name, weight in network().network.state_dict().items():
        assert torch.equal(weight, again.network.state_dict()[name])
    state = state_of(network(), blocks()[1])
    first, second = (
        learned.step(None, state, 0.02, torch.Generator().manual_seed(4)) for learned in (network(), again)
    )
    assert torch.equal(first.velocities, second.velocities)
    assert torch.equal(first.positions, second.positions)


def test_a_step_has_the_mean_and_the_spread_of_the_network() -> None:
    learned, (_, select) = network(), blocks()
    state, rng = state_of(learned, select), torch.Generator().manual_seed(1)
    graph = graphs(select, find_contacts(select, 1.0), learned.scales, CONFIG)[0]
    with torch.no_grad():
        mean, spread = learned.network(graph)
    changes = np.array([
        (learned.step(learned.carrier, state, 0.02, rng).velocities - state.velocities).numpy() for _ in range(400)
    ]) / learned.scales.change  # fmt: skip
    error = spread.exp().numpy() / 20.0
    assert np.abs((changes.mean(axis=0) - mean.numpy()) / error).max() < 4.8
    np.testing.assert_allclose(changes.std(axis=0), np.broadcast_to(20 * error, changes[0].shape), rtol=0.2)
    moved = learned.step(None, state, 0.02, rng)
    halfway = 0.01 * (state.velocities + moved.velocities)
    np.testing.assert_allclose(moved.positions - state.positions, halfway, atol=1e-14)
    assert moved.time == pytest.approx(0.02)


def test_momentum_is_not_conserved() -> None:
    learned, (_, select) = network(), blocks()
    state, rng = state_of(learned, select), torch.Generator().manual_seed(1)
    before = momentum(learned.carrier, state)
    for _ in range(20):
        state = learned.step(None, state, 0.02, rng)
    assert float((momentum(learned.carrier, state) - before).abs().max()) > 0.1


def test_steps_over_several_frames() -> None:
    train, select = blocks()
    config = CONFIG.model_copy(update={"frames_per_step": 3, "steps": 2})
    learned = graph_network(train, select, config, rng=np.random.default_rng(0))
    assert learned.interval == pytest.approx(0.06)
    change = select.velocities[3:] - select.velocities[:-3]
    examples = graphs(select, find_contacts(select, 1.0), learned.scales, config)
    assert len(examples) == len(change)
    np.testing.assert_allclose(examples[5].change * learned.scales.change, change[5], rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="a step of"):
        learned.step(None, state_of(learned, select), 0.02, torch.Generator())


def test_two_species_are_told_apart() -> None:
    """Half of the particles lose their velocity in a step, the other half double it: only the species tells which."""
    rng, n = np.random.default_rng(6), 60
    species = np.arange(n) % 2
    velocities = rng.standard_normal((200, n, 3))
    velocities[1::2] = velocities[::2] * (2.0 * species[:, None])
    velocities += 0.1 * rng.standard_normal(velocities.shape)
    series = PhaseSeries(
        positions=np.repeat(rng.random((1, n, 3)) * 3.7, 200, axis=0)[::2], velocities=velocities[::2],
        species=species, masses=np.ones(n), box=blocks()[0].box, frame_interval=0.1, thermal_energy=1.0,
    )  # fmt: skip
    scales = scales_of(series, find_contacts(series, 1.0), CONFIG)
    examples = [
        replace(graph, change=torch.as_tensor((velocities[2 * t + 1] - velocities[2 * t]) / scales.change).float())
        for t, graph in enumerate(graphs(series, find_contacts(series, 1.0), scales, CONFIG))
    ]
    network = MessagePassing(dimension=3, n_species=2, hidden=16, generator=torch.Generator().manual_seed(1))
    trained(network, examples[:80], examples[80:], CONFIG, rng=rng)
    graph = examples[90]
    with torch.no_grad():
        mean = network(graph)[0]
    for kind, slope in ((0, -1.0), (1, 1.0)):
        own, speed = mean[species == kind] * scales.change, graph.velocity[species == kind] * scales.velocity
        assert float((own * speed).sum() / speed.square().sum()) == pytest.approx(slope, abs=0.15)


def test_too_short_a_recording_is_refused() -> None:
    train, _ = blocks()
    config = CONFIG.model_copy(update={"frames_per_step": 90})
    with pytest.raises(DataError, match="90 frames for steps over 90"):
        scales_of(train, find_contacts(train, 1.0), config)
