"""Which class of spot a particle belongs to, and what it holds against the background: sums over its pixels."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from colloid_cg.tracking.spot_kernels import (
    FIT_REACH,
    LIGHT_REACH,
    add_spot,
    gaussian,
    score_and_fisher,
    solve,
    span,
)

PATIENCE = 3.0  # standard deviations of chi^2 above which the residuals count as worse than the noise


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _projections(
    residual: np.ndarray, weight: np.ndarray, spot: np.ndarray, width: float, reach: float, work: np.ndarray
) -> tuple[float, float]:
    """Return sum(w h^2) and sum(w h (r + p g)): g is the spot as it is, h one of another width."""
    x, y, peak, own = spot[0], spot[1], spot[2], spot[3]
    top, bottom = span(y, reach, residual.shape[0])
    left, right = span(x, reach, residual.shape[1])
    if top >= bottom or left >= right:
        return 0.0, 0.0
    count = right - left
    down, own_down, h, hh, hg = work[0], work[1], work[2], work[3], work[4]
    gaussian(top, bottom, y, width, down)
    gaussian(top, bottom, y, own, own_down)
    gaussian(left, right, x, width, h)
    gaussian(left, right, x, own, hg)
    for j in range(count):
        hh[j] = h[j] * h[j]
        hg[j] *= h[j]
    square = score = 0.0
    for i in range(bottom - top):
        trusted, left_over = weight[top + i, left:right], residual[top + i, left:right]
        b1 = b2 = b3 = 0.0
        for j in range(count):
            w = trusted[j]
            b1 += w * hh[j]
            b2 += w * left_over[j] * h[j]
            b3 += w * hg[j]
        square += down[i] * down[i] * b1
        score += down[i] * (b2 + peak * own_down[i] * b3)
    return square, score


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def background_sums(residual: np.ndarray, weight: np.ndarray, light: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Return sum(w g), sum(w g S) / p and sum(w g r) of each particle, S the light of all, shape (n, 3)."""
    sums = np.empty((len(spots), 3))
    work = np.empty((2, int(2.0 * LIGHT_REACH * np.max(spots[:, 3])) + 8)) if len(spots) else np.empty((2, 1))
    down, across = work[0], work[1]
    for n in range(len(spots)):
        x, y, peak, width = spots[n, 0], spots[n, 1], spots[n, 2], spots[n, 3]
        top, bottom = span(y, LIGHT_REACH * width, residual.shape[0])
        left, right = span(x, LIGHT_REACH * width, residual.shape[1])
        sums[n] = 0.0
        if top >= bottom or left >= right:
            continue
        gaussian(top, bottom, y, width, down)
        gaussian(left, right, x, width, across)
        one = shared = score = 0.0
        for i in range(bottom - top):
            row = weight[top + i, left:right]
            left_over, shining = residual[top + i, left:right], light[top + i, left:right]
            b0 = b1 = b2 = 0.0
            for j in range(right - left):
                w = row[j] * across[j]
                b0 += w
                b1 += w * shining[j]
                b2 += w * left_over[j]
            one += down[i] * b0
            shared += down[i] * b1
            score += down[i] * b2
        sums[n, 0], sums[n, 1], sums[n, 2] = one, shared / peak, score
    return sums


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def class_evidence(residual: np.ndarray, weight: np.ndarray, spots: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return log(share_k) + log p(pixels | class k), up to a constant of the particle, shape (n, classes).

    Given its place and its neighbours the pixels depend on the peak a as exp(a b - a^2 f / 2), b = sum(w h r),
    f = sum(w h^2). Integrated over the prior N(A_k, s_k^2) of the peak of the class:

        (b + A/s^2)^2 / 2 (f + 1/s^2) - A^2 / 2 s^2 - log(1 + f s^2) / 2.

    Parameters
    ----------
    residual, weight, spots
        As in :func:`sweep`; nothing is changed.
    classes : array, shape (classes, 4)
        Width, peak and its standard deviation, share.
    """
    result = np.empty((len(spots), len(classes)))
    reach = FIT_REACH * np.max(classes[:, 0])
    work = np.empty((5, int(2.0 * reach) + 8))
    for n in range(len(spots)):
        for k in range(len(classes)):
            f, b = _projections(residual, weight, spots[n], classes[k, 0], reach, work)
            peak, precision = classes[k, 1], 1.0 / classes[k, 2] ** 2
            inside = (b + peak * precision) ** 2 / (f + precision) - peak * peak * precision
            result[n, k] = 0.5 * inside - 0.5 * math.log(1.0 + f / precision) + math.log(classes[k, 3])
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def change_widths(residual: np.ndarray, weight: np.ndarray, spots: np.ndarray, widths: np.ndarray) -> None:
    """Give each particle a new width and the peak that fits best with it; residual and spots change in place."""
    work = np.empty((5, int(2.0 * LIGHT_REACH * max(np.max(widths), np.max(spots[:, 3]))) + 8))
    for n in range(len(spots)):
        if widths[n] == spots[n, 3]:
            continue
        x, y, peak, width = spots[n, 0], spots[n, 1], spots[n, 2], spots[n, 3]
        square, score = _projections(residual, weight, spots[n], widths[n], FIT_REACH * widths[n], work)
        new_peak = max(score / max(square, 1e-300), 0.1 * peak)
        add_spot(residual, x, y, peak, width, work)
        add_spot(residual, x, y, -new_peak, widths[n], work)
        spots[n, 2], spots[n, 3] = new_peak, widths[n]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def misfit(residual: np.ndarray, weight: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Return the rms residual within two widths that noise does not explain, over the peak, shape (n,)."""
    excess = np.zeros(len(spots))
    for n in range(len(spots)):
        x, y, peak, width = spots[n, 0], spots[n, 1], spots[n, 2], spots[n, 3]
        top, bottom = span(y, 2.0 * width, residual.shape[0])
        left, right = span(x, 2.0 * width, residual.shape[1])
        total, surplus = 0.0, 0.0
        for i in range(top, bottom):
            for j in range(left, right):
                w = weight[i, j]
                total += w
                surplus += w * residual[i, j] ** 2 - (1.0 if w > 0.0 else 0.0)
        if total > 0.0:
            excess[n] = math.sqrt(max(surplus, 0.0) / total) / peak
    return excess


def inflation(residual: np.ndarray, weight: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Return by how much residuals worse than the noise enlarge the errors, 1 or more, shape (n,).

    sqrt(chi^2 / degrees of freedom) of the pixels within two widths, where it is above 1 by more than ``PATIENCE``
    standard deviations: a spot that looks unlike a Gaussian is not located as well as the noise alone would allow.
    """
    chi2, freedom = _chi2(residual, weight, spots)
    freedom = np.maximum(freedom - 3.0, 1.0)
    ratio = chi2 / freedom
    return np.asarray(np.sqrt(np.where(ratio > 1.0 + PATIENCE * np.sqrt(2.0 / freedom), ratio, 1.0)))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _chi2(residual: np.ndarray, weight: np.ndarray, spots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of squared residuals over their variances within two widths, and the number of pixels."""
    chi2, count = np.zeros(len(spots)), np.zeros(len(spots))
    for n in range(len(spots)):
        top, bottom = span(spots[n, 1], 2.0 * spots[n, 3], residual.shape[0])
        left, right = span(spots[n, 0], 2.0 * spots[n, 3], residual.shape[1])
        for i in range(top, bottom):
            for j in range(left, right):
                if weight[i, j] > 0.0:
                    chi2[n] += weight[i, j] * residual[i, j] ** 2
                    count[n] += 1.0
    return chi2, count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def width_information(residual: np.ndarray, weight: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Return score and information of the width, peak and position eliminated, and the information of the peak.

    s_t - F_tq F_qq^-1 s_q and F_tt - F_tq F_qq^-1 F_qt: their ratio is the step to the best width, the inverse of the
    second its variance. Shape (n, 3).
    """
    result = np.zeros((len(spots), 3))
    work = np.empty((9, int(2.0 * LIGHT_REACH * np.max(spots[:, 3])) + 8)) if len(spots) else np.empty((9, 1))
    score, fisher, inner, column = np.empty(4), np.empty((4, 4)), np.empty((3, 3)), np.empty(3)
    for n in range(len(spots)):
        spot = (spots[n, 0], spots[n, 1], spots[n, 2], spots[n, 3])
        score_and_fisher(residual, weight, spot, work, score, fisher, True)
        inner[:, :] = fisher[:3, :3]
        column[:] = fisher[:3, 3]
        result[n, 2] = fisher[0, 0]
        if not solve(inner, column, 3):
            continue
        result[n, 0] = score[3] - (column * score[:3]).sum()
        result[n, 1] = max(fisher[3, 3] - (column * fisher[:3, 3]).sum(), 0.0)
    return result
