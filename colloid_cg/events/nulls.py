"""Null law of D2min: affine motion plus Gaussian non-affine displacements (rattling, diffusion, tracking noise)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

_NODES = np.arange(-8.0, 8.01, 0.5)
"""Standard normal nodes of the trapezoidal rule over the dispersion."""
_SMALLEST = 1e-300
_CHUNK = 50_000
_GAUSS = 120


def d2min_tail(total: np.ndarray, count: np.ndarray, shared: np.ndarray, *, dimension: int) -> np.ndarray:
    """Return P(D2min summed over bonds > total) for unit variance v of the non-affine displacements.

    The sum is v [chi2_(d (n - d - 1)) + (1 + c) chi2_d] (see ``observables.d2min_noise_floor``). In 2-D both
    chi-squares have even degrees, a Gamma(k = n - 3, scale 2 v) and an exponential of mean 2 v (1 + c), and with
    y = x / (2 v), b = c / (1 + c) the tail is exactly

        P(> x) = Q(k, y) + exp(-y / (1 + c)) b^-k P(k, b y),

    Q and P the regularised incomplete gamma functions. In 3-D the convolution of both is integrated by
    Gauss-Legendre (relative error below 1e-6).

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
        tail = _planar_tail(0.5 * total, count - 3.0, shared)
    else:
        tail = _spatial_tail(0.5 * total, 1.5 * (count - 4.0), shared)
    return np.asarray(np.clip(tail, 0.0, 1.0))


def _planar_tail(half: np.ndarray, shape: np.ndarray, shared: np.ndarray) -> np.ndarray:
    ratio = np.maximum(shared, 1e-9) / (1.0 + np.maximum(shared, 1e-9))
    k = np.maximum(shape, 0.5)
    with np.errstate(divide="ignore"):
        # Where (b y)^k would underflow, b^-k P(k, b y) = y^k / k! to all digits: one Gamma of shape k + 1.
        merged = (shared < 1e-9) | (k * np.log(ratio * half) < -600.0)
        log_second = -half / (1.0 + shared) - k * np.log(ratio) + np.log(special.gammainc(k, ratio * half))
    tail = special.gammaincc(k, half) + np.exp(np.where(merged, 0.0, log_second))
    tail = np.where(merged, special.gammaincc(shape + 1.0, half), tail)
    return np.asarray(np.where(shape <= 0, np.exp(-half / (1.0 + shared)), tail))


def _spatial_tail(half: np.ndarray, shape: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Integrate Q(shape, y - g) over the Gamma(3/2, 1 + c) variable g from 0 to y, g = y u^2, and add P(g > y)."""
    nodes, weights = np.polynomial.legendre.leggauss(_GAUSS)
    width = 1.0 + shared
    tail = special.gammaincc(1.5, half / width)
    for u, weight in zip(0.5 * (nodes + 1.0), 0.5 * weights, strict=True):
        g = half * u**2
        density = np.sqrt(g / width) * np.exp(-g / width) / (special.gamma(1.5) * width)
        rest = np.where(shape > 0, special.gammaincc(np.maximum(shape, 0.5), half - g), 0.0)
        tail = tail + weight * 2.0 * half * u * density * rest
    return np.asarray(tail)


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
