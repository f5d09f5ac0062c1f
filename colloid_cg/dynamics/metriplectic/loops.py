"""The sums and differences over pairs, and the splines, as compiled loops: what a processor does fastest.

The same operations exist as torch operations, for accelerators and for derivatives; tests hold both to each other.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch.autograd.forward_ad import unpack_dual


def usable(*tensors: torch.Tensor) -> bool:
    """Tell whether the loops can stand in: in main memory, and nobody asks for derivatives, backward or forward."""
    return not any(
        tensor.device.type != "cpu"
        or (tensor.requires_grad and torch.is_grad_enabled())
        or torch._C._functorch.is_functorch_wrapped_tensor(tensor)  # torch.func has no public way to ask
        or unpack_dual(tensor).tangent is not None
        for tensor in tensors
    )


def difference(values: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return x_i - x_j, shape (d, p) for (n, d), (p,) for (n,)."""
    if values.ndim == 1:
        return difference(values[:, None], first, second)[0]
    out = torch.empty(values.shape[1], len(first), dtype=values.dtype)
    _difference(_array(values), first.numpy(), second.numpy(), out.numpy())
    return out


def both_ends(values: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x_i and x_j, shape (p,) each."""
    out = torch.empty(2, len(first), dtype=values.dtype)
    _both_ends(_array(values), first.numpy(), second.numpy(), out.numpy())
    return out[0], out[1]


def summed(
    values: torch.Tensor, first: torch.Tensor, second: torch.Tensor, *, n_particles: int, sign: float
) -> torch.Tensor:
    """Return sum_j y_ij with y_ji = ``sign`` y_ij: (n, d) for (d, p), (n,) for (p,); pairs in their order."""
    if values.ndim == 1:
        return summed(values[None], first, second, n_particles=n_particles, sign=sign)[:, 0]
    out = torch.zeros(n_particles, len(values), dtype=values.dtype)
    array = _array(values)
    _summed(array, first.numpy(), second.numpy(), array.dtype.type(sign), out.numpy())
    return out


def radial_sums(
    distance: torch.Tensor,
    kinds: torch.Tensor | None,
    table: torch.Tensor,
    *,
    lower: float,
    cutoff: float,
    width: float,
    n_knots: int,
    with_slope: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values (k, p) of k piecewise polynomials and slopes of the first ``with_slope`` of them.

    ``table`` (n_pairs (n_knots + 2), k, 5): powers of the distance to the knot; see ``SplineRadial``.
    """
    count = table.shape[1]
    values = torch.empty(count, len(distance), dtype=distance.dtype)
    slopes = torch.empty(with_slope, len(distance), dtype=distance.dtype)
    rows = np.zeros(0, dtype=np.int64) if kinds is None else kinds.numpy()
    real = values.numpy().dtype.type
    _radial(
        _array(distance),
        rows,
        table.numpy(),
        real(lower),
        real(cutoff),
        real(width),
        n_knots,
        values.numpy(),
        slopes.numpy(),
    )
    return values, slopes


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().contiguous().numpy()


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
def _radial(distance, kinds, table, lower, cutoff, width, n_knots, values, slopes):
    count, with_slope = values.shape[0], slopes.shape[0]
    for p in range(distance.size):
        interval = int(np.floor((distance[p] - lower) / width))
        interval = n_knots if distance[p] >= cutoff else min(max(interval, -1), n_knots - 1)
        u = distance[p] - (lower + max(interval, 0) * width)
        row = interval + 1
        if kinds.size:
            row += kinds[p] * (n_knots + 2)
        for k in range(count):
            value = table[row, k, 4]
            slope = value - value
            for power in range(3, -1, -1):
                slope = slope * u + value
                value = value * u + table[row, k, power]
            values[k, p] = value
            if k < with_slope:
                slopes[k, p] = slope
