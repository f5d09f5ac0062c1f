"""How many populations of different width there are: a one-dimensional mixture of widths measured with errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEPS = 200
TOLERANCE = 1e-7  # change of the log likelihood per particle at which the iteration ends
LEAST_SPREAD = 0.005  # relative to the mean: keeps a component from closing in on one value
LEAST_SHARE = 0.02  # a smaller population is not told from outliers
APART = 2.5  # pooled spreads between populations; below 2 the sum of two equal ones has one maximum


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """Populations of widths, narrowest first, beside a uniform share of outliers.

    Parameters
    ----------
    means, spreads, shares : arrays, shape (k,)
        Width and its true spread (errors of measurement taken out) in px, fraction of the particles.
    criterion : float
        Bayesian information criterion, smaller is better.
    """

    means: np.ndarray
    spreads: np.ndarray
    shares: np.ndarray
    criterion: float

    @property
    def distinct(self) -> bool:
        """Whether all populations are large enough and further apart than they are wide."""
        gaps = np.diff(self.means) > APART * np.hypot(self.spreads[1:], self.spreads[:-1]) / np.sqrt(2.0)
        return bool(gaps.all() and (self.shares >= LEAST_SHARE).all())


def choose_mixture(widths: np.ndarray, errors: np.ndarray, *, most: int = 4) -> Mixture:
    """Return the mixture of smallest criterion among those with distinct populations.

    Each population has a spread of its own, so that polydisperse particles are one population: without it the
    criterion would cut a continuous distribution into slices.
    """
    best = fit_mixture(widths, errors, 1)
    for count in range(2, most + 1):
        candidate = fit_mixture(widths, errors, count)
        if candidate.distinct and candidate.criterion < best.criterion:
            best = candidate
    return best


def fit_mixture(widths: np.ndarray, errors: np.ndarray, count: int) -> Mixture:
    """Return the likeliest of the mixtures that expectation-maximisation reaches from two starts.

    The density of a width s measured with error e is sum_k share_k N(s; mean_k, spread_k^2 + e^2) plus outliers that
    are uniform over the range (Dempster, Laird and Rubin 1977, doi:10.1111/j.2517-6161.1977.tb01600.x).

    Parameters
    ----------
    widths, errors : arrays, shape (n,)
        In px.
    count : int
        Number of populations.
    """
    low, high = np.quantile(widths, [0.02, 0.98])
    even = low + (high - low) * (np.arange(count) + 0.5) / count
    ranked = np.quantile(widths, (np.arange(count) + 0.5) / count)
    fits = [_expectation_maximisation(widths, errors, start) for start in (ranked, even)]
    return min(fits, key=lambda fit: fit.criterion)


def _expectation_maximisation(widths: np.ndarray, errors: np.ndarray, start: np.ndarray) -> Mixture:
    count, n = len(start), len(widths)
    means = start.astype(float)
    spreads = np.full(count, max(float(np.std(widths)) / (2.0 * count), LEAST_SPREAD * float(means.mean())))
    shares = np.full(count, 0.98 / count)
    outside = max(float(np.ptp(widths)), 1e-9)
    likelihood = -np.inf
    for _ in range(STEPS):
        variance = spreads**2 + errors[:, None] ** 2
        density = shares * np.exp(-0.5 * (widths[:, None] - means) ** 2 / variance) / np.sqrt(2.0 * np.pi * variance)
        total = density.sum(axis=1) + (1.0 - shares.sum()) / outside
        new = float(np.log(np.maximum(total, 1e-300)).sum())
        if new - likelihood < TOLERANCE * n:
            break
        likelihood = new
        owned = density / np.maximum(total, 1e-300)[:, None]
        shares = np.clip(owned.mean(axis=0), 1e-6, None)
        shares *= min(1.0, 0.999 / shares.sum())
        weight = owned / variance
        alive = shares > 1.0 / n  # a population that holds no particle stays where it was
        means = np.where(alive, (weight * widths[:, None]).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-30), means)
        # The spread whose square, with the error of each width, explains the scatter around the mean.
        surplus = (widths[:, None] - means) ** 2 - errors[:, None] ** 2
        held = owned / variance**2
        square = (held * surplus).sum(axis=0) / np.maximum(held.sum(axis=0), 1e-30)
        spreads = np.sqrt(np.maximum(square, (LEAST_SPREAD * means) ** 2))
    order = np.argsort(means)
    return Mixture(
        means=means[order],
        spreads=spreads[order],
        shares=shares[order] / shares.sum(),
        criterion=3 * count * float(np.log(n)) - 2.0 * likelihood,
    )
