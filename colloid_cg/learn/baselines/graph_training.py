"""Graphs of single frames, and the training of a network on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from colloid_cg.errors import DataError
from colloid_cg.learn.baselines.config import GraphNetworkConfig
from colloid_cg.learn.momentum.contacts import Contacts
from colloid_cg.records import PhaseSeries

_LONGEST_GRADIENT = 1.0
"""Length to which gradients are cut."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """One frame: directed edges with what they carry, velocities, and the change to be learned, in :class:`Scales`.

    ``receiver, sender`` (m,); ``direction`` (m, d), e from sender to receiver; ``distance, window`` (m, 1);
    ``velocity`` (n, d); ``species`` (n,); ``change`` (n, d), None in a rollout.
    """

    receiver: torch.Tensor
    sender: torch.Tensor
    direction: torch.Tensor
    distance: torch.Tensor
    window: torch.Tensor
    velocity: torch.Tensor
    species: torch.Tensor
    change: torch.Tensor | None = None

    def turned(self, rotation: torch.Tensor) -> Graph:
        """Return the graph seen from other axes."""
        return replace(
            self,
            direction=self.direction @ rotation,
            velocity=self.velocity @ rotation,
            change=None if self.change is None else self.change @ rotation,
        )


@dataclass(frozen=True, kw_only=True)
class Scales:
    """Root mean squares by which the inputs and the velocity changes are divided; mean and spread of the distances."""

    cutoff: float
    distance: float
    distance_spread: float
    velocity: float
    change: float

    def graph(
        self,
        *,
        first: torch.Tensor,
        second: torch.Tensor,
        direction: torch.Tensor,
        distance: torch.Tensor,
        velocity: torch.Tensor,
        species: torch.Tensor,
        change: torch.Tensor | None = None,
    ) -> Graph:
        """Return the graph of pairs (i, j) with e_ij (p, d) and r (p,): two directed edges each, in single precision.

        Messages fade to zero at the cutoff with two continuous derivatives.
        """
        ratio = torch.cat([distance, distance])[:, None]
        return Graph(
            receiver=torch.cat([first, second]),
            sender=torch.cat([second, first]),
            direction=torch.cat([direction, -direction]).float(),
            distance=((ratio - self.distance) / self.distance_spread).float(),
            window=((1.0 - (ratio / self.cutoff) ** 2).clamp(min=0.0) ** 3).float(),
            velocity=(velocity / self.velocity).float(),
            species=species,
            change=None if change is None else (change / self.change).float(),
        )


def scales_of(series: PhaseSeries, contacts: Contacts, config: GraphNetworkConfig) -> Scales:
    """Return the scales of a series.

    Raises
    ------
    DataError
        If it is no longer than one step.
    """
    stride = config.frames_per_step
    if series.n_frames <= stride:
        raise DataError(
            f"{series.n_frames} frames for steps over {stride}",
            expected="more frames than a step is long",
            action="use a longer recording or a smaller graph_network.frames_per_step",
        )
    change = series.velocities[stride:] - series.velocities[:-stride]
    middle = series.n_frames // 2
    _, _, _, distance = _pairs(series, contacts, middle)
    return Scales(
        cutoff=contacts.reach,
        distance=float(distance.mean()) if len(distance) else contacts.reach,
        distance_spread=float(distance.std()) if len(distance) > 1 else contacts.reach,
        velocity=float(np.sqrt((series.velocities**2).mean())),
        change=float(np.sqrt((change**2).mean())),
    )


def graphs(
    series: PhaseSeries,
    contacts: Contacts,
    scales: Scales,
    config: GraphNetworkConfig,
    *,
    chosen: np.ndarray | None = None,
) -> list[Graph]:
    """Return the graphs of the frames that a step can begin with, or of those ``chosen``."""
    stride = config.frames_per_step
    frames = np.arange(series.n_frames - stride) if chosen is None else chosen
    species = torch.as_tensor(np.asarray(series.species, dtype=np.int64))
    found = []
    for t in frames:
        first, second, direction, distance = _pairs(series, contacts, int(t))
        graph = scales.graph(
            first=torch.as_tensor(first),
            second=torch.as_tensor(second),
            direction=torch.as_tensor(direction),
            distance=torch.as_tensor(distance),
            velocity=torch.as_tensor(series.velocities[t]),
            species=species,
            change=torch.as_tensor(series.velocities[t + stride] - series.velocities[t]),
        )
        found.append(graph)
    return found


def _pairs(series: PhaseSeries, contacts: Contacts, t: int) -> tuple[np.ndarray, ...]:
    """Return i, j, e_ij (p, d) and r (p,) of one frame."""
    pairs = contacts.pairs[contacts.offsets[t] : contacts.offsets[t + 1]].astype(np.int64)
    positions = series.positions[t]
    vectors = series.box.shortest(positions[pairs[:, 0]] - positions[pairs[:, 1]])
    distance = np.linalg.norm(vectors, axis=1)
    return pairs[:, 0], pairs[:, 1], vectors / distance[:, None], distance


def surprise(network: Callable[[Graph], tuple[torch.Tensor, torch.Tensor]], graph: Graph) -> torch.Tensor:
    """Return minus the mean log-likelihood of a velocity component, less (1/2) log 2 pi."""
    mean, spread = network(graph)
    if graph.change is None:
        raise DataError(
            "a graph without velocity changes", expected="a frame with a later one", action="train on those"
        )
    return (0.5 * ((graph.change - mean) / spread.exp()).square() + spread).mean()


def trained(
    network: torch.nn.Module,
    examples: Sequence[Graph],
    checks: Sequence[Graph],
    config: GraphNetworkConfig,
    *,
    rng: np.random.Generator,
) -> list[float]:
    """Train in place, leave the weights of the best look, and return what each look at ``checks`` found."""
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    dimension = examples[0].velocity.shape[1]
    history = [_look(network, checks)]
    best = {name: weight.clone() for name, weight in network.state_dict().items()}
    order: list[int] = []
    for step in range(1, config.steps + 1):
        optimiser.zero_grad()
        for _ in range(config.batch):
            order = order or rng.permutation(len(examples)).tolist()
            rotation = torch.as_tensor(_rotation(dimension, rng), dtype=torch.float32)
            loss = surprise(network, examples[order.pop()].turned(rotation)) / config.batch
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), _LONGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        if step % config.check_every == 0 or step == config.steps:
            history.append(_look(network, checks))
            if history[-1] <= min(history):
                best = {name: weight.clone() for name, weight in network.state_dict().items()}
            if len(history) - int(np.argmin(history)) > config.patience:
                break
    network.load_state_dict(best)
    return history


def _look(network: torch.nn.Module, checks: Sequence[Graph]) -> float:
    with torch.no_grad():
        return float(np.mean([float(surprise(network, graph)) for graph in checks]))


def _rotation(dimension: int, rng: np.random.Generator) -> np.ndarray:
    """Return an orthogonal matrix, uniform over rotations and reflections (Mezzadri 2007, arXiv:math-ph/0609050)."""
    q, r = np.linalg.qr(rng.standard_normal((dimension, dimension)))
    return np.asarray(q * np.sign(np.diag(r)))
