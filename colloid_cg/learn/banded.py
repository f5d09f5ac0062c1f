"""Exact Gaussian likelihood of overdamped residuals seen through localisation noise and exposure blur.

r_t = y_{t+1} - y_t - Phi(y_t) has Cov(r_t, r_t) = V_t + w (1 + J_t^2 + leak_t) and Cov(r_t, r_{t-1}) = -J_t w,
w = s2 - 2 R D dt, which blur can make negative (Berglund 2010, doi:10.1103/PhysRevE.82.011917; Vestergaard, Blainey and
Flyvbjerg 2014, doi:10.1103/PhysRevE.89.022726). The tridiagonal covariance is factorised by recursion, afresh at gaps.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from colloid_cg.dynamics import Flow
from colloid_cg.learn.series import Chains
from colloid_cg.records import StateSeries


@dataclass(frozen=True, kw_only=True, eq=False)
class Residuals:
    """Residuals in chain order; ``used`` marks rows with a residual, ``joined`` those that continue the one before.

    ``row`` (m,), ``value, unit_variance, gain, leak`` (m, d), ``species`` (m,); unit_variance is V/D in s.
    """

    row: np.ndarray
    value: np.ndarray
    unit_variance: np.ndarray
    gain: np.ndarray
    leak: np.ndarray
    joined: np.ndarray
    species: np.ndarray
    clamped: int = 0
    """Rows whose closure left the range in which it means anything; they are held at its border."""


_LEAST_SHARE = 0.05
"""Smallest closure variance that is believed, as a share of 2 D dt."""
_LARGEST_GAIN = 3.0


def residuals(
    series: StateSeries,
    links: Chains,
    flow: Flow,
    *,
    diffusion: np.ndarray,
    targets: np.ndarray,
    drift: np.ndarray | float = 0.0,
) -> Residuals:
    """Return the residuals of every linked row in ``targets`` (one bool per row); ``drift``: common step, um."""
    order = links.order
    used = targets[order] & (series.following[order] >= 0)
    joined = links.joined.copy()
    joined[1:] &= used[:-1]
    row = order[used]
    step = series.positions[series.following[row]] - series.positions[row]
    species = series.species[row]
    # A noisy pair on a steep flank can send the moment closure out of bounds: one such row must not decide a fit.
    variance, gain, leak = flow.variance[row] / diffusion[species][:, None], flow.gain[row], flow.leak[row]
    least, largest_leak = 2.0 * _LEAST_SHARE * series.frame_interval, _LARGEST_GAIN**2
    outside = (variance < least) | (np.abs(gain) > _LARGEST_GAIN) | (leak > largest_leak)
    return Residuals(
        row=row,
        value=step - drift - flow.displacement[row],
        unit_variance=np.maximum(variance, least),
        gain=np.clip(gain, -_LARGEST_GAIN, _LARGEST_GAIN),
        leak=np.minimum(leak, largest_leak),
        joined=joined[used],
        species=species,
        clamped=int(outside.any(axis=1).sum()),
    )


def log_likelihood_rows(data: Residuals, *, diffusion: np.ndarray, effective_noise: np.ndarray) -> np.ndarray:
    """Return log-likelihood contributions, shape (m,) (summed over axes); -inf where the covariance is not positive.

    ``effective_noise`` is w per species in um2.
    """
    return innovations(data, diffusion=diffusion, effective_noise=effective_noise)[0]


def innovations(
    data: Residuals, *, diffusion: np.ndarray, effective_noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return log-likelihood contributions (m,) and standardised innovations (m, d), white if the model is right."""
    rows, white = np.empty(len(data.row)), np.empty_like(data.value)
    _recursion(
        data.value, data.unit_variance, data.gain, data.leak, data.joined, data.species,
        np.asarray(diffusion, dtype=float), np.asarray(effective_noise, dtype=float), rows, white,
    )  # fmt: skip
    return rows, white


@njit(cache=True)
def _recursion(value, unit_variance, gain, leak, joined, species, diffusion, noise, rows, white):
    d = value.shape[1]
    constant = np.log(2.0 * np.pi)
    pivot, carried = np.ones(d), np.zeros(d)
    for t in range(value.shape[0]):
        w = noise[species[t]]
        rows[t] = 0.0
        for a in range(d):
            g = gain[t, a]
            spread = diffusion[species[t]] * unit_variance[t, a] + w * (1.0 + g * g + leak[t, a])
            r = value[t, a]
            if joined[t]:
                factor = -g * w / pivot[a]
                spread -= factor * (-g * w)
                r -= factor * carried[a]
            if not spread > 0.0:
                rows[t] = -np.inf
                white[t, a] = 0.0
                pivot[a], carried[a] = 1.0, 0.0
                continue
            pivot[a], carried[a] = spread, r
            white[t, a] = r / np.sqrt(spread)
            rows[t] -= 0.5 * (constant + np.log(spread) + r * r / spread)
