"""Means with standard errors from groups of observations that are independent of each other."""

from __future__ import annotations

import numpy as np

FEWEST_GROUPS = 4
"""With fewer independent groups the spread between them says nothing about the error."""


def grouped_mean(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and its standard error when only whole groups are independent.

    With group sums S_b, sizes n_b, N = sum n_b and mean m the variance of m is
    B / (B - 1) sum_b (S_b - m n_b)^2 / N^2 (cluster-robust, first order in the spread of n_b), so correlations
    inside a group (overlapping windows of one track, say) do not shrink the error.

    Parameters
    ----------
    values : array, shape (n, k)
    groups : int array, shape (n,)

    Returns
    -------
    mean, standard_error : arrays, shape (k,)
        The error is NaN with fewer than FEWEST_GROUPS groups.
    """
    _, index = np.unique(groups, return_inverse=True)
    sums = np.stack([np.bincount(index, weights=column) for column in values.T], axis=1)
    return mean_of_sums(sums, np.bincount(index))


def mean_of_sums(sums: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what ``grouped_mean`` does from the sums (groups, k) and the sizes (groups,) of the groups."""
    mean = sums.sum(axis=0) / size.sum()
    if len(size) < FEWEST_GROUPS:
        return mean, np.full(sums.shape[1], np.nan)
    spread = ((sums - mean * size[:, None]) ** 2).sum(axis=0)
    return mean, np.sqrt(spread * len(size) / (len(size) - 1)) / size.sum()


def time_blocks(frames: np.ndarray, lag: int, *, most: int = 20) -> np.ndarray:
    """Return the block number of each frame; blocks are at least 2 ``lag`` frames long and at most ``most`` of them.

    Displacements over ``lag`` frames that begin in different blocks overlap only near the border.
    """
    first, last = int(frames.min()), int(frames.max())
    span = last - first + 1
    n_blocks = max(1, min(most, span // (2 * lag)))
    return np.asarray((frames - first) * n_blocks // span)


def jackknife_ratio(numerator: np.ndarray, denominator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sum(numerator) / sum(denominator) over blocks (axis 0) and its delete-one jackknife error.

    var = (B - 1) / B sum_b (ratio without block b - mean of those)^2; NaN for a single block.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = numerator.sum(axis=0) / denominator.sum(axis=0)
        without = (numerator.sum(axis=0) - numerator) / (denominator.sum(axis=0) - denominator)
    n_blocks = len(numerator)
    if n_blocks < 2:
        return ratio, np.full_like(ratio, np.nan)
    variance = (n_blocks - 1) / n_blocks * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return ratio, np.sqrt(variance)
