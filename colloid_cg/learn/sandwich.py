"""Sandwich (Godambe) standard errors, clustered over time blocks and over particles; the wider counts.

Godambe 1960, doi:10.1214/aoms/1177705693; clustering: Liang and Zeger 1986, doi:10.1093/biomet/73.1.13.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

LEVEL = 0.90
"""Coverage of every interval this package reports."""


def cluster_sums(values: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Return sums of rows (m, k) by cluster number, shape (c, k), empty clusters left out."""
    present, number = np.unique(clusters, return_inverse=True)
    sums = np.zeros((len(present), values.shape[1]))
    np.add.at(sums, number, values)
    return sums


def covariance_of(influences: np.ndarray) -> np.ndarray:
    """Return the covariance of an estimate from its influence summed by cluster, shape (c, k) -> (k, k)."""
    count = len(influences)
    centred = influences - influences.mean(axis=0)
    return np.asarray(count / max(count - 1, 1) * centred.T @ centred)


def block_bootstrap_error(
    per_frame: np.ndarray, *, length: int, rng: np.random.Generator, samples: int = 400
) -> np.ndarray:
    """Return standard errors, shape (k,), of an estimate with influence ``per_frame`` (T, k) by the block bootstrap.

    Blocks of ``length`` frames begin anywhere and wrap around the end (circular blocks: Politis and Romano 1992;
    Kuensch 1989, doi:10.1214/aos/1176347265). To first order in the influence a resampled movie needs no new fit.
    """
    frames = len(per_frame)
    count = -(-frames // length)
    centred = per_frame - per_frame.mean(axis=0)
    ends = np.cumsum(np.concatenate([np.zeros((1, per_frame.shape[1])), centred, centred[:length]]), axis=0)
    block_sums = ends[length : length + frames] - ends[:frames]
    drawn = block_sums[rng.integers(frames, size=(samples, count))].sum(axis=1)
    return np.asarray(drawn.std(axis=0, ddof=1) * np.sqrt(frames / (count * length)))


def quantile(count: int) -> float:
    """Return the two-sided 90 % quantile of Student's t for ``count`` clusters."""
    return float(student.ppf(0.5 + LEVEL / 2, max(count - 1, 1)))


def half_width(influences: list[np.ndarray], direction: np.ndarray) -> np.ndarray:
    """Return half the 90 % interval of ``direction @ estimate``, shape (m,), the widest over the clusterings.

    Parameters
    ----------
    influences : list of arrays, shape (c_i, k)
        One array per way of clustering.
    direction : array, shape (m, k)
    """
    widths = []
    for influence in influences:
        variance = np.einsum("mk,kl,ml->m", direction, covariance_of(influence), direction)
        widths.append(quantile(len(influence)) * np.sqrt(np.maximum(variance, 0.0)))
    return np.asarray(np.max(widths, axis=0))


def mean_interval(values: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Return the mean of ``values`` and half its 90 % interval, clustered (ratio estimate of unequal clusters)."""
    mean = float(values.mean())
    influence = cluster_sums((values - mean)[:, None] / len(values), clusters)
    return mean, float(half_width([influence], np.ones((1, 1)))[0])
