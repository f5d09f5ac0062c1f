"""Ranking: does a variable put those that rearrange before those that do not?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from scipy.stats import rankdata

from colloid_cg.assessment.reading.resampling import Resampling

CURVE_POINTS = 101
_AT_ONCE = 2_000_000
"""Rows x resamples that are held at once."""


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the probability that a positive has the larger score, ties counted half (Mann and Whitney 1947).

    NaN where all rows are positive or none is.
    """
    count = int(positive.sum())
    if count in (0, len(positive)):
        return float("nan")
    return area_from_ranks(rankdata(scores), positive)


def area_from_ranks(ranks: np.ndarray, positive: np.ndarray) -> float:
    """Return the area from the ranks of all scores (1 to n, ties averaged)."""
    count = int(positive.sum())
    return float((ranks[positive].sum() - 0.5 * count * (count + 1)) / count / (len(positive) - count))


def pairs_won(scores: np.ndarray, positive: np.ndarray, drawn: Resampling) -> np.ndarray:
    """Return how many pairs of a positive in block a and a negative in block b are ranked rightly, shape (B, B).

    With w_a copies of each block the area is w^T U w / ((w . positives) (w . negatives)): resamples cost no sorting.
    """
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    borders = np.append(np.flatnonzero(new), len(order))
    return np.asarray(_pairs_won(drawn.index[order], positive[order], borders, drawn.n_blocks))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _pairs_won(block: np.ndarray, positive: np.ndarray, borders: np.ndarray, n_blocks: int) -> np.ndarray:
    won, below = np.zeros((n_blocks, n_blocks)), np.zeros(n_blocks)
    for tie in range(len(borders) - 1):
        first, last = borders[tie], borders[tie + 1]
        for row in range(first, last):
            if not positive[row]:
                below[block[row]] += 0.5
        for row in range(first, last):
            if positive[row]:
                won[block[row]] += below
        for row in range(first, last):
            if not positive[row]:
                below[block[row]] += 0.5
    return won


def resampled_areas(won: np.ndarray, positive: np.ndarray, drawn: Resampling) -> np.ndarray:
    """Return the area under the curve of every resample, shape (R,), NaN where one holds no positive or no negative."""
    hits = drawn.sums(np.stack([positive, ~positive], axis=1).astype(float))
    weights = drawn.weights
    total = np.einsum("rb,rb->r", weights @ won, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / np.prod(weights @ hits, axis=1))


def compare_areas(scores: dict[str, np.ndarray], positive: np.ndarray, drawn: Resampling) -> dict[str, np.ndarray]:
    """Return for every variable its area, followed by that of every resample, shape (1 + R,).

    All variables see the same resamples, so that differences between them are paired.
    """
    found = {}
    for name, values in scores.items():
        samples = resampled_areas(pairs_won(values, positive, drawn), positive, drawn)
        found[name] = np.concatenate([[area_under_curve(values, positive)], samples])
    return found


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the mean precision over recall: sum over thresholds of (R_k - R_(k-1)) P_k; rows of a tie count as one.

    A variable that knows nothing has the share of positives.
    """
    return float(_precision_of(*_cumulated(scores, positive, np.ones((1, len(scores)))))[0])


def resampled_precisions(scores: np.ndarray, positive: np.ndarray, drawn: Resampling) -> np.ndarray:
    """Return the average precision of every resample, shape (R,)."""
    parts = np.array_split(drawn.weights, max(1, len(scores) * len(drawn.weights) // _AT_ONCE))
    return np.concatenate([_precision_of(*_cumulated(scores, positive, part[:, drawn.index])) for part in parts])


def roc_curve(scores: np.ndarray, positive: np.ndarray) -> dict[str, Any]:
    """Return the share of positives found against the share of false alarms, at evenly spaced false alarms."""
    hits, alarms = (np.append(0.0, row[0]) for row in _cumulated(scores, positive, np.ones((1, len(scores)))))
    grid = np.linspace(0.0, 1.0, CURVE_POINTS)
    return {"false_positive_rate": grid, "true_positive_rate": np.interp(grid, alarms / alarms[-1], hits / hits[-1])}


def precision_recall_curve(scores: np.ndarray, positive: np.ndarray) -> dict[str, Any]:
    """Return precision at evenly spaced recall."""
    hits, alarms = (row[0] for row in _cumulated(scores, positive, np.ones((1, len(scores)))))
    grid = np.linspace(0.01, 1.0, CURVE_POINTS - 1)
    place = np.minimum(np.searchsorted(hits / hits[-1], grid - 1e-12), len(hits) - 1)
    return {"recall": grid, "precision": (hits / (hits + alarms))[place]}


def _cumulated(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return positives and negatives at or above each different score, from the highest down, shape (R, thresholds).

    ``weights``: copies of each row, shape (R, n).
    """
    order = np.argsort(-scores, kind="stable")
    ordered, hit = scores[order], positive[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    weights = weights[:, order]
    hits = np.cumsum(weights * hit, axis=1)[:, last]
    return hits, np.cumsum(weights, axis=1)[:, last] - hits


def _precision_of(hits: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(hits + alarms > 0, hits / (hits + alarms), 1.0)
        return np.asarray((np.diff(hits, axis=1, prepend=0.0) * precision).sum(axis=1) / hits[:, -1])
