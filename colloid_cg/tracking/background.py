"""The smooth background of a frame, fitted together with the particles in front of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from colloid_cg.tracking.spot_kernels import LIGHT_REACH, gaussian, span

NARROWEST = 9.0  # spot widths between knots (about two diameters): a finer mesh takes the light of the particles
ELIMINATED = (0.8, 0.4, 0.2, 0.0)  # of what the peaks take over, the first that leaves enough
LEAST_LEFT = 0.1  # of the information in any direction: with less, one step leads out of the range of the grey levels
RIDGE = 1e-4  # of the mean information: damps the steps of splines that the frame or the particles hardly show


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """Tensor product of uniform cubic B-splines over a frame, or one constant level.

    Parameters
    ----------
    rows, columns : array, shapes (height, p), (width, q)
        Value of each spline along each axis; the background is ``rows @ coefficients @ columns.T``.
    """

    rows: np.ndarray
    columns: np.ndarray

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return int(self.rows.shape[1] * self.columns.shape[1])

    def picture(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the background in grey levels, shape (height, width), or (1, 1) where it is constant."""
        if self.size == 1:
            return coefficients.reshape(1, 1)
        return np.asarray(self.rows @ coefficients.reshape(self.rows.shape[1], -1) @ self.columns.T)

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the value of each function at the pixels nearest to the positions, shape (n, size)."""
        row = np.clip(np.round(y).astype(int), 0, len(self.rows) - 1)
        column = np.clip(np.round(x).astype(int), 0, len(self.columns) - 1)
        values = self.rows[row][:, :, None] * self.columns[column][:, None, :]
        return np.asarray(values.reshape(len(row), self.size))

    def over(self, spots: np.ndarray) -> np.ndarray:
        """Return the mean of each function over the light of each spot that falls into the frame, shape (n, size)."""
        if self.size == 1:
            return np.ones((len(spots), 1))
        x, y, _, width = spots.T
        values = _means(self.rows, y, width)[:, :, None] * _means(self.columns, x, width)[:, None, :]
        return np.asarray(values.reshape(len(spots), self.size))


def mesh(shape: tuple[int, ...], scale: float) -> Mesh:
    """Return the functions a background of length scale ``scale`` (px) is made of; a constant for an infinite scale.

    Knots are ``scale`` apart, or as near as divides the frame.
    """
    return Mesh(rows=_splines(shape[0], scale), columns=_splines(shape[1], scale))


def _splines(length: int, spacing: float) -> np.ndarray:
    if not np.isfinite(spacing) or spacing >= 2 * length:
        return np.ones((length, 1))
    count = max(1, round(length / spacing))
    at = (np.arange(length) + 0.5) * count / length
    distance = np.abs(at[:, None] - np.arange(-1, count + 2)[None, :])
    near = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
    far = np.maximum(2.0 - distance, 0.0) ** 3 / 6.0
    return np.where(distance < 1.0, near, far)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _means(splines: np.ndarray, centre: np.ndarray, width: np.ndarray) -> np.ndarray:
    length, count = splines.shape
    means = np.zeros((len(centre), count))
    light = np.empty(int(2.0 * LIGHT_REACH * np.max(width)) + 8 if len(width) else 1)
    for n in range(len(centre)):
        first, last = span(centre[n], LIGHT_REACH * width[n], length)
        if first >= last:
            continue
        gaussian(first, last, centre[n], width[n], light)
        low, high = 0, count  # the splines that are not zero all over the window
        while low < count - 1 and splines[first, low] == 0.0:
            low += 1
        while high > low + 1 and splines[last - 1, high - 1] == 0.0:
            high -= 1
        total = 0.0
        for i in range(last - first):
            total += light[i]
            for k in range(low, high):
                means[n, k] += light[i] * splines[first + i, k]
        means[n] /= max(total, 1e-300)
    return means


def solve_background(
    functions: Mesh, residual: np.ndarray, weight: np.ndarray, spots: np.ndarray, sums: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the change of the coefficients that fits the residual best, and its covariance.

    The peaks of the particles follow the background: raising it by b lowers each by about b u / f, with
    u = sum(w g) and f = sum(w g S) / p, S the light of all particles. With the peaks eliminated, the normal equations
    are

        (B'WB - sum_i u_i^2/f_i b_i b_i') c = B'W r - sum_i (u_i/f_i) s_i b_i,

    b_i the functions averaged over the light of particle i, s_i = sum(w g r). Without that elimination the two would
    creep towards each other, the slower the denser the crowd. f in place of the Fisher matrix F of the peaks is its
    lumped form: p_i f_i = sum_j F_ij p_j, exact where all peaks change by the same factor, as they do under a smooth
    background, and never below F, so that the left side stays positive and the step never overshoots. That holds for
    means over the light, not for values at the centres: at edges and corners of the frame, where splines curve, these
    take off more than there is. Weights that vary over a particle are left out of the mean: ``ELIMINATED`` of the two
    sums is taken off, less where in any direction less than ``LEAST_LEFT`` of B'WB would be left.

    Parameters
    ----------
    functions : Mesh
    residual, weight : array, shape (height, width)
        Frame less everything fitted so far; one over the variance.
    spots : array, shape (n, 4)
        x, y, peak, width.
    sums : array, shape (n, 3)
        u, f and s of each particle (:func:`background_sums`).
    """
    values = functions.over(spots)
    light, square, score = sums.T
    ratio = light / np.maximum(square, 1e-300)
    whole = _products(functions, weight)
    uphill = (functions.rows.T @ (weight * residual) @ functions.columns).ravel()
    for share in ELIMINATED:
        taken = share * ratio
        information = whole - (values * (taken * light)[:, None]).T @ values
        gradient = uphill - values.T @ (taken * score)
        information += np.eye(functions.size) * (RIDGE * np.abs(np.diag(information)).mean() + 1e-300)
        if _positive(information - LEAST_LEFT * whole):
            break
    covariance = np.linalg.inv(information)
    return covariance @ gradient, covariance


def _positive(matrix: np.ndarray) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def _products(functions: Mesh, weight: np.ndarray) -> np.ndarray:
    """B'WB, shape (size, size): weights summed over cells, in which a product of splines hardly changes."""
    rows, columns = functions.rows, functions.columns
    if functions.size == 1:
        return np.array([[weight.sum()]])
    down, row_cell = _cells(rows)
    across, column_cell = _cells(columns)
    summed = np.add.reduceat(np.add.reduceat(weight, row_cell, axis=0), column_cell, axis=1)
    pairs_down = (down[:, :, None] * down[:, None, :]).reshape(len(down), -1)
    pairs_across = (across[:, :, None] * across[:, None, :]).reshape(len(across), -1)
    p, q = rows.shape[1], columns.shape[1]
    products = (pairs_down.T @ summed @ pairs_across).reshape(p, p, q, q)
    return np.asarray(products.transpose(0, 2, 1, 3).reshape(p * q, p * q))


def _cells(splines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splines averaged over cells of a sixteenth of the knot spacing, and the first pixel of each cell."""
    length, count = splines.shape
    step = max(1, length // (16 * max(count - 3, 1)))
    begin = np.arange(0, length, step)
    sizes = np.diff(np.append(begin, length))
    return np.add.reduceat(splines, begin, axis=0) / sizes[:, None], begin
