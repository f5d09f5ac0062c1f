"""How long a variable stays what it is, with the error of its estimate taken off."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.assessment.reading.resampling import Resampling, outer_level
from colloid_cg.observables.displacements import pairs_at_lag

FIRST_LAGS = 4
"""Lags that the value at zero is extrapolated from, as far as the correlation has not halved."""


def persistence(
    s: np.ndarray, frames: np.ndarray, particles: np.ndarray, drawn: Resampling, *, lags: np.ndarray, interval: float
) -> dict[str, Any]:
    """Return the autocorrelation of s and the time at which it has fallen to 1/e.

    C(l) = <ds(t) ds(t + l)> about the mean of all rows. An error of the estimate that is independent from frame to
    frame adds to C(0) alone: C(0) without it is the straight line through ln C at the first lags, taken back to zero
    (an exponential is one there), and the crossing refers to that. Not crossed within ``lags``: ``time`` is None and
    ``longer_than`` says how long was looked.

    Parameters
    ----------
    s : array, shape (n,)
        Finite, of one species.
    frames, particles : int arrays, shape (n,)
    drawn : Resampling
        Of the same rows.
    lags : int array
        In frames, from 1.
    interval : float
        Between frames, s.

    Returns
    -------
    dict
        ``lag`` (s), ``correlation`` (C(l) over the extrapolated C(0)), ``low90, high90``; ``time`` (value, low90,
        high90 in s; a bound is None where resamples do not cross), ``longer_than`` (s), ``noise_share`` of the
        variance.
    """
    centred = s - s.mean()
    zero = drawn.sums(np.stack([centred**2, np.ones(len(s))], axis=1))
    sums = [zero]
    for lag in lags:
        start, end = pairs_at_lag(frames, particles, int(lag))
        products = np.stack([centred[start] * centred[end], np.ones(len(start))], axis=1)
        sums.append(Resampling(index=drawn.index[start], weights=drawn.weights).sums(products))
    stacked = np.stack(sums, axis=1)
    weights = np.concatenate([np.ones((1, drawn.n_blocks)), drawn.weights])
    totals = np.einsum("rb,blk->rlk", weights, stacked)
    with np.errstate(invalid="ignore", divide="ignore"):
        curve = totals[..., 0] / totals[..., 1]
    base = np.array([_at_zero(row[1:], lags, at_zero=row[0]) for row in curve])
    with np.errstate(invalid="ignore", divide="ignore"):
        relative, noise = curve[:, 1:] / base[:, None], 1.0 - base / curve[:, 0]
    times = np.array([_crossing(row, lags) for row in relative]) * interval
    entries = [drawn.entry(row[0], row[1:]) for row in relative.T]
    return {
        "lag": lags * interval,
        "correlation": relative[0],
        "low90": [entry["low90"] for entry in entries],
        "high90": [entry["high90"] for entry in entries],
        "time": _time(times, drawn),
        "longer_than": None if np.isfinite(times[0]) else float(lags[-1] * interval),
        "noise_share": drawn.entry(float(noise[0]), noise[1:]),
    }


def _at_zero(curve: np.ndarray, lags: np.ndarray, *, at_zero: float) -> float:
    """Return C(0) from the line through ln C at the first lags; as measured where nothing is left at the first one."""
    if not curve[0] > 0.0:
        return float(at_zero)
    used = 1
    while used < min(FIRST_LAGS, len(curve)) and curve[used] > 0.5 * curve[0]:
        used += 1
    if used == 1:
        # Nothing is left at the next lag: the first two give the line if both are positive, else C(1) is all there is.
        if len(curve) < 2 or not curve[1] > 0.0:
            return float(curve[0])
        used = 2
    slope, level = np.polyfit(lags[:used], np.log(curve[:used]), 1)
    # A correlation that seems to grow with the lag has lost nothing that can be told.
    return float(np.exp(level)) if slope < 0.0 else float(np.exp(np.log(curve[:used]).mean()))


def _crossing(relative: np.ndarray, lags: np.ndarray) -> float:
    """Return the lag at which ln C first passes -1 (linear in between), infinite if it never does."""
    x, y = np.append(0.0, lags), np.append(1.0, relative)
    if not np.isfinite(relative[0]):
        return float("nan")
    below = np.flatnonzero(y < np.exp(-1.0))
    if not len(below):
        return float("inf")
    after = int(below[0])
    high, low = np.log(y[after - 1]), np.log(max(y[after], 1e-3))
    return float(x[after - 1] + (x[after] - x[after - 1]) * (high + 1.0) / (high - low))


def _time(times: np.ndarray, drawn: Resampling) -> dict[str, Any] | None:
    """Return the time with its interval; resamples that never cross count as longer than all others."""
    if not np.isfinite(times[0]):
        return None
    known = times[1:][~np.isnan(times[1:])]
    entry = drawn.entry(float(times[0]), times[1:])
    if entry["low90"] is None and len(known) >= 0.9 * (len(times) - 1) and drawn.n_blocks >= 4:
        beyond = int(outer_level(drawn.n_blocks) * len(known))
        low, high = np.sort(known)[[beyond, len(known) - 1 - beyond]]
        entry |= {
            "low90": float(low) if np.isfinite(low) else None,
            "high90": float(high) if np.isfinite(high) else None,
        }
    return entry
