"""Neighbourhoods of particles between two frames: who is seen in both, whose neighbourhood is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from colloid_cg.events.config import EventConfig, Scales
from colloid_cg.neighbors import delaunay, within
from colloid_cg.observables import pairs_at_lag
from colloid_cg.records import NeighborGraph, Trajectories


@dataclass(frozen=True, kw_only=True, eq=False)
class FramePair:
    """The particles seen in two frames one lag apart.

    Parameters
    ----------
    start, end : int arrays, shape (n,)
        Their rows in the table, in the earlier and in the later frame.
    middle : int array, shape (n,)
        Their rows in the frame under which values are filed, (lag + 1) // 2 after the earlier one; -1 if missing there.
    graph : NeighborGraph
        Neighbours in the earlier frame, among these n particles.
    sound : bool array, shape (n,)
        The neighbourhood is whole: inside the view, with enough of its neighbours seen in both frames.
    """

    start: np.ndarray
    end: np.ndarray
    middle: np.ndarray
    graph: NeighborGraph
    sound: np.ndarray


def frame_pairs(tracks: Trajectories, config: EventConfig, used: Scales) -> Iterator[FramePair]:
    """Yield every pair of frames ``used.lag`` apart that shares more than ``config.min_neighbors`` particles.

    A neighbourhood is sound if at least ``config.min_neighbors`` of its particles and the share ``config.min_share``
    of them are seen in both frames, and if it does not reach over the edge of the view.
    """
    positions, frame = tracks.positions, tracks.table["frame"].to_numpy()
    particle, offsets, edge = tracks.table["particle"].to_numpy(), tracks.frame_offsets(), tracks.edge_distance
    back = (used.lag + 1) // 2
    start, end = pairs_at_lag(frame, particle, used.lag)
    borders = np.searchsorted(frame[start], np.arange(tracks.n_frames + 1))
    for t in range(tracks.n_frames - used.lag):
        kept, partner = start[borders[t] : borders[t + 1]], end[borders[t] : borders[t + 1]]
        if len(kept) <= config.min_neighbors:
            continue
        first = offsets[t]
        whole, reach = _graph(positions[first : offsets[t + 1]], config, used, tracks)
        local, degree = whole.among(kept - first)
        n = np.bincount(local.pairs.ravel(), minlength=len(kept))
        sound = (n >= config.min_neighbors) & (n >= config.min_share * degree) & (edge[kept] >= reach[kept - first])
        middle = _rows_of(particle[kept], particle[offsets[t + back] : offsets[t + back + 1]], offsets[t + back])
        yield FramePair(start=kept, end=partner, middle=middle, graph=local, sound=sound)


def _graph(
    positions: np.ndarray, config: EventConfig, used: Scales, tracks: Trajectories
) -> tuple[NeighborGraph, np.ndarray]:
    """Return the neighbour graph of a frame and how far each particle's neighbourhood reaches (um)."""
    if config.neighbors == "cutoff":
        return within(positions, used.cutoff, tracks.box), np.full(len(positions), used.cutoff)
    graph = delaunay(positions, tracks.box)
    reach = np.zeros(len(positions))
    np.maximum.at(reach, graph.pairs.ravel(), np.repeat(graph.distances, 2))
    return graph, reach


def _rows_of(wanted: np.ndarray, ids: np.ndarray, first: int) -> np.ndarray:
    """Return the rows of the wanted particles in a frame that begins at row ``first``, -1 where missing."""
    if not len(ids):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[place] == wanted, first + place, -1)
