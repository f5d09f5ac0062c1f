"""Scale and dispersion of a null law from the movie itself, untouched by rare events, and how well it then fits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import optimize

LOWER_HALF = np.linspace(0.02, 0.5, 25)
"""Quantiles that rare events leave alone."""
PRIOR = (0.02, 0.02)
"""s^2 of null laws in general, mean and standard deviation: tracked films of solids in which nothing rearranges have s
from 0 (errors of 1 % of a diameter) to 0.16 (errors of 6 %, whose tails are no longer Gaussian)."""
_SMALL = 0.3
_PARTS = 20
_CHECKED = (0.75, 0.25, 0.10, 0.01, 0.001)
_TOLERANCE = 0.15
_COMMON = 0.05
_DISPERSED = 0.3


@dataclass(frozen=True, kw_only=True)
class NullScale:
    """Median scale and dispersion (standard deviation of its logarithm between tests) of a null law."""

    scale: float
    dispersion: float


def fit_scale(observed: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> NullScale:
    """Match draws of the null to the lower half of the observed values.

    ``scale`` matches the medians. ``dispersion`` s widens the draws, x exp(s z) with z standard normal, until
    their quantiles from 2 to 50 % lie as far below the median, on average of the logarithm, as the observed ones.
    Rare rearrangements sit in the upper tail and hardly move these quantiles (a share e of events shifts the
    median by about e / 2 in probability), so they do not
    inflate the null they are tested against. Heterogeneous mobility (two species, particles in and out of
    focus) shows as s > 0. A short movie hardly tells a small s, yet it matters in the far tail: the estimate of s^2
    is weighted with what is known beforehand, ``PRIOR``, by their variances (its own from stretches of the rows).

    Parameters
    ----------
    observed, drawn : arrays, shape (n,)
        Values and draws of the null with unit scale, each divided by its own null mean so that rows compare.
    rng : numpy.random.Generator
    """
    log_observed, log_drawn = np.log(observed[observed > 0]), np.log(drawn[drawn > 0])
    normal = rng.normal(size=len(log_drawn))
    target = _below_median(log_observed)

    def excess(dispersion: float) -> float:
        return _below_median(log_drawn + dispersion * normal) - target

    parts = [_below_median(part) for part in np.array_split(log_observed, _PARTS)]
    error = float(np.std(parts, ddof=1)) / np.sqrt(_PARTS)
    # The spread below the median is nearly linear in s^2 while s is small.
    slope = (excess(_SMALL) - excess(0.0)) / _SMALL**2
    square = -excess(0.0) / slope
    if square > _SMALL**2:
        square = float(optimize.brentq(excess, 0.0, 20.0, xtol=1e-4)) ** 2 if excess(20.0) > 0 else 400.0
    dispersion = float(np.sqrt(_with_prior(square, error / slope)))
    shift = np.median(log_observed) - np.median(log_drawn + dispersion * normal)
    return NullScale(scale=float(np.exp(shift)), dispersion=dispersion)


def _with_prior(square: float, error: float) -> float:
    """Return s^2 from the movie and from what is known beforehand, never below zero."""
    mean, spread = PRIOR
    own = 1.0 / max(error, 1e-6) ** 2
    return max((own * square + mean / spread**2) / (own + 1.0 / spread**2), 0.0)


def _below_median(log_values: np.ndarray) -> float:
    quantiles = np.quantile(log_values, LOWER_HALF)
    return float(quantiles[-1] - quantiles.mean())


def check(p_values: np.ndarray, fitted: NullScale) -> dict[str, Any]:
    """Return how well the null holds in the bulk, JSON-able.

    ``share_below`` gives, for each level, the share of p-values below it (the level itself if the null holds).
    ``null_fit`` is false when the middle of the distribution, which events should not touch (levels .75 and .25),
    is off by more than 15 % or when more than 5 % of all tests fall below .01: the small p-values then mean little.
    ``warnings`` says it in words.
    """
    share = {f"{level:g}": float(np.mean(p_values < level)) for level in _CHECKED}
    warnings = []
    # Level .75 is judged by what lies above it, level .25 by what lies below.
    off = max(abs((1 - share["0.75"]) / 0.25 - 1), abs(share["0.25"] / 0.25 - 1))
    if off > _TOLERANCE:
        warnings.append(f"the null misses the bulk of the values by {off:.0%}: p-values are approximate")
    if share["0.01"] > _COMMON:
        warnings.append(
            f"{share['0.01']:.1%} of all tests have p < .01: rearrangement is not rare here, or the null is wrong"
        )
    poor = bool(warnings)
    if fitted.dispersion > _DISPERSED:
        warnings.append(
            f"mobility differs between particles (standard deviation of ln v = {fitted.dispersion:.2f}); "
            "the tail of the null rests on a log-normal spread"
        )
    return {
        **asdict(fitted),
        "n_tests": len(p_values),
        "share_below": share,
        "null_fit": not poor,
        "warnings": warnings,
    }
