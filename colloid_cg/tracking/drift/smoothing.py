"""Gaussian smoothing of a curve that a random walk has been added to, and the error that is left."""

from __future__ import annotations

import numpy as np

TRUNCATE = 4.0
"""Half width of the window in standard deviations."""


def smooth_weights(n: int, at: int, standard_deviation: float) -> tuple[int, np.ndarray]:
    """Return the first frame and the weights of the smoothed value at frame ``at`` of ``n``.

    A straight line fitted with Gaussian weights and evaluated at ``at``: away from the ends plain Gaussian smoothing,
    at the ends still exact for a constant velocity, which plain smoothing would bend.
    """
    reach = int(np.ceil(TRUNCATE * standard_deviation))
    first, last = max(0, at - reach), min(n - 1, at + reach)
    lag = np.arange(first, last + 1, dtype=float) - at
    g = np.exp(-0.5 * (lag / standard_deviation) ** 2)
    s0, s1, s2 = g.sum(), (g * lag).sum(), (g * lag**2).sum()
    determinant = s0 * s2 - s1**2
    if determinant <= 1e-12 * s0**2:
        return first, g / s0
    return first, g * (s2 - s1 * lag) / determinant


def smooth(
    values: np.ndarray, variance: np.ndarray, onward: np.ndarray, standard_deviation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return smoothed values less the first, and their variance.

    Parameters
    ----------
    values, variance : numpy.ndarray
        Cumulative motion and its variance V, shape (t, k).
    onward : numpy.ndarray
        c_s = cov(D_s, D_{s+1} - D_s), shape (t, k); localisation errors make it negative. Steps that are further apart
        are taken as independent: cov(D_s, D_u) = V_s + c_s for u > s, so that with weights w
        var = sum_s w_s^2 V_s + 2 sum_s w_s (V_s + c_s) sum_{u > s} w_u.
    standard_deviation : float
        In frames; 0 returns the input.
    """
    n = len(values)
    if standard_deviation <= 0.0 or n < 3:
        return values, variance
    shared = variance + onward
    start_first, start = smooth_weights(n, 0, standard_deviation)
    new, new_variance = np.zeros_like(values), np.zeros_like(variance)
    for at in range(1, n):
        first, w = smooth_weights(n, at, standard_deviation)
        frames = np.union1d(np.arange(start_first, start_first + len(start)), np.arange(first, first + len(w)))
        weight = np.zeros(len(frames))
        weight[np.searchsorted(frames, first) + np.arange(len(w))] += w
        weight[np.searchsorted(frames, start_first) + np.arange(len(start))] -= start
        later = weight[::-1].cumsum()[::-1] - weight
        new[at] = weight @ values[frames]
        new_variance[at] = weight**2 @ variance[frames] + 2.0 * (weight * later) @ shared[frames]
    return new, np.maximum(new_variance, 0.0)


def step_weights(standard_deviation: float) -> tuple[float, float]:
    """Return w_0 and sum w^2 of the smoothing of steps: 1 and 1 without any."""
    if standard_deviation <= 0.0:
        return 1.0, 1.0
    reach = int(np.ceil(TRUNCATE * standard_deviation))
    g = np.exp(-0.5 * (np.arange(-reach, reach + 1) / standard_deviation) ** 2)
    g /= g.sum()
    return float(g[reach]), float(g @ g)
