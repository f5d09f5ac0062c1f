r"""What links look like in this movie, learnt while linking: lengths of steps, missed and false detections.

A track that was seen g + 1 frames ago is seen again with probability :math:`q_g`, displaced by a Gaussian step of
variance :math:`s_g^2` per axis; detections that belong to no track lie anywhere with density :math:`\lambda`. The odds
of a pair at distance r against both being unpaired are

.. math:: w = \frac{q_g}{1 - q_g}\,\frac{\exp(-r^2 / 2 s_g^2)}{\lambda\,(2 \pi s_g^2)^{d/2}} .

All of :math:`q, s^2, \lambda` are running means in which every pair counts with its probability:
expectation-maximisation, one step per frame (Cappe and Moulines, J. R. Stat. Soc. B 71, 593 (2009), doi:10.1111/j.1467-9868.2009.00698.x).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

FORGETTING = 1e5
"""Number of links after which older ones have lost most of their weight: the motion may change during a movie."""

_ENOUGH = 200.0  # links; fewer of them do not speak for themselves yet
_PRIOR = 20.0  # links' worth of trust in diffusion where a gap of that length is rare
_PRIOR_SEEN = 2.0  # tracks' worth of trust in even odds


@dataclass(frozen=True, kw_only=True, eq=False)
class StepModel:
    """Running statistics of the links, one entry per length of the gap g = 0, 1, ..., memory.

    Parameters
    ----------
    pairs : array, shape (memory + 1,)
        Expected number of links.
    squared : array, shape (memory + 1,)
        Expected sum of their squared lengths about the predicted place (px^2), all axes together.
    seen, watched : arrays, shape (2, memory + 1)
        Expected number of tracks seen again, and number of tracks looked for; row 0 are tracks of one detection
        (often false ones), row 1 all others.
    unpaired, frames : array, shape ()
        Expected number of detections of no track, in this number of frames.
    lower, upper : arrays, shape (d,)
        Corners of the field in which anything was detected (px).
    """

    pairs: np.ndarray
    squared: np.ndarray
    seen: np.ndarray
    watched: np.ndarray
    unpaired: np.ndarray
    frames: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def unknown(cls, dimension: int, memory: int) -> StepModel:
        """Return the model before anything was seen."""
        return cls(
            pairs=np.zeros(memory + 1),
            squared=np.zeros(memory + 1),
            seen=np.zeros((2, memory + 1)),
            watched=np.zeros((2, memory + 1)),
            unpaired=np.zeros(()),
            frames=np.zeros(()),
            lower=np.full(dimension, np.inf),
            upper=np.full(dimension, -np.inf),
        )

    @property
    def settled(self) -> bool:
        """Whether enough links were seen to trust the numbers."""
        return bool(self.pairs[0] >= _ENOUGH)

    @property
    def variance(self) -> np.ndarray:
        """Variance of a step per axis for each length of the gap, shape (memory + 1,), in px^2; NaN before any link."""
        d = len(self.lower)
        with np.errstate(invalid="ignore"):
            single = self.squared[0] / (d * self.pairs[0])
        prior = single * (1.0 + np.arange(len(self.pairs)))
        result: np.ndarray = (self.squared / d + _PRIOR * prior) / (self.pairs + _PRIOR)
        return result

    @property
    def detection(self) -> np.ndarray:
        """Probability that a track is seen again, shape (2, memory + 1)."""
        result: np.ndarray = (self.seen + 0.5 * _PRIOR_SEEN) / (self.watched + _PRIOR_SEEN)
        return result

    def density(self, margin: float) -> float:
        """Return how many detections of no track there are per frame and px^d; ``margin`` widens the field (px)."""
        field = float(np.prod(self.upper - self.lower + margin))
        return (float(self.unpaired) + 0.5) / ((float(self.frames) + 0.5) * field)

    def odds(
        self, row_start: np.ndarray, squared: np.ndarray, gap: np.ndarray, young: np.ndarray, margin: float
    ) -> np.ndarray:
        """Return the odds of pairs against both being unpaired, shape of ``squared``.

        Parameters
        ----------
        row_start : int array, shape (m + 1,)
            Where the pairs of each track begin.
        squared : array, shape (number of pairs,)
            Squared distance from the predicted place, in px^2.
        gap : int array, shape (m,)
            Frames missed.
        young : bool array, shape (m,)
            Whether the track has one detection only.
        margin : float
            As in :meth:`density`.
        """
        variance, detection = self.variance, self.detection
        height = detection / (1.0 - detection) / (2.0 * np.pi * variance) ** (len(self.lower) / 2.0)
        height /= self.density(margin)
        result: np.ndarray = _decayed(row_start, squared, height[np.where(young, 0, 1), gap], variance[gap])
        return result

    def surcharge(self, scale: np.ndarray) -> np.ndarray:
        r"""Return what a link after a gap costs beside its scaled squared length, shape (memory + 1,), in px^2.

        :math:`-2 s_0^2` times the logarithm of the odds at no distance, relative to a link without a gap: a long gap
        spreads the probability over a larger area, and a particle that was missed is less likely to come back.
        """
        if not self.settled:
            return np.zeros(len(scale))
        seen = self.detection[1]
        rarer = np.log(seen[0] / (1.0 - seen[0])) - np.log(seen / (1.0 - seen))
        wider = 0.5 * len(self.lower) * np.log(scale)
        result: np.ndarray = 2.0 * float(self.variance[0]) * np.maximum(rarer + wider, 0.0)
        return result

    def including(self, positions: np.ndarray) -> StepModel:
        """Return the model with the field widened to these positions, shape (n, d)."""
        if len(positions) == 0:
            return self
        lower = np.minimum(self.lower, positions.min(axis=0))
        return replace(self, lower=lower, upper=np.maximum(self.upper, positions.max(axis=0)))

    def updated(
        self,
        *,
        squared: np.ndarray,
        pair_gap: np.ndarray,
        probability: np.ndarray,
        seen: np.ndarray,
        gap: np.ndarray,
        young: np.ndarray,
        n_detections: int,
    ) -> StepModel:
        """Return the model after one more frame.

        Parameters
        ----------
        squared, pair_gap, probability : arrays, shape (number of pairs,)
            Squared distance, gap and probability of every candidate pair.
        seen, gap, young : arrays, shape (number of tracks,)
            Probability that the track was seen, its gap, and whether it has one detection only.
        n_detections : int
        """
        length = len(self.pairs)
        keep = FORGETTING / (FORGETTING + n_detections)
        cell = np.where(young, 0, length) + gap
        return replace(
            self,
            pairs=keep * self.pairs + np.bincount(pair_gap, probability, length),
            squared=keep * self.squared + np.bincount(pair_gap, probability * squared, length),
            seen=keep * self.seen + np.bincount(cell, seen, 2 * length).reshape(2, length),
            watched=keep * self.watched + np.bincount(cell, minlength=2 * length).reshape(2, length),
            unpaired=keep * self.unpaired + max(n_detections - float(seen.sum()), 0.0),
            frames=keep * self.frames + 1.0,
        )


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _decayed(row_start: np.ndarray, squared: np.ndarray, height: np.ndarray, variance: np.ndarray) -> np.ndarray:
    result = np.empty(len(squared))
    for i in range(len(row_start) - 1):
        for e in range(row_start[i], row_start[i + 1]):
            result[e] = height[i] * np.exp(-0.5 * squared[e] / variance[i])
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def row_sums(row_start: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the sum of the values of each row of a sparse matrix, shape (m,)."""
    result = np.zeros(len(row_start) - 1)
    for i in range(len(result)):
        for e in range(row_start[i], row_start[i + 1]):
            result[i] += values[e]
    return result
