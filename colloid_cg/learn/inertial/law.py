"""Exact Gaussian law of the positions of an inertial particle seen through exposure and localisation noise.

The velocity is an Ornstein-Uhlenbeck process of relaxation rate gamma and variance theta = k_B T/m per axis (Uhlenbeck
and Ornstein 1930, doi:10.1103/PhysRev.36.823). With X = gamma dt, phi = e^-X and M(t) = 2 theta/gamma^2 (gamma t - 1 +
e^{-gamma t}) the mean squared displacement, positions averaged over an exposure tau have increments d_t of covariance

    C_l = (M_{l+1} - 2 M_l + M_{l-1})/2,    M_l = integral_{-1}^{1} (1 - |u|) M(|l dt + u tau|) du

and C_l falls by phi per frame from lag 2 on. The centred residual, with tau_X = tanh(X/2),

    r_t = (y_{t+1} - 2 y_t + y_{t-1}) + tau_X (y_{t+1} - y_{t-1}) = 2 (d_{t+1} - phi d_t)/(1 + phi)

therefore knows nothing of the past before frame t - 1, and its covariance ends at lag 2 for every gamma dt and every
exposure. To first order in X it is 2 theta dt^2 X times 2/3, 1/6, 0 (instantaneous) or 11/20, 13/60, 1/120 (full
frame); the next order is X^3, so that the coupling of many particles by pair friction enters there only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SERIES_BELOW = 0.3
_ORDER = 18


@dataclass(frozen=True, kw_only=True, eq=False)
class CentredLaw:
    """Covariances of the motion alone in units of theta dt^2, each of the shape of X.

    ``first`` of d_1 with itself, ``first_next`` and ``first_after`` of d_1 with r_1 and r_2; ``zero, one, two`` of
    r_t with r_t, r_{t+1} and r_{t+2}.
    """

    first: np.ndarray
    first_next: np.ndarray
    first_after: np.ndarray
    zero: np.ndarray
    one: np.ndarray
    two: np.ndarray


def displacement_covariance(x: np.ndarray, exposure_share: float, lags: int = 3) -> np.ndarray:
    """Return C_l / (theta dt^2) at lags 0 to ``lags - 1``, shape (lags, ...).

    Parameters
    ----------
    x : array
        gamma dt, above zero; lost in round-off below some 1e-3 (see :func:`centred_law`).
    exposure_share : float
        Exposure over frame interval, 0 to 1.
    """
    x = np.asarray(x, dtype=float)
    phi, a = np.exp(-x), exposure_share * x
    outer, inner = _blur_factors(a)
    zero = 2.0 / x**2 * (x - a / 3.0 + phi * outer - inner)
    one = (phi**2 * outer - 2.0 * phi * outer + a / 3.0 + inner) / x**2
    later = [outer * phi ** (lag - 1) * ((1.0 - phi) / x) ** 2 for lag in range(2, lags)]
    return np.stack([zero, one, *later][:lags])


def centred_law(x: np.ndarray, exposure_share: float) -> CentredLaw:
    """Return the covariances of (d_1, r_1, r_2, ...) for X = gamma dt > 0; a power series below X = 0.3."""
    x = np.asarray(x, dtype=float)
    if x.size > 1 and x.min() == x.max():  # one friction for all: the common case of free particles
        single = centred_law(x.ravel()[:1], exposure_share)
        return CentredLaw(**{name: np.full(x.shape, getattr(single, name)[0]) for name in _NAMES})
    values = np.empty((6, *x.shape))
    small = x < _SERIES_BELOW
    if small.any():
        powers = np.ones((_ORDER - 2, int(small.sum())))
        np.cumprod(np.broadcast_to(x[small], (_ORDER - 3, powers.shape[1])), axis=0, out=powers[1:])
        values[:, small] = _series(exposure_share) @ powers
    if not small.all():
        far = x[~small]
        c0, c1, c2 = displacement_covariance(far, exposure_share)
        values[:, ~small] = _combined(c0, c1, c2, np.exp(-far))
    return CentredLaw(**dict(zip(_NAMES, values, strict=True)))


_NAMES = ("first", "first_next", "first_after", "zero", "one", "two")


def _combined(c0: np.ndarray, c1: np.ndarray, c2: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Covariances of d_1 and r = 2 (d_{t+1} - phi d_t)/(1 + phi) from those of the displacements."""
    scale = 2.0 / (1.0 + phi)
    return np.stack(
        [
            c0,
            scale * (c1 - phi * c0),
            scale * (c2 - phi * c1),
            scale**2 * (c0 * (1.0 + phi**2) - 2.0 * phi * c1),
            scale**2 * (c1 * (1.0 + phi**2) - phi * (c0 + c2)),
            scale**2 * (c2 - phi * c1),
        ]
    )


def _blur_factors(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the triangular means of e^{a u} and of e^{-a |u|}: 2 (cosh a - 1)/a^2 and 2 (a - 1 + e^-a)/a^2."""
    safe = np.where(a > 0.0, a, 1.0)
    outer = np.where(a > 0.0, 4.0 * np.sinh(safe / 2.0) ** 2 / safe**2, 1.0)
    inner = np.where(a > 0.0, 2.0 * (safe + np.expm1(-safe)) / safe**2, 1.0)
    return outer, inner


def _series(exposure_share: float) -> np.ndarray:
    """Return the coefficients of the six covariances as power series in X, shape (6, _ORDER - 2).

    The numerators of C_0, C_1 and C_2 begin at X^2 because lower orders cancel exactly; the cancellation that costs
    the closed form its digits is done here on the coefficients.
    """
    k = np.arange(_ORDER)
    factorial = np.cumprod(np.append(1.0, np.arange(1, _ORDER + 2)))

    def exponential(rate: float) -> np.ndarray:
        return np.asarray(rate**k / factorial[k])

    share = exposure_share**k
    outer = np.where(k % 2 == 0, 2.0 * share / factorial[k + 2], 0.0)
    inner = 2.0 * (-1.0) ** k * share / factorial[k + 2]
    linear = (k == 1).astype(float)
    phi, square = exponential(-1.0), exponential(-2.0)
    seen, twice = _times(phi, outer), _times(square, outer)
    third = exposure_share / 3.0 * linear
    c0 = 2.0 * (linear - third + seen - inner)[2:]
    c1 = (twice - 2.0 * seen + third + inner)[2:]
    rise = linear * 0.0
    rise[:-1] = -phi[1:]
    c2 = _times(_times(outer, phi), _times(rise, rise))[:-2]
    phi, one = phi[:-2], (k[:-2] == 0).astype(float)
    scale = 2.0 * _inverse(one + phi)
    twofold = _times(scale, scale)
    series = [
        c0,
        _times(scale, c1 - _times(phi, c0)),
        _times(scale, c2 - _times(phi, c1)),
        _times(twofold, c0 + _times(_times(phi, phi), c0) - 2.0 * _times(phi, c1)),
        _times(twofold, c1 + _times(_times(phi, phi), c1) - _times(phi, c0 + c2)),
        _times(twofold, c2 - _times(phi, c1)),
    ]
    return np.stack(series)


def _times(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray(np.convolve(left, right)[: len(left)])


def _inverse(series: np.ndarray) -> np.ndarray:
    result = np.zeros_like(series)
    result[0] = 1.0 / series[0]
    for order in range(1, len(series)):
        result[order] = -np.dot(series[1 : order + 1], result[order - 1 :: -1]) / series[0]
    return result
