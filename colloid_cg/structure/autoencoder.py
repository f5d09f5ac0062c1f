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
from colloid_cg.structure.displacements import STEEPEST, surprise


class LaggedAutoencoder(nn.Module):
    """Encoder p -> k and decoder k -> 2 q + 1, each a linear map plus a perceptron, with a noisy code in between.

    The decoder tells the descriptors now and a lag later, and the logarithm of the squared width of the displacement
    until then over that of all particles. Before training both are linear maps (:mod:`colloid_cg.structure.starts`):
    the linear baseline itself.

    In training the standardised code carries noise. Without it a curve through descriptor space could fold back
    and forth to pass near every point: a good score for a variable that is no smooth function of structure.
    """

    centre: torch.Tensor
    scale: torch.Tensor
    flat: torch.Tensor
    """(ln v, ln nu) of displacements that are the same for all."""

    def __init__(
        self, encode: torch.Tensor, decode: torch.Tensor, *, hidden: Sequence[int], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.encoder = SkipNetwork(encode, hidden=hidden, generator=generator)
        self.decoder = SkipNetwork(decode, hidden=tuple(reversed(hidden)), generator=generator)
        self.register_buffer("centre", torch.zeros(len(encode), dtype=encode.dtype))
        self.log_freedom = nn.Parameter(torch.tensor(STEEPEST, dtype=encode.dtype))
        self.register_buffer("flat", torch.tensor([0.0, STEEPEST], dtype=encode.dtype))
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
    """Standardised rows of one species: what the encoder sees (n, p), what is to be predicted (n, 2 q), and moved (n,).

    ``moved`` is the squared displacement per axis over its mean on the training rows, ``dimension`` the number of axes.
    """

    shown: torch.Tensor
    target: torch.Tensor
    moved: torch.Tensor
    dimension: int

    def rows(self, chosen: torch.Tensor) -> Block:
        """Return some of the rows."""
        return Block(
            shown=self.shown[chosen], target=self.target[chosen], moved=self.moved[chosen], dimension=self.dimension
        )

    def float(self) -> Block:
        """Return the rows in single precision."""
        return Block(
            shown=self.shown.float(), target=self.target.float(), moved=self.moved.float(), dimension=self.dimension
        )


def joined_blocks(*blocks: Block) -> Block:
    """Return the rows of several blocks one after the other."""
    shown, target, moved = (
        torch.cat([getattr(block, name) for block in blocks]) for name in ("shown", "target", "moved")
    )
    return Block(shown=shown, target=target, moved=moved, dimension=blocks[0].dimension)


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


def train(
    network: LaggedAutoencoder,
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
            error = misfit(told, training.rows(rows), weight, log_freedom=network.log_freedom).mean()
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
        flat = surprise(
            network.flat[0].expand_as(block.moved), block.moved, dimension=block.dimension, log_freedom=network.flat[1]
        )
        found = surprise(told[:, -1], block.moved, dimension=block.dimension, log_freedom=network.log_freedom)
    q = error.shape[1] // 2
    shares = [
        1.0 - float(error[:, part].sum() / (block.target[:, part] ** 2).sum()) for part in (slice(q), slice(q, None))
    ]
    return Scores(present=shares[0], later=shares[1], mobility=float((flat - found).mean()))


def misfit(told: torch.Tensor, block: Block, weight: float, *, log_freedom: torch.Tensor) -> torch.Tensor:
    """Return the squared error of the descriptors plus ``weight`` times -ln p of the displacement of each row, (n,)."""
    error = ((told[:, :-1] - block.target) ** 2).mean(dim=1)
    unlikely = surprise(told[:, -1], block.moved, dimension=block.dimension, log_freedom=log_freedom)
    return error + weight * unlikely


def row_losses(network: LaggedAutoencoder, block: Block, weight: float) -> torch.Tensor:
    """Return the loss of every row of a block, shape (n,)."""
    with torch.no_grad():
        return misfit(network(block.shown), block, weight, log_freedom=network.log_freedom)


def _loss(network: LaggedAutoencoder, block: Block, weight: float) -> float:
    return float(row_losses(network, block, weight).mean())
