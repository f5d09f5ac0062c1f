"""Pair force by least squares: m dv/dt between two frames on the mean of the spline forces at both.

Force matching (Ercolessi and Adams 1994, doi:10.1209/0295-5075/26/8/005; Noid et al. 2008, doi:10.1063/1.2938860) with
the impulse of a whole frame in place of the instantaneous force: m (v_{t+1} - v_t)/dt = (F_t + F_{t+1})/2 + friction +
noise. In equilibrium velocities do not depend on positions, so that the friction that is left out does no more than
brake within the step (:func:`braking_within_a_step`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from colloid_cg.learn.forces import roughness
from colloid_cg.learn.momentum.contacts import Contacts
from colloid_cg.learn.momentum.friction import PairData
from colloid_cg.learn.momentum.knots import Knots
from colloid_cg.learn.momentum.sums import force_features, friction_forces, pair_forces
from colloid_cg.records import PhaseSeries

_RIDGE = 1e-10
"""Share of the mean information added everywhere: coefficients of species pairs that never meet stay at zero."""


def _mean_features(series: PhaseSeries, contacts: Contacts, knots: Knots) -> Iterator[np.ndarray]:
    """Yield the mean of sum_j B_k(r_ij) e_ij at both ends of each step, shape (N d, n_kinds * n_knots)."""
    shape = (series.n_particles, series.dimension, contacts.n_kinds * knots.count)
    before = np.zeros(shape)
    for t, positions in enumerate(series.positions):
        here = np.zeros(shape)
        pairs = contacts.pairs[contacts.offsets[t] : contacts.offsets[t + 1]]
        force_features(
            positions, pairs, series.species, contacts.kinds, contacts.periods,
            knots.lower, knots.width, knots.count, here,
        )  # fmt: skip
        if t:
            yield 0.5 * (before + here).reshape(-1, shape[2])
        before = here


def normal_equations(
    series: PhaseSeries, contacts: Contacts, knots: Knots, block: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return X^T X and X^T y of the regression, summed by block of time: shapes (b, k, k) and (b, k).

    k = n_kinds * knots.count; one step of features is held at a time.
    """
    width, n_blocks = contacts.n_kinds * knots.count, int(block.max()) + 1
    gram, right = np.zeros((n_blocks, width, width)), np.zeros((n_blocks, width))
    for t, mean in enumerate(_mean_features(series, contacts, knots)):
        impulse = series.masses[:, None] * (series.velocities[t + 1] - series.velocities[t])
        gram[block[t]] += mean.T @ mean
        right[block[t]] += mean.T @ impulse.ravel() / series.frame_interval
    return gram, right


def braking_within_a_step(data: PairData, force: np.ndarray, friction: np.ndarray) -> np.ndarray:
    """Return what friction within a step takes from X^T y, shape (n_blocks, k), to be added to it.

    A force that acts since the frame has, at time s, given the velocity s F/m, which friction brakes: over the step
    dt the impulse lacks (dt^2 / 2) Gamma F/m, the share Gamma dt / 2m. The drag at the velocities themselves cannot
    stand for it: it is odd under reversal of time, and its product with forces vanishes on average.
    """
    series, contacts, knots = data.series, data.contacts, data.knots
    where = (contacts.pairs, contacts.offsets, series.species, contacts.kinds, contacts.periods)
    scale = (knots.lower, knots.width)
    gained = 0.5 * series.frame_interval * pair_forces(series.positions, *where, *scale, force)
    drag = friction_forces(series.positions, gained / series.masses[:, None], *where, *scale, *friction)
    lost = np.zeros((int(data.block.max()) + 1, force.size))
    for t, mean in enumerate(_mean_features(series, contacts, knots)):
        lost[data.block[t]] -= mean.T @ (0.5 * (drag[t] + drag[t + 1])).ravel()
    return lost


def solve_force(gram: np.ndarray, right: np.ndarray, *, n_kinds: int, smoothness: float) -> np.ndarray:
    """Return the coefficients, shape (n_kinds, n_knots), of summed normal equations."""
    information = np.diag(gram)
    shape = (n_kinds, len(right) // n_kinds)
    stiffness = gram + smoothness * roughness(shape, information) + _RIDGE * information.mean() * np.eye(len(right))
    return np.linalg.solve(stiffness, right).reshape(shape)


def steepened(force: np.ndarray, error: np.ndarray, knots: Knots) -> np.ndarray:
    """Return the coefficients with the hardest core that the data allow.

    Below the shortest distance seen the force goes on as a straight line, and a rollout falls through a line that is
    too soft. The first coefficient, on which next to no pair has a say, moves up to the end of its 90 % interval,
    until the line is as steep as the force is anywhere beyond the first knots. A force that does not repel there stays.

    Parameters
    ----------
    force : array, shape (n_kinds, n_knots)
    error : array, shape (n_kinds,)
        Half the 90 % interval of the first coefficients.
    """
    hardened = force.copy()
    for row, slack in zip(hardened, error, strict=True):
        if row[0] + 4.0 * row[1] + row[2] > 0.0 and row[1] > row[2]:
            filled = np.append(row, 0.0)
            # Slope at knot k, times twice the width: c_{k+2} - c_k.
            steepest = float((filled[1:-2] - filled[3:]).max(initial=0.0))
            row[0] = min(max(row[0], row[2] + steepest), row[0] + slack)
    return hardened
