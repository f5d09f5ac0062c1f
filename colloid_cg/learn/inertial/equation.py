"""Residuals of the inertial model, and the estimating equation for friction and force with lagged instruments.

    r_t = (y_{t+1} - 2 y_t + y_{t-1}) + T(G dt) u_t,    u_t = G dt c_t - dt^2 F/m,    T(x) = 2 tanh(x/2)/x

with the friction matrix G of all particles of the frame and c_t = (y_{t+1} - y_{t-1})/2. For constant G and F that is
exact for every G dt: the mean of r_t given everything before frame t - 1 is zero. T is a series in the action of
G. F is the mean over the two frames with Numerov's weights (1, 10, 1)/12.

u_t is linear in all the coefficients (gamma_b, g_par, g_perp, F/m), and r_t contains the noise of y_{t-1}, y_t and
y_{t+1}. The instruments Z_t are the same terms at a state forecast from y_{t-2} and y_{t-3}: they share no noise with
r_t, so that sum_t Z_t r_t = 0 has the right root whatever the noise (instrumental variables; Sargan 1958,
doi:10.2307/1907619). Regression on backward differences gives .65 to 2.8 times the friction, on central ones none.
What noise does to functions of the distance is undone to second order: H* = 2 H(y) - <H(y + s z)>.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from colloid_cg.learn.forces import roughness
from colloid_cg.learn.inertial.forecast import forecast
from colloid_cg.learn.inertial.model import InertialModel, with_coefficients
from colloid_cg.learn.inertial.pair_terms import (
    Contacts,
    contacts,
    force_terms,
    friction_terms,
    matrix_function,
    own_friction,
    own_stiffness,
    pair_drag,
)
from colloid_cg.learn.inertial.sequences import NUMEROV, Residuals
from colloid_cg.learn.problem import Block
from colloid_cg.learn.series import frame_of_rows

_ITERATIONS = 20
_SETTLED = 1e-6
_LEAST_FRICTION = 0.1
"""Least friction of a particle over the mean one that its noise is computed for: a fitted g that dips below zero
where it is hardly known must not end a fit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """A block with what every candidate needs, rows of shape (n,) or (n, d).

    ``centred`` c_t and ``second`` y_{t+1} - 2 y_t + y_{t-1} in um (zero where a link is missing), ``backward``
    y_t - y_{t-1}; ``linked`` rows seen in the frames before and after; ``z`` fixed normal numbers of the deconvolution.
    """

    block: Block
    centred: np.ndarray
    second: np.ndarray
    backward: np.ndarray
    linked: np.ndarray
    z: np.ndarray

    @property
    def dt(self) -> float:
        """Frame interval in s."""
        return self.block.series.frame_interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Terms of u_t and instruments: ``terms`` (n, d, k) so that u = terms @ coefficients; ``rows`` the targets (m,)."""

    terms: np.ndarray
    instruments: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Root of the equation: its model, ``contributions`` (m, k) of ``rows`` (m,), ``stiffness`` (k, k) with penalty."""

    model: InertialModel
    rows: np.ndarray
    contributions: np.ndarray
    stiffness: np.ndarray


def frames_of(block: Block, rng: np.random.Generator) -> Frames:
    """Return steps, centred steps and second differences of a block, the common drift taken off."""
    series, positions = block.series, block.series.positions
    before, after = series.previous >= 0, series.following >= 0
    linked = before & after
    backward, forward = np.zeros_like(positions), np.zeros_like(positions)
    backward[before] = positions[before] - positions[series.previous[before]] - block.drift
    forward[after] = positions[series.following[after]] - positions[after] - block.drift
    return Frames(
        block=block,
        centred=np.where(linked[:, None], 0.5 * (forward + backward), 0.0),
        second=np.where(linked[:, None], forward - backward, 0.0),
        backward=backward,
        linked=linked,
        z=rng.standard_normal(positions.shape),
    )


def residuals(frames: Frames, model: InertialModel) -> Residuals:
    """Return the residuals of all targets whose neighbours are known, in the order of tracks."""
    series, positions = frames.block.series, frames.block.series.positions
    found = contacts(positions, frames.block.neighbours.pairs, box=series.box, cutoff=model.cutoff)
    terms = _terms(frames, model, found, positions)
    usable = _usable(frames, found)
    value = _residual(frames, model, found, terms @ model.coefficients)
    order = frames.block.links.order
    row = order[usable[order]]
    joined = np.zeros(len(row), dtype=bool)
    joined[1:] = series.previous[row[1:]] == row[:-1]
    origins = frames.dt * own_friction(model, found, positions.shape)[:, row]
    origins = np.maximum(origins, 0.0)
    least = max(_LEAST_FRICTION * float(origins.sum(axis=0).mean()) if len(row) else 0.0, 1e-6)
    origins[0] += np.maximum(least - origins.sum(axis=0), 0.0)
    friction = origins.sum(axis=0)
    before, frame = series.previous[row], frame_of_rows(series)[row]
    return Residuals(
        row=row,
        frame=frame,
        value=value[row],
        step=frames.backward[row],
        friction=friction,
        shares=origins / friction,
        stiffness=np.clip(frames.dt**2 * own_stiffness(model, found, positions.shape)[row], -1.0, 1.0),
        joined=joined,
        fresh=(frame == 1) | (frames.block.targets[before] & (series.previous[before] < 0)),
    )


def design_of(frames: Frames, model: InertialModel, *, at_hand: bool = False) -> Design:
    """Return deconvolved terms and instruments for the knots, range and localisation variance of ``model``.

    ``at_hand`` takes the terms themselves as instruments: regression, biased by noise, but it needs no forecast.
    """
    series, positions = frames.block.series, frames.block.series.positions
    pairs = frames.block.neighbours.pairs

    def near(where: np.ndarray) -> Contacts:
        return contacts(where, pairs, box=series.box, cutoff=model.cutoff)

    here = near(positions)
    terms = _terms(frames, model, here, positions)
    if model.localisation_variance > 0.0 and len(pairs):
        shift = np.sqrt(model.localisation_variance) * frames.z
        terms *= 2.0
        for sign in (1.0, -1.0):
            moved = positions + sign * shift
            terms -= 0.5 * _terms(frames, model, near(moved), moved)
    earlier = terms if at_hand else _instruments(frames, model)
    second = np.where(series.previous >= 0, series.previous[series.previous], -1)
    known = (second >= 0) & (series.previous[second] >= 0)
    rows = np.flatnonzero(_usable(frames, here) & known)
    return Design(terms=terms, instruments=earlier[rows if at_hand else second[rows]], rows=rows)


def solve(
    frames: Frames, start: InertialModel, *, smoothness: float, at_hand: bool = False, exact: bool = False
) -> Solution:
    """Find the root of the equation for the knots of ``start``; its noise parameters stay as they are.

    ``start`` makes the forecasts of the instruments; ``at_hand`` regresses without any, to begin with. ``exact``
    differentiates T(G dt) too: needed for errors, not for the root.
    """
    design = design_of(frames, start, at_hand=at_hand)
    width = start.coefficients.size
    flat = design.instruments.reshape(-1, width)
    slope = flat.T @ design.terms[design.rows].reshape(-1, width)
    penalty = smoothness * _penalty(start, np.maximum(np.diag(slope), 0.0))
    penalty += 1e-10 * np.diag(np.maximum(np.diag(slope), 1e-12 * np.trace(slope)))
    series = frames.block.series
    found = contacts(series.positions, frames.block.neighbours.pairs, box=series.box, cutoff=start.cutoff)

    def residual(coefficients: np.ndarray) -> np.ndarray:
        u = design.terms @ coefficients
        return np.asarray(_residual(frames, with_coefficients(start, coefficients), found, u)[design.rows])

    coefficients = np.linalg.solve(slope + penalty, -flat.T @ frames.second[design.rows].ravel())
    for _ in range(_ITERATIONS):
        gradient = flat.T @ residual(coefficients).ravel() + penalty @ coefficients
        change = np.linalg.solve(slope + penalty, gradient)
        coefficients = coefficients - change
        if np.abs(design.terms[design.rows] @ change).max() < _SETTLED * np.abs(frames.second).max():
            break
    if exact:
        slope = _exact_slope(residual, coefficients, flat)
    return Solution(
        model=with_coefficients(start, coefficients),
        rows=design.rows,
        contributions=-np.einsum("mak,ma->mk", design.instruments, residual(coefficients)),
        stiffness=slope + penalty,
    )


def _exact_slope(residual: Any, coefficients: np.ndarray, flat: np.ndarray) -> np.ndarray:
    columns = []
    sizes = np.maximum(np.abs(coefficients), 0.05 * np.abs(coefficients).max())
    for k, size in enumerate(1e-3 * sizes):
        shift = size * (np.arange(len(sizes)) == k)
        change = residual(coefficients + shift) - residual(coefficients - shift)
        columns.append(flat.T @ change.ravel() / (2.0 * size))
    return np.stack(columns, axis=1)


def _usable(frames: Frames, found: Contacts) -> np.ndarray:
    """Targets linked both ways whose neighbours are too: without a neighbour's velocity its drag is unknown."""
    usable = frames.linked & frames.block.targets
    i, j = found.pairs.T
    usable[i[~frames.linked[j]]] = False
    usable[j[~frames.linked[i]]] = False
    return np.asarray(usable)


def _terms(frames: Frames, model: InertialModel, found: Contacts, positions: np.ndarray) -> np.ndarray:
    """Return u_t per coefficient, shape (n, d, k)."""
    along, across = friction_terms(found, model.friction_basis(found.distance), frames.centred)
    force = force_terms(found, model.force_basis(found.distance), len(positions))
    series = frames.block.series
    before, after = force[np.maximum(series.previous, 0)], force[np.maximum(series.following, 0)]
    mean = (1.0 - 2.0 * NUMEROV) * force + NUMEROV * (before + after)
    dt = frames.dt
    return np.concatenate([dt * frames.centred[:, :, None], dt * along, dt * across, -(dt**2) * mean], axis=2)


def _instruments(frames: Frames, model: InertialModel) -> np.ndarray:
    """Return the terms of u two frames ahead of every row as forecast from there, shape (n, d, k)."""
    series, pairs, dt = frames.block.series, frames.block.neighbours.pairs, frames.dt
    where, step = forecast(model, series.positions, frames.backward, pairs, box=series.box, dt=dt)
    found = contacts(where, pairs, box=series.box, cutoff=model.cutoff)
    along, across = friction_terms(found, model.friction_basis(found.distance), step)
    force = force_terms(found, model.force_basis(found.distance), len(step))
    return np.concatenate([dt * step[:, :, None], dt * along, dt * across, -(dt**2) * force], axis=2)


def _residual(frames: Frames, model: InertialModel, found: Contacts, u: np.ndarray) -> np.ndarray:
    """Return y_{t+1} - 2 y_t + y_{t-1} + T(G dt) u."""
    parallel, perpendicular, _ = model.curves(found.distance)
    parallel, perpendicular = np.maximum(parallel, 0.0), np.maximum(perpendicular, 0.0)
    bath, dt = max(model.bath, 0.0), frames.dt
    if not len(found.distance):
        return np.asarray(frames.second + _discretisation(np.array(bath * dt)) * u)

    def friction(vector: np.ndarray) -> np.ndarray:
        return np.asarray(dt * (bath * vector + pair_drag(found, parallel, perpendicular, vector)))

    largest = dt * bath
    row_sum = np.bincount(found.pairs.ravel(), weights=np.repeat(np.maximum(parallel, perpendicular), 2))
    largest += 2.0 * dt * float(row_sum.max())  # Gershgorin
    return np.asarray(frames.second + matrix_function(_discretisation, friction, u, largest=max(largest, 1e-9)))


def _discretisation(x: np.ndarray) -> np.ndarray:
    """T(x) = 2 tanh(x/2)/x."""
    safe = np.where(np.abs(x) > 1e-6, x, 1.0)
    return np.where(np.abs(x) > 1e-6, 2.0 * np.tanh(0.5 * safe) / safe, 1.0)


def _penalty(model: InertialModel, information: np.ndarray) -> np.ndarray:
    """Penalty of the second differences of each curve, none on gamma_b."""
    n = model.n_friction
    parts = [information[1 : n + 1], information[n + 1 : 2 * n + 1], information[2 * n + 1 :]]
    blocks = [roughness((1, len(part)), part) if len(part) else np.zeros((0, 0)) for part in parts]
    return np.asarray(block_diag(np.zeros((1, 1)), *blocks))
