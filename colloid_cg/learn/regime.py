"""Overdamped or inertial? Displacement covariances beyond the reach of noise and blur, and a likelihood comparison.

Localisation noise and blur act on lags 0 and 1 only; from lag 2 on an overdamped particle has none (free), negative
(confined) or constant (slow drift) covariance, an inertial one a positive, decaying covariance. Both models are exact
Gaussian laws of short track segments, with a constant random drift per segment:

overdamped   C_0 = 2 D dt + 2 w + v^2,   C_1 = -w + v^2,   C_l = v^2 (l >= 2)
underdamped  the same with 2 D dt replaced by an integrated Ornstein-Uhlenbeck velocity of relaxation rate gamma,
             C_0 = 2 D dt (theta - 1 + e^-theta)/theta,  C_l = D dt e^{-theta (l-1)} (1 - e^-theta)^2 / theta,
             theta = gamma dt

persistent   white diffusion and such a velocity side by side: slow flow, activity, or a recording whose compression
             or noise filter mixes frames. An inertial particle has no white part, which tells the two apart.

The overdamped law is the limit theta -> infinity (Uhlenbeck and Ornstein 1930, doi:10.1103/PhysRev.36.823).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import toeplitz
from scipy.optimize import minimize

from colloid_cg.learn.sandwich import cluster_sums, half_width
from colloid_cg.learn.series import Chains, time_blocks
from colloid_cg.records import StateSeries

LAGS = 6
_SEGMENTS = (16, 8, 4, 2)
_MATERIAL = 0.02
"""Least share of 2 D dt that must persist at lag 2 for inertia to matter."""
_SIGNIFICANT = 3.0
"""Standard errors (over time blocks) by which a likelihood must win."""
_LEAD = 1.35
"""Gain in log-likelihood by which the persistent law must lead for its white share to count: on inertial data (a white
share of zero, the border of what is allowed) chance reaches it once in twenty times."""
_WHITE = 0.25
"""Share of a step's variance that is white beyond noise, above which the motion is not inertial."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Regime:
    """The decision, "overdamped" or "underdamped", with what it rests on (JSON-able)."""

    name: str
    evidence: dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Segments:
    """Second moments of displacement segments: moments[length][block] = sum of d d^T, counts likewise."""

    moments: dict[int, np.ndarray]
    counts: dict[int, np.ndarray]


def decide_regime(series: StateSeries, links: Chains, *, wanted_blocks: int = 20) -> Regime:
    """Compare the two laws on displacements in units of their rms; the lag-2 share says whether inertia matters."""
    steps, joined, rows = displacements(series, links)
    blocks = time_blocks(series, wanted_blocks)[rows]
    covariance, error = lagged_covariance(steps, joined, blocks)
    scale = float((steps**2).mean())
    segments = _segment(steps / np.sqrt(scale), joined, blocks)
    over = _maximise(segments, _starts(None))
    under = _maximise(segments, [*_starts(over, 0.2, 1.0, 5.0), *_inertial_starts(0.1, 0.5)])
    persistent = _maximise(segments, [np.append(under, -2.0), np.append(under, 0.0), np.append(under, 2.0)])
    gain, margin = _gain(segments, under, over)
    lead = _gain(segments, persistent, under)[0]
    theta, white = float(np.exp(under[3])), _white_share(persistent)
    share = float(np.exp(-theta) * (1.0 - np.exp(-theta)) ** 2 / (2.0 * theta))
    wins, beaten = gain > margin, lead > _LEAD and white > _WHITE
    inertial = wins and share > _MATERIAL and not beaten
    evidence = {
        "lags": list(range(LAGS)),
        "covariance": covariance.tolist(),
        "standard_error": error.tolist(),
        "log_likelihood": {
            name: float(_by_block(segments, parameters).sum())
            for name, parameters in (("overdamped", over), ("underdamped", under), ("persistent", persistent))
        },
        "margin": margin,
        "friction_times_interval": theta,
        "lag2_share": share if wins else 0.0,
        "white_share": white,
        "drift_share": float(np.exp(over[2])),
        "reason": _tail(covariance, error) + _verdict(wins, share, beaten, white, gain, margin),
    }
    return Regime(name="underdamped" if inertial else "overdamped", evidence=evidence)


def _tail(covariance: np.ndarray, error: np.ndarray) -> str:
    tail = zip(covariance[2:5] / covariance[0], error[2:5] / covariance[0], strict=True)
    return f"displacement covariance at lags 2 to 4 over lag 0: {', '.join(f'{c:+.4f}({e:.4f})' for c, e in tail)}; "


def _verdict(wins: bool, share: float, beaten: bool, white: float, gain: float, margin: float) -> str:
    won = f"an inertial law gains {gain:.1f} nats over an overdamped one with slow drift (needed {margin:.1f})"
    if not wins:
        return f"{won}: no support for inertia"
    if share <= _MATERIAL:
        return f"{won}, but keeps only {share:.1%} of a step's variance two frames later: immaterial"
    if beaten:
        return (
            f"{won}, but {white:.0%} of a step's variance is white, which inertia cannot be: a slow flow, activity, or"
            " frames mixed by the recording (compression, temporal noise filter)"
        )
    return f"{won} and keeps {share:.1%} of a step's variance two frames later: inertia matters"


def _gain(segments: _Segments, better: np.ndarray, base: np.ndarray) -> tuple[float, float]:
    """Gain in log-likelihood and the margin that counts as significant, errors clustered over time blocks."""
    gain = _by_block(segments, better) - _by_block(segments, base)
    size = sum(np.asarray(count) * length for length, count in segments.counts.items())
    deviation = gain - gain.sum() * size / np.sum(size)
    return float(gain.sum()), float(max(_SIGNIFICANT * np.sqrt((deviation**2).sum()), 6.0))


def _white_share(parameters: np.ndarray) -> float:
    column = _column(parameters, 2)
    return float(np.exp(parameters[0]) / (1.0 + np.exp(-parameters[4])) / (column[0] + np.exp(parameters[2])))


def _starts(base: np.ndarray | None, *thetas: float) -> list[np.ndarray]:
    if base is None:
        return [np.array([np.log(0.7), 0.1, np.log(1e-3)])]
    return [np.append(base, np.log(theta)) for theta in thetas]


def _inertial_starts(*thetas: float) -> list[np.ndarray]:
    """Starts with all the variance of a step inertial: strong inertia drives w of the overdamped law so far below zero
    that no inertial law beside it is positive definite.
    """
    return [
        np.array([np.log(theta / (theta - 1.0 + np.exp(-theta))), 0.02, np.log(1e-3), np.log(theta)])
        for theta in thetas
    ]


def displacements(series: StateSeries, links: Chains) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return steps (m, d) in chain order, whether each continues the one before (m,), and their rows (m,)."""
    order = links.order
    used = series.following[order] >= 0
    joined = links.joined.copy()
    joined[1:] &= used[:-1]
    rows = order[used]
    return series.positions[series.following[rows]] - series.positions[rows], joined[used], rows


def lagged_covariance(steps: np.ndarray, joined: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariance of displacements at lags 0 to 5 (um2, mean over axes) with standard errors over blocks.

    The mean step of all particles in a time block (drift of the stage) is taken off.
    """
    count = np.bincount(blocks)
    mean = np.stack(
        [np.bincount(blocks, weights=steps[:, a]) / np.maximum(count, 1) for a in range(steps.shape[1])], axis=1
    )
    centred = steps - mean[blocks]
    run = _position_in_run(joined)
    values, errors = np.zeros(LAGS), np.zeros(LAGS)
    for lag in range(LAGS):
        later = np.flatnonzero(run >= lag)
        if len(later) < 2:
            continue
        products = (centred[later] * centred[later - lag]).mean(axis=1)
        values[lag] = products.mean()
        influence = cluster_sums((products - values[lag])[:, None] / len(products), blocks[later])
        errors[lag] = half_width([influence], np.ones((1, 1)))[0] / 1.645
    return values, errors


def _position_in_run(joined: np.ndarray) -> np.ndarray:
    index = np.arange(len(joined))
    return index - np.maximum.accumulate(np.where(joined, 0, index))


def _segment(steps: np.ndarray, joined: np.ndarray, blocks: np.ndarray) -> _Segments:
    """Cut every run of linked steps into pieces of 16, 8, 4 and 2 (a last single step is dropped)."""
    starts = np.flatnonzero(~joined)
    left = np.diff(np.append(starts, len(steps)))
    n_blocks = int(blocks.max()) + 1
    moments: dict[int, np.ndarray] = {}
    counts: dict[int, np.ndarray] = {}
    for size in _SEGMENTS:
        repeats = left // size if size == _SEGMENTS[0] else (left >= size).astype(int)
        within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        first = np.repeat(starts, repeats) + size * within
        starts, left = starts + size * repeats, left - size * repeats
        pieces = np.moveaxis(steps[first[:, None] + np.arange(size)], 2, 1)
        moments[size] = np.zeros((n_blocks, size, size))
        np.add.at(moments[size], blocks[first], np.einsum("sai,saj->sij", pieces, pieces))
        counts[size] = np.bincount(blocks[first], minlength=n_blocks) * float(steps.shape[1])
    return _Segments(moments=moments, counts=counts)


def _column(parameters: np.ndarray, size: int) -> np.ndarray:
    """Covariance of the motion alone at lags 0 to size - 1 (drift and noise left out)."""
    spread = float(np.exp(parameters[0]))
    column = np.zeros(size)
    column[0] = spread
    if len(parameters) > 3:
        theta = float(np.exp(parameters[3]))
        decay = np.exp(-theta)
        memory = np.append(
            (theta - 1.0 + decay) / theta, (1.0 - decay) ** 2 / (2.0 * theta) * decay ** np.arange(size - 1)
        )
        white = 1.0 / (1.0 + np.exp(-parameters[4])) if len(parameters) == 5 else 0.0
        column = spread * (white * (np.arange(size) == 0) + (1.0 - white) * memory)
    return column


def _by_block(segments: _Segments, parameters: np.ndarray, *, pooled: bool = False) -> np.ndarray:
    """Log-likelihood per time block (or of all); -inf where the covariance is not positive definite.

    Parameters: log 2 D dt, w, log v^2, then log theta and the logit of the white share (units of the step variance).
    """
    total: np.ndarray = np.zeros(1)
    column = _column(parameters, _SEGMENTS[0]) + np.exp(parameters[2])
    column[0] += 2.0 * parameters[1]
    column[1] -= parameters[1]
    try:
        factor = np.linalg.cholesky(toeplitz(column))
    except np.linalg.LinAlgError:
        return np.full(1 if pooled else len(segments.counts[_SEGMENTS[0]]), -np.inf)
    whole = np.linalg.inv(factor)
    for size, moment in segments.moments.items():
        count = segments.counts[size]
        if pooled:
            moment, count = moment.sum(axis=0, keepdims=True), count.sum(keepdims=True)
        # the factor of a shorter piece is the corner of that of the longest
        half = whole[:size, :size]
        constant = 2.0 * np.log(np.diag(factor)[:size]).sum() + size * np.log(2.0 * np.pi)
        total = total - 0.5 * (count * constant + np.einsum("bij,ij->b", moment, half.T @ half))
    return total


def _maximise(segments: _Segments, starts: list[np.ndarray]) -> np.ndarray:
    lowest, highest = np.array([-20.0, -5.0, -30.0, -5.0, -8.0]), np.array([20.0, 5.0, 5.0, 6.0, 8.0])
    n = sum(float(count.sum()) * size for size, count in segments.counts.items())

    def objective(parameters: np.ndarray) -> float:
        k = len(parameters)
        if (parameters < lowest[:k]).any() or (parameters > highest[:k]).any():
            return 1e9
        value = float(_by_block(segments, parameters, pooled=True)[0]) / max(n, 1.0)
        return -value if np.isfinite(value) else 1e9

    results = []
    for first in starts:
        simplex = np.vstack([first, first + np.diag([0.3, 0.1, 1.0, 0.5, 1.0][: len(first)])])
        options = {"initial_simplex": simplex, "xatol": 1e-4, "fatol": 1e-10, "maxiter": 1000}
        results.append(minimize(objective, first, method="Nelder-Mead", options=options))
    return np.asarray(min(results, key=lambda result: float(result.fun)).x)
