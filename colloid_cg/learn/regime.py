"""Overdamped or inertial? Displacement covariances beyond the reach of noise and blur, and a likelihood comparison.

Localisation noise and blur act on lags 0 and 1 only; from lag 2 on an overdamped particle has none (free), negative
(confined) or constant (slow drift) covariance, an inertial one a positive, decaying covariance. Both models are exact
Gaussian laws of short track segments, with a constant random drift per segment:

overdamped   C_0 = 2 D dt + 2 w + v^2,   C_1 = -w + v^2,   C_l = v^2 (l >= 2)
underdamped  the same with 2 D dt replaced by an integrated Ornstein-Uhlenbeck velocity of relaxation rate gamma,
             C_0 = 2 D dt (theta - 1 + e^-theta)/theta,  C_l = D dt e^{-theta (l-1)} (1 - e^-theta)^2 / theta,  theta = gamma dt

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
_SEGMENT = 32
_MATERIAL = 0.02
"""Least share of 2 D dt that must persist at lag 2 for inertia to matter."""
_SIGNIFICANT = 3.0
"""Standard errors (over time blocks) by which the underdamped likelihood must win."""


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
    n_displacements: int


def decide_regime(series: StateSeries, links: Chains, *, wanted_blocks: int = 20) -> Regime:
    """Compare the two laws on displacements in units of their rms; the lag-2 share says whether inertia matters."""
    steps, joined, rows = displacements(series, links)
    blocks = time_blocks(series, wanted_blocks)[rows]
    covariance, error = lagged_covariance(steps, joined, blocks)
    scale = float((steps**2).mean())
    segments = _segment(steps / np.sqrt(scale), joined, blocks)
    over = _maximise(segments, inertial=False)
    under = _maximise(segments, inertial=True, start=over)
    gain = _by_block(segments, under) - _by_block(segments, over)
    spread = float(np.std(gain, ddof=1) * np.sqrt(len(gain)))
    theta = float(np.exp(under[3]))
    share = float(np.exp(-theta) * (1.0 - np.exp(-theta)) ** 2 / (2.0 * theta))
    wins = float(gain.sum()) > max(_SIGNIFICANT * spread, 6.0)
    inertial = wins and share > _MATERIAL
    total = {"overdamped": float(_by_block(segments, over).sum()), "underdamped": float(_by_block(segments, under).sum())}
    name = "underdamped" if inertial else "overdamped"
    evidence = {
        "lags": list(range(LAGS)),
        "covariance": covariance.tolist(),
        "standard_error": error.tolist(),
        "log_likelihood": total,
        "log_likelihood_gain_error": spread,
        "friction_times_interval": theta,
        "lag2_share": share if wins else 0.0,
        "drift_share": float(np.exp(over[2])),
        "reason": _reason(inertial, wins, share, float(gain.sum()), spread, covariance, error),
    }
    return Regime(name=name, evidence=evidence)


def _reason(
    inertial: bool, wins: bool, share: float, gain: float, spread: float, covariance: np.ndarray, error: np.ndarray
) -> str:
    tail = ", ".join(f"{c / covariance[0]:+.4f}({e / covariance[0]:.4f})" for c, e in zip(covariance[2:5], error[2:5], strict=True))
    seen = f"displacement covariance at lags 2 to 4 relative to lag 0: {tail}; "
    won = f"an inertial law gains {gain:.1f}({spread:.1f}) in log-likelihood"
    if inertial:
        return f"{seen}{won} and keeps {share:.1%} of a step's variance two frames later: inertia matters"
    if wins:
        return f"{seen}{won}, but keeps only {share:.1%} of a step's variance two frames later: immaterial"
    return f"{seen}{won} over an overdamped one with slow drift: no support for inertia"


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
    mean = np.stack([np.bincount(blocks, weights=steps[:, a]) / np.maximum(count, 1) for a in range(steps.shape[1])], axis=1)
    centred = steps - mean[blocks]
    run = _position_in_run(joined)
    values, errors = np.zeros(LAGS), np.zeros(LAGS)
    for lag in range(LAGS):
        later = np.flatnonzero(run >= lag)
        if len(later) < 2:
            errors[lag] = np.inf if lag else 0.0
            errors[lag] = 0.0
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
    run = _position_in_run(joined)
    starts = np.flatnonzero(run % _SEGMENT == 0)
    lengths = np.diff(np.append(starts, len(steps)))
    n_blocks = int(blocks.max()) + 1
    moments: dict[int, np.ndarray] = {}
    counts: dict[int, np.ndarray] = {}
    for length in np.unique(lengths):
        chosen = starts[lengths == length]
        size = int(length)
        moments[size], counts[size] = np.zeros((n_blocks, size, size)), np.zeros(n_blocks)
        for block in np.unique(blocks[chosen]):
            first = chosen[blocks[chosen] == block]
            piece = steps[first[:, None] + np.arange(size)]
            flat = np.moveaxis(piece, 2, 1).reshape(-1, size)
            moments[size][block] = flat.T @ flat
            counts[size][block] = len(flat)
    return _Segments(moments=moments, counts=counts, n_displacements=steps.size)


def _covariance(parameters: np.ndarray, size: int) -> np.ndarray:
    """Parameters: log 2 D dt, w, log v^2 and, for the underdamped law, log theta (all in units of the step variance)."""
    spread, noise, drift = float(np.exp(parameters[0])), float(parameters[1]), float(np.exp(parameters[2]))
    column = np.zeros(size)
    column[0] = spread
    if len(parameters) == 4:
        theta = float(np.exp(parameters[3]))
        decay = np.exp(-theta)
        column[0] = spread * (theta - 1.0 + decay) / theta
        column[1:] = spread * (1.0 - decay) ** 2 / (2.0 * theta) * decay ** np.arange(size - 1)
    column[0] += 2.0 * noise
    if size > 1:
        column[1] -= noise
    return np.asarray(toeplitz(column + drift))


def _by_block(segments: _Segments, parameters: np.ndarray) -> np.ndarray:
    """Log-likelihood per time block; -inf where the covariance is not positive definite."""
    total = np.zeros(len(next(iter(segments.counts.values()))))
    for size, moment in segments.moments.items():
        try:
            factor = np.linalg.cholesky(_covariance(parameters, size))
        except np.linalg.LinAlgError:
            return np.full(len(total), -np.inf)
        half = np.linalg.inv(factor)
        precision = half.T @ half
        constant = 2.0 * np.log(np.diag(factor)).sum() + size * np.log(2.0 * np.pi)
        total -= 0.5 * (segments.counts[size] * constant + np.einsum("bij,ij->b", moment, precision))
    return total


def _maximise(segments: _Segments, *, inertial: bool, start: np.ndarray | None = None) -> np.ndarray:
    def objective(parameters: np.ndarray) -> float:
        if abs(parameters[0]) > 20 or abs(parameters[1]) > 5 or not -30 < parameters[2] < 5:
            return 1e9
        if inertial and not -5.0 < parameters[3] < 6.0:
            return 1e9
        value = float(_by_block(segments, parameters).sum()) / segments.n_displacements
        return -value if np.isfinite(value) else 1e9

    base = np.array([np.log(0.7), 0.1, np.log(1e-3)]) if start is None else start
    firsts = [np.append(base, np.log(theta)) for theta in (0.2, 1.0, 5.0)] if inertial else [base]
    results = []
    for first in firsts:
        simplex = np.vstack([first, first + np.diag([0.3, 0.1, 1.0, 0.5][: len(first)])])
        options = {"initial_simplex": simplex, "xatol": 1e-4, "fatol": 1e-9, "maxiter": 600}
        results.append(minimize(objective, first, method="Nelder-Mead", options=options))
    return np.asarray(min(results, key=lambda result: float(result.fun)).x)
