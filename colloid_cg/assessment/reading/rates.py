"""How often particles rearrange as a function of a variable, and whether the rate is exponential in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import chi2, norm

from colloid_cg.assessment.reading.resampling import Resampling, with_interval

FINE_BINS = 100
"""Bins of equal numbers of rows, and as many of equal width, that the law is fitted to."""
_ROUNDS = 60
_LONGEST = 2.0


def rate_against(
    s: np.ndarray, positive: np.ndarray, drawn: Resampling, *, duration: float, bins: int
) -> dict[str, Any]:
    """Return the rate of rearrangement in bins of s, and the law ln k = a + b s fitted to all rows.

    A particle that rearranges at rate k does so within ``duration`` with probability 1 - exp(-k duration); a, b follow
    by maximum likelihood (complementary log-log regression). ``curvature`` is c of ln k = a + b s + c s^2 / 2; its
    interval and ``linearity_p`` (two-sided, normal) tell whether the straight line holds.

    Parameters
    ----------
    s : array, shape (n,)
    positive : bool array, shape (n,)
        Rearranged within ``duration`` (s).
    bins : int
        Bins of equal numbers of rows for the eye.

    Returns
    -------
    dict
        ``s, rate, low90, high90`` (1/s) per bin, ``slope``, ``curvature`` and ``log_rate`` at s = 0, each with value,
        low90, high90; ``linearity_p``.
    """
    coarse = _counts(s, positive, drawn, _even_bins(s, bins))
    share = _rates(*coarse[1:], drawn.weights, duration)
    fine = _counts(s, positive, drawn, _fine_bins(s))
    straight, curved = (_fits(*fine, drawn.weights, duration, degree) for degree in (1, 2))
    entries = [with_interval(row[0], row[1:], n_blocks=drawn.n_blocks) for row in share.T]
    spread = float(np.nanstd(curved[1:, 2])) if drawn.n_blocks > 1 else float("nan")
    return {
        "s": coarse[0],
        "rate": [entry["value"] for entry in entries],
        "low90": [entry["low90"] for entry in entries],
        "high90": [entry["high90"] for entry in entries],
        "log_rate": drawn.entry(straight[0, 0], straight[1:, 0]),
        "slope": drawn.entry(straight[0, 1], straight[1:, 1]),
        "curvature": drawn.entry(curved[0, 2], curved[1:, 2]),
        "linearity_p": float(2.0 * norm.sf(abs(curved[0, 2]) / spread)) if spread > 0.0 else None,
    }


def _fine_bins(s: np.ndarray) -> np.ndarray:
    """Return the bin of each row: narrow in the middle and in the tails alike, so that a bin is as good as its rows."""
    edges = np.union1d(np.quantile(s, np.arange(1, FINE_BINS) / FINE_BINS), np.linspace(s.min(), s.max(), FINE_BINS))
    return np.asarray(np.unique(np.searchsorted(edges, s), return_inverse=True)[1])


def _even_bins(s: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of each row, of equal numbers of rows."""
    of = np.empty(len(s), dtype=np.int64)
    of[np.argsort(s, kind="stable")] = np.arange(len(s)) * min(bins, len(s)) // len(s)
    return of


def _counts(
    s: np.ndarray, positive: np.ndarray, drawn: Resampling, of: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of s in each bin (K,), and rows and positives by block and bin (B, K)."""
    bins = int(of.max()) + 1
    mean = np.bincount(of, weights=s, minlength=bins) / np.bincount(of, minlength=bins)
    cell, shape = drawn.index * bins + of, (drawn.n_blocks, bins)
    rows = np.bincount(cell, minlength=shape[0] * bins).reshape(shape)
    hits = np.bincount(cell, weights=positive.astype(float), minlength=shape[0] * bins).reshape(shape)
    return mean, rows.astype(float), hits


def _rates(rows: np.ndarray, hits: np.ndarray, weights: np.ndarray, duration: float) -> np.ndarray:
    """Return -ln(1 - share) / duration of all rows and of every resample, shape (1 + R, K)."""
    weights = np.concatenate([np.ones((1, weights.shape[1])), weights])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(-np.log1p(-(weights @ hits) / (weights @ rows)) / duration)


def _fits(
    s: np.ndarray, rows: np.ndarray, hits: np.ndarray, weights: np.ndarray, duration: float, degree: int
) -> np.ndarray:
    """Return the coefficients for all rows and for every resample, shape (1 + R, degree + 1); NaN where none exist.

    Fisher scoring with steps of at most ``_LONGEST`` in each coefficient.
    """
    weights = np.concatenate([np.ones((1, weights.shape[1])), weights])
    n, y = weights @ rows, weights @ hits
    design = np.stack([np.ones(len(s)), s, 0.5 * s**2][: degree + 1], axis=1)
    total = y.sum(axis=1) / n.sum(axis=1)
    known = (total > 0.0) & (total < 1.0)
    found = np.full((len(weights), degree + 1), np.nan)
    if not known.any():
        return found
    n, y = n[known], y[known]
    beta = np.zeros((len(n), degree + 1))
    beta[:, 0] = np.log(-np.log1p(-total[known]) / duration)
    for _ in range(_ROUNDS):
        mean = np.exp(np.clip(beta @ design.T, -25.0, 25.0)) * duration
        share = -np.expm1(-mean)
        # With share (1 - share) = share exp(-mean) nothing is divided by zero where nearly all rearrange.
        information = np.einsum("rk,ka,kb->rab", n * mean**2 * np.exp(-mean) / share, design, design)
        score = ((y - n * share) * mean / share) @ design
        ridge = 1e-9 * np.trace(information, axis1=1, axis2=2)[:, None, None] * np.eye(degree + 1)
        step = np.clip(np.linalg.solve(information + ridge, score[:, :, None])[:, :, 0], -_LONGEST, _LONGEST)
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            break
    found[known] = beta
    return found


def compare_slopes(runs: dict[str, dict[str, Any]], control: dict[str, float] | None = None) -> dict[str, Any]:
    """Compare the slopes of several runs, of another drive or temperature say.

    Parameters
    ----------
    runs : dict
        Name of each run -> what :func:`rate_against` found.
    control : dict, optional
        Name of each run -> drive or temperature.

    Returns
    -------
    dict
        ``runs``: name, control, slope (value, low90, high90); ``mean``: their mean weighted by inverse variance;
        ``same_p``: probability of slopes as different as these if all were equal (Cochran's Q, chi-square);
        ``against_control``: change of the slope per unit of ``control``, with interval, where it is given.
    """
    names = [name for name, found in runs.items() if found["slope"]["low90"] is not None]
    rows = [{"name": name, "control": (control or {}).get(name), "slope": runs[name]["slope"]} for name in names]
    value = np.array([row["slope"]["value"] for row in rows])
    error = np.array([(row["slope"]["high90"] - row["slope"]["low90"]) / (2 * norm.ppf(0.95)) for row in rows])
    if len(rows) < 2:
        return {"runs": rows, "mean": None, "same_p": None, "against_control": None}
    weight = error**-2.0
    mean = float((weight * value).sum() / weight.sum())
    result: dict[str, Any] = {
        "runs": rows, "mean": _normal(mean, float(weight.sum() ** -0.5)),
        "same_p": float(chi2.sf((weight * (value - mean) ** 2).sum(), len(rows) - 1)), "against_control": None,
    }  # fmt: skip
    if control is not None and len({control[name] for name in names}) > 1:
        x = np.array([control[name] for name in names])
        x = x - (weight * x).sum() / weight.sum()
        square = float((weight * x**2).sum())
        result["against_control"] = _normal(float((weight * x * value).sum()) / square, square**-0.5)
    return result


def _normal(value: float, error: float) -> dict[str, float]:
    half = float(norm.ppf(0.95)) * error
    return {"value": value, "low90": value - half, "high90": value + half}
