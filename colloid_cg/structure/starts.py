"""Linear starts of the network: principal components, or a regression of displacements on descriptors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from colloid_cg.structure.autoencoder import Block, LaggedAutoencoder, joined_blocks
from colloid_cg.structure.displacements import flat_guess, logarithm, surprise, told_by

PENALTIES = (1.0, 3.0, 10.0, 30.0)
"""Ridge penalties over the number of rows: 1 weighs as much as a column of unit variance.

Smaller ones tell a little more of single displacements, and fits to other movies then differ.
"""
RESAMPLES = 8
SURE = 4.0
"""Standard errors by which what replaces another must be better on the validation block.

Twice the usual two: neighbours move together, and the errors count them as independent.
"""


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
    trust: torch.Tensor
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
        k = len(self.encode)
        return next(_mobility(self.name, block, k, flat=self.flat, trust=self.trust, penalties=(self.penalty,)))

    def losses(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Return squared error of the descriptors and -ln p of the displacement of every row of a block.

        The law of the displacements is adjusted to the block: scale, tails and slope of the width (no slope against
        the prediction). What decides is who moves farther than others, not whether all of them do.
        """
        told = block.shown @ self.encode.T @ self.decode.T
        error = ((told[:, :-1] - block.target) ** 2).mean(dim=1)
        width, moved, dimension = told[:, -1:], block.moved, block.dimension
        flat = flat_guess(moved, dimension=dimension)
        law = told_by(width, moved, dimension=dimension, first=flat)
        law = law if float(law[2]) > 0.0 else torch.nn.functional.pad(flat, (0, 1))
        unlikely = surprise(law[0] + width[:, 0] * law[2], moved, dimension=dimension, log_freedom=law[1])
        return error.numpy(), unlikely.numpy()


def best_start(
    training: Block,
    backward: Block | None,
    validation: Evidence,
    *,
    weight: float,
    latents: int,
    stability: Stability,
    trust: torch.Tensor,
) -> Start:
    """Return the linear start with the lowest loss on the validation block, penalised until it is stable.

    Parameters
    ----------
    training, backward : Block
        ``backward``: the training rows with the arrow of time turned round, or None.
    validation : Evidence
    weight : float
        Of the displacements in the loss; 0: principal components.
    latents : int
    trust : tensor, shape (p,)
        How much of each column is no passing noise. A weight costs the regression the less the more it is trusted.
    stability : Stability
        Regressions on both directions stand unless those on ``training`` alone tell the displacements of the validation
        block better by ``SURE`` standard errors. Of the penalties the first is taken that is within one standard error
        of the best and stable. Principal components stand where displacements cannot be told: no penalty makes those of
        the validation block likelier by ``SURE`` standard errors (of rows, where all are of one movie) than one law for
        all of them does.
    """
    principal = _principal(training, latents)
    if weight == 0.0:
        return principal
    sources = [("forward", training)]
    if backward is not None:
        sources.insert(0, ("both directions", joined_blocks(training, backward)))
    chosen: list[Start] = []
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for name, rows in sources:
        starts = list(_mobility(name, rows, latents, flat=principal.flat, trust=trust))
        losses = [start.losses(validation.block) for start in starts]
        if losses and (not found or _surely_lower(losses, found, validation.unit)):
            chosen, found = starts, losses
    alone = len(np.unique(validation.unit)) == 1
    unit = np.arange(len(validation.unit)) if alone else validation.unit
    if not found or not _surely_lower(found, [principal.losses(validation.block)], unit):
        return principal
    chosen = chosen[within_one_error([unlikely for _, unlikely in found], validation.unit) :]
    return chosen[stability.first([start.penalty for start in chosen], chosen[0].rows, trust)]


def _surely_lower(
    losses: list[tuple[np.ndarray, np.ndarray]], than: list[tuple[np.ndarray, np.ndarray]], unit: np.ndarray
) -> bool:
    """Tell whether the best -ln p of the displacements is lower by ``SURE`` standard errors than the best of others."""
    first, second = (min((u for _, u in each), key=lambda u: float(u.mean())) for each in (losses, than))
    return float((second - first).mean()) > SURE * paired_error(second - first, unit)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Rows that decide, and what each belongs to (n,): movies where the training has several, else particles."""

    block: Block
    unit: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Stability:
    """How alike regressions on resampled rows must be.

    Parameters
    ----------
    particle : int array, shape (n,)
        Of the training rows: particles are drawn with replacement.
    least : float
        Median correlation, over the training rows, between the predictions of two resamples.
    rng : numpy.random.Generator
    """

    particle: np.ndarray
    least: float
    rng: np.random.Generator

    def first(self, penalties: Sequence[float], block: Block, trust: torch.Tensor) -> int:
        """Return the first of rising penalties that is stable, or the last; ``block`` holds the rows once or twice."""
        member = np.unique(self.particle, return_inverse=True)[1]
        length = logarithm(block.moved)
        covariance = block.shown.T @ block.shown / len(block.shown)
        resampled = []
        for _ in range(RESAMPLES):
            drawn = np.bincount(self.rng.integers(member.max() + 1, size=member.max() + 1), minlength=member.max() + 1)
            weight = torch.from_numpy(np.tile(drawn[member], len(block.shown) // len(member)).astype(float))
            weight = weight / weight.sum()
            aim = block.shown.T @ (weight * (length - (weight * length).sum()))
            resampled.append((*_axes((block.shown * weight[:, None]).T @ block.shown, trust), aim))
        for k, penalty in enumerate(penalties):
            maps = torch.stack([vector @ ((vector.T @ aim) / (value + penalty)) for value, vector, aim in resampled])
            shared = maps @ covariance @ maps.T
            size = shared.diagonal().clamp_min(1e-300).sqrt()
            agreement = (shared / torch.outer(size, size))[*torch.triu_indices(RESAMPLES, RESAMPLES, offset=1)]
            if float(agreement.median()) >= self.least:
                return k
        return len(penalties) - 1


def within_one_error(losses: Sequence[np.ndarray], unit: np.ndarray) -> int:
    """Return the first whose mean is within one standard error of the lowest mean.

    Parameters
    ----------
    losses : sequence of arrays, shape (n,)
        Of the same rows: the error is that of the paired difference.
    unit : int array, shape (n,)
        Rows of the same unit (particle, movie) count as one. One unit alone decides nothing: the first is returned.
    """
    best = losses[int(np.argmin([each.mean() for each in losses]))]
    return next(k for k, each in enumerate(losses) if (each - best).mean() <= paired_error(each - best, unit))


def paired_error(difference: np.ndarray, unit: np.ndarray) -> float:
    """Return the standard error of a mean over rows of which those of a unit count as one; infinite for one unit."""
    member = np.unique(unit, return_inverse=True)[1]
    if len(member) and member.max() == 0:
        return np.inf
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
    trust = torch.ones_like(value)
    flat = flat_guess(block.moved, dimension=block.dimension)
    return Start(
        name="principal components", encode=encode, decode=_decoder(block, encode),
        intercept=float(flat[0]), log_freedom=float(flat[1]), flat=flat, rows=block, trust=trust,
    )  # fmt: skip


def _mobility(
    name: str,
    block: Block,
    k: int,
    *,
    flat: torch.Tensor,
    trust: torch.Tensor,
    penalties: Sequence[float] = PENALTIES,
) -> Iterator[Start]:
    """Yield ridge regressions of the logarithm of the squared displacement, one per penalty."""
    n, length = len(block.shown), logarithm(block.moved)
    aim = block.shown.T @ (length - length.mean()) / n
    if float(length.std()) < 1e-9 or float(aim.abs().max()) == 0.0:
        return
    covariance = block.shown.T @ block.shown / n
    value, vector = _axes(covariance, trust)
    guess = flat
    for penalty in penalties:
        first = vector @ ((vector.T @ aim) / (value + penalty))
        encode = _completed(covariance, first, k)
        guess = told_by(block.shown @ encode.T, block.moved, dimension=block.dimension, first=guess)
        decode = _decoder(block, encode)
        decode[-1] = guess[2:]
        yield Start(
            name=f"displacements, {name}, penalty {penalty:g}", encode=encode, decode=decode,
            intercept=float(guess[0]), log_freedom=float(guess[1]), flat=flat, rows=block,
            trust=trust, penalty=penalty,
        )  # fmt: skip


def _axes(covariance: torch.Tensor, trust: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the eigenvalues of the covariance of the columns times their trust, and its axes times the trust.

    The regression is then axes @ (axes.T @ aim / (values + penalty)): a penalty on weight / trust.
    """
    trust = trust / trust.square().mean().sqrt()
    value, vector = torch.linalg.eigh(trust[:, None] * covariance * trust)
    return value, trust[:, None] * vector


def _completed(covariance: torch.Tensor, first: torch.Tensor, k: int) -> torch.Tensor:
    """Return (k, p): ``first``, then the leading principal directions of what it leaves, each of unit variance."""
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
