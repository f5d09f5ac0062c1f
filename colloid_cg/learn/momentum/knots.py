"""Where the splines of force and friction have their knots, and the blocks of time over which errors are taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.dynamics.spline import force_design


@dataclass(frozen=True)
class Knots:
    """Uniform knots of the cubic B-splines of :mod:`colloid_cg.dynamics.spline`.

    Parameters
    ----------
    lower, cutoff : float
        First and last knot.
    count : int
        Intervals between them, and free coefficients per species pair.
    """

    lower: float
    cutoff: float
    count: int

    @property
    def width(self) -> float:
        """Distance between knots."""
        return (self.cutoff - self.lower) / self.count

    def design(self, distances: np.ndarray) -> np.ndarray:
        """Return the splines at ``distances``, shape (m, count); a straight line below ``lower``."""
        return force_design(distances, lower=self.lower, cutoff=self.cutoff, n_knots=self.count)


def time_blocks(n_frames: int, count: int) -> np.ndarray:
    """Return the block of each frame, shape (T,): ``count`` blocks of equal length."""
    return np.arange(n_frames) * count // n_frames
