"""The motion that all particles share, estimated from the links of one step, to predict where they go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_TRIMMING = 3.0  # standard deviations beyond which a link does not enter the affine fit
_ROUNDS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedMotion:
    """Displacement per frame at x: ``shift + gradient @ (x - centre)``.

    Parameters
    ----------
    shift, centre : array, shape (d,)
        In px.
    gradient : array, shape (d, d)
    """

    shift: np.ndarray
    gradient: np.ndarray
    centre: np.ndarray

    @classmethod
    def none(cls, dimension: int) -> SharedMotion:
        """Return rest."""
        return cls(shift=np.zeros(dimension), gradient=np.zeros((dimension, dimension)), centre=np.zeros(dimension))

    @classmethod
    def from_array(cls, values: np.ndarray) -> SharedMotion:
        """Return the motion that :meth:`as_array` gave."""
        return cls(shift=values[0], centre=values[1], gradient=values[2:])

    def as_array(self) -> np.ndarray:
        """Return shape (d + 2, d)."""
        return np.vstack([self.shift, self.centre, self.gradient])

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the displacement per frame at positions, both of shape (n, d)."""
        if not self.gradient.any():
            return np.broadcast_to(self.shift, positions.shape)
        result: np.ndarray = self.shift + (positions - self.centre) @ self.gradient.T
        return result

    def farthest_from(self, other: SharedMotion, positions: np.ndarray) -> float:
        """Return the largest difference of both displacements per frame at positions of shape (n, d), in px."""
        if len(positions) == 0:
            return 0.0
        if not self.gradient.any() and not other.gradient.any():
            return float(np.sqrt(((self.shift - other.shift) ** 2).sum()))
        return float(np.sqrt(((self.at(positions) - other.at(positions)) ** 2).sum(axis=1).max()))


def common_shift(displacements: np.ndarray) -> np.ndarray:
    r"""Return the median displacement, shape (d,), shrunk by as much of it as chance explains.

    The median of n steps of variance :math:`s^2` has the variance :math:`v = \pi s^2 / 2n` per axis; the factor
    :math:`\max(0, 1 - d v / |m|^2)` keeps noise from being taken for drift (positive-part James-Stein, Ann. Stat. 4,
    11 (1976)), so that a sample at rest is linked as if there were no prediction.

    Parameters
    ----------
    displacements : array, shape (n, d)
        Displacements of the same step.
    """
    median = np.median(displacements, axis=0)
    deviation = 1.4826 * np.median(np.abs(displacements - median), axis=0)
    noise = 0.5 * np.pi * float((deviation**2).sum()) / len(displacements)
    squared = float(median @ median)
    result: np.ndarray = median * (max(0.0, 1.0 - noise / squared) if squared > 0.0 else 0.0)
    return result


def common_affine(positions: np.ndarray, displacements: np.ndarray) -> SharedMotion:
    """Return the affine motion that fits best, links far off it left out (least squares, trimmed at three sigma).

    Parameters
    ----------
    positions, displacements : array, shape (n, d)
    """
    d = positions.shape[1]
    centre = positions.mean(axis=0)
    design = np.column_stack([np.ones(len(positions)), positions - centre])
    residual = displacements - np.median(displacements, axis=0)
    for _ in range(_ROUNDS):
        length = np.sqrt((residual**2).sum(axis=1))
        kept = length <= _TRIMMING * max(1.4826 * float(np.median(length)), 1e-9)
        coefficients = np.linalg.lstsq(design[kept], displacements[kept], rcond=None)[0]
        residual = displacements - design @ coefficients
    return SharedMotion(shift=coefficients[0], gradient=coefficients[1 : d + 1].T, centre=centre)
