"""How strongly two variables go together: correlation and mutual information, with block-bootstrap intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma, ndtri
from scipy.stats import rankdata

from colloid_cg.assessment.reading.resampling import Resampling

NEIGHBOURS = 4
MOST_ROWS = 6000
"""Rows that mutual information is estimated from."""


def pearson(x: np.ndarray, y: np.ndarray, drawn: Resampling) -> dict[str, Any]:
    """Return Pearson's correlation of two columns (n,) with its 90 % interval."""
    x, y = x - x.mean(), y - y.mean()
    sums = drawn.sums(np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1))
    return drawn.entry(float(_correlation(sums.sum(axis=0))), _correlation(drawn.weights @ sums))


def spearman(x: np.ndarray, y: np.ndarray, drawn: Resampling) -> dict[str, Any]:
    """Return Spearman's rank correlation with its 90 % interval; the ranks are those of all rows in every resample."""
    return pearson(rankdata(x), rankdata(y), drawn)


def _correlation(sums: np.ndarray) -> np.ndarray:
    count, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((xy - x * y / count) / np.sqrt((xx - x * x / count) * (yy - y * y / count)))


def normal_scores(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the normal quantiles of the ranks; ties are broken at random. Mutual information does not change."""
    shuffled = rng.permutation(len(values))
    order = shuffled[np.argsort(values[shuffled], kind="stable")]
    scores = np.empty(len(values))
    scores[order] = ndtri((np.arange(len(values)) + 0.5) / len(values))
    return scores


def information_terms(x: np.ndarray, y: np.ndarray, *, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Return a contribution of each row, shape (n,), whose mean is the mutual information in nats.

    I = psi(k) + psi(N) - <psi(n_x + 1) + psi(n_y + 1)>, n_x and n_y: rows nearer in x (in y) than the k-th neighbour is
    in the larger of both. First estimator of Kraskov, Stoegbauer and Grassberger, doi:10.1103/PhysRevE.69.066138
    (eq. 8): its bias vanishes for independent variables. ``x`` and ``y`` must have no ties.
    """
    points = np.stack([x, y], axis=1)
    # The nearest point of each is itself.
    reach = cKDTree(points).query(points, k=neighbours + 1, p=np.inf)[0][:, -1]
    # Strictly nearer: the neighbour that sets the reach in one of the two must not enter by rounding.
    reach = reach * (1.0 - 1e-10)
    counts = []
    for column in (x, y):
        ordered = np.sort(column)
        inside = np.searchsorted(ordered, column + reach) - np.searchsorted(ordered, column - reach)
        # The row itself taken off.
        counts.append(inside - 1)
    return np.asarray(digamma(neighbours) + digamma(len(x)) - digamma(counts[0] + 1) - digamma(counts[1] + 1))


def mutual_information(
    x: np.ndarray, y: np.ndarray, drawn: Resampling, *, rng: np.random.Generator, most_rows: int = MOST_ROWS
) -> dict[str, Any]:
    """Return the mutual information of two columns in nats with its 90 % interval.

    Estimated from normal scores of at most ``most_rows`` rows, evenly spaced. The interval resamples the contributions
    of the rows, block by block: drawing rows twice would put neighbours at distance zero.
    """
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), most_rows)).round().astype(int))
    terms = information_terms(normal_scores(x[chosen], rng), normal_scores(y[chosen], rng))
    index = drawn.index[chosen]
    sums = np.bincount(index, weights=terms, minlength=drawn.n_blocks)
    sizes = np.bincount(index, minlength=drawn.n_blocks)
    with np.errstate(invalid="ignore", divide="ignore"):
        samples = (drawn.weights @ sums) / (drawn.weights @ sizes)
    return drawn.entry(float(terms.mean()), samples)
