"""Pairs within a range in every frame of a series of positions and velocities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.dynamics.model import species_pair_index
from colloid_cg.errors import DataError
from colloid_cg.neighbors import within
from colloid_cg.records import PhaseSeries


@dataclass(frozen=True, kw_only=True, eq=False)
class Contacts:
    """Pairs closer than ``reach`` in every frame; distances are recomputed where they are needed.

    Parameters
    ----------
    pairs : int32 array, shape (p, 2)
        i < j, all frames one after the other.
    offsets : int array, shape (T + 1,)
        Where the pairs of each frame begin.
    kinds : int array, shape (n_species, n_species)
        Number of the species pair: 00, 01, .., 11, ..
    periods : array, shape (d,)
        Edges of the box, infinite along open axes.
    reach : float
    lower : float
        The shortest distance of all.
    nearest : float
        Median over particles of the distance to the nearest neighbour within ``reach``.
    """

    pairs: np.ndarray
    offsets: np.ndarray
    kinds: np.ndarray
    periods: np.ndarray
    reach: float
    lower: float
    nearest: float

    @property
    def n_kinds(self) -> int:
        """Number of species pairs."""
        return int(self.kinds.max()) + 1


def find_contacts(series: PhaseSeries, reach: float) -> Contacts:
    """Return all pairs of ``series`` closer than ``reach``.

    Raises
    ------
    DataError
        If no two particles ever come that near.
    """
    blocks, counts, lower, nearest = [], [0], np.inf, []
    for positions in series.positions:
        graph = within(positions, reach, series.box)
        blocks.append(graph.pairs.astype(np.int32))
        counts.append(len(graph.pairs))
        if len(graph.pairs):
            distances = np.linalg.norm(graph.vectors, axis=1)
            lower = min(lower, float(distances.min()))
            nearest.append(_nearest(graph.pairs, distances, series.n_particles))
    if not nearest:
        raise DataError(
            f"no two particles closer than {reach:.4g} in {series.n_frames} frames",
            expected="pairs that act on each other",
            action="use a larger cutoff: without pairs there is no force and no friction between particles to learn",
        )
    return Contacts(
        pairs=np.concatenate(blocks),
        offsets=np.cumsum(counts),
        kinds=species_pair_index(int(np.max(series.species)) + 1),
        periods=np.where(series.box.periodic, series.box.lengths, np.inf),
        reach=reach,
        lower=lower,
        nearest=float(np.median(nearest)),
    )


def _nearest(pairs: np.ndarray, distances: np.ndarray, n_particles: int) -> float:
    """Return the median distance to the nearest neighbour, of the particles that have one."""
    best = np.full(n_particles, np.inf)
    np.minimum.at(best, pairs[:, 0], distances)
    np.minimum.at(best, pairs[:, 1], distances)
    return float(np.median(best[np.isfinite(best)]))
