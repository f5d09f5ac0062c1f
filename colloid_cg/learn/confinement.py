"""Signs that something other than the neighbours holds the particles in their places."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.learn.problem import Block
from colloid_cg.learn.series import later_rows

FALL = 0.15
"""Fall of D over the lags shown from which confinement is spoken of."""
LEVEL = 1.15
"""Growth of the mean squared displacement over a doubled lag below which particles keep to their places: 2 if free."""
TOGETHER = 0.2
"""Correlation of neighbours' displacements below which neighbours do not hold each other."""
_LEAST_ROWS = 200


def confinement_warnings(curve: dict[str, Any], *, force_used: bool) -> list[str]:
    """Return a sentence where D falls with the lag beyond its intervals and no pair force explains it."""
    value, low, high = curve["value"], curve["low90"], curve["high90"]
    if force_used or len(value) < 2 or not (high[-1] < low[0] and value[-1] < (1.0 - FALL) * value[0]):
        return []
    return [
        f"D falls from {value[0]:.3g} to {value[-1]:.3g} um2/s over {len(value)} lags and no pair force was found: the "
        'particles are confined. Where each sits in a well of its own, use fit.traps = "each".'
    ]


def well_warnings(block: Block, *, force_used: bool, noise: float, spacing: float) -> list[str]:
    """Return a sentence where a pair force was found for particles that wells seem to hold.

    Particles on fixed places have few distances, and a pair force at those distances imitates the wells. Held by
    their neighbours (crystal, glass), they carry them along: in long displacements u_i, neighbours are then correlated,

        c = <u_i . u_j> / <u^2 - 2 d s2>,

    of the order of one half, since <u^2> grows with the size of a two-dimensional crystal while <(u_i - u_j)^2> does
    not (10.1103/PhysRev.176.250). Wells give c = 0. Found in twins: wells .00 and .02, crystal .48, glass .41.

    Parameters
    ----------
    block : Block
        With the pairs of every frame.
    noise : float
        Localisation variance s2, um2.
    spacing : float
        Mean distance of neighbours, um; pairs nearer than 1.5 of it count.
    """
    lag = block.series.n_frames // 6
    if not force_used or lag < 5:
        return []
    half, whole = _displacements(block, lag), _displacements(block, 2 * lag)
    if min(np.isfinite(half[:, 0]).sum(), np.isfinite(whole[:, 0]).sum()) < _LEAST_ROWS:
        return []
    floor = 2.0 * half.shape[1] * max(noise, 0.0)
    early, late = (float(np.nanmean((moved**2).sum(axis=1))) - floor for moved in (half, whole))
    if not 0.0 < late < LEVEL * early:
        return []
    together = _correlation(block, half, early, reach=1.5 * spacing)
    if together is None or together > TOGETHER:
        return []
    return [
        f"Particles keep to their places (mean squared displacement {early:.3g} and {late:.3g} um2 after {lag} and "
        f"{2 * lag} intervals), and neighbours move independently there (correlation {together:.2f}): wells or a wall "
        "hold them rather than their neighbours, and the pair force found may only imitate that. Fit again with "
        'fit.traps = "each" before you believe it.'
    ]


def _displacements(block: Block, lag: int) -> np.ndarray:
    """Return y(t + lag) - y(t) of every row without the common drift, shape (n, d) in um; NaN where a track ends."""
    series = block.series
    later = later_rows(series, lag)
    moved = np.full(series.positions.shape, np.nan)
    rows = np.flatnonzero(later >= 0)
    moved[rows] = series.positions[later[rows]] - series.positions[rows] - lag * block.drift
    return moved


def _correlation(block: Block, moved: np.ndarray, square: float, *, reach: float) -> float | None:
    """Return <u_i . u_j>/square over pairs nearer than ``reach`` (um); None where there are too few."""
    i, j = block.neighbours.pairs.T
    series = block.series
    distance = np.linalg.norm(series.box.shortest(series.positions[i] - series.positions[j]), axis=1)
    near = (distance < reach) & np.isfinite(moved[i, 0]) & np.isfinite(moved[j, 0])
    if near.sum() < _LEAST_ROWS:
        return None
    return float((moved[i[near]] * moved[j[near]]).sum(axis=1).mean() / square)
