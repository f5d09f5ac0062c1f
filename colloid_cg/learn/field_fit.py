"""Strengths of external fields together with the pair force: lag-1 instrument, wells' centres estimated without bias.

Parameters in one vector: force coefficients, (k, q) of the wells, coefficients of the flow (all u_x, then all u_y).

A centre estimated from the track itself knows the noise that follows and biases k by 2 tau/T (Kendall 1954,
doi:10.1093/biomet/41.3-4.403; Nickell 1981, doi:10.2307/1911408). The bias of a track's summed equation does not grow
with its length, so that 2 g(centre of the track) - g(centre of each half) has none to leading order: the half-panel
jackknife (Dhaene and Jochmans 2015, doi:10.1093/restud/rdv007) applied to the equation instead of the estimate. D and
s2, of which the mean takes a share of a few frames in T, are extrapolated likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array, hstack

from colloid_cg.dynamics import External, Flow, OverdampedModel, closure_flow
from colloid_cg.errors import DataError
from colloid_cg.learn.fields import Fields, Strengths, basis_of
from colloid_cg.learn.forces import Equation, ForceData, ForceFit, force_data, roughness
from colloid_cg.learn.noise import NoiseFit
from colloid_cg.learn.problem import Block, Candidate
from colloid_cg.learn.series import blur_coefficient

_SETTLED = 0.02
_TRUST = 0.3
_OUTER = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """Terms of the equation at the rows of the data, (m, d) or (m, d, k): residual, W H one frame earlier, slope."""

    residual: np.ndarray
    instrument: np.ndarray
    slope: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldEquation:
    """The estimating equation: ``rows`` (m, p) sparse, ``slope`` (p, p)."""

    rows: csr_array
    slope: np.ndarray


def settled(block: Block, fields: Fields, strengths: Strengths) -> Block:
    """Return the block with fields of these strengths acting in it."""
    return replace(block, external=fields.external(block.series, strengths))


def terms(
    model: OverdampedModel, external: External, data: ForceData, *, noisy: np.ndarray,
    localisation_variance: float | np.ndarray, exact_slope: bool = False,
) -> Terms:  # fmt: skip
    """Return the terms for dense parameters (forces and wells); see :mod:`colloid_cg.learn.forces`."""
    series, rows = data.series, data.rows
    mobility = model.mobility[series.species]
    noise = localisation_variance - 2.0 * blur_coefficient(series) * mobility * series.frame_interval
    noise = np.where(noisy, noise, 0.0)
    amplitude = np.sqrt(np.abs(noise))[:, None] * data.z

    def phi(positions: np.ndarray, sensitivity: bool) -> Flow:
        return closure_flow(
            model, positions, species=series.species, frame_offsets=series.offsets, neighbours=data.neighbours,
            dt=series.frame_interval, sensitivity=sensitivity, jacobian=False, external=external,
        )  # fmt: skip

    here = phi(series.positions, True)
    ahead, back = (phi(series.positions + sign * amplitude, exact_slope) for sign in (1, -1))
    positive = (noise[rows] > 0)[:, None]

    def deconvolved(name: str, positive: np.ndarray) -> np.ndarray:
        smoothed = 0.5 * (getattr(ahead, name)[rows] + getattr(back, name)[rows])
        return np.asarray(np.where(positive, 2.0 * getattr(here, name)[rows] - smoothed, smoothed))

    step = series.positions[series.following[rows]] - series.positions[rows] - data.drift
    spread = 2.0 * series.frame_interval * mobility[rows] + 2.0 * noise[rows]
    slope = deconvolved("sensitivity", positive[:, :, None]) if exact_slope else here.sensitivity[rows]
    return Terms(
        residual=step - deconvolved("displacement", positive),
        instrument=here.sensitivity[series.previous[rows]] / spread[:, None, None],
        slope=slope,
        weight=1.0 / spread,
    )


def field_equation(
    model: OverdampedModel, strengths: Strengths, data: ForceData, fields: Fields, *,
    localisation_variance: float | np.ndarray, exact_slope: bool = False,
) -> FieldEquation:  # fmt: skip
    """Return the equation of all parameters, free of the bias of estimated centres."""
    external = fields.external(data.series, strengths)
    basis = basis_of(data.series, strengths)
    propagated = _propagated(model, external, data) if basis is not None else None

    def at(acting: External) -> FieldEquation:
        found = terms(
            model, acting, data, noisy=fields.noisy, localisation_variance=localisation_variance,
            exact_slope=exact_slope,
        )  # fmt: skip
        return _assembled(found, data, basis, propagated)

    whole = at(external)
    if fields.halves is None:
        return whole
    half = at(external.around(fields.halves))
    return FieldEquation(rows=csr_array(2.0 * whole.rows - half.rows), slope=2.0 * whole.slope - half.slope)


def _propagated(model: OverdampedModel, external: External, data: ForceData) -> np.ndarray:
    """Return what becomes of a constant push by the end of the frame, over dt: (1 + J)/2, shape (m, d)."""
    series = data.series
    flow = closure_flow(
        model, series.positions, species=series.species, frame_offsets=series.offsets, neighbours=data.neighbours,
        dt=series.frame_interval, external=external,
    )  # fmt: skip
    return np.asarray(0.5 * (1.0 + flow.gain[data.rows]))


def _assembled(found: Terms, data: ForceData, basis: csr_array | None, propagated: np.ndarray | None) -> FieldEquation:
    width, dt = found.instrument.shape[2], data.series.frame_interval
    flat, bent = (each.reshape(found.residual.size, width) for each in (found.instrument, found.slope))
    dense = csr_array(np.einsum("mak,ma->mk", found.instrument, found.residual))
    slope = flat.T @ bent
    if basis is None or propagated is None:
        return FieldEquation(rows=dense, slope=slope)
    before, here = basis[data.series.previous[data.rows]], basis[data.rows]
    count = basis.shape[1]
    total = np.zeros((width + 2 * count,) * 2)
    total[:width, :width] = slope
    parts = [dense]
    for axis in (0, 1):
        place = slice(width + axis * count, width + (axis + 1) * count)
        weighted = before * (dt * found.weight)[:, None]
        pushed = here * (dt * propagated[:, axis])[:, None]
        parts.append(csr_array(weighted * found.residual[:, axis][:, None]))
        total[:width, place] = (pushed.T @ found.instrument[:, axis]).T
        total[place, :width] = weighted.T @ found.slope[:, axis]
        total[place, place] = (weighted.T @ pushed).toarray()
    return FieldEquation(rows=csr_array(hstack(parts, format="csr")), slope=total)


def penalty_of(model: OverdampedModel, slope: np.ndarray, columns: int, smoothness: float) -> np.ndarray:
    """Return the penalty on rough forces, and a trace of one on flow where no particle ever was."""
    size = model.coefficients.size
    penalty = np.zeros_like(slope)
    if size:
        information = float(np.trace(slope[:size, :size])) / size
        if not information > 0:
            raise DataError(
                f"no particle pairs closer than {model.cutoff:.3g} um away from the edge of the view",
                expected="interacting pairs",
                action="use a larger fit.cutoff, or knots = [0] for no pair force",
            )
        diagonal = np.maximum(np.diag(slope)[:size], 0.0)
        penalty[:size, :size] = smoothness * roughness(model.coefficients.shape, diagonal)
        penalty[:size, :size] += 1e-12 * information * np.eye(size)
    flow = np.arange(size + columns, len(slope))
    if len(flow):
        penalty[flow, flow] = 1e-6 * np.diag(slope)[flow].mean()
    return penalty


def solve_fields(
    model: OverdampedModel, strengths: Strengths, data: ForceData, fields: Fields, *,
    localisation_variance: float | np.ndarray, smoothness: float, iterations: int,
) -> tuple[ForceFit, Strengths]:  # fmt: skip
    """Find the root by Gauss-Newton; the fit's equation carries no rows.

    Raises
    ------
    DataError
        If no pair, or no particle in a well, can be used.
    """
    size, columns = model.coefficients.size, fields.columns
    equation = field_equation(model, strengths, data, fields, localisation_variance=localisation_variance)
    _informed(equation, size, columns)
    penalty = penalty_of(model, equation.slope, columns, smoothness)
    converged, done = False, 0
    while done < iterations and not converged:
        done += 1
        stiffness = equation.slope + penalty
        value = np.concatenate([model.coefficients.ravel(), strengths.vector(columns)])
        change = np.linalg.solve(stiffness, equation.rows.sum(axis=0) - penalty @ value)
        if size:
            push = float(model.diffusion.max() * data.series.frame_interval * np.abs(change[:size]).max())
            change *= min(1.0, _TRUST * model.lower / max(push, 1e-300))
        if columns:  # a step beyond half of what holds the particles would be a leap in the dark
            held = max(abs(strengths.stiffness), float(np.sqrt(abs(strengths.quartic))), 1e-300)
            change *= min(1.0, 0.5 * held / max(abs(change[size]), 1e-300))
        error = _errors(equation, stiffness)
        trial = replace(model, coefficients=model.coefficients + change[:size].reshape(model.coefficients.shape))
        moved = strengths.moved(change[size:], columns)
        fresh = field_equation(trial, moved, data, fields, localisation_variance=localisation_variance)
        if not np.isfinite(fresh.rows.data).all():
            break
        model, strengths, equation = trial, moved, fresh
        converged = bool((np.abs(change) < _SETTLED * error).all())
    kept = Equation(rows=np.zeros((0, len(penalty))), slope=equation.slope)
    fit = ForceFit(
        model=model, equation=kept, stiffness=equation.slope + penalty, iterations=done, converged=converged
    )  # fmt: skip
    return fit, strengths


def _errors(equation: FieldEquation, stiffness: np.ndarray) -> np.ndarray:
    inverse = np.linalg.inv(stiffness)
    meat = (equation.rows.T @ equation.rows).toarray()
    return np.sqrt(np.maximum(np.diag(inverse @ meat @ inverse.T), 1e-300))


def _informed(equation: FieldEquation, size: int, columns: int) -> None:
    if columns and not equation.slope[size, size] > 0:
        raise DataError(
            "no particle in a well that was seen in three frames running away from the edge of the view",
            expected="trapped particles",
            action="check the centres in fit.traps, or leave fit.traps out",
        )


def fit_in_fields(
    block: Block, start: Candidate, *, fields: Fields, model: OverdampedModel, z_rng: np.random.Generator,
    smoothness: float, iterations: int,
) -> Candidate:  # fmt: skip
    """Alternate forces and strengths (given D, s2) with D, s2 (given the drift) until they settle."""
    data = force_data(block.series, block.neighbours, targets=block.targets, drift=block.drift, rng=z_rng)
    noise, strengths = start.noise, start.acting
    model, fitted = replace(model, diffusion=noise.diffusion), None
    n_parameters = model.coefficients.size + len(strengths.vector(fields.columns))
    for _ in range(_OUTER):
        if n_parameters:
            fitted, strengths = solve_fields(
                model, strengths, data, fields, localisation_variance=block.noise_of_rows(noise.localisation_variance),
                smoothness=smoothness, iterations=iterations,
            )  # fmt: skip
            model = fitted.model
        noise = noise_in_fields(block, model, fields, strengths, noise.parameters)
        # the drift D F is what the data fix: keep it while D is corrected
        ratio = float(np.mean(model.diffusion / noise.diffusion))
        model = replace(model, diffusion=noise.diffusion, coefficients=model.coefficients * ratio)
        strengths = strengths.scaled(ratio)
        if abs(ratio - 1.0) < 1e-3:
            break
    return Candidate(n_knots=model.n_knots, model=model, noise=noise, forces=fitted, strengths=strengths)


def noise_in_fields(
    block: Block, model: OverdampedModel, fields: Fields, strengths: Strengths, start: np.ndarray
) -> NoiseFit:
    """Return D and s2 given the drift, free of the share that estimated centres take."""
    external = fields.external(block.series, strengths)
    whole = block.noise(replace(block, external=external).residuals(model), start)
    if fields.halves is None:
        return whole
    halved = replace(block, external=external.around(fields.halves))
    half = block.noise(halved.residuals(model), whole.parameters)
    diffusion = np.clip(2.0 * whole.diffusion - half.diffusion, 0.5 * whole.diffusion, 2.0 * whole.diffusion)
    variance = 2.0 * whole.localisation_variance - half.localisation_variance
    return replace(whole, diffusion=diffusion, localisation_variance=variance)


def first_strengths(block: Block, fields: Fields, *, diffusion: float, flow_count: int) -> Strengths:
    """Return first values: k from lambda = C_2/C_1 of the positions in their wells, no flow."""
    flow = np.zeros((flow_count, flow_count, 2)) if flow_count else None
    if not fields.columns:
        return Strengths(flow=flow)
    series = block.series
    rows = np.flatnonzero((series.previous >= 0) & (series.following >= 0) & (fields.trap >= 0) & block.targets)
    if not len(rows):
        raise DataError(
            "no particle in a well that was seen in three frames running away from the edge of the view",
            expected="trapped particles",
            action="check the centres in fit.traps, or leave fit.traps out",
        )
    u = series.positions - fields.centre
    before = u[series.previous[rows]]
    one, two = float((before * u[rows]).sum()), float((before * u[series.following[rows]]).sum())
    lost = 1.0 - two / one if one > 0 else 0.1
    return Strengths(stiffness=float(np.clip(lost, 0.01, 0.9)) / (diffusion * series.frame_interval), flow=flow)
