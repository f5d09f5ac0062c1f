"""The region of space the particles live in: an open field of view, or a periodic cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.shapes import Positions, Vectors


@dataclass(frozen=True, kw_only=True)
class Box:
    """An axis-aligned box; each axis is open (particles come and go) or periodic.

    Parameters
    ----------
    lower, upper : tuple of float
        Corners, in the unit of the positions they go with; two or three axes.
    periodic : tuple of bool
        One value per axis.
    shear_rate : float
        Rate at which images along the second axis slide along the first one, 1/s (Lees and Edwards 1972,
        doi:10.1088/0022-3719/5/15/006); both axes must be periodic. Zero: a box at rest.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    periodic: tuple[bool, ...]
    shear_rate: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.lower) == len(self.upper) == len(self.periodic) in (2, 3):
            raise InputError(
                f"a box with {len(self.lower)}, {len(self.upper)} and {len(self.periodic)} axes",
                expected="lower, upper and periodic for the same two or three axes",
                action="give one value per axis",
            )
        if not all(low < high for low, high in zip(self.lower, self.upper, strict=True)):
            raise InputError(
                f"a box from {self.lower} to {self.upper}",
                expected="lower < upper on every axis",
                action="check the order of the corners",
            )
        if self.shear_rate and not all(self.periodic[:2]):
            raise InputError(
                f"a shear rate of {self.shear_rate:g} in a box with periodic axes {self.periodic}",
                expected="periodic first and second axes under shear",
                action="make these axes periodic or set the shear rate to zero",
            )

    @property
    def dimension(self) -> int:
        """Number of axes."""
        return len(self.lower)

    @property
    def lengths(self) -> np.ndarray:
        """Edge lengths, shape (d,)."""
        return np.subtract(self.upper, self.lower, dtype=float)

    @property
    def volume(self) -> float:
        """Area (2-D) or volume (3-D)."""
        return float(np.prod(self.lengths))

    def displacement(self, start: Positions, end: Positions) -> Vectors:
        """Return ``end - start``, the shortest image along periodic axes."""
        return self.shortest(np.asarray(end) - np.asarray(start))

    def shortest(self, difference: Vectors) -> Vectors:
        """Return the shortest image of difference vectors along periodic axes, shape (..., d)."""
        return np.asarray(difference - self.image(difference))

    def image(self, difference: Vectors) -> Vectors:
        """Return the whole cells by which difference vectors exceed their shortest image, shape (..., d)."""
        lengths = np.where(self.periodic, self.lengths, np.inf)
        return np.asarray(np.where(self.periodic, self.lengths, 0.0) * np.round(difference / lengths))

    def wrap(self, positions: Positions) -> Positions:
        """Return positions moved into the box along periodic axes; open axes are left alone."""
        lower = np.asarray(self.lower, dtype=float)
        wrapped = lower + np.mod(positions - lower, self.lengths)
        return np.where(self.periodic, wrapped, positions)

    def edge_distance(self, positions: Positions) -> np.ndarray:
        """Return the distance to the nearest open face, shape (n,); infinite if every axis is periodic."""
        below = np.asarray(positions) - np.asarray(self.lower)
        above = np.asarray(self.upper) - np.asarray(positions)
        distance = np.where(self.periodic, np.inf, np.minimum(below, above))
        return np.asarray(distance.min(axis=-1))

    def scaled(self, factor: float) -> Box:
        """Return the box in another unit of length."""
        return Box(
            lower=tuple(factor * value for value in self.lower),
            upper=tuple(factor * value for value in self.upper),
            periodic=self.periodic,
            shear_rate=self.shear_rate,
        )
