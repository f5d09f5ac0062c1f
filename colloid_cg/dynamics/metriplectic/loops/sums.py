"""Differences across pairs and sums over them."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import torch
from numba import njit

from colloid_cg.dynamics.metriplectic.loops.arrays import array


def difference(values: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return x_i - x_j, shape (d, p) for (n, d), (p,) for (n,)."""
    if values.ndim == 1:
        return difference(values[:, None], first, second)[0]
    out = torch.empty(values.shape[1], len(first), dtype=values.dtype)
    _difference(array(values), first.numpy(), second.numpy(), out.numpy())
    return out


def both_ends(values: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x_i and x_j, shape (p,) each."""
    out = torch.empty(2, len(first), dtype=values.dtype)
    _both_ends(array(values), first.numpy(), second.numpy(), out.numpy())
    return out[0], out[1]


def summed(
    values: torch.Tensor, first: torch.Tensor, second: torch.Tensor, *, n_particles: int, sign: float
) -> torch.Tensor:
    """Return sum_j y_ij with y_ji = ``sign`` y_ij: (n, d) for (d, p), (n,) for (p,)."""
    if values.ndim == 1:
        return summed(values[None], first, second, n_particles=n_particles, sign=sign)[:, 0]
    out = torch.zeros(n_particles, len(values), dtype=values.dtype)
    rows = array(values)
    _summed(rows, first.numpy(), second.numpy(), rows.dtype.type(sign), out.numpy())
    return out


def along(
    magnitude: torch.Tensor, direction: torch.Tensor, first: torch.Tensor, second: torch.Tensor, *, n_particles: int
) -> torch.Tensor:
    """Return sum_j y_ij e_ij, e_ji = -e_ij: (n, d) for (p,) and (d, p)."""
    out = torch.zeros(n_particles, len(direction), dtype=direction.dtype)
    _along(array(magnitude), array(direction), first.numpy(), second.numpy(), out.numpy())
    return out


@njit(cache=True)
def _difference(values, first, second, out):
    for p in range(first.size):
        i, j = first[p], second[p]
        for a in range(out.shape[0]):
            out[a, p] = values[i, a] - values[j, a]


@njit(cache=True)
def _both_ends(values, first, second, out):
    for p in range(first.size):
        out[0, p] = values[first[p]]
        out[1, p] = values[second[p]]


@njit(cache=True)
def _summed(values, first, second, sign, out):
    for p in range(first.size):
        i, j = first[p], second[p]
        for a in range(values.shape[0]):
            value = values[a, p]
            out[i, a] += value
            out[j, a] += sign * value


@njit(cache=True)
def _along(magnitude, direction, first, second, out):
    for p in range(first.size):
        i, j = first[p], second[p]
        for a in range(direction.shape[0]):
            value = magnitude[p] * direction[a, p]
            out[i, a] += value
            out[j, a] -= value
