"""Maximum of the likelihood of observed positions over the law, with sandwich errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from colloid_cg.learn.latent.grid import Grid, normal_grid
from colloid_cg.learn.latent.law import Freedom, LatentLaw, pack, unpack
from colloid_cg.learn.latent.rows import LatentRows, filtered, force_factor
from colloid_cg.learn.sandwich import cluster_sums, half_width

_STEP, _BEND = 1e-4, 0.02
"""Differences of the parameters for slopes and for second derivatives."""
_FIRST_SLOPE, _FIRST_MEMORY, _FIRST_SPREAD = 0.05, 20.0, 0.3
_LARGEST_SLOPE, _LARGEST_SPREAD = 3.0, 2.5
_SHORTEST, _LONGEST = 0.3, 3000.0
"""tau in frames that is looked for."""
_FLAT, _MOVED = 1e-7, 0.05
"""Curvature over the largest below which a direction is not told, and a parameter's share in it that leaves it open."""
_TIME_SPANS = 20
_COARSE_POINTS = 9
_FEW = 40_000
"""Rows that the first search looks at."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """The law, its log-likelihood (nats per row), and half the 90 % interval of each free parameter."""

    law: LatentLaw
    free: Freedom
    log_likelihood: float
    half_widths: np.ndarray | None = None


def first_law(rows: LatentRows, diffusion: np.ndarray, localisation_variance: float) -> LatentLaw:
    """Return where the search begins: particles that are nearly alike. Those of species without rows stay alike."""
    present = rows.present
    return LatentLaw(
        diffusion=np.asarray(diffusion, dtype=float),
        localisation_variance=localisation_variance,
        structure_slope=np.where(present[:, None], -_FIRST_SLOPE, np.zeros((1, rows.structure.shape[1]))),
        memory_slope=np.where(present, _FIRST_SPREAD, 0.0),
        persistence=_FIRST_MEMORY,
    )


def maximise(rows: LatentRows, start: LatentLaw, free: Freedom, *, iterations: int = 40) -> Found:
    """Return the law of largest likelihood: quasi-Newton on some tracks and a coarse grid of z, then on all.

    The first search brings the second so near that it needs a few steps.
    """
    scale, shape = float((rows.step**2).mean()), start.structure_slope.shape
    bounds = _bounds(start, free, scale)
    values = np.clip(pack(start, free, scale), [low for low, _ in bounds], [high for _, high in bounds])
    best = np.inf
    for part, grid, steps in (
        (rows.thinned(_FEW), normal_grid(_COARSE_POINTS, 2.6), iterations),
        (rows, normal_grid(), max(iterations // 4, 1)),
    ):
        found = minimize(
            _negative, values, args=(part, grid, free, scale, shape), method="L-BFGS-B", bounds=bounds,
            options={"maxiter": steps, "eps": _STEP, "ftol": 1e-8, "gtol": 1e-5},
        )  # fmt: skip
        values, best = found.x, float(found.fun)
    law = _with_absent(unpack(values, free, scale, shape=shape), rows)
    return Found(law=law, free=free, log_likelihood=-best)


def _with_absent(law: LatentLaw, rows: LatentRows) -> LatentLaw:
    """Return the law in which species without rows are all alike and keep the drift D F of the fit without s."""
    factor = force_factor(law.diffusion, rows.reference, rows.present)
    return replace(
        law,
        diffusion=np.where(rows.present, law.diffusion, rows.reference / factor),
        structure_slope=np.where(rows.present[:, None], law.structure_slope, 0.0),
        memory_slope=np.where(rows.present, law.memory_slope, 0.0),
    )


def _negative(
    vector: np.ndarray, rows: LatentRows, grid: Grid, free: Freedom, scale: float, shape: tuple[int, int]
) -> float:
    law = unpack(vector, free, scale, shape=shape)
    return -float(filtered(law, rows, grid, keep=False, present=rows.present).rows.mean())


def _bounds(start: LatentLaw, free: Freedom, scale: float) -> list[tuple[float, float]]:
    n, k = start.structure_slope.shape
    bounds = [(float(value) - 4.0, float(value) + 3.0) for value in np.log(start.diffusion)] + [(0.0, 2.0)]
    if free.structure:
        bounds += [(-_LARGEST_SLOPE, _LARGEST_SLOPE)] * (n * k)
    if free.spread:
        bounds += [(0.0, _LARGEST_SPREAD)] * n
    if free.memory:
        bounds += [(float(np.log(_SHORTEST)), float(np.log(_LONGEST)))]
    return bounds


def with_errors(found: Found, rows: LatentRows) -> Found:
    """Return what was found with half the 90 % interval of every parameter, clustered by particle and by time.

    Neighbours share noise through their contacts and a particle shares z with itself: errors are clustered over spans
    of time and over particles, and the wider counts (sandwich: :mod:`colloid_cg.learn.sandwich`).
    """
    scale, shape = float((rows.step**2).mean()), found.law.structure_slope.shape
    values = pack(found.law, found.free, scale)

    def likelihood(vector: np.ndarray, part: LatentRows = rows) -> np.ndarray:
        return filtered(unpack(vector, found.free, scale, shape=shape), part, keep=False, present=rows.present).rows

    count, step = len(values), 1e-3
    scores = np.empty((len(rows), count))
    least = np.full(count, -np.inf)
    least[rows.n_species] = 0.0  # s2 < 0 has no likelihood
    for k, unit in enumerate(step * np.eye(count)):
        below = np.maximum(values - unit, least)
        scores[:, k] = (likelihood(values + unit) - likelihood(below)) / (values[k] + step - below[k])
    some = rows.thinned(_FEW)
    curvature = _curvature(lambda vector: float(likelihood(vector, some).mean()), np.maximum(values, least + _BEND))
    inverse, free = _inverse(len(rows) * curvature)
    influence = scores @ inverse
    spans = rows.frame * _TIME_SPANS // (int(rows.frame.max()) + 1)
    clusterings = [cluster_sums(influence, each) for each in (spans, rows.particle)]
    widths = np.where(free, np.inf, half_width(clusterings, np.eye(count)))
    return Found(law=found.law, free=found.free, log_likelihood=found.log_likelihood, half_widths=widths)


def _curvature(mean: Callable[[np.ndarray], float], values: np.ndarray) -> np.ndarray:
    """Return minus the second derivatives of a mean log-likelihood by central differences, shape (p, p)."""
    count, units = len(values), _BEND * np.eye(len(values))
    bent, here = np.empty((count, count)), mean(values)
    single = np.array([[mean(values + sign * unit) for unit in units] for sign in (1.0, -1.0)])
    for a in range(count):
        bent[a, a] = (single[0, a] + single[1, a] - 2.0 * here) / _BEND**2
        for b in range(a):
            both = sum(mean(values + sign * (units[a] + units[b])) for sign in (1.0, -1.0))
            rest = single[:, a].sum() + single[:, b].sum()
            bent[a, b] = bent[b, a] = (both - rest + 2.0 * here) / (2.0 * _BEND**2)
    return -bent


def _inverse(curvature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse along directions in which the likelihood bends down, and which parameters others move."""
    size, axes = np.linalg.eigh(curvature)
    flat = size <= _FLAT * max(float(size.max()), 1e-300)
    inverse = (axes * np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, size))) @ axes.T
    return np.asarray(inverse), np.asarray((axes[:, flat] ** 2).sum(axis=1) > _MOVED)
