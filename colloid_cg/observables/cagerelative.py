"""Displacement of a particle relative to its cage, the neighbours it had."""

from __future__ import annotations

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.records import Box, NeighborGraph
from colloid_cg.shapes import Positions, Scalars, Vectors


def cage_relative_displacement(
    before: Positions, after: Positions, graph: NeighborGraph, *, box: Box | None = None
) -> Vectors:
    """Return the displacement of each particle less the mean displacement of its neighbours.

    u_i - (1 / n_i) sum_j u_j over the n_i neighbours j of i in the earlier frame. Motion that neighbours share
    (drift, long waves of a plane crystal) drops out; see Mazoyer, Ebert, Maret and Keim, EPL 88, 66004 (2009),
    doi:10.1209/0295-5075/88/66004. A strain drops out where the shell is symmetric about the particle.

    Parameters
    ----------
    before, after : arrays, shape (n, d)
        Positions of the same particles; any unit.
    graph : NeighborGraph
        Of the earlier frame, among the particles seen in both.
    box : Box, optional
        Give it when axes are periodic: displacements are then shortest images.

    Returns
    -------
    array, shape (n, d)
        Unit of the positions; NaN without neighbours.

    Raises
    ------
    InputError
        If the shapes differ, or the graph has another number of particles.
    """
    before, after = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if before.shape != after.shape or before.ndim != 2 or graph.n_particles != len(before):
        raise InputError(
            f"positions of shapes {before.shape} and {after.shape} with a graph of {graph.n_particles} particles",
            expected="the same particles, shape (n, d), in both frames and in the graph",
            action="keep only particles seen in both frames",
        )
    moved = after - before if box is None else box.displacement(before, after)
    centre, neighbor, _ = graph.directed()
    count = np.bincount(centre, minlength=len(before)).astype(float)
    count[count == 0] = np.nan
    total = [
        np.bincount(centre, weights=moved[neighbor, axis], minlength=len(before)) for axis in range(moved.shape[1])
    ]
    return np.asarray(moved - np.stack(total, axis=1) / count[:, None])


def cage_relative_noise_floor(variance: float | Scalars, n_neighbors: Scalars) -> Scalars:
    """Return the variance per coordinate of the cage-relative displacement from noise alone: v (1 + 1/n).

    The particle's own displacement has the variance v, the mean over n independent neighbours v / n.

    Parameters
    ----------
    variance : float or array, shape (n,)
        v, of the displacement of one particle along one axis: 2 sigma^2 for a localisation error sigma.
    n_neighbors : array, shape (n,)
        NaN comes of none.
    """
    count = np.asarray(n_neighbors, dtype=float)
    return np.asarray(variance * (1.0 + 1.0 / np.where(count > 0, count, np.nan)))
