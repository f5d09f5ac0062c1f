"""Null law of D2min: affine motion plus Gaussian non-affine displacements (rattling, diffusion, tracking noise)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special, stats

_NODES = np.arange(-8.0, 8.01, 0.5)
"""Standard normal nodes of the trapezoidal rule over the dispersion."""
_SMALLEST = 1e-300
_CHUNK = 50_000


def d2min_tail(total: np.ndarray, count: np.ndarray, shared: np.ndarray, *, dimension: int) -> np.ndarray:
    """Return P(D2min summed over bonds > total) for unit variance v of the non-affine displacements.

    The sum is v [chi2_(d (n - d - 1)) + (1 + c) chi2_d] (see ``observables.d2min_noise_floor``). In 2-D both
    chi-squares have even degrees, a Gamma(k = n - 3, scale 2 v) and an exponential of mean 2 v (1 + c), and with
    y = x / (2 v), b = c / (1 + c) the tail is exactly

        P(> x) = Q(k, y) + exp(-y / (1 + c)) b^-k P(k, b y),

    Q and P the regularised incomplete gamma functions. In 3-D the second Gamma is written as a negative-binomial
    mixture of Gammas of the first's scale (Moschopoulos, Ann. Inst. Stat. Math. 37, 541 (1985),
    doi:10.1007/BF02481123, for two terms), summed to 1e-14.

    Parameters
    ----------
    total : array, shape (n,)
        Sum over bonds of squared residuals, in units of v.
    count, shared : arrays, shape (n,)
        Neighbours n and c = 1^T P 1.
    dimension : int
    """
    total, count, shared = (np.asarray(array, dtype=float) for array in (total, count, shared))
    shared = np.maximum(shared, 0.0)
    if dimension == 2:
        return np.asarray(_planar_tail(0.5 * total, count - 3.0, shared))
    return _mixture_tail(0.5 * total, 0.5 * dimension * (count - dimension - 1.0), 0.5 * dimension, shared)


def _planar_tail(half: np.ndarray, shape: np.ndarray, shared: np.ndarray) -> np.ndarray:
    # c -> 0 merges both terms into one Gamma; the closed form would divide by zero there.
    merged = shared < 1e-6
    ratio = np.where(merged, 0.5, shared / (1.0 + shared))
    k = np.maximum(shape, 0.5)
    with np.errstate(divide="ignore"):
        log_second = -half / (1.0 + shared) - k * np.log(ratio) + np.log(special.gammainc(k, ratio * half))
    tail = special.gammaincc(k, half) + np.exp(log_second)
    tail = np.where(shape <= 0, np.exp(-half / (1.0 + shared)), tail)
    tail = np.where(merged, special.gammaincc(shape + 1.0, half), tail)
    return np.asarray(np.clip(tail, 0.0, 1.0))


def _mixture_tail(half: np.ndarray, shape: np.ndarray, shape_shared: float, shared: np.ndarray) -> np.ndarray:
    """Sum over K ~ NegativeBinomial(shape_shared, 1 / (1 + c)) of Q(shape + shape_shared + K, x / 2v)."""
    chance = 1.0 / (1.0 + shared)
    most = int(stats.nbinom.isf(1e-14, shape_shared, chance.min())) + 1 if len(shared) else 0
    tail = np.zeros_like(half)
    for extra in range(most + 1):
        weight = stats.nbinom.pmf(extra, shape_shared, chance)
        tail += weight * special.gammaincc(shape + shape_shared + extra, half)
    return np.asarray(np.clip(tail, 0.0, 1.0))


def d2min_draw(count: np.ndarray, shared: np.ndarray, rng: np.random.Generator, *, dimension: int) -> np.ndarray:
    """Return one draw per row of D2min summed over bonds under the null with v = 1."""
    rest = 2.0 * rng.gamma(0.5 * dimension * np.maximum(count - dimension - 1.0, 0.0))
    return np.asarray(rest + 2.0 * (1.0 + shared) * rng.gamma(0.5 * dimension, size=len(count)))


def dispersed_tail(tail: Callable[[np.ndarray, slice], np.ndarray], value: np.ndarray, dispersion: float) -> np.ndarray:
    """Return E_z tail(value exp(-s z)), z standard normal: the scale differs from particle to particle.

    v is then log-normal with median 1 and s = ``dispersion`` the standard deviation of ln v; s = 0 gives back the
    tail itself. Trapezoidal rule with step 1/2 out to 8 standard deviations.

    Parameters
    ----------
    tail : callable
        (values, rows) -> survival probabilities for those rows.
    value : array, shape (n,)
    dispersion : float
    """
    result = np.empty(len(value))
    nodes = _NODES if dispersion > 0 else np.zeros(1)
    weights = np.exp(-0.5 * nodes**2)
    weights /= weights.sum()
    for start in range(0, len(value), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(value)))
        result[rows] = sum(
            weight * tail(value[rows] * np.exp(-dispersion * node), rows)
            for node, weight in zip(nodes, weights, strict=True)
        )
    return np.asarray(np.clip(result, _SMALLEST, 1.0))
