r"""What links look like in this movie, learnt while linking: lengths of steps, missed and false detections.

A track that was last seen g + 1 frames ago, and really was missed since then (probability a), is seen now with
probability :math:`q_g`; less often if its last detection is fresh, which false ones are. Its step is Gaussian with one
of two variances, and a track changes from one kind of step to the other with probabilities :math:`T`: samples in which
some particles move more than others, always or now and then, are described too. With :math:`\pi` the probabilities of
both kinds from the track's past, the step has the density :math:`f_g(r) = \sum_c \pi_c\, N_d(r; s_{gc}^2)` in d
dimensions. Detections of no track lie anywhere with density :math:`\lambda`. The odds of a pair at distance r against
both being unpaired are

.. math:: w = \frac{a q_g}{1 - a q_g}\,\frac{f_g(r)}{\lambda} .

All of :math:`q, T, s^2, \lambda` are running means in which every pair counts with its probability:
expectation-maximisation, one step per frame (Cappé and Moulines, J. R. Stat. Soc. B 71, 593 (2009),
doi:10.1111/j.1467-9868.2009.00698.x).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numba import njit

FORGETTING = 1e5
"""Number of links after which older ones have lost most of their weight: the motion may change during a movie."""

_ENOUGH = 200.0  # links; fewer of them do not speak for themselves yet
_PRIOR = 20.0  # links' worth of trust in diffusion where a gap of that length is rare
_PRIOR_SEEN = 2.0  # tracks' worth of trust in even odds
_PRIOR_CHANGES = 5.0  # links' worth of trust in steps of a kind that does not depend on the one before
_FIRST_SHARES = ((0.8,), (0.2,))
_FIRST_VARIANCES = ((0.6,), (2.6,))  # of the two kinds of steps, relative to their mean
_SMALLEST = 1e-6  # px^2; steps of exactly zero leave no room for any other


@dataclass(frozen=True, kw_only=True, eq=False)
class StepModel:
    """Running statistics of the links by length of the gap g = 0, 1, ..., memory.

    Parameters
    ----------
    pairs : array, shape (2, memory + 1)
        Expected number of links of each kind of step.
    changes : array, shape (2, 2)
        Expected number of links with a step of the kind of the column after one of the kind of the row.
    squared : array, shape (2, memory + 1)
        Expected sum of their squared lengths about the predicted place (px^2), all axes together.
    seen, watched : arrays, shape (2, memory + 1)
        Expected number of tracks seen again, and number of tracks looked for; row 0 are tracks whose last
        detection belonged to nothing before it (often false ones), row 1 all others.
    unpaired, frames : array, shape ()
        Expected number of detections of no track, in this number of frames.
    lower, upper : arrays, shape (d,)
        Corners of the field in which anything was detected (px).
    """

    pairs: np.ndarray
    changes: np.ndarray
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
        empty = np.zeros((2, memory + 1))
        return cls(
            pairs=empty,
            changes=np.zeros((2, 2)),
            squared=empty,
            seen=empty,
            watched=empty,
            unpaired=np.zeros(()),
            frames=np.zeros(()),
            lower=np.full(dimension, np.inf),
            upper=np.full(dimension, -np.inf),
        )

    @property
    def settled(self) -> bool:
        """Whether enough links were seen to trust the numbers."""
        return bool(self.pairs[:, 0].sum() >= _ENOUGH)

    @cached_property
    def mean_variance(self) -> float:
        """Variance of a step without a gap per axis, both kinds together, in px^2; NaN before any link."""
        pairs, squared = self.pairs.sum(axis=0), self.squared.sum(axis=0) / (1.0 + np.arange(self.pairs.shape[1]))
        if pairs[0] > 0.0:
            pairs, squared = pairs[:1], squared[:1]  # what gaps say through diffusion is only asked without any other
        n = float(pairs.sum())
        return max(float(squared.sum()) / (len(self.lower) * n), _SMALLEST) if n > 0.0 else np.nan

    @cached_property
    def variance(self) -> np.ndarray:
        """Variance per axis for each kind of step and length of the gap, shape (2, memory + 1), in px^2."""
        d = len(self.lower)
        overall = np.array([[self.mean_variance]]) * _FIRST_VARIANCES
        single = (self.squared[:, :1] / d + overall) / (self.pairs[:, :1] + 1.0)
        prior = single * (1.0 + np.arange(self.pairs.shape[1]))
        result: np.ndarray = np.maximum((self.squared / d + _PRIOR * prior) / (self.pairs + _PRIOR), _SMALLEST)
        return result

    @cached_property
    def transition(self) -> np.ndarray:
        """Probability of each kind of step (column) after each (row), shape (2, 2)."""
        single = self.pairs[:, 0] + np.ravel(_FIRST_SHARES)
        weighted = self.changes + _PRIOR_CHANGES * single / single.sum()
        result: np.ndarray = weighted / weighted.sum(axis=1, keepdims=True)
        return result

    @cached_property
    def second_share(self) -> float:
        """Share of the second kind of step."""
        single = self.pairs[:, 0] + np.ravel(_FIRST_SHARES)
        return float(single[1] / single.sum())

    @cached_property
    def detection(self) -> np.ndarray:
        """Probability that a track is seen again, shape (2, memory + 1)."""
        seen = (self.seen + 0.5 * _PRIOR_SEEN) / (self.watched + _PRIOR_SEEN)
        result: np.ndarray = np.minimum(seen, 1.0 - 1e-9)
        return result

    def density(self, margin: float) -> float:
        """Return how many detections of no track there are per frame and px^d; ``margin`` widens the field (px)."""
        field = float(np.prod(self.upper - self.lower + margin))
        return (float(self.unpaired) + 0.5) / ((float(self.frames) + 0.5) * field)

    def odds(
        self,
        row_start: np.ndarray,
        squared: np.ndarray,
        *,
        gap: np.ndarray,
        fresh: np.ndarray,
        absent: np.ndarray,
        lively: np.ndarray,
        margin: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the odds of pairs against both being unpaired, and the share of the second kind of step in them.

        Parameters
        ----------
        row_start : int array, shape (m + 1,)
            Where the pairs of each track begin.
        squared : array, shape (number of pairs,)
            Squared distance from the predicted place, in px^2.
        gap : int array, shape (m,)
            Frames missed.
        fresh, absent, lively : array, shape (m,)
            Probabilities, see :class:`~.live.LiveTracks`.
        margin : float
            As in :meth:`density`.
        """
        variance = self.variance
        height = 1.0 / (2.0 * np.pi * variance) ** (len(self.lower) / 2.0) / self.density(margin)
        detection = self.detection[:, gap]
        expected = absent * (fresh * detection[0] + (1.0 - fresh) * detection[1])
        prior = self._second(lively)
        return _odds(row_start, squared, gap, expected / (1.0 - expected), prior, height, variance)  # type: ignore[no-any-return]

    def _second(self, lively: np.ndarray) -> np.ndarray:
        # probability that the next step is of the second kind
        transition = self.transition
        result: np.ndarray = (1.0 - lively) * transition[0, 1] + lively * transition[1, 1]
        return result

    def _changes(self, lively: np.ndarray, second: np.ndarray, total: np.ndarray) -> np.ndarray:
        # expected numbers of changes: by Bayes' rule from the kind of step now to the one before
        transition, prior = self.transition, self._second(lively)
        now = np.column_stack([(total - second) / (1.0 - prior), second / prior])
        before = np.column_stack([1.0 - lively, lively])
        result: np.ndarray = transition * (before.T @ now)
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
        result: np.ndarray = 2.0 * self.mean_variance * np.maximum(rarer + wider, 0.0)
        return result

    def including(self, positions: np.ndarray) -> StepModel:
        """Return the model with the field widened to these positions, shape (n, d)."""
        if len(positions) == 0:
            return self
        lower = np.minimum(self.lower, positions.min(axis=0))
        return replace(self, lower=lower, upper=np.maximum(self.upper, positions.max(axis=0)))

    def guessed(self, squared: np.ndarray) -> StepModel:
        """Return a first model from the squared lengths of links that are taken for certain."""
        start = np.zeros_like(self.pairs)
        pairs, lengths = start.copy(), start.copy()
        pairs[:, :1] = np.array(_FIRST_SHARES) * (len(squared) + 1.0)
        lengths[:, :1] = pairs[:, :1] * _FIRST_VARIANCES * np.mean(squared) if len(squared) else 1.0
        return replace(self, pairs=pairs, squared=lengths)

    def updated(
        self,
        row_start: np.ndarray,
        squared: np.ndarray,
        *,
        probability: np.ndarray,
        second: np.ndarray,
        gap: np.ndarray,
        fresh: np.ndarray,
        absent: np.ndarray,
        lively: np.ndarray,
        n_detections: int,
    ) -> StepModel:
        """Return the model after one more frame.

        Parameters
        ----------
        row_start, squared, gap, fresh, absent, lively : arrays
            As in :meth:`odds`.
        probability, second : arrays, shape (number of pairs,)
            Probability of every pair, and of the second kind of step in it.
        n_detections : int
        """
        length = self.pairs.shape[1]
        keep = FORGETTING / (FORGETTING + n_detections)
        total = row_sums(row_start, probability)
        detection = self.detection[:, gap]
        fresh_share = fresh * detection[0] / (fresh * detection[0] + (1.0 - fresh) * detection[1])
        seen = [np.bincount(gap, total * share, length) for share in (fresh_share, 1.0 - fresh_share)]
        watched = [np.bincount(gap, absent * share, length) for share in (fresh, 1.0 - fresh)]
        pairs, lengths = _step_sums(row_start, squared, probability, second, gap, length)
        return replace(
            self,
            pairs=keep * self.pairs + pairs,
            changes=keep * self.changes + self._changes(lively, row_sums(row_start, probability * second), total),
            squared=keep * self.squared + lengths,
            seen=keep * self.seen + seen,
            watched=keep * self.watched + watched,
            unpaired=keep * self.unpaired + max(n_detections - float(total.sum()), 0.0),
            frames=keep * self.frames + 1.0,
        )


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _odds(
    row_start: np.ndarray,
    squared: np.ndarray,
    gap: np.ndarray,
    expected: np.ndarray,
    prior: np.ndarray,
    height: np.ndarray,
    variance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    odds, second = np.empty(len(squared)), np.empty(len(squared))
    for i in range(len(row_start) - 1):
        g = gap[i]
        for e in range(row_start[i], row_start[i + 1]):
            one = (1.0 - prior[i]) * height[0, g] * np.exp(-0.5 * squared[e] / variance[0, g])
            two = prior[i] * height[1, g] * np.exp(-0.5 * squared[e] / variance[1, g])
            odds[e] = max(expected[i] * (one + two), 1e-300)
            second[e] = two / max(one + two, 1e-300)
    return odds, second


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _step_sums(
    row_start: np.ndarray,
    squared: np.ndarray,
    probability: np.ndarray,
    second: np.ndarray,
    gap: np.ndarray,
    length: int,
) -> tuple[np.ndarray, np.ndarray]:
    pairs, lengths = np.zeros((2, length)), np.zeros((2, length))
    for i in range(len(row_start) - 1):
        g = gap[i]
        for e in range(row_start[i], row_start[i + 1]):
            two = probability[e] * second[e]
            one = probability[e] - two
            pairs[0, g] += one
            pairs[1, g] += two
            lengths[0, g] += one * squared[e]
            lengths[1, g] += two * squared[e]
    return pairs, lengths


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def row_sums(row_start: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the sum of the values of each row of a sparse matrix, shape (m,)."""
    result = np.zeros(len(row_start) - 1)
    for i in range(len(result)):
        for e in range(row_start[i], row_start[i + 1]):
            result[i] += values[e]
    return result
