"""How likely a particle's displacement is: a bell curve with heavy tails, its width told by the hidden variable."""

from __future__ import annotations

import math

import numpy as np
import torch

STEEPEST = 6.0
"""Largest logarithm of a mobility over the typical one."""
_SOFTENING = 0.05
"""Share of the median squared displacement added before the logarithm: none of it hangs on the smallest ones."""
_FREEDOMS = np.geomspace(1.0, 200.0, 10)
_ROUNDS = 60


def surprise(
    log_mobility: torch.Tensor, moved: torch.Tensor, *, dimension: int, log_freedom: torch.Tensor
) -> torch.Tensor:
    r"""Return -ln p of displacements up to a constant of the dimension, shape (n,).

    Isotropic Student's t of nu degrees of freedom and squared width v per axis: between nearly normal (rattling,
    diffusion) and heavy tails (some hop, most rattle; one displacement then says little by being large).

    .. math:: -\ln p = \tfrac d2 \ln \tfrac{\nu v}{2} + \tfrac{\nu + d}{2} \ln\Big(1 + \frac{d\,m}{\nu v}\Big)
              - \ln \frac{\Gamma((\nu + d)/2)}{\Gamma(\nu/2)}

    For nu to infinity that is (d/2) [ln v + m / v]. Lange, Little and Taylor, doi:10.1080/01621459.1989.10478852.

    Parameters
    ----------
    log_mobility : tensor, shape (n,)
        ln v.
    moved : tensor, shape (n,)
        m: squared length per axis.
    dimension : int
    log_freedom : tensor, shape ()
        ln nu.
    """
    bounded, freedom = log_mobility.clamp(-STEEPEST, STEEPEST), log_freedom.clamp(-1.0, STEEPEST).exp()
    half = 0.5 * (freedom + dimension)
    norm = 0.5 * dimension * torch.log(0.5 * freedom) - torch.lgamma(half) + torch.lgamma(0.5 * freedom)
    tail = half * torch.log1p(dimension * moved * torch.exp(-bounded) / freedom)
    return norm + 0.5 * dimension * bounded + tail


def logarithm(moved: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of squared displacements, softened below a small share of their median."""
    return torch.log(moved + (_SOFTENING * float(moved.median()) or 1e-12))


def typical(moved: np.ndarray) -> float:
    """Return the geometric mean of squared displacements (softened), or the mean where most of them are zero."""
    if float(np.median(moved)) <= 0.0:
        return float(moved.mean()) or 1.0
    return float(logarithm(torch.from_numpy(moved)).mean().exp())


def flat_guess(moved: torch.Tensor, *, dimension: int) -> torch.Tensor:
    """Return (ln v, ln nu) of the most likely distribution that is the same for all particles, shape (2,)."""
    best, least = (0.0, STEEPEST), np.inf
    for freedom in _FREEDOMS:
        value = _width(moved.numpy(), float(freedom), dimension)
        guess = torch.tensor([value, math.log(freedom)], dtype=moved.dtype)
        loss = float(surprise(guess[0].expand_as(moved), moved, dimension=dimension, log_freedom=guess[1]).mean())
        if loss < least:
            best, least = (value, math.log(freedom)), loss
    return torch.tensor(best, dtype=moved.dtype)


def _width(moved: np.ndarray, freedom: float, dimension: int) -> float:
    """Return ln v of the most likely width at given nu: expectation maximisation."""
    value = float(np.mean(moved)) or 1.0
    for _ in range(_ROUNDS):
        weight = (freedom + dimension) / (freedom + dimension * moved / value)
        new = max(float(np.mean(weight * moved)), math.exp(-STEEPEST))
        if abs(new - value) < 1e-4 * value:
            break
        value = new
    return float(np.clip(math.log(new), -STEEPEST, STEEPEST))


def told_by(code: torch.Tensor, moved: torch.Tensor, *, dimension: int, first: torch.Tensor) -> torch.Tensor:
    """Return (intercept, ln nu, slopes ...) of the most likely ln v = intercept + code @ slopes, shape (2 + k,).

    ``first`` is where the search begins: such a vector, or :func:`flat_guess`.
    """
    first = torch.nn.functional.pad(first, (0, 2 + code.shape[1] - len(first)))
    guess = first.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [guess], max_iter=30, tolerance_grad=1e-5, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        width = guess[0] + code @ guess[2:]
        loss = surprise(width, moved, dimension=dimension, log_freedom=guess[1]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    found = guess.detach()
    return found if bool(torch.isfinite(found).all()) else first
