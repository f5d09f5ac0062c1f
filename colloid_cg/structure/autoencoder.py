"""Time-lagged autoencoder: a few numbers from which the neighbourhood now and a lag later can be told."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from colloid_cg.nets import SkipNetwork
from colloid_cg.progress import Progress, silent
from colloid_cg.structure.config import StructureConfig

_STEEPEST = 6.0
"""Largest logarithm of a mobility over the mean one."""


class LaggedAutoencoder(nn.Module):
    """Encoder q -> k and decoder k -> 2 q + 1, each a linear map plus a perceptron, with a noisy code in between.

    The decoder tells the descriptors now and a lag later, and the logarithm of the mean squared displacement until then
    over that of all particles. Before training the encoder is the projection on the first k principal components and
    the decoder the least squares prediction from them, the same displacement for all: the linear baseline itself.

    In training the standardised code carries noise. Without it a curve through descriptor space could fold back
    and forth to pass near every point: a good score for a variable that is no smooth function of structure.
    """

    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, encode: torch.Tensor, decode: torch.Tensor, *, hidden: Sequence[int], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.encoder = SkipNetwork(encode, hidden=hidden, generator=generator)
        self.decoder = SkipNetwork(decode, hidden=tuple(reversed(hidden)), generator=generator)
        self.register_buffer("centre", torch.zeros(len(encode), dtype=encode.dtype))
        self.register_buffer("scale", torch.ones(len(encode), dtype=encode.dtype))

    def forward(self, shown: torch.Tensor) -> torch.Tensor:
        """Return descriptors now and a lag later and the log mobility, shape (n, 2 q + 1), from the calibrated code."""
        return cast(torch.Tensor, self.decoder((self.encoder(shown) - self.centre) / self.scale))

    def noisy(self, shown: torch.Tensor, *, noise: float, generator: torch.Generator) -> torch.Tensor:
        """Return the same from a batch, its code standardised within the batch and blurred by ``noise``."""
        code = self.encoder(shown)
        code = (code - code.mean(dim=0)) / code.std(dim=0, correction=0).clamp_min(1e-6)
        blur = noise * torch.randn(code.shape, generator=generator, dtype=code.dtype)
        return cast(torch.Tensor, self.decoder(code + blur))

    def calibrate(self, shown: torch.Tensor) -> None:
        """Take centre and scale of the code from all training rows."""
        with torch.no_grad():
            code = self.encoder(shown)
            self.centre.copy_(code.mean(dim=0))
            self.scale.copy_(code.std(dim=0, correction=0).clamp_min(1e-6))


@dataclass(frozen=True, kw_only=True)
class Block:
    """Standardised rows of one species: what the encoder sees (n, q), what is to be predicted (n, 2 q), and moved (n,).

    ``moved`` is the squared displacement per axis over its mean on the training rows, ``dimension`` the number of axes.
    """

    shown: torch.Tensor
    target: torch.Tensor
    moved: torch.Tensor
    dimension: int

    def float(self) -> Block:
        """Return the rows in single precision."""
        return Block(
            shown=self.shown.float(), target=self.target.float(), moved=self.moved.float(), dimension=self.dimension
        )


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network with its course: validation losses per epoch, before any training first."""

    network: LaggedAutoencoder
    losses: tuple[float, ...]
    best_epoch: int


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Share of the variance about the training mean that is predicted: 1 perfect, 0 no better than the mean.

    ``mobility``: what s adds to the log-likelihood of a particle's displacement over the lag, in nats.
    """

    present: float
    later: float
    mobility: float

    @property
    def mean(self) -> float:
        """Mean of present and later."""
        return 0.5 * (self.present + self.later)


def principal_start(
    block: Block, *, latents: int, hidden: Sequence[int], generator: torch.Generator
) -> LaggedAutoencoder:
    """Return the untrained network: principal components in, least squares out."""
    n = len(block.shown)
    value, vector = torch.linalg.eigh(block.shown.T @ block.shown / n)
    leading = torch.argsort(value, descending=True)[:latents]
    encode = (vector[:, leading] / value[leading].clamp_min(1e-12).sqrt()).T.contiguous()
    code = block.shown @ encode.T
    decode = torch.linalg.lstsq(code.T @ code / n, code.T @ block.target / n).solution.T
    decode = torch.nn.functional.pad(decode, (0, 0, 0, 1)).contiguous()
    return LaggedAutoencoder(encode, decode, hidden=hidden, generator=generator)


def train(
    training: Block,
    validation: Block,
    *,
    config: StructureConfig,
    generator: torch.Generator,
    progress: Progress = silent,
) -> Trained:
    """Train with Adam on shuffled batches, the step shrinking along half a cosine; keep the best epoch.

    Best is the lowest validation loss. Trained in single precision (twice as fast), returned in double.
    Run inside :func:`colloid_cg.nets.single_thread` for repeatable bytes.
    """
    network = principal_start(training, latents=config.latents, hidden=config.hidden, generator=generator)
    network, training, validation = network.float(), training.float(), validation.float()
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=max(config.epochs, 1))
    weight = config.mobility_weight
    losses = [_loss(network, validation, weight)]
    best, best_epoch = copy.deepcopy(network.state_dict()), 0
    for epoch in range(1, config.epochs + 1):
        order = torch.randperm(len(training.shown), generator=generator)
        for rows in torch.split(order, config.batch):
            optimiser.zero_grad()
            told = network.noisy(training.shown[rows], noise=config.code_noise, generator=generator)
            error = _misfit(told, training, rows, weight)
            error.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        schedule.step()
        network.calibrate(training.shown)
        losses.append(_loss(network, validation, weight))
        progress(epoch, config.epochs)
        if losses[-1] < losses[best_epoch]:
            best, best_epoch = copy.deepcopy(network.state_dict()), epoch
        elif epoch - best_epoch >= config.patience:
            break
    network.load_state_dict(best)
    return Trained(network=network.double(), losses=tuple(losses), best_epoch=best_epoch)


def scores(network: LaggedAutoencoder, block: Block) -> Scores:
    """Return how much of the variance of a block the network predicts, now and later, and what it says of mobility."""
    with torch.no_grad():
        told = network(block.shown)
        error = (told[:, :-1] - block.target) ** 2
        flat = surprise(torch.zeros_like(block.moved), block.moved, dimension=block.dimension)
        gain = float((flat - surprise(told[:, -1], block.moved, dimension=block.dimension)).mean())
    q = error.shape[1] // 2
    shares = [
        1.0 - float(error[:, part].sum() / (block.target[:, part] ** 2).sum()) for part in (slice(q), slice(q, None))
    ]
    return Scores(present=shares[0], later=shares[1], mobility=gain)


def surprise(log_mobility: torch.Tensor, moved: torch.Tensor, *, dimension: int) -> torch.Tensor:
    """Return -ln p of displacements, up to a constant: (d/2) [ln v + m/v], shape (n,).

    Normal with variance v = exp(``log_mobility``) per axis; m = ``moved`` is the squared length per axis.
    """
    bounded = log_mobility.clamp(-_STEEPEST, _STEEPEST)
    return 0.5 * dimension * (bounded + moved * torch.exp(-bounded))


def _misfit(told: torch.Tensor, block: Block, rows: torch.Tensor, weight: float) -> torch.Tensor:
    """Return the mean squared error of the descriptors plus ``weight`` times -ln p of the displacements."""
    error = nn.functional.mse_loss(told[:, :-1], block.target[rows])
    return error + weight * surprise(told[:, -1], block.moved[rows], dimension=block.dimension).mean()


def _loss(network: LaggedAutoencoder, block: Block, weight: float) -> float:
    with torch.no_grad():
        return float(_misfit(network(block.shown), block, torch.arange(len(block.shown)), weight))
