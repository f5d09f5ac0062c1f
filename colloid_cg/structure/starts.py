"""Linear starts of the network: principal components, or a regression of displacements on descriptors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from colloid_cg.structure.autoencoder import Block, LaggedAutoencoder, joined_blocks, misfit
from colloid_cg.structure.displacements import flat_guess, told_by

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Ridge penalties over the number of rows: 1 weighs as much as a column of unit variance."""
RESAMPLES = 8
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
    penalty: float = 0.0

    def network(self, *, hidden: Sequence[int], generator: torch.Generator) -> LaggedAutoencoder:
        """Return the untrained network that is this linear map."""
        network = LaggedAutoencoder(self.encode, self.decode, hidden=hidden, generator=generator)
        with torch.no_grad():
            network.decoder.linear.bias[-1] = self.intercept
            network.log_freedom.fill_(self.log_freedom)
            network.flat.copy_(self.flat)
        return network

    def refitted(self, block: Block) -> Start:
        """Return the regression with the same penalty on other rows."""
        return next(_mobility(self.name, block, len(self.encode), flat=self.flat, penalties=(self.penalty,)))

    def losses(self, block: Block, weight: float) -> np.ndarray:
        """Return the loss of every row of a block."""
        told = block.shown @ self.encode.T @ self.decode.T
        told[:, -1] += self.intercept
        freedom = torch.tensor(self.log_freedom, dtype=told.dtype)
        return np.asarray(misfit(told, block, weight, log_freedom=freedom).numpy())


def best_start(
    training: Block, backward: Block | None, validation: Block, *, weight: float, latents: int, stability: Stability
) -> Start:
    """Return the linear start with the lowest loss on the validation block, penalised until it is stable.

    Parameters
    ----------
    training, backward, validation : Block
        ``backward``: the training rows with the arrow of time turned round, or None.
    weight : float
        Of the displacements in the loss; 0: principal components.
    latents : int
    stability : Stability
        Of regressions on the same rows the smallest penalty is taken, from that of the lowest loss on, that is
        stable; none with a higher loss than the principal components.
    """
    principal = _principal(training, latents)
    if weight == 0.0:
        return principal
    sources = [("forward", training)]
    if backward is not None:
        sources.append(("both directions", joined_blocks(training, backward)))
    least = ceiling = float(principal.losses(validation, weight).mean())
    chosen: list[tuple[Start, float]] = []
    for name, rows in sources:
        starts = [
            (start, float(start.losses(validation, weight).mean()))
            for start in _mobility(name, rows, latents, flat=principal.flat)
        ]
        lowest = min((loss for _, loss in starts), default=np.inf)
        if lowest < least:
            least = lowest
            first = next(k for k, (_, loss) in enumerate(starts) if loss == lowest)
            chosen = [(start, loss) for start, loss in starts[first:] if loss < ceiling]
    if not chosen:
        return principal
    return chosen[stability.first([start.penalty for start, _ in chosen], chosen[0][0].rows)][0]


@dataclass(frozen=True, kw_only=True)
class Stability:
    """How alike regressions on resampled rows must be.

    Parameters
    ----------
    group : int array, shape (n,)
        Of the training rows: what is drawn with replacement (movies, or particles).
    least : float
        Median correlation, over the training rows, between the predictions of two resamples.
    rng : numpy.random.Generator
    """

    group: np.ndarray
    least: float
    rng: np.random.Generator

    def first(self, penalties: Sequence[float], block: Block) -> int:
        """Return the first of rising penalties that is stable, or the last; ``block`` holds the rows once or twice."""
        member = np.unique(self.group, return_inverse=True)[1]
        logarithm = _logarithm(block.moved)
        covariance = block.shown.T @ block.shown / len(block.shown)
        resampled = []
        for _ in range(RESAMPLES):
            drawn = np.bincount(self.rng.integers(member.max() + 1, size=member.max() + 1), minlength=member.max() + 1)
            weight = torch.from_numpy(np.tile(drawn[member], len(block.shown) // len(member)).astype(float))
            weight = weight / weight.sum()
            aim = block.shown.T @ (weight * (logarithm - (weight * logarithm).sum()))
            resampled.append((*torch.linalg.eigh((block.shown * weight[:, None]).T @ block.shown), aim))
        for k, penalty in enumerate(penalties):
            maps = torch.stack([vector @ ((vector.T @ aim) / (value + penalty)) for value, vector, aim in resampled])
            shared = maps @ covariance @ maps.T
            size = shared.diagonal().clamp_min(1e-300).sqrt()
            agreement = (shared / torch.outer(size, size))[*torch.triu_indices(RESAMPLES, RESAMPLES, offset=1)]
            if float(agreement.median()) >= self.least:
                return k
        return len(penalties) - 1


def within_one_error(losses: Sequence[np.ndarray], particle: np.ndarray) -> int:
    """Return the first whose mean is within one standard error of the lowest mean.

    Parameters
    ----------
    losses : sequence of arrays, shape (n,)
        Of the same rows: the error is that of the paired difference.
    particle : int array, shape (n,)
        Rows of the same particle count as one.
    """
    best = losses[int(np.argmin([each.mean() for each in losses]))]
    return next(k for k, each in enumerate(losses) if (each - best).mean() <= paired_error(each - best, particle))


def paired_error(difference: np.ndarray, particle: np.ndarray) -> float:
    """Return the standard error of a mean over rows of which those of the same particle count as one."""
    member = np.unique(particle, return_inverse=True)[1]
    sums = np.bincount(member, difference - difference.mean())
    return float(np.sqrt((sums**2).sum()) / len(difference))


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


def _mobility(
    name: str, block: Block, k: int, *, flat: torch.Tensor, penalties: Sequence[float] = PENALTIES
) -> Iterator[Start]:
    """Yield ridge regressions of the logarithm of the squared displacement, one per penalty."""
    n, logarithm = len(block.shown), _logarithm(block.moved)
    aim = block.shown.T @ (logarithm - logarithm.mean()) / n
    if float(logarithm.std()) < 1e-9 or float(aim.abs().max()) == 0.0:
        return
    value, vector = torch.linalg.eigh(block.shown.T @ block.shown / n)
    guess = flat
    for penalty in penalties:
        first = vector @ ((vector.T @ aim) / (value + penalty))
        encode = _completed(block.shown, first, value, vector, k)
        guess = told_by(block.shown @ encode.T, block.moved, dimension=block.dimension, first=guess)
        decode = _decoder(block, encode)
        decode[-1] = guess[2:]
        yield Start(
            name=f"displacements, {name}, penalty {penalty:g}", encode=encode, decode=decode,
            intercept=float(guess[0]), log_freedom=float(guess[1]), flat=flat, rows=block,
            penalty=penalty,
        )  # fmt: skip


def _logarithm(moved: torch.Tensor) -> torch.Tensor:
    return torch.log(moved + (_SOFTENING * float(moved.median()) or 1e-12))


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
