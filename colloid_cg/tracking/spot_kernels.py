"""Sums over the pixels of Gaussian spots that share light: the inner loops of the joint fit.

A spot of peak p at (x, y) adds p exp(-r^2 / 2 t^2) to a pixel at distance r. Averaging a Gaussian of standard deviation
s over a pixel adds 1/12 to its variance and leaves a fourth-order difference (-1/2880 s^4 relative, He4), below a
thousandth of the peak for s > 1 px: t^2 = s^2 + 1/12. All lengths are in px, all sums weighted with 1 / variance.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

PIXEL_VARIANCE = 1.0 / 12.0
FIT_REACH = 3.0  # widths: pixels a particle is fitted on
LIGHT_REACH = 4.2  # widths: pixels its light is taken off, exp(-8.8) of the peak is left outside
WIDTH_PRIOR = 0.5  # relative
LEAST_RATIO = 4.0  # (peak / standard error)^2
MAX_STEP = 0.35  # widths: longest move in one sweep


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def span(centre: float, reach: float, length: int) -> tuple[int, int]:
    """Return first and one past the last pixel within ``reach`` of ``centre``, inside the frame."""
    middle, half = math.floor(centre + 0.5), math.ceil(reach)
    return min(max(middle - half, 0), length), max(min(middle + half + 1, length), 0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def gaussian(first: int, last: int, centre: float, width: float, out: np.ndarray) -> None:
    """Write exp(-(k - centre)^2 / 2 width^2) for k = first .. last - 1; two exponentials and a recurrence."""
    precision = 1.0 / (width * width)
    u = first - centre
    value, ratio = math.exp(-0.5 * precision * u * u), math.exp(-precision * (u + 0.5))
    change = math.exp(-precision)
    for k in range(last - first):
        out[k] = value
        value *= ratio
        ratio *= change


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def add_spot(picture: np.ndarray, x: float, y: float, peak: float, width: float, work: np.ndarray) -> None:
    """Add the light of one spot to a picture."""
    top, bottom = span(y, LIGHT_REACH * width, picture.shape[0])
    left, right = span(x, LIGHT_REACH * width, picture.shape[1])
    if top >= bottom or left >= right:
        return
    down, across = work[0], work[1]
    gaussian(top, bottom, y, width, down)
    gaussian(left, right, x, width, across)
    for i in range(bottom - top):
        row = picture[top + i, left:right]
        level = peak * down[i]
        for j in range(len(row)):
            row[j] += level * across[j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def add_spots(picture: np.ndarray, spots: np.ndarray, sign: float) -> None:
    """Add the light of spots (x, y, peak, width) times ``sign`` to a picture."""
    if len(spots) == 0:
        return
    work = np.empty((2, int(2.0 * LIGHT_REACH * np.max(spots[:, 3])) + 8))
    for n in range(len(spots)):
        add_spot(picture, spots[n, 0], spots[n, 1], sign * spots[n, 2], spots[n, 3], work)


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def score_and_fisher(
    residual: np.ndarray,
    weight: np.ndarray,
    spot: tuple[float, float, float, float],
    work: np.ndarray,
    score: np.ndarray,
    fisher: np.ndarray,
    with_width: bool,
) -> None:
    """Write the score sum(w r dm/dq) and the Fisher matrix sum(w dm/dq dm/dq') of q = (peak, x, y, width).

    With g = exp(-r^2/2t^2) and (u, v) the offsets over t^2: dm/dq = g (1, p u, p v, p t (u^2 + v^2)). Each row of
    pixels is first reduced to its moments in u, so that a pixel costs eight products whatever the number of pairs;
    without the width (its row and column are then not to be used) it costs five.
    """
    x, y, peak, width = spot
    top, bottom = span(y, FIT_REACH * width, residual.shape[0])
    left, right = span(x, FIT_REACH * width, residual.shape[1])
    count = right - left
    down, g, gu, guu, gg, ggu, gguu, gguuu, gguuuu = (
        work[0], work[1], work[2], work[3], work[4], work[5], work[6], work[7], work[8],
    )  # fmt: skip
    gaussian(top, bottom, y, width, down)
    gaussian(left, right, x, width, g)
    precision = 1.0 / (width * width)
    for j in range(count):
        u = (left + j - x) * precision
        gu[j], guu[j], gg[j] = g[j] * u, g[j] * u * u, g[j] * g[j]
        ggu[j], gguu[j], gguuu[j], gguuuu[j] = gg[j] * u, guu[j] * g[j], guu[j] * gu[j], guu[j] * guu[j]
    s0 = s1 = s2 = s3 = 0.0
    f00 = f01 = f02 = f03 = f11 = f12 = f13 = f22 = f23 = f33 = 0.0
    for i in range(bottom - top):
        trusted, left_over = weight[top + i, left:right], residual[top + i, left:right]
        b0 = b1 = b2 = a0 = a1 = a2 = a3 = a4 = 0.0
        if not with_width:
            for j in range(count):
                w = trusted[j]
                r = w * left_over[j]
                b0 += r * g[j]
                b1 += r * gu[j]
                a0 += w * gg[j]
                a1 += w * ggu[j]
                a2 += w * gguu[j]
        for j in range(count if with_width else 0):
            w = trusted[j]
            r = w * left_over[j]
            b0 += r * g[j]
            b1 += r * gu[j]
            b2 += r * guu[j]
            a0 += w * gg[j]
            a1 += w * ggu[j]
            a2 += w * gguu[j]
            a3 += w * gguuu[j]
            a4 += w * gguuuu[j]
        h = down[i]
        v = (top + i - y) * precision
        h2, vv = h * h, v * v
        s0 += h * b0
        s1 += h * b1
        s2 += h * v * b0
        s3 += h * (b2 + vv * b0)
        f00 += h2 * a0
        f01 += h2 * a1
        f02 += h2 * v * a0
        f03 += h2 * (a2 + vv * a0)
        f11 += h2 * a2
        f12 += h2 * v * a1
        f13 += h2 * (a3 + vv * a1)
        f22 += h2 * vv * a0
        f23 += h2 * v * (a2 + vv * a0)
        f33 += h2 * (a4 + 2.0 * vv * a2 + vv * vv * a0)
    scale = (1.0, peak, peak, peak * width)
    score[0], score[1], score[2], score[3] = s0, peak * s1, peak * s2, scale[3] * s3
    sums = ((f00, f01, f02, f03), (f01, f11, f12, f13), (f02, f12, f22, f23), (f03, f13, f23, f33))
    for a in range(4):
        for b in range(4):
            fisher[a, b] = sums[a][b] * scale[a] * scale[b]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def solve(matrix: np.ndarray, right: np.ndarray, n: int) -> bool:
    """Solve the leading n x n symmetric positive system in place; False where it is singular.

    A relative 1e-9 on the diagonal keeps a pair of coinciding particles from blowing up.
    """
    for k in range(n):
        matrix[k, k] *= 1.0 + 1e-9
    for k in range(n):
        if not matrix[k, k] > 0.0:
            return False
        for i in range(k + 1, n):
            factor = matrix[i, k] / matrix[k, k]
            for j in range(k, n):
                matrix[i, j] -= factor * matrix[k, j]
            right[i] -= factor * right[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            right[k] -= matrix[k, j] * right[j]
        right[k] /= matrix[k, k]
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def sweep(residual: np.ndarray, weight: np.ndarray, spots: np.ndarray, limits: np.ndarray, free: int) -> np.ndarray:
    """One Gauss-Seidel sweep: each particle takes a scoring step against what all others leave of the frame.

    Parameters
    ----------
    residual, weight : array, shape (height, width)
        Frame less background less all spots, changed in place; one over the variance.
    spots : array, shape (n, 4)
        x, y, peak, width; changed in place.
    limits : array, shape (3,)
        Smallest, largest and usual width; a free width has the prior N(usual, (usual / 2)^2), which only matters to
        particles whose width the pixels leave open.
    free : int
        3 for peak and position, 4 for the width of each particle as well.

    Returns
    -------
    array, shape (n,)
        Length of each move in px.
    """
    work = np.empty((9, int(2 * LIGHT_REACH * limits[1]) + 8))
    score, fisher, moves = np.empty(4), np.empty((4, 4)), np.zeros(len(spots))
    prior = 1.0 / (WIDTH_PRIOR * limits[2]) ** 2
    height, length = residual.shape
    for n in range(len(spots)):
        x, y, peak, width = spots[n, 0], spots[n, 1], spots[n, 2], spots[n, 3]
        score_and_fisher(residual, weight, (x, y, peak, width), work, score, fisher, free == 4)
        seen = fisher[0, 0]
        if not seen > 0.0:
            continue
        if free == 4:
            fisher[3, 3] += prior
            score[3] += prior * (limits[2] - width)
        # A particle whose peak is lost in noise has no position to fit: only its peak may change.
        if not solve(fisher, score, free if peak * peak * seen > LEAST_RATIO else 1):
            continue
        if not (free >= 3 and peak * peak * seen > LEAST_RATIO):
            score[1:] = 0.0
        longest = max(abs(score[1]), abs(score[2]))
        damping = min(1.0, MAX_STEP * width / max(longest, 1e-12))
        new_x = min(max(x + damping * score[1], -width), length - 1.0 + width)
        new_y = min(max(y + damping * score[2], -width), height - 1.0 + width)
        new_peak = min(max(peak + damping * score[0], 0.1 * peak), 3.0 * peak + 3.0 / math.sqrt(seen))
        new_width = width
        if free == 4:
            change = min(max(damping * score[3], -0.25 * width), 0.25 * width)
            new_width = min(max(width + change, limits[0]), limits[1])
        add_spot(residual, x, y, peak, width, work)
        add_spot(residual, new_x, new_y, -new_peak, new_width, work)
        spots[n, 0], spots[n, 1], spots[n, 2], spots[n, 3] = new_x, new_y, new_peak, new_width
        moves[n] = math.hypot(new_x - x, new_y - y)
    return moves
