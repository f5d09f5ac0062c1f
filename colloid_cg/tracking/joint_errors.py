"""Localisation errors of particles that share light: the inverse Fisher matrix, neighbours and background included."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.spatial import KDTree

from colloid_cg.tracking.spot_kernels import LIGHT_REACH, gaussian, span

COUPLED = 5.5  # widths of the larger of a pair: exp(-7.6) of the overlap is left out beyond
MOST_NEIGHBORS = 10  # nearest neighbours over which a particle is marginalised


def covariances(weight: np.ndarray, spots: np.ndarray, background_variance: np.ndarray) -> np.ndarray:
    """Return the covariance of (peak, x, y) of each particle, shape (n, 3, 3).

    The Fisher matrix of a crowd is sparse: F_ij is the weighted overlap of the derivatives of i and j. Of its inverse
    the block of i is needed. It is taken from the Fisher matrix of i and its ``MOST_NEIGHBORS`` nearest coupled
    neighbours, so that peaks and positions of the neighbours are unknown too; what the neighbours of the neighbours
    add is of fourth order in the overlap. An error of the background b shifts the particle by dq/db = -C F_b, which
    adds (dq/db)(dq/db)' var(b).

    Parameters
    ----------
    weight : array, shape (height, width)
        One over the variance of each pixel.
    spots : array, shape (n, 4)
        x, y, peak, width.
    background_variance : array, shape (n,)
        Variance of the fitted background where each particle is.
    """
    if len(spots) == 0:
        return np.empty((0, 3, 3))
    first, second = _coupled_pairs(spots)
    starts = np.searchsorted(first, np.arange(len(spots) + 1))
    own, level = _own_blocks(weight, spots)
    shared = _pair_blocks(weight, spots, first, second)
    return np.asarray(_marginal(own, level, shared, starts, second, background_variance))


def _coupled_pairs(spots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ordered pairs (i, j), both ways round, sorted by i, then by distance; at most ``MOST_NEIGHBORS`` for each i."""
    n = len(spots)
    reach = COUPLED * float(np.max(spots[:, 3]))
    count = min(MOST_NEIGHBORS + 1, n)
    distance, neighbor = KDTree(spots[:, :2]).query(spots[:, :2], k=np.arange(1, count + 1), distance_upper_bound=reach)
    first = np.repeat(np.arange(n), count)
    second = neighbor.ravel()
    known = np.isfinite(distance.ravel()) & (second != first)
    near = np.zeros(len(first), dtype=bool)
    widest = np.maximum(spots[first[known], 3], spots[second[known], 3])
    near[known] = distance.ravel()[known] < COUPLED * widest
    return first[near], second[near].astype(np.int64)


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _pair_sums(
    weight: np.ndarray, one: np.ndarray, other: np.ndarray, reach: float, work: np.ndarray, block: np.ndarray
) -> None:
    """Write F_ab = sum(w dm/dq_a dm'/dq'_b) of two spots (rows x, y, peak, width), q = (peak, x, y)."""
    height, length = weight.shape
    top, bottom = span(one[1], reach * one[3], height)
    left, right = span(one[0], reach * one[3], length)
    top2, bottom2 = span(other[1], reach * other[3], height)
    left2, right2 = span(other[0], reach * other[3], length)
    top, bottom, left, right = max(top, top2), min(bottom, bottom2), max(left, left2), min(right, right2)
    block[:, :] = 0.0
    if top >= bottom or left >= right:
        return
    count = right - left
    g, h, gg, ugg, ggv, uggv = work[0], work[1], work[2], work[3], work[4], work[5]
    gaussian(left, right, one[0], one[3], g)
    gaussian(left, right, other[0], other[3], h)
    one_precision, other_precision = 1.0 / one[3] ** 2, 1.0 / other[3] ** 2
    for j in range(count):
        u, v = (left + j - one[0]) * one_precision, (left + j - other[0]) * other_precision
        gg[j] = g[j] * h[j]
        ugg[j], ggv[j], uggv[j] = u * gg[j], v * gg[j], u * v * gg[j]
    gaussian(top, bottom, one[1], one[3], g)
    gaussian(top, bottom, other[1], other[3], h)
    f00 = f01 = f02 = f10 = f11 = f12 = f20 = f21 = f22 = 0.0
    for i in range(bottom - top):
        row = weight[top + i, left:right]
        a00 = a10 = a01 = a11 = 0.0
        for j in range(count):
            w = row[j]
            a00 += w * gg[j]
            a10 += w * ugg[j]
            a01 += w * ggv[j]
            a11 += w * uggv[j]
        e = g[i] * h[i]
        u, v = (top + i - one[1]) * one_precision, (top + i - other[1]) * other_precision
        f00 += e * a00
        f01 += e * a01
        f02 += e * v * a00
        f10 += e * a10
        f11 += e * a11
        f12 += e * v * a10
        f20 += e * u * a00
        f21 += e * u * a01
        f22 += e * u * v * a00
    p, q = one[2], other[2]
    block[0, 0], block[0, 1], block[0, 2] = f00, q * f01, q * f02
    block[1, 0], block[1, 1], block[1, 2] = p * f10, p * q * f11, p * q * f12
    block[2, 0], block[2, 1], block[2, 2] = p * f20, p * q * f21, p * q * f22


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _own_blocks(weight: np.ndarray, spots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fisher block of each particle, and its coupling to a constant background, sum(w dm/dq)."""
    n = len(spots)
    blocks, levels = np.empty((n, 3, 3)), np.empty((n, 3))
    work = np.empty((6, _longest_row(spots)))
    constant = np.empty((3, 3))
    flat = np.empty(4)
    for i in range(n):
        _pair_sums(weight, spots[i], spots[i], LIGHT_REACH, work, blocks[i])
        # A spot so wide that it is flat over the window has the derivative 1 with respect to its peak.
        flat[0], flat[1], flat[2], flat[3] = spots[i, 0], spots[i, 1], 1.0, 1e4
        _pair_sums(weight, spots[i], flat, LIGHT_REACH, work, constant)
        for a in range(3):
            levels[i, a] = constant[a, 0]
    return blocks, levels


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _longest_row(spots: np.ndarray) -> int:
    return int(2.0 * LIGHT_REACH * np.max(spots[:, 3])) + 8


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _pair_blocks(weight: np.ndarray, spots: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Blocks F_ij of ordered pairs, shape (pairs, 3, 3)."""
    blocks = np.empty((len(first), 3, 3))
    work = np.empty((6, _longest_row(spots)))
    starts = np.searchsorted(first, np.arange(len(spots) + 1))
    for k in range(len(first)):
        i, j, known = first[k], second[k], False
        if j < i:  # F_ji is the transpose of F_ij
            for link in range(starts[j], starts[j + 1]):
                if second[link] == i:
                    blocks[k] = blocks[link].T
                    known = True
        if not known:
            _pair_sums(weight, spots[i], spots[j], LIGHT_REACH, work, blocks[k])
    return blocks


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _cholesky(matrix: np.ndarray, n: int) -> None:
    """Lower Cholesky factor in place; a pivot that rounding made negative is set to a tiny positive one."""
    for j in range(n):
        floor = 1e-12 * matrix[j, j]
        for k in range(j):
            matrix[j, j] -= matrix[j, k] * matrix[j, k]
        matrix[j, j] = math.sqrt(max(matrix[j, j], floor, 1e-300))
        for i in range(j + 1, n):
            for k in range(j):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
            matrix[i, j] /= matrix[j, j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _marginal(
    own: np.ndarray,
    level: np.ndarray,
    shared: np.ndarray,
    starts: np.ndarray,
    neighbor: np.ndarray,
    background_variance: np.ndarray,
) -> np.ndarray:
    """Last 3 x 3 block of the inverse of the local Fisher matrix: particle i is put last.

    With F = L L', the block is (L_ii L_ii')^-1, and dq/db follows from forward substitution of F_b.
    """
    n = len(own)
    result = np.empty((n, 3, 3))
    matrix = np.empty((3 * MOST_NEIGHBORS + 3, 3 * MOST_NEIGHBORS + 3))
    side = np.empty(3 * MOST_NEIGHBORS + 3)
    for i in range(n):
        begin, m = starts[i], starts[i + 1] - starts[i]
        size = 3 * m + 3
        matrix[:size, :size] = 0.0
        for a in range(m):
            j = neighbor[begin + a]
            matrix[3 * a : 3 * a + 3, 3 * a : 3 * a + 3] = own[j]
            matrix[3 * m : size, 3 * a : 3 * a + 3] = shared[begin + a]
            side[3 * a : 3 * a + 3] = level[j]
            for link in range(starts[j], starts[j + 1]):
                for b in range(a):
                    if neighbor[begin + b] == neighbor[link]:
                        matrix[3 * a : 3 * a + 3, 3 * b : 3 * b + 3] = shared[link]
        matrix[3 * m : size, 3 * m : size] = own[i]
        side[3 * m : size] = level[i]
        _cholesky(matrix, size)
        for row in range(size):
            for k in range(row):
                side[row] -= matrix[row, k] * side[k]
            side[row] /= matrix[row, row]
        _last_block(matrix[3 * m : size, 3 * m : size], side[3 * m : size], background_variance[i], result[i])
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _last_block(factor: np.ndarray, side: np.ndarray, variance: float, result: np.ndarray) -> None:
    inverse = np.zeros((3, 3))
    for a in range(3):
        inverse[a, a] = 1.0 / factor[a, a]
    inverse[1, 0] = -factor[1, 0] * inverse[0, 0] * inverse[1, 1]
    inverse[2, 1] = -factor[2, 1] * inverse[1, 1] * inverse[2, 2]
    inverse[2, 0] = -(factor[2, 0] * inverse[0, 0] + factor[2, 1] * inverse[1, 0]) * inverse[2, 2]
    slope = np.zeros(3)
    for a in range(3):
        for k in range(a, 3):
            slope[a] += inverse[k, a] * side[k]
    for a in range(3):
        for b in range(3):
            total = slope[a] * slope[b] * variance
            for k in range(max(a, b), 3):
                total += inverse[k, a] * inverse[k, b]
            result[a, b] = total
