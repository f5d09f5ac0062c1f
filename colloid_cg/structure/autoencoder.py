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


class LaggedAutoencoder(nn.Module):
    """Encoder q -> k and decoder k -> 2 q, each a linear map plus a perceptron, with a noisy code in between.

    Before training the encoder is the projection on the first k principal components and the decoder the least
    squares prediction from them, so that the untrained network is the linear baseline itself.

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
        """Return the predicted descriptors now and a lag later, shape (n, 2 q), from the code as calibrated."""
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
    """Standardised rows of one species: what the encoder sees (n, q) and what is to be predicted (n, 2 q)."""

    shown: torch.Tensor
    target: torch.Tensor

    def float(self) -> Block:
        """Return the rows in single precision."""
        return Block(shown=self.shown.float(), target=self.target.float())


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network with its course: validation losses per epoch, before any training first."""

    network: LaggedAutoencoder
    losses: tuple[float, ...]
    best_epoch: int


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Share of the variance about the training mean that is predicted: 1 perfect, 0 no better than the mean."""

    present: float
    later: float

    @property
    def mean(self) -> float:
        """Mean of both."""
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
    decode = torch.linalg.lstsq(code.T @ code / n, code.T @ block.target / n).solution.T.contiguous()
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
    losses = [_loss(network, validation)]
    best, best_epoch = copy.deepcopy(network.state_dict()), 0
    for epoch in range(1, config.epochs + 1):
        order = torch.randperm(len(training.shown), generator=generator)
        for rows in torch.split(order, config.batch):
            optimiser.zero_grad()
            error = nn.functional.mse_loss(
                network.noisy(training.shown[rows], noise=config.code_noise, generator=generator), training.target[rows]
            )
            error.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        schedule.step()
        network.calibrate(training.shown)
        losses.append(_loss(network, validation))
        progress(epoch, config.epochs)
        if losses[-1] < losses[best_epoch]:
            best, best_epoch = copy.deepcopy(network.state_dict()), epoch
        elif epoch - best_epoch >= config.patience:
            break
    network.load_state_dict(best)
    return Trained(network=network.double(), losses=tuple(losses), best_epoch=best_epoch)


def scores(network: LaggedAutoencoder, block: Block) -> Scores:
    """Return how much of the variance of a block the network predicts, now and later."""
    with torch.no_grad():
        error = (network(block.shown) - block.target) ** 2
    q = error.shape[1] // 2
    shares = [
        1.0 - float(error[:, part].sum() / (block.target[:, part] ** 2).sum()) for part in (slice(q), slice(q, None))
    ]
    return Scores(present=shares[0], later=shares[1])


def _loss(network: LaggedAutoencoder, block: Block) -> float:
    with torch.no_grad():
        return float(nn.functional.mse_loss(network(block.shown), block.target))
