"""Scale of a null law of one or two degrees of freedom, and how much it differs from particle to particle."""

from __future__ import annotations

import numpy as np

from colloid_cg.events.scale import NullScale

_ERRORS = 2.0


def scale_and_spread(
    observed: np.ndarray, drawn: np.ndarray, particle: np.ndarray, separate: np.ndarray, rng: np.random.Generator
) -> NullScale:
    """Match the median of draws of a null to the observed values, spread between particles included.

    The lower half of a chi-square of one or two degrees of freedom falls off by the same power law whatever the
    spread of its scale, so ``scale.fit_scale`` cannot tell that spread from such values. It is found from the values
    of each particle instead (see ``spread_between``).

    Parameters
    ----------
    observed, drawn : arrays, shapes (n,) and (m,)
        Values, and draws of the null with unit scale.
    particle : int array, shape (n,)
        Whom each value belongs to.
    separate : bool array, shape (n,)
        Values that share no frames with others of the same particle.
    rng : numpy.random.Generator
    """
    some = separate & (observed > 0)
    dispersion = spread_between(np.log(observed[some]), particle[some])
    widened = drawn * np.exp(dispersion * rng.normal(size=len(drawn)))
    return NullScale(scale=float(np.median(observed) / np.median(widened)), dispersion=dispersion)


def spread_between(values: np.ndarray, group: np.ndarray) -> float:
    """Return the standard deviation between groups beyond that within them, 0 unless beyond two standard errors.

    One-way analysis of variance with groups of unequal size n_g: s^2 = (B - W) / n_0, B and W the mean squares between
    and within groups, n_0 = (N - sum n_g^2 / N) / (G - 1). A few outlying values among many hardly matter, as
    they enter by their logarithm.

    Parameters
    ----------
    values : array, shape (n,)
        Logarithms.
    group : int array, shape (n,)
    """
    _, index = np.unique(group, return_inverse=True)
    size = np.bincount(index) if len(index) else np.zeros(0, dtype=int)
    n, g = len(values), len(size)
    if g < 2 or n <= g:
        return 0.0
    mean = np.bincount(index, weights=values) / size
    within = float(((values - mean[index]) ** 2).sum() / (n - g))
    between = float((size * (mean - values.mean()) ** 2).sum() / (g - 1))
    typical = (n - float((size.astype(float) ** 2).sum()) / n) / (g - 1)
    square = (between - within) / typical
    error = float(np.sqrt(2 * between**2 / (g - 1) + 2 * within**2 / (n - g))) / typical
    return float(np.sqrt(square)) if square > _ERRORS * error else 0.0
