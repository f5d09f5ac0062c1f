"""The smooth window every neighbourhood sum carries, so that nothing jumps when a neighbour crosses the cutoff."""

from __future__ import annotations

import math

import numpy as np

from colloid_cg.shapes import Scalars


def window(distance: Scalars, cutoff: float) -> Scalars:
    """Return chi(r) = (1 - (r / cutoff)^2)^2, zero with zero slope at the cutoff and beyond."""
    return np.asarray(np.clip(1.0 - (distance / cutoff) ** 2, 0.0, None) ** 2)


def window_volume(cutoff: float, dimension: int) -> float:
    """Return the integral of :func:`window` over space: pi r_c^2 / 3 (2-D), 32 pi r_c^3 / 105 (3-D)."""
    return math.pi * cutoff**2 / 3.0 if dimension == 2 else 32.0 * math.pi * cutoff**3 / 105.0
