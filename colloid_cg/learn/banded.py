"""Exact Gaussian likelihood of overdamped residuals seen through localisation noise and exposure blur.

r_t = y_{t+1} - y_t - Phi(y_t) has, with what the exposure adds (b0, b1: :mod:`colloid_cg.learn.exposure`),

    Cov(r_t, r_t) = V_t + D dt b0_t + s2_{t+1} + J_t^2 s2_t + leak_t s2,    Cov(r_t, r_{t-1}) = D dt b1_t - J_t s2_t

(Berglund 2010, doi:10.1103/PhysRevE.82.011917; Vestergaard, Blainey and Flyvbjerg 2014,
doi:10.1103/PhysRevE.89.022726, for free diffusion). V_t is a multiple of D, the noise of a detection a known multiple
of the mean s2 plus a known part, so that both are linear in (D, s2). The tridiagonal covariance is factorised by
recursion, afresh at gaps.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from colloid_cg.dynamics import Flow
from colloid_cg.learn.detection import DetectionNoise
from colloid_cg.learn.exposure import exposed_row
from colloid_cg.learn.series import Chains, exposure_share
from colloid_cg.records import StateSeries


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """One diagonal of the covariance of the residuals: D ``per_diffusion`` + s2 ``per_noise`` + ``fixed``.

    Arrays of shape (m, d) in s, 1 and um2.
    """

    per_diffusion: np.ndarray
    per_noise: np.ndarray
    fixed: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Residuals:
    """Residuals in chain order; ``used`` marks rows with a residual, ``joined`` those that continue the one before.

    ``row`` (m,), ``value, gain`` (m, d), ``species`` (m,); ``spread`` is the variance of a residual, ``coupling`` its
    covariance with the one before.
    """

    row: np.ndarray
    value: np.ndarray
    gain: np.ndarray
    spread: Band
    coupling: Band
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
    detection: DetectionNoise | None = None,
) -> Residuals:
    """Return the residuals of every linked row in ``targets`` (one bool per row); ``drift``: common step, um.

    ``detection`` says how the noise of each detection follows from the mean s2; None: it is s2 everywhere.
    """
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
    gain = np.clip(gain, -_LARGEST_GAIN, _LARGEST_GAIN)
    leak = np.minimum(leak, largest_leak)
    following = series.following[row]
    here, ahead = (None, None) if detection is None else (detection.of(row), detection.of(following))
    spread, coupling = _bands(
        np.maximum(variance, least), gain, leak, dt=series.frame_interval, share=exposure_share(series),
        here=here, ahead=ahead,
    )  # fmt: skip
    return Residuals(
        row=row,
        value=step - drift - flow.displacement[row],
        gain=gain,
        spread=spread,
        coupling=coupling,
        joined=joined[used],
        species=species,
        clamped=int(outside.any(axis=1).sum()),
    )


def _bands(
    variance: np.ndarray,
    gain: np.ndarray,
    leak: np.ndarray,
    *,
    dt: float,
    share: float,
    here: tuple[np.ndarray, np.ndarray] | None,
    ahead: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[Band, Band]:
    """Return both diagonals; ``here`` and ``ahead`` hold (share of s2, fixed part) of the two detections of a step."""
    constant = (np.ones_like(gain), np.zeros_like(gain))
    share_here, fixed_here = here or constant
    share_ahead, fixed_ahead = ahead or constant
    own, lagged = exposed_row(gain, leak, share)
    spread = Band(
        per_diffusion=variance + dt * own,
        per_noise=share_ahead + gain**2 * share_here + leak,
        fixed=fixed_ahead + gain**2 * fixed_here,
    )
    return spread, Band(per_diffusion=dt * lagged, per_noise=-gain * share_here, fixed=-gain * fixed_here)


def log_likelihood_rows(data: Residuals, *, diffusion: np.ndarray, localisation_variance: float) -> np.ndarray:
    """Return log-likelihood contributions, shape (m,) (summed over axes); -inf where the covariance is not positive.

    ``diffusion`` is D per species in um2/s, ``localisation_variance`` s2 in um2, which blur can make negative.
    """
    return innovations(data, diffusion=diffusion, localisation_variance=localisation_variance)[0]


def innovations(
    data: Residuals, *, diffusion: np.ndarray, localisation_variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return log-likelihood contributions (m,) and standardised innovations (m, d), white if the model is right."""
    rows, white = np.empty(len(data.row)), np.empty_like(data.value)
    own = np.asarray(diffusion, dtype=float)[data.species][:, None]
    spread, coupling = (
        own * band.per_diffusion + localisation_variance * band.per_noise + band.fixed
        for band in (data.spread, data.coupling)
    )
    _recursion(data.value, spread, coupling, data.joined, rows, white)
    return rows, white


@njit(cache=True)
def _recursion(value, spread, coupling, joined, rows, white):
    d = value.shape[1]
    constant = np.log(2.0 * np.pi)
    pivot, carried = np.ones(d), np.zeros(d)
    for t in range(value.shape[0]):
        rows[t] = 0.0
        for a in range(d):
            remaining, r = spread[t, a], value[t, a]
            if joined[t]:
                factor = coupling[t, a] / pivot[a]
                remaining -= factor * coupling[t, a]
                r -= factor * carried[a]
            if not remaining > 0.0:
                rows[t] = -np.inf
                white[t, a] = 0.0
                pivot[a], carried[a] = 1.0, 0.0
                continue
            pivot[a], carried[a] = remaining, r
            white[t, a] = r / np.sqrt(remaining)
            rows[t] -= 0.5 * (constant + np.log(remaining) + r * r / remaining)
