"""Neighbours closer than a cutoff, by a grid of cells; every axis open or periodic."""

from __future__ import annotations

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.neighbors.cells import pairs_within
from colloid_cg.records import Box, NeighborGraph
from colloid_cg.shapes import Positions


def within(positions: Positions, cutoff: float, box: Box) -> NeighborGraph:
    """Return every pair closer than or exactly at the cutoff.

    Parameters
    ----------
    positions : array, shape (n, d)
        In any unit; they need not be folded into the box.
    cutoff : float
        Same unit as the positions.
    box : Box
        Same unit; along periodic axes the shortest image counts.

    Returns
    -------
    NeighborGraph
        Pairs i < j in lexicographic order with r_j - r_i.

    Raises
    ------
    InputError
        If positions are not finite, or the cutoff is not positive or exceeds half of a periodic axis
        (a pair could then be neighbours through two images).
    """
    positions = checked_positions(positions, box)
    if not 0 < cutoff < np.inf:
        raise InputError(f"a cutoff of {cutoff}", expected="a positive length", action="give the cutoff in um")
    periodic = np.asarray(box.periodic)
    if (2 * cutoff > box.lengths)[periodic].any():
        raise InputError(
            f"a cutoff of {cutoff:g} in a periodic cell with edges {box.lengths.tolist()}",
            expected="a cutoff of at most half of every periodic edge",
            action="use a shorter cutoff or a larger cell",
        )
    if len(positions) == 0:
        return graph_of(np.empty((0, 2), dtype=np.int64), np.empty((0, box.dimension)), 0)
    folded = box.wrap(positions) - np.asarray(box.lower)
    # A coordinate a rounding error below the lower face folds onto the upper face.
    folded = np.where(periodic & (folded >= box.lengths), 0.0, folded)
    pairs, vectors = pairs_within(folded, positions, cutoff, np.where(periodic, box.lengths, np.inf))
    return NeighborGraph(pairs=pairs, vectors=vectors, n_particles=len(positions))


def checked_positions(positions: Positions, box: Box) -> Positions:
    """Return positions as a float array of shape (n, d) that fits the box.

    Raises
    ------
    InputError
        If the shape does not fit the box or a coordinate is not finite.
    """
    positions = np.asarray(positions, dtype=float)
    if positions.ndim != 2 or positions.shape[1] != box.dimension:
        raise InputError(
            f"positions of shape {positions.shape}",
            expected=f"shape (n, {box.dimension}) as the box has {box.dimension} axes",
            action="check the order of the axes",
        )
    if not np.isfinite(positions).all():
        raise InputError(
            "NaN or infinite positions",
            expected="finite positions",
            action="drop missed detections before building neighbours",
        )
    return positions


def graph_of(pairs: np.ndarray, vectors: np.ndarray, n_particles: int) -> NeighborGraph:
    """Return the graph of unsorted unique pairs: i < j, in lexicographic order."""
    swap = pairs[:, 0] > pairs[:, 1]
    pairs = np.where(swap[:, None], pairs[:, ::-1], pairs)
    vectors = np.where(swap[:, None], -vectors, vectors)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return NeighborGraph(pairs=pairs[order], vectors=vectors[order], n_particles=n_particles)
