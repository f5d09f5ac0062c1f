"""Training of the unconstrained drift on the banded likelihood, stopped by the selection block."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from colloid_cg.learn.banded import Band, Residuals, log_likelihood_rows
from colloid_cg.learn.comparison.config import ComparisonConfig
from colloid_cg.learn.comparison.likelihood import whitened
from colloid_cg.learn.comparison.network import DriftNetwork, Surroundings, surroundings
from colloid_cg.learn.noise import NoiseFit
from colloid_cg.learn.problem import Block, free_model
from colloid_cg.progress import Progress


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Displacements of a block with the drift of free diffusion (none), and what the network reads."""

    block: Block
    data: Residuals
    around: Surroundings

    def residuals(self, drift: np.ndarray) -> Residuals:
        """Return the residuals under a drift, shape (m, d), um."""
        return replace(self.data, value=self.data.value - drift)

    def batches(self, rows: int) -> list[Sample]:
        """Return parts of about ``rows`` rows; a chain cut between two parts starts anew in the second."""
        count = max(1, round(len(self.data.row) / rows))
        edges = np.linspace(0, len(self.data.row), count + 1).astype(int)
        return [
            Sample(block=self.block, data=_part(self.data, start, stop), around=self.around.part(start, stop))
            for start, stop in pairwise(edges.tolist())
        ]


def _part(data: Residuals, start: int, stop: int) -> Residuals:
    joined = data.joined[start:stop].copy()
    joined[:1] = False

    def band(whole: Band) -> Band:
        parts = (whole.per_diffusion, whole.per_noise, whole.fixed)
        per_diffusion, per_noise, fixed = (part[start:stop] for part in parts)
        return Band(per_diffusion=per_diffusion, per_noise=per_noise, fixed=fixed)

    return Residuals(
        row=data.row[start:stop],
        value=data.value[start:stop],
        gain=data.gain[start:stop],
        spread=band(data.spread),
        coupling=band(data.coupling),
        joined=joined,
        species=data.species[start:stop],
    )


def sample(block: Block, cutoff: float) -> Sample:
    """Return the displacements of the targets of a block."""
    data = block.residuals(free_model(block.n_species))
    return Sample(block=block, data=data, around=surroundings(block, data, cutoff))


def drift_of(network: DriftNetwork, around: Surroundings) -> np.ndarray:
    """Return the drift of a network over one frame, shape (m, d), um."""
    with torch.no_grad():
        return np.asarray(network(around).numpy(), dtype=float)


def mean_log_likelihood(network: DriftNetwork, part: Sample, noise: NoiseFit) -> float:
    """Return nats per particle and step."""
    rows = log_likelihood_rows(
        part.residuals(drift_of(network, part.around)),
        diffusion=noise.diffusion,
        localisation_variance=noise.localisation_variance,
    )
    return float(np.maximum(rows, -1e6).mean())


def train_network(
    train: Sample,
    select: Sample,
    noise: NoiseFit,
    config: ComparisonConfig,
    *,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[DriftNetwork, int]:
    """Return the network that predicts the selection block best, and after how many passes."""
    dimension = train.data.value.shape[1]
    scale = float(np.sqrt((train.data.value**2).mean()))
    network = DriftNetwork(dimension=dimension, n_species=train.block.n_species, scale=scale, config=config, rng=rng)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=config.epochs)
    batches = train.batches(config.batch)
    best, best_score, best_pass, waited = copy.deepcopy(network.state_dict()), -np.inf, 0, 0
    for number in range(config.epochs + 1):
        score = mean_log_likelihood(network, select, noise)
        waited = 0 if score > best_score else waited + 1
        if score > best_score:
            best, best_score, best_pass = copy.deepcopy(network.state_dict()), score, number
        if waited >= config.patience or number == config.epochs:
            break
        for k in rng.permutation(len(batches)):
            _step(network, optimiser, batches[k], noise)
        slower.step()
        progress(number + 1, config.epochs)
    network.load_state_dict(best)
    progress(config.epochs, config.epochs)
    return network, best_pass


def _step(network: DriftNetwork, optimiser: torch.optim.Optimizer, part: Sample, noise: NoiseFit) -> None:
    optimiser.zero_grad()
    drift = network(part.around)
    residual = part.residuals(drift.detach().numpy().astype(float))
    slope = whitened(residual, diffusion=noise.diffusion, localisation_variance=noise.localisation_variance)
    # the gradient of r S^-1 r / 2 with respect to the drift is -S^-1 r
    loss = -(drift * torch.from_numpy(slope.astype(np.float32))).sum() / len(slope)
    loss.backward()
    optimiser.step()
