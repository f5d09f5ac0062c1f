"""A graph network without laws: accelerations learned from the neighbours, nothing conserved, nothing symmetric.

Edges carry a perceptron of relative position and velocity, a particle adds up what arrives, and a second perceptron
makes the mean and the spread of its velocity change of it (after Sanchez-Gonzalez et al. 2020, arXiv:2002.09405).
What acts on i is not what acts on j with the sign turned, velocities count by themselves, and noise is independent for
every particle: momentum and energy are free to drift, and nothing ties the noise to the friction. It shows what goes
wrong without structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState, moved_to
from colloid_cg.errors import InputError
from colloid_cg.learn.baselines.config import GraphNetworkConfig
from colloid_cg.learn.baselines.graph_training import Graph, Scales, graphs, scales_of, trained
from colloid_cg.learn.baselines.pairless import pairless_model
from colloid_cg.learn.momentum.contacts import find_contacts
from colloid_cg.learn.momentum.fit import thermal_energy_of
from colloid_cg.learn.momentum.reach import first_reach
from colloid_cg.nets import mlp, single_thread, torch_generator
from colloid_cg.records import PhaseSeries

MOST_SPREAD = 2.0
"""Bound of the logarithm of the spread: without it a single velocity beyond those of the data blows a rollout up."""


class MessagePassing(nn.Module):
    """Mean and logarithm of the spread of every particle's velocity change, in units of :class:`Scales`."""

    def __init__(self, *, dimension: int, n_species: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.n_species = n_species
        kinds = n_species if n_species > 1 else 0
        edge = [2 * dimension + 1 + 2 * kinds, hidden, hidden]
        node = [hidden + dimension + kinds, hidden, dimension + 1]
        self.edge = mlp(edge, generator=generator, dtype=torch.float32)
        self.node = mlp(node, generator=generator, dtype=torch.float32, zero_last=True)

    def forward(self, graph: Graph) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean, shape (n, d), and the logarithm of the spread, shape (n, 1)."""
        one_hot = torch.nn.functional.one_hot(graph.species, self.n_species).to(graph.velocity.dtype)
        kinds = [one_hot] if self.n_species > 1 else []
        ends = [one_hot[graph.receiver], one_hot[graph.sender]] if self.n_species > 1 else []
        relative = graph.velocity[graph.receiver] - graph.velocity[graph.sender]
        message = self.edge(torch.cat([graph.direction, graph.distance, relative, *ends], dim=1)) * graph.window
        received = torch.zeros(len(graph.velocity), message.shape[1]).index_add(0, graph.receiver, message)
        out = self.node(torch.cat([received, graph.velocity, *kinds], dim=1))
        return out[:, :-1], MOST_SPREAD * torch.tanh(out[:, -1:] / MOST_SPREAD)


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphNetwork:
    """A trained network that advances a :class:`~colloid_cg.dynamics.metriplectic.state.PhaseState`.

    Parameters
    ----------
    network : MessagePassing
    scales : Scales
    carrier : MetriplecticModel
        Masses, species and range; no interaction of its own. States of a rollout are made with it.
    interval : float
        The one time step that the network has learned.
    log_likelihood : tuple of float
        Per velocity component on the selection block, in units of :class:`Scales`: at the start, and at the best look.
    looks : int
        Times the selection block was looked at.
    """

    network: MessagePassing
    scales: Scales
    carrier: MetriplecticModel
    interval: float
    log_likelihood: tuple[float, float]
    looks: int

    def step(self, model: MetriplecticModel | None, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
        """Advance by ``dt``: v' = v + mean + spread xi, r' = r + dt (v + v')/2; ``model`` is not looked at.

        Raises
        ------
        InputError
            If ``dt`` is not the step that was learned.
        """
        if abs(dt - self.interval) > 1e-9 * self.interval:
            raise InputError(
                f"a step of {dt:g} for a network trained on steps of {self.interval:g}",
                expected="the same step",
                action=f"use dt = {self.interval:g}",
            )
        with torch.no_grad():
            mean, spread = self.network(self._graph(state))
        noise = torch.randn(mean.shape, generator=rng)
        change = self.scales.change * (mean + spread.exp() * noise).to(state.velocities.dtype)
        velocities = state.velocities + change
        positions = state.positions + 0.5 * dt * (state.velocities + velocities)
        return replace(moved_to(self.carrier, state, positions, state.time + dt), velocities=velocities)

    def _graph(self, state: PhaseState) -> Graph:
        near = state.distance < self.scales.cutoff
        return self.scales.graph(
            first=state.pairs.first[near],
            second=state.pairs.second[near],
            direction=state.direction[:, near].T,
            distance=state.distance[near],
            velocity=state.velocities,
            species=state.species,
        )


def graph_network(
    train: PhaseSeries,
    select: PhaseSeries,
    config: GraphNetworkConfig | None = None,
    *,
    rng: np.random.Generator,
) -> GraphNetwork:
    """Train by the likelihood of velocity changes over ``config.frames_per_step`` frames, one step at a time.

    Minibatches of whole frames, turned and mirrored at random (an equation of motion knows no axes: the one symmetry
    that is given away), Adam, early stopping on ``select``.

    Parameters
    ----------
    train, select : PhaseSeries
        Disjoint blocks of the same system.
    config : GraphNetworkConfig, optional
    rng : numpy.random.Generator
        Initial weights, order of the minibatches, rotations.
    """
    config = config or GraphNetworkConfig()
    cutoff = first_reach(train) if config.cutoff is None else config.cutoff
    contacts = find_contacts(train, cutoff)
    scales = scales_of(train, contacts, config)
    n_species = int(train.species.max()) + 1
    with single_thread():
        network = MessagePassing(
            dimension=train.dimension, n_species=n_species, hidden=config.hidden, generator=torch_generator(rng)
        )
        examples: Sequence[Graph] = graphs(train, contacts, scales, config)
        n_checks = select.n_frames - config.frames_per_step
        chosen = np.unique(np.linspace(0, n_checks - 1, config.check_frames).astype(int))
        checks = graphs(select, find_contacts(select, cutoff), scales, config, chosen=chosen)
        history = trained(network, examples, checks, config, rng=rng)
    temperature, _ = thermal_energy_of(train)
    return GraphNetwork(
        network=network.eval(),
        scales=scales,
        carrier=pairless_model(train, cutoff=cutoff, temperature=temperature),
        interval=config.frames_per_step * train.frame_interval,
        log_likelihood=(-history[0], -min(history)),
        looks=len(history),
    )
