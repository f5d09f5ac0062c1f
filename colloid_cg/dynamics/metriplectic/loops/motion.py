"""Vectors of pairs, and the energy that flows across them while particles move."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
import torch
from numba import njit

from colloid_cg.dynamics.metriplectic.loops.arrays import array, optional


def separations(
    positions: torch.Tensor,
    pairs: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    *,
    lengths: np.ndarray,
    slide: float,
    least: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return e_ij, shape (d, p), and r_ij, shape (p,), of the meant images; the row above is ``slide`` further on."""
    direction = torch.empty(pairs[2].shape, dtype=positions.dtype)
    distance = torch.empty(pairs[2].shape[1], dtype=positions.dtype)
    _separations(
        *(array(values) for values in (positions, *pairs)), lengths, slide, least, direction.numpy(), distance.numpy()
    )
    return direction, distance


def inflow(
    out: torch.Tensor,
    shift: torch.Tensor,
    direction: torch.Tensor,
    pairs: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    potential: tuple[torch.Tensor | None, torch.Tensor | None],
    compression: tuple[torch.Tensor | None, torch.Tensor | None],
    *,
    slide: float,
    sign: float,
) -> None:
    """Add one end's share of the energy that flows across pairs to ``out``, shape (n,).

    ``potential``: phi and phi' (p,); ``compression``: dU/dd (n,) and W' (p,); both None where there is no such term.
    """
    _inflow(
        *(array(values) for values in (shift, direction, *pairs)), slide, sign,
        *(optional(values, shift) for values in (*potential, *compression)), out.numpy(),
    )  # fmt: skip


def farthest(positions: torch.Tensor, origin: torch.Tensor) -> float:
    """Return the largest |r_i - r_i(0)|; zero without particles."""
    return float(np.sqrt(_farthest(array(positions), array(origin))))


def row_products(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return x_i.y_i, shape (n,), for shapes (n, d)."""
    out = torch.empty(len(first), dtype=first.dtype)
    _row_products(array(first), array(second), out.numpy())
    return out


@njit(cache=True)
def _farthest(positions, origin):
    most = 0.0
    for i in range(positions.shape[0]):
        square = 0.0
        for axis in range(positions.shape[1]):
            square += (positions[i, axis] - origin[i, axis]) ** 2
        most = max(most, square)
    return most


@njit(cache=True)
def _row_products(first, second, out):
    for i in range(out.size):
        value = 0.0
        for axis in range(first.shape[1]):
            value += first[i, axis] * second[i, axis]
        out[i] = value


@njit(cache=True)
def _separations(positions, first, second, image, lengths, slide, least, direction, distance):
    dimension = direction.shape[0]
    for p in range(first.size):
        i, j = first[p], second[p]
        square = 0.0
        for axis in range(dimension):
            rest = positions[i, axis] - positions[j, axis] - lengths[axis] * image[axis, p]
            if axis == 0:
                rest -= slide * image[1, p]
            direction[axis, p] = rest
            square += rest * rest
        r = np.sqrt(square)
        distance[p] = r
        inverse = 1.0 / max(r, least)
        for axis in range(dimension):
            direction[axis, p] *= inverse


@njit(cache=True)
def _inflow(shift, direction, first, second, image, slide, sign, potential, slope, density, kernel_slope, out):
    for p in range(first.size):
        i, j = first[p], second[p]
        opening = -direction[0, p] * slide * image[1, p]
        for axis in range(direction.shape[0]):
            opening += direction[axis, p] * (shift[i, axis] - shift[j, axis])
        if slope.size:
            flow = 0.25 * slope[p] * opening + sign * potential[p]
            out[i] += flow
            out[j] += flow
        if kernel_slope.size:
            flow = 0.5 * kernel_slope[p] * opening
            out[i] += density[i] * flow
            out[j] += density[j] * flow
