"""Intervals of counts, shares and medians in closed form; the counts may scatter more than Poisson's."""

from __future__ import annotations

import numpy as np
from scipy import stats

LEVEL = 0.9
"""Level of intervals where none is asked for."""


def poisson_interval(
    count: float, exposure: float, *, level: float = LEVEL, dispersion: float = 1.0
) -> tuple[float, float]:
    """Return the interval of a rate from ``count`` events in an ``exposure``.

    Parameters
    ----------
    count : float
    exposure : float
        In whatever unit the rate is per.
    level : float
    dispersion : float
        Variance of the count over its mean; above 1 where events come in groups. ``count / dispersion`` groups then
        stand for the events (quasi-Poisson).

    Returns
    -------
    low, high : float
        Garwood (1936), doi:10.1093/biomet/28.3-4.437: low = chi2_(1-level)/2 (2 n) / 2, high = chi2_(1+level)/2
        (2 n + 2) / 2, over the exposure. At level .9 and without any event low is 0 and high, 3.0 / exposure, the upper
        limit of 95 % confidence. NaN without exposure.
    """
    if not exposure > 0.0:
        return float("nan"), float("nan")
    tail, groups = 0.5 * (1.0 - level), count / dispersion
    low = stats.chi2.ppf(tail, 2.0 * groups) if count else 0.0
    high = stats.chi2.isf(tail, 2.0 * groups + 2.0)
    return float(0.5 * dispersion * low / exposure), float(0.5 * dispersion * high / exposure)


def ratio_interval(
    counts: tuple[float, float],
    exposures: tuple[float, float],
    *,
    level: float = LEVEL,
    dispersions: tuple[float, float] = (1.0, 1.0),
) -> tuple[float, float]:
    """Return the interval of the first rate over the second.

    Given the sum of two Poisson counts the first is binomial with share r e1 / (r e1 + e2), r the ratio of rates: the
    limits of Clopper and Pearson (doi:10.1093/biomet/26.4.404) of that share give those of r. With dispersions above 1
    counts and exposures are those of groups (see :func:`poisson_interval`); high is infinite where the second count
    is 0, and both are NaN where there is no event at all.
    """
    first, second = (count / dispersion for count, dispersion in zip(counts, dispersions, strict=True))
    if first + second <= 0.0 or not min(exposures) > 0.0:
        return float("nan"), float("nan")
    low, high = binomial_interval(first, first + second, level=level)
    scale = exposures[1] / dispersions[1] / (exposures[0] / dispersions[0])
    return scale * low / (1.0 - low), scale * high / (1.0 - high) if high < 1.0 else float("inf")


def binomial_interval(part: float, whole: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of a share (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404)."""
    tail = 0.5 * (1.0 - level)
    low = stats.beta.ppf(tail, part, whole - part + 1.0) if part > 0.0 else 0.0
    high = stats.beta.isf(tail, part + 1.0, whole - part) if part < whole else 1.0
    return float(low), float(high)


def wilson_interval(part: float, whole: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of a share by Wilson (1927), doi:10.1080/01621459.1927.10502953; NaN of nothing."""
    if not whole > 0.0:
        return float("nan"), float("nan")
    z2 = float(stats.norm.isf(0.5 * (1.0 - level))) ** 2
    share = part / whole
    middle = (share + 0.5 * z2 / whole) / (1.0 + z2 / whole)
    half = np.sqrt(z2 * (share * (1.0 - share) / whole + 0.25 * z2 / whole**2)) / (1.0 + z2 / whole)
    # At the ends the limits are 0 and 1 but for rounding.
    return float(middle - half) if part > 0 else 0.0, float(middle + half) if part < whole else 1.0


def mean_interval(values: np.ndarray, *, level: float = LEVEL) -> tuple[float, float, float]:
    """Return the mean and its interval by Student's t; NaN for what too few values cannot tell."""
    if len(values) < 2:
        return (float(values[0]) if len(values) else float("nan")), float("nan"), float("nan")
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    half = float(stats.t.isf(0.5 * (1.0 - level), len(values) - 1)) * error
    return mean, mean - half, mean + half


def quantile_interval(values: np.ndarray, share: float = 0.5, *, level: float = LEVEL) -> tuple[float, float, float]:
    """Return a quantile and the order statistics between which it lies with at least this probability.

    The number of values below the true quantile is binomial, whatever the distribution; NaN for a limit that so few
    values do not reach.
    """
    n = len(values)
    if not n:
        return float("nan"), float("nan"), float("nan")
    ordered, tail = np.sort(values), 0.5 * (1.0 - level)
    # The limit of rank k (from 1) is exceeded with probability P(B < k) or P(B >= k).
    low = int(stats.binom.ppf(tail, n, share)) - 1
    high = int(stats.binom.isf(tail, n, share))
    if stats.binom.cdf(low + 1, n, share) <= tail:
        low += 1
    return (
        float(np.quantile(ordered, share)),
        float(ordered[low]) if low >= 0 else float("nan"),
        float(ordered[high]) if high < n else float("nan"),
    )
