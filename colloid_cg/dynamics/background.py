"""Background flow u(r, t): on a grid, bilinear in space and held during a frame, or a smooth steady spline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline
from scipy.sparse import csr_array


@dataclass(frozen=True, kw_only=True, eq=False)
class GridFlow:
    """Velocities on a regular grid; outside it the nearest edge holds, before and after its frames the nearest one.

    ``frames`` (f,), ``x`` (a,), ``y`` (b,) in um, ``values`` (f, a, b, 2) in um/s; one frame means a steady flow.
    """

    frames: np.ndarray
    x: np.ndarray
    y: np.ndarray
    values: np.ndarray

    def at(self, positions: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return velocity (n, 2) in um/s and its gradient (n, 2, 2) in 1/s at ``positions`` (um) of ``frame`` (n,)."""
        number = np.clip(np.searchsorted(self.frames, frame, side="right") - 1, 0, len(self.frames) - 1)
        (i, u, du), (j, v, dv) = _cell(self.x, positions[:, 0]), _cell(self.y, positions[:, 1])
        corner = [[self.values[number, i + a, j + b] for b in (0, 1)] for a in (0, 1)]
        left, right = ((1 - v) * corner[a][0] + v * corner[a][1] for a in (0, 1))
        up = (1 - u) * (corner[0][1] - corner[0][0]) + u * (corner[1][1] - corner[1][0])
        return (1 - u) * left + u * right, np.stack([(right - left) * du, up * dv], axis=2)


def _cell(grid: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the cell of every place, the share of it that lies below, and d(share)/d(place), zero outside."""
    cell = np.clip(np.searchsorted(grid, place, side="right") - 1, 0, len(grid) - 2)
    width = grid[cell + 1] - grid[cell]
    share = (place - grid[cell]) / width
    inside = (share >= 0.0) & (share <= 1.0)
    return cell, np.clip(share, 0.0, 1.0)[:, None], (inside / width)[:, None]


@dataclass(frozen=True, kw_only=True, eq=False)
class SplineFlow:
    """Steady flow as tensor-product B-splines: u_a(x, y) = sum_ij c_ija B_i(x) B_j(y).

    ``lower, upper`` (2,) um; ``coefficients`` (m, m, 2) um/s; degree min(3, m - 1), so that m = 1 is one common drift
    and m = 2 holds every affine flow. Outside the view the nearest edge holds.
    """

    lower: np.ndarray
    upper: np.ndarray
    coefficients: np.ndarray

    def at(self, positions: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return velocity (n, 2) and gradient (n, 2, 2) at ``positions`` (um); the flow is steady."""
        count = len(self.coefficients)
        c = self.coefficients.reshape(count * count, 2)
        value = flow_basis(positions, self.lower, self.upper, count) @ c
        slopes = [flow_basis(positions, self.lower, self.upper, count, slope=axis) @ c for axis in (0, 1)]
        return np.asarray(value), np.stack(slopes, axis=2)


def flow_basis(
    positions: np.ndarray, lower: np.ndarray, upper: np.ndarray, count: int, *, slope: int | None = None
) -> csr_array:
    """Return the products B_i(x) B_j(y), shape (n, count^2), sparse; or their derivative along axis ``slope``."""
    axes = [_axis_basis(positions[:, a], lower[a], upper[a], count, slope=slope == a) for a in (0, 1)]
    (first, x), (second, y) = axes
    order = x.shape[1]
    columns = (first[:, None] + np.arange(order))[:, :, None] * count + (second[:, None] + np.arange(order))[:, None]
    values = x[:, :, None] * y[:, None, :]
    pointer = np.arange(len(positions) + 1) * order**2
    return csr_array((values.ravel(), columns.ravel(), pointer), shape=(len(positions), count * count))


def _axis_basis(
    place: np.ndarray, lower: float, upper: float, count: int, *, slope: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first non-zero of ``count`` B-splines at every place, and the values of all non-zero ones."""
    degree = min(3, count - 1)
    inner = np.linspace(lower, upper, count - degree + 1)
    knots = np.concatenate([np.full(degree, lower), inner, np.full(degree, upper)])
    inside = np.clip(place, lower, upper - 1e-12 * (upper - lower))
    design = BSpline.design_matrix(inside, knots, degree)
    first = design.indices.reshape(len(place), degree + 1)[:, 0].astype(np.int64)
    if not slope:
        return first, design.data.reshape(len(place), degree + 1)
    if degree == 0:
        return first, np.zeros((len(place), 1))
    within = (place >= lower) & (place <= upper)
    values = [BSpline(knots, np.eye(count), degree).derivative()(inside)[np.arange(len(place)), first + k] * within
              for k in range(degree + 1)]  # fmt: skip
    return first, np.stack(values, axis=1)
