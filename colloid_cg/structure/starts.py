"""Linear starts of the network: principal components, or a regression of displacements on descriptors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from colloid_cg.structure.autoencoder import Block, LaggedAutoencoder, joined_blocks, misfit
from colloid_cg.structure.config import StructureConfig
from colloid_cg.structure.displacements import flat_guess, told_by

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Ridge penalties over the number of rows: 1 weighs as much as a column of unit variance."""
_SOFTENING = 0.05
"""Share of the median squared displacement added before the logarithm: none of it hangs on the smallest ones."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """A linear encoder (k, p) with the decoder (2 q + 1, k) and its last intercept, fitted on ``rows``."""

    name: str
    encode: torch.Tensor
    decode: torch.Tensor
    intercept: float
    log_freedom: float
    flat: torch.Tensor
    rows: Block

    def network(self, *, hidden: Sequence[int], generator: torch.Generator) -> LaggedAutoencoder:
        """Return the untrained network that is this linear map."""
        network = LaggedAutoencoder(self.encode, self.decode, hidden=hidden, generator=generator)
        with torch.no_grad():
            network.decoder.linear.bias[-1] = self.intercept
            network.log_freedom.fill_(self.log_freedom)
            network.flat.copy_(self.flat)
        return network

    def loss(self, block: Block, weight: float) -> float:
        """Return the loss of the linear map on a block."""
        told = block.shown @ self.encode.T @ self.decode.T
        told[:, -1] += self.intercept
        freedom = torch.tensor(self.log_freedom, dtype=told.dtype)
        return float(misfit(told, block, weight, log_freedom=freedom).mean())


def best_start(training: Block, backward: Block | None, validation: Block, config: StructureConfig, k: int) -> Start:
    """Return the linear start with the lowest loss on the validation block.

    Parameters
    ----------
    training, backward, validation : Block
        ``backward``: the training rows with the arrow of time turned round, or None.
    config : StructureConfig
    k : int
        Number of latents.
    """
    sources = [("forward", training)]
    if backward is not None:
        sources.append(("both directions", joined_blocks(training, backward)))
    best = _principal(training, k)
    least = best.loss(validation, config.mobility_weight)
    if config.mobility_weight == 0.0:
        return best
    for name, rows in sources:
        for start in _mobility(name, rows, k):
            loss = start.loss(validation, config.mobility_weight)
            if loss < least:
                best, least = start, loss
    return best


def principal_start(
    block: Block, *, latents: int, hidden: Sequence[int], generator: torch.Generator
) -> LaggedAutoencoder:
    """Return the untrained network: principal components in, least squares out, the same displacement for all."""
    return _principal(block, latents).network(hidden=hidden, generator=generator)


def _principal(block: Block, k: int) -> Start:
    value, vector = torch.linalg.eigh(block.shown.T @ block.shown / len(block.shown))
    leading = torch.argsort(value, descending=True)[:k]
    encode = (vector[:, leading] / value[leading].clamp_min(1e-12).sqrt()).T.contiguous()
    flat = flat_guess(block.moved, dimension=block.dimension)
    return Start(
        name="principal components", encode=encode, decode=_decoder(block, encode),
        intercept=float(flat[0]), log_freedom=float(flat[1]), flat=flat, rows=block,
    )  # fmt: skip


def _mobility(name: str, block: Block, k: int) -> Iterator[Start]:
    """Yield ridge regressions of the logarithm of the squared displacement, one per penalty."""
    n, typical = len(block.shown), float(block.moved.median())
    logarithm = torch.log(block.moved + (_SOFTENING * typical or 1e-12))
    aim = block.shown.T @ (logarithm - logarithm.mean()) / n
    if float(logarithm.std()) < 1e-9 or float(aim.abs().max()) == 0.0:
        return
    value, vector = torch.linalg.eigh(block.shown.T @ block.shown / n)
    flat = flat_guess(block.moved, dimension=block.dimension)
    for penalty in PENALTIES:
        first = vector @ ((vector.T @ aim) / (value + penalty))
        encode = _completed(block.shown, first, value, vector, k)
        guess = told_by(block.shown @ encode.T, block.moved, dimension=block.dimension, flat=flat)
        decode = _decoder(block, encode)
        decode[-1] = guess[2:]
        yield Start(
            name=f"displacements, {name}, penalty {penalty:g}", encode=encode, decode=decode,
            intercept=float(guess[0]), log_freedom=float(guess[1]), flat=flat, rows=block,
        )  # fmt: skip


def _completed(
    shown: torch.Tensor, first: torch.Tensor, value: torch.Tensor, vector: torch.Tensor, k: int
) -> torch.Tensor:
    """Return (k, p): ``first``, then the leading principal directions of what it leaves, each of unit variance."""
    covariance = (vector * value) @ vector.T
    first = first / (first @ covariance @ first).clamp_min(1e-24).sqrt()
    if k == 1:
        return first[None].contiguous()
    shared = covariance @ first
    rest, axes = torch.linalg.eigh(covariance - torch.outer(shared, shared))
    leading = torch.argsort(rest, descending=True)[: k - 1]
    others = axes[:, leading] - torch.outer(first, shared @ axes[:, leading])
    others = others / rest[leading].clamp_min(1e-12).sqrt()
    return torch.cat([first[None], others.T]).contiguous()


def _decoder(block: Block, encode: torch.Tensor) -> torch.Tensor:
    """Return the least squares prediction of the targets from the code and a row of zeros, shape (2 q + 1, k)."""
    n, code = len(block.shown), block.shown @ encode.T
    decode = torch.linalg.lstsq(code.T @ code / n, code.T @ block.target / n).solution.T
    return torch.nn.functional.pad(decode, (0, 0, 0, 1)).contiguous()
