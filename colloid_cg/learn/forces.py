"""Pair force from noisy positions: instrument one frame back, drift corrected for the spread of the noise.

Solved for the spline coefficients c:  sum_t W H(y_{t-1})^T r*_t = lambda P c,  r*_t = y_{t+1} - y_t - Phi*(y_t).
H = dPhi/dc one frame earlier knows nothing of the noise in y_t, so the equation has the right root whatever the noise;
regression on y_t itself overestimates forces (x 2 at s2 = 2 D dt). Phi* = 2 Phi(y) - E_z Phi(y + sqrt(w) z) undoes the
smoothing of Phi by the noise to second order; for w < 0 (blur beyond noise) Phi* = E_z Phi(y + sqrt(-w) z). This is
root finding: there is no loss, but a step that leads away from the root is halved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.linalg import block_diag

from colloid_cg.dynamics import Flow, FramePairs, OverdampedModel, closure_flow
from colloid_cg.errors import DataError
from colloid_cg.learn.series import blur_coefficient
from colloid_cg.records import StateSeries

_SETTLED = 0.02
"""Gauss-Newton stops when a step moves every coefficient by less than this many standard errors."""
_TRUST = 0.3
"""Largest change of a displacement over one frame in one iteration, in units of the first knot's distance."""
_HALVINGS = 5
"""Trials of a step, each half the one before."""
_UNSEEN, _STRAIGHT, _LEAST_INFORMATION = 0.1, 30.0, 0.3
"""Coefficients with less than the first share of the mean information count as unseen; weight that keeps the force
straight there, and least weight anywhere, in units of the mean information."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ForceData:
    """What the estimating equation runs over: rows with links both ways, fixed noise z, the common step (um)."""

    series: StateSeries
    neighbours: FramePairs
    rows: np.ndarray
    z: np.ndarray
    drift: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Equation:
    """Terms of the estimating equation: ``rows`` (m, k) contributions, ``slope`` (k, k) = sum W H^T dPhi*/dc."""

    rows: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class ForceFit:
    """Root of the equation with what its error needs."""

    model: OverdampedModel
    equation: Equation
    stiffness: np.ndarray
    iterations: int
    converged: bool


def force_data(
    series: StateSeries, neighbours: FramePairs, *, targets: np.ndarray, drift: np.ndarray, rng: np.random.Generator
) -> ForceData:
    """Return the data for rows in ``targets`` that were detected in the frame before and after."""
    linked = (series.previous >= 0) & (series.following >= 0) & targets
    return ForceData(
        series=series,
        neighbours=neighbours,
        rows=np.flatnonzero(linked),
        z=rng.standard_normal(series.positions.shape),
        drift=drift,
    )


def estimating_equation(
    model: OverdampedModel, data: ForceData, *, localisation_variance: float | np.ndarray, exact_slope: bool = False
) -> Equation:
    """Return the equation at the coefficients of ``model``; its slope without the noise correction unless asked for.

    ``localisation_variance`` is one value or one per row, um2.
    """
    series, rows = data.series, data.rows
    noise = localisation_variance - 2.0 * blur_coefficient(series) * model.diffusion[series.species] * (
        series.frame_interval
    )
    amplitude = np.sqrt(np.abs(noise))[:, None] * data.z

    def phi(positions: np.ndarray, sensitivity: bool) -> Flow:
        return closure_flow(
            model,
            positions,
            species=series.species,
            frame_offsets=series.offsets,
            neighbours=data.neighbours,
            dt=series.frame_interval,
            sensitivity=sensitivity,
            jacobian=False,
        )

    here = phi(series.positions, True)
    ahead, back = (phi(series.positions + sign * amplitude, exact_slope) for sign in (1, -1))
    positive = (noise[rows] > 0)[:, None]
    corrected = _deconvolved(here.displacement, ahead.displacement, back.displacement, rows, positive)
    slope = here.sensitivity[rows]
    if exact_slope:
        slope = _deconvolved(here.sensitivity, ahead.sensitivity, back.sensitivity, rows, positive[:, :, None])
    step = series.positions[series.following[rows]] - series.positions[rows] - data.drift
    spread = 2.0 * series.frame_interval * model.diffusion[series.species[rows]] + 2.0 * noise[rows]
    weighted = here.sensitivity[series.previous[rows]] / spread[:, None, None]
    width = weighted.shape[2]
    return Equation(
        rows=np.einsum("mak,ma->mk", weighted, step - corrected),
        slope=weighted.reshape(-1, width).T @ slope.reshape(-1, width),
    )


def _deconvolved(
    here: np.ndarray, ahead: np.ndarray, back: np.ndarray, rows: np.ndarray, positive: np.ndarray
) -> np.ndarray:
    smoothed = 0.5 * (ahead[rows] + back[rows])
    return np.asarray(np.where(positive, 2.0 * here[rows] - smoothed, smoothed))


def _damped(
    model: OverdampedModel, change: np.ndarray, gradient: np.ndarray, scaled: np.ndarray, penalty: np.ndarray, *,
    fresh: Callable[[OverdampedModel], Equation],
) -> tuple[OverdampedModel, Equation] | None:  # fmt: skip
    """Return model and equation after the step ``change``, halved while it leads away from the root.

    The distance is that of the next correction S^-1 g, S the stiffness of this step, in standard errors (the natural
    monotonicity test of Deuflhard 2011, Newton Methods for Nonlinear Problems, section 3.3). None where no step gives
    finite numbers.
    """
    before, best = float(((scaled @ gradient) ** 2).sum()), None
    for _ in range(_HALVINGS):
        trial = replace(model, coefficients=model.coefficients + change.reshape(model.coefficients.shape))
        equation = fresh(trial)
        if np.isfinite(equation.rows).all():
            left = equation.rows.sum(axis=0) - penalty @ trial.coefficients.ravel()
            after = float(((scaled @ left) ** 2).sum())
            if best is None or after < best[0]:
                best = after, trial, equation
            if after <= before:
                break
        change = 0.5 * change  # not in place: whether the iteration has settled is judged by the whole step
    return None if best is None else best[1:]


def roughness(shape: tuple[int, int], information: np.ndarray) -> np.ndarray:
    """Return P with c P c = sum_k I_k (second difference of c at k)^2, the zeros beyond the cutoff included.

    Weighted by the information I_k on each coefficient, the penalty is the same small share of what the data know at
    every distance: it stops neighbouring coefficients from swinging against each other and hardly bends a steep core.
    Where no pair was seen, the force goes on as a straight line: without that, a distance that one species never
    reaches runs away and drags all others along.
    """
    n_pairs, n_knots = shape
    blocks = []
    for row in information.reshape(shape):
        mean = max(float(row.mean()), 1e-6 * float(information.mean()))
        difference = np.diff(np.eye(n_knots + 2), n=2, axis=0)[:, :n_knots]
        local = np.maximum(np.append(row[1:], row[-1]), _LEAST_INFORMATION * mean)
        unseen = np.append(row < _UNSEEN * mean, [False, False])
        local[unseen[:-2] | unseen[1:-1] | unseen[2:]] += _STRAIGHT * mean
        blocks.append(difference.T @ (local[:, None] * difference))
    return np.asarray(block_diag(*blocks)) if n_pairs else np.zeros((0, 0))


def solve_forces(
    start: OverdampedModel,
    data: ForceData,
    *,
    localisation_variance: float | np.ndarray,
    smoothness: float,
    iterations: int,
) -> ForceFit:
    """Find the root by Gauss-Newton from ``start``.

    Raises
    ------
    DataError
        If no pair ever comes within the cutoff.
    """
    model, converged, done = start, False, 0
    equation = estimating_equation(model, data, localisation_variance=localisation_variance)
    information = float(np.trace(equation.slope)) / start.coefficients.size
    if not information > 0:
        raise DataError(
            f"no particle pairs closer than {start.cutoff:.3g} um away from the edge of the view",
            expected="interacting pairs",
            action="use a larger fit.cutoff, or knots = [0] for free diffusion",
        )
    penalty = smoothness * roughness(start.coefficients.shape, np.maximum(np.diag(equation.slope), 0.0))
    penalty += 1e-12 * information * np.eye(start.coefficients.size)
    while done < iterations and not converged:
        done += 1
        stiffness = equation.slope + penalty
        gradient = equation.rows.sum(axis=0) - penalty @ model.coefficients.ravel()
        change = np.linalg.solve(stiffness, gradient)
        known = np.diag(equation.slope)
        seen = known > 1e-3 * known.mean()
        step = float(model.diffusion.max() * data.series.frame_interval * np.abs(change[seen]).max(initial=0.0))
        change *= min(1.0, _TRUST * start.lower / max(step, 1e-300))
        inverse = np.linalg.inv(stiffness)
        error = np.sqrt(np.maximum(np.diag(inverse @ (equation.rows.T @ equation.rows) @ inverse.T), 1e-300))
        found = _damped(model, change, gradient, inverse / error[:, None], penalty, fresh=partial(
            estimating_equation, data=data, localisation_variance=localisation_variance))  # fmt: skip
        if found is None:
            break
        model, equation = found
        converged = bool((np.abs(change) < _SETTLED * error).all())
    return ForceFit(
        model=model,
        equation=equation,
        stiffness=equation.slope + penalty,
        iterations=done,
        converged=converged,
    )
