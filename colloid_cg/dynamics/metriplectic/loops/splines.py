"""Piecewise polynomials of the distances of pairs."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
import torch
from numba import njit

from colloid_cg.dynamics.metriplectic.loops.arrays import array


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

    ``table`` (n_pairs (n_knots + 2), k, 5): powers of the distance to the knot; see ``SplineRadial``. Functions
    without slope are not negative: round-off near the cutoff is cut off.
    """
    values = torch.empty(table.shape[1], len(distance), dtype=distance.dtype)
    slopes = torch.empty(with_slope, len(distance), dtype=distance.dtype)
    rows = np.zeros(0, dtype=np.int64) if kinds is None else kinds.numpy()
    real = values.numpy().dtype.type
    _radial(
        array(distance),
        rows,
        array(table),
        real(lower),
        real(cutoff),
        real(width),
        n_knots,
        values.numpy(),
        slopes.numpy(),
    )
    return values, slopes


@njit(cache=True)
def _radial(distance, kinds, table, lower, cutoff, width, n_knots, values, slopes):
    count, with_slope = values.shape[0], slopes.shape[0]
    for p in range(distance.size):
        if distance[p] >= cutoff:
            values[:, p] = 0.0
            slopes[:, p] = 0.0
            continue
        interval = int(np.floor((distance[p] - lower) / width))
        interval = min(max(interval, -1), n_knots - 1)
        u = distance[p] - (lower + max(interval, 0) * width)
        row = interval + 1
        if kinds.size:
            row += kinds[p] * (n_knots + 2)
        for k in range(with_slope):
            value = table[row, k, 4]
            slope = value - value
            for power in range(3, -1, -1):
                slope = slope * u + value
                value = value * u + table[row, k, power]
            values[k, p] = value
            slopes[k, p] = slope
        for k in range(with_slope, count):
            value = table[row, k, 3]
            for power in range(2, -1, -1):
                value = value * u + table[row, k, power]
            values[k, p] = max(value, value - value)
