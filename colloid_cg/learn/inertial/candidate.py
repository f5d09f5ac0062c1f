"""Fit of one candidate: friction and force by instruments, thermal speed and noise by likelihood, in turn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.learn.inertial.equation import Frames, Solution, residuals, solve
from colloid_cg.learn.inertial.maximum import Maximum, RowLikelihood, maximise, scores, with_scores
from colloid_cg.learn.inertial.model import InertialModel, with_coefficients
from colloid_cg.learn.inertial.sequences import Residuals, Sequences, sequences
from colloid_cg.learn.series import exposure_share

_EVERY = 8
"""Frames between two starts of a sequence where pairs interact: a start knows <v^2> = theta whatever the forces."""
_ROUNDS = 3
_LEAST_RESIDUALS = 50
_MOST_GAINED = 0.1
"""Speed that a fitted bath may give back in a frame: more is no error of friction but of the force that is missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A fitted model; ``solution`` is None for free particles, whose friction is part of the likelihood.

    ``strength`` holds log theta, s2/dt^2, then log(gamma_b dt) of free particles or the noise scales.
    """

    model: InertialModel
    strength: np.ndarray
    solution: Solution | None


def free_model(cutoff: float) -> InertialModel:
    """Return free particles; the cutoff only says whose neighbours must be known, so that rows can be compared."""
    none = np.zeros(0)
    return InertialModel(
        bath=1.0, parallel=none, perpendicular=none, force=none, thermal_speed_squared=1.0, localisation_variance=0.0,
        lower=0.5 * cutoff, cutoff=cutoff,
    )  # fmt: skip


def fit_free(frames: Frames, *, cutoff: float) -> Candidate:
    """Maximise the exact likelihood of free particles over theta, gamma_b and s2.

    Raises
    ------
    DataError
        If there are too few rows with links on both sides.
    """
    data = _enough(residuals(frames, free_model(cutoff)))
    dt = frames.dt
    steps = float((data.step**2).mean()) / dt**2
    start = np.array([np.log(steps), 0.02 * steps, np.log(0.2)])
    best = maximise(free_likelihood(frames, cutoff), start, np.array([0.1, 0.02 * steps, 0.3]))
    model = replace(
        free_model(cutoff),
        bath=float(np.exp(best[2])) / dt,
        thermal_speed_squared=float(np.exp(best[0])),
        localisation_variance=float(best[1]) * dt**2,
    )
    return Candidate(model=model, strength=best, solution=None)


def free_likelihood(frames: Frames, cutoff: float) -> RowLikelihood:
    """Return the log-density of rows as a function of (log theta, s2/dt^2, log gamma dt)."""
    base, share = residuals(frames, free_model(cutoff)), exposure_share(frames.block.series)
    second, centred = frames.second[base.row], frames.centred[base.row]

    def rows(parameters: np.ndarray) -> np.ndarray:
        x = float(np.exp(np.clip(parameters[2], -12.0, 5.0)))
        value = second + 2.0 * np.tanh(0.5 * x) * centred
        data = replace(base, value=value, friction=np.full(base.value.shape, x), shares=np.ones((1, *value.shape)))
        return _densities(sequences(data, exposure_share=share), frames.dt, np.append(parameters[:2], 1.0))

    return rows


def pair_likelihood(frames: Frames, model: InertialModel) -> RowLikelihood:
    """Return the log-density of rows as a function of (log theta, s2/dt^2, noise scales) for given coefficients."""
    data = _enough(residuals(frames, model))
    found = sequences(data, exposure_share=exposure_share(frames.block.series), every=_EVERY)
    return lambda parameters: _densities(found, frames.dt, parameters)


def fit_pairs(frames: Frames, start: InertialModel, *, smoothness: float) -> Candidate:
    """Alternate friction and force (given s2) and theta, s2 (given the residuals) for the knots of ``start``."""
    model = solve(frames, start, smoothness=smoothness, at_hand=True).model
    origins = 3 if start.n_friction else 1
    least = 0.01 * start.thermal_speed_squared  # a start without noise may have no positive covariance
    strength = np.append(
        [np.log(start.thermal_speed_squared), max(start.localisation_variance / frames.dt**2, least)], np.ones(origins)
    )
    for _ in range(_ROUNDS):
        solution = solve(frames, model, smoothness=smoothness)
        _dissipative(solution.model, frames.dt)
        spread = np.append([0.1, 0.02 * np.exp(strength[0])], np.full(origins, 0.1))
        before = strength
        strength = maximise(pair_likelihood(frames, solution.model), strength, spread)
        model = replace(
            solution.model,
            thermal_speed_squared=float(np.exp(strength[0])),
            localisation_variance=float(strength[1]) * frames.dt**2,
            noise_scale=strength[2:],
        )
        if abs(strength[1] - before[1]) < 1e-3 * np.exp(strength[0]):
            break
    return Candidate(model=model, strength=strength, solution=replace(solution, model=model))


def with_knots(model: InertialModel, *, n_friction: int, n_force: int, lower: float, cutoff: float) -> InertialModel:
    """Return a start for other knots: only gamma_b, theta and s2 are kept (the equation needs no start)."""
    return replace(
        model,
        parallel=np.zeros(n_friction),
        perpendicular=np.zeros(n_friction),
        force=np.zeros(n_force),
        lower=lower,
        cutoff=cutoff,
    )


def held_out(frames: Frames, model: InertialModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-density of every predicted position of a block (one frame ahead) and its row."""
    found = sequences(residuals(frames, model), exposure_share=exposure_share(frames.block.series))
    rows = found.log_likelihood(
        model.thermal_speed_squared * frames.dt**2, model.localisation_variance, model.noise_scale
    )
    predicted = found.place > 0
    return np.maximum(rows[predicted], -1e6), found.row[predicted]


def influence(frames: Frames, candidate: Candidate, *, smoothness: float) -> np.ndarray:
    """Return the influence of every row on (theta, s2, gamma_b, g_par.., g_perp.., F/m.., noise scales), (n, k)."""
    n, dt, model = len(frames.block.series.positions), frames.dt, candidate.model
    step = 1e-3 * np.append([1.0, np.exp(candidate.strength[0]) * 0.1], np.ones(len(candidate.strength) - 2))
    if candidate.solution is None:
        found = with_scores(free_likelihood(frames, model.cutoff), candidate.strength, step)
        strength = _spread(found.influence, _rows_of(frames, model, None), n)
        scaled = strength * np.array([model.thermal_speed_squared, dt**2, model.bath])
        return np.concatenate([scaled, np.zeros((n, 1))], axis=1)
    solution = solve(frames, model, smoothness=smoothness, exact=True)
    own = solution.contributions @ np.linalg.pinv(solution.stiffness).T
    coefficients = _spread(own, solution.rows, n)
    found = with_scores(pair_likelihood(frames, model), candidate.strength, step)
    strength = _spread(found.influence, _rows_of(frames, model, _EVERY), n)
    strength += coefficients @ _carried(frames, candidate, found, step, own).T
    strength[:, :2] *= np.array([model.thermal_speed_squared, dt**2])
    return np.concatenate([strength[:, :2], coefficients, strength[:, 2:]], axis=1)


def _carried(frames: Frames, candidate: Candidate, found: Maximum, step: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return d(strength)/d(coefficients), shape (p, k): the likelihood uses the residuals of the equation."""
    model, error = candidate.model, np.sqrt((own**2).sum(axis=0))
    total = found.scores.sum(axis=0)
    columns = []
    for k, size in enumerate(error):
        moved = with_coefficients(model, model.coefficients + size * (np.arange(len(error)) == k))
        shifted = scores(pair_likelihood(frames, moved), candidate.strength, step).sum(axis=0)
        columns.append((shifted - total) / max(size, 1e-300))
    return np.asarray(np.linalg.pinv(found.information) @ np.stack(columns, axis=1))


def _rows_of(frames: Frames, model: InertialModel, every: int | None) -> np.ndarray:
    return sequences(residuals(frames, model), exposure_share=0.0, every=every).row


def _spread(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    full = np.zeros((n, values.shape[1]))
    np.add.at(full, rows, values)
    return full


def _densities(found: Sequences, dt: float, parameters: np.ndarray) -> np.ndarray:
    theta = float(np.exp(np.clip(parameters[0], -50.0, 50.0)))
    return found.log_likelihood(theta * dt**2, float(parameters[1]) * dt**2, parameters[2:])


def _dissipative(model: InertialModel, dt: float) -> None:
    if model.bath * dt < -_MOST_GAINED:
        raise DataError(
            f"a bath friction of {model.bath:.3g} 1/s, which speeds particles up",
            expected="friction above zero within its error",
            action="allow a pair force, or fewer knots",
        )


def _enough(data: Residuals) -> Residuals:
    if len(data.row) < _LEAST_RESIDUALS:
        raise DataError(
            f"{len(data.row)} rows with a frame before and after",
            expected=f"at least {_LEAST_RESIDUALS}",
            action="use a longer movie, or keep tracks of more frames",
        )
    return data
