"""Maximum of the likelihood of observed positions over the law, with sandwich errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from colloid_cg.learn.latent.grid import Grid, normal_grid
from colloid_cg.learn.latent.law import Freedom, LatentLaw, pack, unpack
from colloid_cg.learn.latent.rows import LatentRows, filtered
from colloid_cg.learn.sandwich import cluster_sums, half_width

_STEP = 1e-4
_FIRST_SLOPE, _FIRST_MEMORY, _FIRST_SPREAD = 0.05, 20.0, 0.3
_LARGEST_SLOPE, _LARGEST_SPREAD = 3.0, 2.5
_SHORTEST, _LONGEST = 0.3, 3000.0
"""tau in frames that is looked for."""
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
    """Return where the search begins: particles that are nearly alike."""
    shape = (rows.n_species, rows.structure.shape[1])
    return LatentLaw(
        diffusion=np.asarray(diffusion, dtype=float),
        localisation_variance=localisation_variance,
        structure_slope=np.full(shape, -_FIRST_SLOPE),
        memory_slope=np.full(shape[0], _FIRST_SPREAD),
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
    return Found(law=unpack(values, free, scale, shape=shape), free=free, log_likelihood=-best)


def _negative(
    vector: np.ndarray, rows: LatentRows, grid: Grid, free: Freedom, scale: float, shape: tuple[int, int]
) -> float:
    return -float(filtered(unpack(vector, free, scale, shape=shape), rows, grid).rows.mean())


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

    def likelihood(vector: np.ndarray) -> np.ndarray:
        return filtered(unpack(vector, found.free, scale, shape=shape), rows).rows

    count, step = len(values), 1e-3
    scores = np.empty((len(rows), count))
    least = np.full(count, -np.inf)
    least[rows.n_species] = 0.0  # s2 < 0 has no likelihood
    for k, unit in enumerate(step * np.eye(count)):
        below = np.maximum(values - unit, least)
        scores[:, k] = (likelihood(values + unit) - likelihood(below)) / (values[k] + step - below[k])
    hessian = scores.T @ scores  # outer products of rows, which the recursion makes nearly independent
    influence = scores @ np.linalg.pinv(hessian)
    spans = rows.frame * _TIME_SPANS // (int(rows.frame.max()) + 1)
    clusterings = [cluster_sums(influence, each) for each in (spans, rows.particle)]
    widths = half_width(clusterings, np.eye(count))
    return Found(law=found.law, free=found.free, log_likelihood=found.log_likelihood, half_widths=widths)
