"""Null law of p_hop: a Gaussian trajectory without a jump, with the mean square displacement of the movie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from colloid_cg.observables import p_hop, pairs_at_lag

_STRETCHES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_DRAWS = (80_000, 16_000, 8_000, 8_000, 8_000, 8_000, 8_000)


@dataclass(frozen=True, kw_only=True, eq=False)
class HopTable:
    """ln P(p_hop > x) against ln x for one covariance of positions."""

    log_value: np.ndarray
    log_tail: np.ndarray

    @property
    def median(self) -> float:
        """Logarithm of the median."""
        return float(np.interp(np.log(2.0), -self.log_tail, self.log_value))

    def tail(self, value: np.ndarray) -> np.ndarray:
        """Return P(p_hop > value); beyond the table ln P goes on linearly in the value, as it does for any Gaussian."""
        with np.errstate(divide="ignore"):
            log_value = np.log(np.asarray(value, dtype=float))
        inside = np.interp(log_value, self.log_value, self.log_tail, left=0.0)
        end, before = np.exp(self.log_value[-1]), np.exp(self.log_value[-20])
        slope = (self.log_tail[-1] - self.log_tail[-20]) / (end - before)
        beyond = self.log_tail[-1] + slope * (np.asarray(value) - end)
        return np.asarray(np.exp(np.where(log_value > self.log_value[-1], beyond, inside)))


def variogram(frame: np.ndarray, particle: np.ndarray, positions: np.ndarray, longest: int) -> np.ndarray:
    """Return the variance per coordinate of displacements over 0, 1, ... ``longest`` frames, from medians.

    For Gaussian displacements |dr|^2 = v chi2_d; v = median |dr|^2 / median chi2_d is not inflated by rare jumps.
    Lags without data repeat the last value.
    """
    values = [0.0]
    for lag in range(1, longest + 1):
        start, end = pairs_at_lag(frame, particle, lag)
        square = ((positions[end] - positions[start]) ** 2).sum(axis=1)
        typical = np.median(square) / stats.chi2.median(positions.shape[1]) if len(square) else values[-1]
        values.append(float(typical))
    return np.asarray(values)


def window_covariance(displacement_variance: np.ndarray) -> np.ndarray:
    """Return the covariance of 2 h successive positions about the first, shape (2 h, 2 h).

    Stationary increments with variance V(k) over k frames give Cov(x_s - x_0, x_t - x_0) =
    [V(s) + V(t) - V(|s - t|)] / 2: white noise about a fixed place (V constant), diffusion (V linear), and
    anything between. Estimation errors can make it slightly indefinite; negative eigenvalues are set to zero.
    """
    size = len(displacement_variance)
    lag = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    covariance = 0.5 * (displacement_variance[:, None] + displacement_variance[None, :] - displacement_variance[lag])
    level, modes = np.linalg.eigh(covariance)
    return np.asarray((modes * np.maximum(level, 0.0)) @ modes.T)


def hop_table(covariance: np.ndarray, rng: np.random.Generator, *, dimension: int) -> HopTable:
    """Return the law of p_hop for Gaussian windows, by importance sampling far into the tail.

    The tail is reached by one mode u: with C = L L^T the top eigenvector of L^T G L, G the quadratic form
    (Q_A + Q_B) / 2 >= sqrt(Q_A Q_B) = p_hop. Draws stretch that mode by 1 to 8 and carry the likelihood ratio
    of the mixture (weights never above 136 / 80), so every decade of the tail down
    to about 1e-12 is sampled as well as the bulk.
    """
    size = len(covariance)
    level, modes = np.linalg.eigh(covariance)
    root = modes * np.sqrt(np.maximum(level, 0.0))
    main = np.linalg.eigh(root.T @ _arithmetic_form(size) @ root)[1][:, -1]
    stretch = np.repeat(_STRETCHES, _DRAWS)
    normal = rng.normal(size=(len(stretch), dimension, size))
    along = normal @ main
    normal += ((stretch[:, None] - 1.0) * along)[..., None] * main
    # Density of the mixture of stretches relative to the null, as a function of the main mode alone.
    square = ((stretch[:, None] * along) ** 2).sum(axis=1)
    share = np.asarray(_DRAWS) / len(stretch)
    mixture = np.exp(-0.5 * square[:, None] / np.square(_STRETCHES)) / np.power(_STRETCHES, dimension)
    weight = np.exp(-0.5 * square) / (mixture @ share)
    windows = (normal @ root.T).reshape(-1, dimension, size)
    value = p_hop(windows.transpose(2, 0, 1), half_window=size // 2)[size // 2]
    order = np.argsort(value)[::-1]
    tail = np.cumsum(weight[order]) / len(value)
    return _tabulated(value[order], tail / tail[-1])


def _tabulated(value: np.ndarray, tail: np.ndarray) -> HopTable:
    """Thin the sampled tail to 400 points, evenly spaced in ln P down to where a hundred draws remain."""
    rank = np.unique(np.round(np.geomspace(100, len(value), 4000)).astype(int)) - 1
    log_tail, log_value = np.log(tail[rank])[::-1], np.log(np.maximum(value[rank], 1e-300))[::-1]
    wanted = np.linspace(0.0, log_tail[-1], 400)
    place = np.unique(np.searchsorted(-log_tail, -wanted).clip(0, len(log_tail) - 1))
    # The body needs more points in probability than an even grid of ln P has.
    body = np.unique(np.searchsorted(-log_tail, -np.log(np.linspace(1.0, 0.02, 200))).clip(0, len(log_tail) - 1))
    keep = np.unique(np.concatenate([place, body]))
    return HopTable(log_value=log_value[keep], log_tail=log_tail[keep])


def _arithmetic_form(size: int) -> np.ndarray:
    """Return G with x^T G x = (Q_A + Q_B) / 2 for one coordinate, Q the two factors under the root of p_hop."""
    half = size // 2
    mean_a, mean_b = np.zeros(size), np.zeros(size)
    mean_a[:half], mean_b[half:] = 1.0 / half, 1.0 / half
    form = np.zeros((size, size))
    for index in range(size):
        unit = np.zeros(size)
        unit[index] = 1.0
        away = unit - (mean_b if index < half else mean_a)
        form += np.outer(away, away) / (2 * half)
    return form
