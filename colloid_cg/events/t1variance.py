"""How far the mean positions of particles move by rattling and noise alone, from the movie itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from colloid_cg.errors import DataError
from colloid_cg.events.nulls import dispersed_tail
from colloid_cg.events.scale import check
from colloid_cg.events.spread import scale_and_spread
from colloid_cg.neighbors import delaunay
from colloid_cg.observables.exchanges import bonds_of
from colloid_cg.records import NeighborGraph, Trajectories
from colloid_cg.seeding import generator

_MOST_FRAMES = 200
_FEWEST_TESTS = 100
_FEWEST_NEIGHBORS = 4
_ROUNDS = 5
_MEDIAN = float(stats.chi2.median(2))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Residuals:
    """What the affine motion of the neighbours leaves of displacements of window means."""

    square: np.ndarray
    """|r|^2, shape (m,)."""
    row: np.ndarray
    """Row of the detection, shape (m,)."""
    weight: np.ndarray
    """Sum of w^2 over the neighbours by species, shape (m, kinds)."""
    separate: np.ndarray
    """Shares no frames with other residuals so marked, shape (m,)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowVariance:
    """Variance per coordinate of the non-affine displacement between two window means, from the movie itself.

    Parameters
    ----------
    variance : array, shape (n,)
        In um2, one per row of the table; one value per species. NaN if the movie is too short to tell.
    dispersion : float
        Standard deviation of ln v between particles of one species.
    null : dict
        How well it fits, JSON-able; see ``scale.check``.
    """

    variance: np.ndarray
    dispersion: float
    null: dict[str, Any]


def window_variance(tracks: Trajectories, *, persistence: int) -> WindowVariance:
    """Return the variance of displacements between successive means over ``persistence`` frames, from medians.

    Each particle is compared with the affine motion of its Delaunay neighbours: the residual r of a prediction with
    weights w_m has the variance v + sum w_m^2 v_m per coordinate, and |r|^2 divided by it a median of that of chi2_2.
    v is found by species such that this holds; rare exchanges and jumps do not move medians. Up to 200 windows are
    used, evenly spread over the movie.
    """
    species = tracks.table["species"].to_numpy()
    kinds, kind = np.unique(species, return_inverse=True)
    found = list(_residuals(tracks, persistence, kind, len(kinds)))
    square = np.concatenate([part.square for part in found]) if found else np.empty(0)
    if len(square) < _FEWEST_TESTS or not (square > 0).any():
        warning = f"only {len(square)} values: too few to learn the null from the movie, so no p-values are given"
        null = {"n_tests": 0, "null_fit": False, "warnings": [warning]}
        return WindowVariance(variance=np.full(len(species), np.nan), dispersion=0.0, null=null)
    row, weight, separate = (
        np.concatenate([getattr(part, name) for part in found]) for name in ("row", "weight", "separate")
    )
    own, level = kind[row], np.full(len(kinds), np.median(square) / _MEDIAN)
    for _ in range(_ROUNDS):
        ratio = square / np.maximum(level[own] + weight @ level, 1e-300)
        level *= [np.median(ratio[own == k]) / _MEDIAN if (own == k).any() else 1.0 for k in range(len(kinds))]
    ratio = square / np.maximum(level[own] + weight @ level, 1e-300)
    rng = generator(0, "events", "t1")
    particle = tracks.table["particle"].to_numpy()[row]
    fitted = scale_and_spread(ratio, 2.0 * rng.exponential(size=100_000), particle, separate, rng)
    tail = dispersed_tail(lambda x, _: np.exp(-0.5 * x), ratio / fitted.scale, fitted.dispersion)
    null = check(tail, fitted)
    level = level * null.pop("scale")
    null["variance_um2"] = {str(name): float(value) for name, value in zip(kinds, level, strict=True)}
    return WindowVariance(variance=level[kind], dispersion=fitted.dispersion, null=null)


def _residuals(tracks: Trajectories, persistence: int, kind: np.ndarray, n_kinds: int) -> Iterator[_Residuals]:
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    if not len(frame):
        return
    middles = np.arange(frame[0] + persistence, frame[-1] - persistence + 2)
    middles = middles[:: max(1, -(-len(middles) // _MOST_FRAMES))]
    edge, positions, free = tracks.edge_distance, tracks.positions, frame[0]
    for t in middles:
        borders = np.searchsorted(frame, [t - persistence, t, t + 1, t + persistence])
        rows = np.arange(borders[1], borders[2])
        means = _window_means(tracks, positions, particle, rows, borders, persistence)
        whole = np.isfinite(means).all(axis=(1, 2))
        kept, means = rows[whole], means[whole]
        try:
            graph = delaunay(means[:, 0], tracks.box)
        except DataError:
            continue
        sound = bonds_of(graph, np.arange(len(kept)), edge[kept]).sound
        square, weight, used = _left_out(graph, means[:, 1] - means[:, 0], kind[kept], n_kinds)
        used &= sound
        separate = np.full(int(used.sum()), t - persistence >= free)
        free = t + persistence if t - persistence >= free else free
        yield _Residuals(square=square[used], row=kept[used], weight=weight[used], separate=separate)


def _window_means(
    tracks: Trajectories,
    positions: np.ndarray,
    particle: np.ndarray,
    rows: np.ndarray,
    borders: np.ndarray,
    persistence: int,
) -> np.ndarray:
    """Return mean positions before and after of the particles of frame t, shape (n, 2, 2), NaN unless all seen."""
    ids, means = particle[rows], np.full((len(rows), 2, tracks.dimension), np.nan)
    for side, (low, high) in enumerate(((borders[0], borders[1]), (borders[1], borders[3]))):
        some = np.arange(low, high)
        place = np.minimum(np.searchsorted(ids, particle[some]), max(len(ids) - 1, 0))
        own = ids[place] == particle[some] if len(ids) else np.zeros(len(some), dtype=bool)
        place, some = place[own], some[own]
        away = tracks.box.displacement(positions[rows][place], positions[some])
        count = np.bincount(place, minlength=len(rows))
        total = np.stack([np.bincount(place, weights=column, minlength=len(rows)) for column in away.T], axis=1)
        full = count == persistence
        means[full, side] = positions[rows][full] + total[full] / persistence
    return means


def _left_out(
    graph: NeighborGraph, moved: np.ndarray, kind: np.ndarray, n_kinds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare displacements with the affine fit to the neighbours: |r|^2, sum of w^2 by species, whether known."""
    centre, neighbor, vector = graph.directed()
    n = graph.n_particles

    def over(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1)
        sums = np.stack([np.bincount(centre, weights=column, minlength=n) for column in flat.T], axis=1)
        return sums.reshape(n, *values.shape[1:])

    count = np.maximum(np.bincount(centre, minlength=n), 1)[:, None]
    middle = over(vector) / count
    away = vector - middle[centre]
    square = over(away[:, :, None] * away[:, None, :])
    regular = np.linalg.det(square) > 1e-6 * np.einsum("naa->n", square) ** 2
    inverse = np.linalg.inv(np.where(regular[:, None, None], square, np.eye(2)))
    weight = 1.0 / count[centre, 0] - np.einsum("pa,pab,pb->p", away, inverse[centre], middle[centre])
    residual = moved - over(weight[:, None] * moved[neighbor])
    of_kind = kind[neighbor][:, None] == np.arange(n_kinds)
    known = regular & (count[:, 0] >= _FEWEST_NEIGHBORS)
    return (residual**2).sum(axis=1), over(weight[:, None] ** 2 * of_kind), known
