"""A drift without any law: many-body, not conservative, not reciprocal, different at every place of the view.

    h_i = sum_j (1 - r_ij/r_c)^2 phi(r_j - r_i, species_i, species_j),   Phi_i = A h_i + psi(h_i, species_i, r_i)

with perceptrons phi and psi and a matrix A. It contains pair potentials, non-reciprocal and non-conservative forces,
external fields and flows: what it predicts better than the pair potential is what the pair potential lacks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from colloid_cg.learn.banded import Residuals
from colloid_cg.learn.comparison.config import ComparisonConfig
from colloid_cg.learn.problem import Block
from colloid_cg.nets import mlp, torch_generator


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """What the network reads: rows with a residual, and the neighbours of each within the cutoff.

    ``place`` (m, d) in the view, -1 to 1; ``kind`` (m, n_species); ``of`` (e,) rising, row of each neighbour pair
    among the m; ``edge`` (e, d + 2 n_species): vector to the neighbour over the cutoff, both species;
    ``envelope`` (e, 1).
    """

    place: torch.Tensor
    kind: torch.Tensor
    of: torch.Tensor
    edge: torch.Tensor
    envelope: torch.Tensor

    def part(self, start: int, stop: int) -> Surroundings:
        """Return rows ``start`` to ``stop`` alone."""
        first, last = torch.searchsorted(self.of, torch.tensor([start, stop])).tolist()
        return Surroundings(
            place=self.place[start:stop],
            kind=self.kind[start:stop],
            of=self.of[first:last] - start,
            edge=self.edge[first:last],
            envelope=self.envelope[first:last],
        )


def surroundings(block: Block, data: Residuals, cutoff: float) -> Surroundings:
    """Return the surroundings of the rows of ``data``."""
    series = block.series
    number = np.full(len(series.positions), -1)
    number[data.row] = np.arange(len(data.row))
    pairs = np.concatenate([block.neighbours.pairs, block.neighbours.pairs[:, ::-1]])
    pairs = pairs[number[pairs[:, 0]] >= 0]
    pairs = pairs[np.argsort(number[pairs[:, 0]], kind="stable")]
    vector = series.box.shortest(series.positions[pairs[:, 1]] - series.positions[pairs[:, 0]]) / cutoff
    distance = np.linalg.norm(vector, axis=1)
    near = distance < 1.0
    pairs, vector, distance = pairs[near], vector[near], distance[near]
    kinds = np.eye(block.n_species)[series.species]
    lower, lengths = np.asarray(series.box.lower), np.asarray(series.box.lengths)
    place = 2.0 * (series.positions[data.row] - lower) / lengths - 1.0

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    return Surroundings(
        place=tensor(place),
        kind=tensor(kinds[data.row]),
        of=torch.from_numpy(number[pairs[:, 0]]),
        edge=tensor(np.concatenate([vector, kinds[pairs[:, 0]], kinds[pairs[:, 1]]], axis=1)),
        envelope=tensor((1.0 - distance[:, None]) ** 2),
    )


class DriftNetwork(nn.Module):
    """Displacement over one frame of every row, in units of ``scale`` (um); zero before training."""

    def __init__(
        self, *, dimension: int, n_species: int, scale: float, config: ComparisonConfig, rng: np.random.Generator
    ) -> None:
        super().__init__()
        generator = torch_generator(rng)
        self.scale, self.features = scale, config.features
        self.message = mlp(
            (dimension + 2 * n_species, config.hidden, config.hidden, config.features),
            generator=generator,
            dtype=torch.float32,
        )
        self.direct = nn.Parameter(torch.zeros((config.features, dimension)))
        self.update = mlp(
            (config.features + n_species + dimension, config.hidden, config.hidden, dimension),
            generator=generator,
            zero_last=True,
            dtype=torch.float32,
        )

    def forward(self, around: Surroundings) -> torch.Tensor:
        """Return Phi in um, shape (m, d)."""
        heard = torch.zeros((len(around.place), self.features))
        heard = heard.index_add(0, around.of, self.message(around.edge) * around.envelope)
        output: torch.Tensor = self.update(torch.cat([heard, around.kind, around.place], dim=1))
        return (heard @ self.direct + output) * self.scale
