"""Filter and smoother of the memory variable along each track, with the error of position marginalised.

Given z the residuals of a track have a tridiagonal Gaussian covariance (:mod:`colloid_cg.learn.banded`); its recursion
is carried at every grid point and the carried moments are mixed where z moves (interacting multiple models: Blom and
Bar-Shalom 1988, doi:10.1109/9.1299). The sum over the grid is the likelihood of the observed positions with z
integrated out: the evidence lower bound at the best posterior a grid can hold, where its gap closes. Smoothing runs
backwards over the mixed probabilities (Kim 1994, doi:10.1016/0304-4076(94)90036-1).

A particle of mobility lambda D moves in frame t by Phi (1 - g^lambda)/(1 - g), with variance
V (1 - g^(2 lambda))/(1 - g^2), and hands on an error of its position times g^lambda, g = dm/dy at lambda = 1: exact
where the force is linear.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

_SMALL = 1e-3


@njit(cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp", "reassoc"})
def _mixed(here, towards, carried, precision, ahead, carried_ahead, precision_ahead, product):
    """Move the probabilities one frame on and mix what each grid point carries; ``towards[j, k]`` = P(z_k -> z_j).

    Of the residual before, ``carried`` is innovation/pivot and ``precision`` 1/pivot: the next mean and variance are
    linear in them up to the spread of the means, which is taken off the precision.
    """
    d, points = carried.shape
    for a in range(d):
        for k in range(points):
            product[2 * a, k] = here[k] * carried[a, k]
            product[2 * a + 1, k] = here[k] * (precision[a, k] - carried[a, k] * carried[a, k])
    for j in range(points):
        total = 0.0
        for k in range(points):
            total += here[k] * towards[j, k]
        total = max(total, 1e-250)
        ahead[j] = total
        for a in range(d):
            mean, inverse = 0.0, 0.0
            for k in range(points):
                mean += towards[j, k] * product[2 * a, k]
                inverse += towards[j, k] * product[2 * a + 1, k]
            mean /= total
            carried_ahead[a, j] = mean
            precision_ahead[a, j] = inverse / total + mean * mean


@njit(cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp", "reassoc"})
def run_filter(step, phi, rate, own, noise, fixed, coupling_own, share, fixed_share, joined, which, diffusion, variance,
               level, slope, push, points, weights, towards, rows, predicted, filtered):  # fmt: skip
    """Fill the log-likelihood of every row and the probabilities of z before and after it is seen.

    ``level`` (m,) is the log-mobility at z = 0, ``slope`` (m,) what one unit of z adds, ``push`` (m,) what the force
    moves a particle of lambda = 1, in units of ``phi``; ``which`` (m,) names the kernel of ``towards``
    (g, k, k), P(z_k -> z_j) at [j, k], that leads from the row before, -1 where a particle begins; other arrays as in
    :class:`~colloid_cg.learn.latent.rows.LatentRows`. Probabilities of no length are not filled.
    """
    m, d = step.shape
    count = points.size
    constant = d * np.log(2.0 * np.pi)
    kept = predicted.shape[0] == m
    here, ahead, log_rows = weights.copy(), weights.copy(), np.zeros(count)
    carried, precision, product = np.zeros((d, count)), np.zeros((d, count)), np.zeros((2 * d, count))
    carried_ahead, precision_ahead = np.zeros((d, count)), np.zeros((d, count))
    factor, determinant, square = np.zeros(count), np.zeros(count), np.zeros(count)
    for t in range(m):
        if which[t] >= 0:
            _mixed(here, towards[which[t]], carried, precision, ahead, carried_ahead, precision_ahead, product)
        else:
            ahead[:] = weights
        if not joined[t]:
            carried_ahead[:], precision_ahead[:] = 0.0, 0.0
        for j in range(count):
            factor[j] = push[t] * np.exp(level[t] + slope[t] * points[j])
            determinant[j], square[j] = 1.0, 0.0
        for a in range(d):
            k = rate[t, a]
            linear = abs(k) < _SMALL
            gone = 0.5 if linear else np.exp(-k)
            whole, whole_square = 1.0 / (1.0 - gone), 1.0 / (1.0 - gone * gone)
            own_variance, own_link = diffusion[t] / push[t] * own[t, a], diffusion[t] / push[t] * coupling_own[t, a]
            ahead_variance = variance * noise[t, a] + fixed[t, a]
            here_variance = variance * share[t, a] + fixed_share[t, a]
            for j in range(count):
                if linear:
                    gain, moved, spread = 1.0 - k * factor[j], factor[j], factor[j]
                else:
                    gain = np.exp(-k * factor[j])
                    moved, spread = (1.0 - gain) * whole, (1.0 - gain * gain) * whole_square
                free = own_variance * spread + ahead_variance + gain * gain * here_variance
                link = own_link * spread - gain * here_variance
                pivot = max(free - link * link * precision_ahead[a, j], 1e-3 * own_variance * spread)
                r = step[t, a] - moved * phi[t, a] - link * carried_ahead[a, j]
                determinant[j] *= pivot
                square[j] += r * r / pivot
                carried[a, j], precision[a, j] = r / pivot, 1.0 / pivot
        best = -1e300
        for j in range(count):
            log_rows[j] = -0.5 * (constant + np.log(determinant[j]) + square[j])
            best = max(best, log_rows[j])
        norm = 0.0
        for j in range(count):
            here[j] = ahead[j] * np.exp(log_rows[j] - best)
            norm += here[j]
        for j in range(count):
            here[j] /= norm
            if kept:
                predicted[t, j], filtered[t, j] = ahead[j], here[j]
        rows[t] = best + np.log(norm)


@njit(cache=True, error_model="numpy")
def run_smoother(which, kernels, predicted, filtered, smoothed):
    """Fill the probabilities of z given the whole track, shape (m, k); ``kernels`` (g, k, k) are P(z_k -> z_j)."""
    m, count = filtered.shape
    for t in range(m - 1, -1, -1):
        if t == m - 1 or which[t + 1] < 0:
            smoothed[t] = filtered[t]
            continue
        kernel = kernels[which[t + 1]]
        norm = 0.0
        for k in range(count):
            total = 0.0
            for j in range(count):
                total += kernel[k, j] * smoothed[t + 1, j] / predicted[t + 1, j]
            smoothed[t, k] = filtered[t, k] * total
            norm += smoothed[t, k]
        smoothed[t] /= norm
