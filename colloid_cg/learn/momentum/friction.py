"""Pair friction from what one particle's random impulse takes from the other's.

    R_i(n) = m [v_i(t + n) - v_i(t)] - int F_i dt + int (Gamma v)_i dt

with path integrals along the data is a martingale of the true model: the noise alone. Newton's third law ties the noise
of two partners, and fluctuation and dissipation tie it to the friction (Espanol and Warren 1995,
doi:10.1209/0295-5075/30/4/001; with transverse friction Junghans, Praprotnik and Kremer 2008, doi:10.1039/b713568h):

    -<(e.R_i)(e.R_j)>_r = 2 k_B T (n dt - tau0) g_par(r),
    -<R_i.R_j - (e.R_i)(e.R_j)>_r / (d - 1) = 2 k_B T (n dt - tau0) g_perp(r).

Random forces of coarse particles live for a time tau0 > 0, so impulses over short windows see too little of them. The
difference between two windows n1 < n2, both longer than that memory, is free of tau0. The friction enters R, so the
equations are iterated to their fixed point. Regression of dv on int Gamma v instead would give nothing at all: in
equilibrium, trajectories run backwards are as likely, and that makes its coefficient zero at any lag.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from colloid_cg.learn.forces import roughness
from colloid_cg.learn.momentum.contacts import Contacts
from colloid_cg.learn.momentum.knots import Knots
from colloid_cg.learn.momentum.sums import friction_forces, impulse_products, pair_forces, spline_products
from colloid_cg.records import PhaseSeries

_RIDGE = 1e-10
_SETTLED = 1e-3
"""The iteration ends when the friction moves by less than this share."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairData:
    """What the friction is fitted to: series, its pairs, the knots, block of each frame, k_B T."""

    series: PhaseSeries
    contacts: Contacts
    knots: Knots
    block: np.ndarray
    thermal_energy: float


def path_integral(forces: np.ndarray, dt: float) -> np.ndarray:
    """Return the integral of ``forces`` (T, N, d) from the first frame on, by the trapezoid rule."""
    steps = 0.5 * dt * (forces[1:] + forces[:-1])
    return np.concatenate([np.zeros_like(forces[:1]), np.cumsum(steps, axis=0)])


def conservative_rest(data: PairData, force: np.ndarray) -> np.ndarray:
    """Return m v - int F dt, shape (T, N, d): what friction and noise did to the momenta."""
    series, contacts = data.series, data.contacts
    forces = pair_forces(
        series.positions, contacts.pairs, contacts.offsets, series.species, contacts.kinds, contacts.periods,
        data.knots.lower, data.knots.width, force,
    )  # fmt: skip
    return np.asarray(series.masses[:, None] * series.velocities - path_integral(forces, series.frame_interval))


def random_momentum(data: PairData, rest: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return ``rest`` + int Gamma v dt: what the noise alone did to the momenta."""
    series, contacts = data.series, data.contacts
    forces = friction_forces(
        series.positions, series.velocities, contacts.pairs, contacts.offsets, series.species, contacts.kinds,
        contacts.periods, data.knots.lower, data.knots.width, along, across,
    )  # fmt: skip
    return np.asarray(rest - path_integral(forces, series.frame_interval))


def mid_frames(data: PairData, windows: tuple[int, int]) -> tuple[int, np.ndarray]:
    """Return the first frame around which the longer window fits, and the blocks of all such frames."""
    first = windows[1] // 2
    return first, data.block[first : data.series.n_frames - (windows[1] - first)]


def pair_information(data: PairData, windows: tuple[int, int]) -> np.ndarray:
    """Return sum B B^T over the pairs, shape (n_blocks, n_kinds, n_knots, n_knots)."""
    series, contacts, knots = data.series, data.contacts, data.knots
    return np.asarray(spline_products(
        series.positions, contacts.pairs, contacts.offsets, series.species, contacts.kinds, contacts.periods,
        knots.lower, knots.width, knots.count, *mid_frames(data, windows),
    ))  # fmt: skip


def impulse_covariance(data: PairData, momentum: np.ndarray, windows: tuple[int, int]) -> np.ndarray:
    """Return the right-hand sides of g_par and g_perp, shape (2, n_blocks, n_kinds, n_knots).

    Covariance over the longer window less that over the shorter, over 2 k_B T (n2 - n1) dt.
    """
    series, contacts, knots = data.series, data.contacts, data.knots
    products = impulse_products(
        momentum, series.positions, contacts.pairs, contacts.offsets, series.species, contacts.kinds,
        contacts.periods, knots.lower, knots.width, knots.count, *windows, *mid_frames(data, windows),
    )  # fmt: skip
    return np.asarray(products / (2.0 * data.thermal_energy * series.frame_interval * (windows[1] - windows[0])))


def solve_friction(gram: np.ndarray, right: np.ndarray, *, smoothness: float, bounded: bool = True) -> np.ndarray:
    """Return coefficients, shape (n_kinds, n_knots), of summed equations (n_kinds, n_knots[, n_knots]).

    ``bounded``: none below zero. Without that bound they show the errors also where the friction vanishes.
    """
    n_knots = right.shape[1]
    solution = np.zeros_like(right)
    for kind in range(len(right)):
        information = np.diag(gram[kind])
        if not information.sum() > 0.0:
            continue
        stiffness = gram[kind] + smoothness * roughness((1, n_knots), information)
        root = np.linalg.cholesky(stiffness + _RIDGE * information.mean() * np.eye(n_knots)).T
        projected = np.linalg.solve(root.T, right[kind])
        solution[kind] = nnls(root, projected)[0] if bounded else np.linalg.solve(root, projected)
    return solution


def solve_both(
    gram: np.ndarray, right: np.ndarray, kept: np.ndarray, *, smoothness: float, bounded: bool = True
) -> np.ndarray:
    """Return g_par and g_perp, shape (2, n_kinds, n_knots), from the sums over the blocks ``kept``."""
    total = gram[kept].sum(axis=0)
    return np.stack([
        solve_friction(total, part[kept].sum(axis=0), smoothness=smoothness, bounded=bounded) for part in right
    ])  # fmt: skip


def fit_friction(
    data: PairData,
    rest: np.ndarray,
    windows: tuple[int, int],
    *,
    gram: np.ndarray,
    smoothness: float,
    iterations: int,
    start: np.ndarray | None = None,
    left_out: int = -1,
) -> tuple[np.ndarray, bool]:
    """Return the coefficients of g_par and g_perp, shape (2, n_kinds, n_knots), and whether the iteration settled.

    ``rest``: of :func:`conservative_rest`; ``gram``: of :func:`pair_information`; ``left_out``: block of time that is
    not used.
    """
    shape = (2, data.contacts.n_kinds, data.knots.count)
    friction = np.zeros(shape) if start is None else start
    kept = np.arange(len(gram)) != left_out
    for _ in range(iterations):
        right = impulse_covariance(data, random_momentum(data, rest, *friction), windows)
        updated = solve_both(gram, right, kept, smoothness=smoothness)
        change = np.abs(updated - friction).max()
        friction = updated
        if change <= _SETTLED * np.abs(friction).max():
            return friction, True
    return friction, False
