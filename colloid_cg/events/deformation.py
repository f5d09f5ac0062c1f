"""The local affine fit of every detection of a movie, with neighbourhoods that are whole or not used at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from colloid_cg.events.config import EventConfig, Scales
from colloid_cg.neighbors import delaunay, within
from colloid_cg.observables import cage_relative_displacement, nonaffine_motion, pairs_at_lag
from colloid_cg.records import FLAG_POOR_FIT, NeighborGraph, Trajectories
from colloid_cg.shapes import Scalars

MOST_CLASSES = 4
FEWEST_OF_A_CLASS = 100
USUALLY_POOR = 0.3
"""Share of poor fits among the detections of a particle from which on they tell nothing of a single one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Deformation:
    """One row per detection in the order of the table; NaN where the neighbourhood is not whole.

    Parameters
    ----------
    total, count, shared, noise, weight, gradient
        As in ``observables.NonaffineMotion``; lengths in um, the variances s being ``own``.
    own : array, shape (n,)
        sigma^2 stated for the detection in both frames, less what is typical of the class, um2.
    classes : int array, shape (n,)
        Class of the detection (its species).
    cage : array, shape (n, d)
        Displacement less the mean of the neighbours' (``observables.cage_relative_displacement``), um.
    edge : bool array, shape (n,)
        The neighbourhood reaches over the edge of the view.
    stated_variance : array, shape (K,)
        What tracking states for the noise part of a displacement's variance (um2), median of the class; NaN without.
    """

    total: Scalars
    count: Scalars
    shared: Scalars
    noise: Scalars
    own: Scalars
    weight: np.ndarray
    gradient: np.ndarray
    cage: np.ndarray
    classes: np.ndarray
    edge: np.ndarray
    stated_variance: Scalars


def classes_of(tracks: Trajectories) -> np.ndarray:
    """Return a class from 0 for each detection: its species; rare species and those beyond the fourth go to class 0."""
    species, code, number = np.unique(tracks.table["species"].to_numpy(), return_inverse=True, return_counts=True)
    order = np.argsort(-number, kind="stable")
    kept = [k for k in order[:MOST_CLASSES] if number[k] >= FEWEST_OF_A_CLASS]
    name = np.zeros(len(species), dtype=np.int64)
    name[kept] = np.arange(len(kept))
    return np.asarray(name[code.ravel()])


def doubtful(tracks: Trajectories) -> np.ndarray:
    """Tell which detections have a fit that is poor and not usually poor for their particle, shape (n,).

    Events take them for missing. A particle that no spot fits has poor fits all the time, and keeps them.
    """
    poor = (tracks.table["flags"].to_numpy() & FLAG_POOR_FIT) > 0
    usual = pd.Series(poor).groupby(tracks.table["particle"].to_numpy()).transform("mean").to_numpy()
    return np.asarray(poor & (usual < USUALLY_POOR))


def stated_errors(tracks: Trajectories, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sigma^2 of each detection (mean over the axes; of its class where unknown) and the median by class, um2.

    Zero and NaN where no detection of the class states an error.
    """
    columns = [f"sigma_{axis}" for axis in tracks.axes if f"sigma_{axis}" in tracks.table.columns]
    stated = np.square(tracks.table[columns].to_numpy(dtype=float)).mean(axis=1) * tracks.pixel_size**2
    typical = np.full(int(classes.max(initial=0)) + 1, np.nan)
    for k in range(len(typical)):
        known = stated[(classes == k) & np.isfinite(stated)]
        typical[k] = np.median(known) if len(known) else np.nan
    return np.where(np.isfinite(stated), stated, np.nan_to_num(typical)[classes]), typical


def deformation(tracks: Trajectories, config: EventConfig, used: Scales) -> Deformation:
    """Fit the local affine map of every detection.

    Row f holds the motion from frame a = f - (lag + 1) // 2 to frame a + lag: from the mean position of the ``average``
    frames up to a to that of the ``average`` frames from a + lag on. Neighbours are those of one frame, a or a + lag.
    """
    table = tracks.table
    frame, particle = table["frame"].to_numpy(), table["particle"].to_numpy()
    classes = classes_of(tracks)
    squares, typical = stated_errors(tracks, classes)
    excess = squares - np.nan_to_num(typical)[classes]
    n, d, offsets = len(frame), tracks.dimension, tracks.frame_offsets()
    blank = {name: np.full(n, np.nan) for name in ("total", "count", "shared", "noise", "own")}
    found = Deformation(
        **blank, weight=np.full((n, len(typical)), np.nan), gradient=np.full((n, d, d), np.nan),
        cage=np.full((n, d), np.nan), classes=classes, edge=np.zeros(n, dtype=bool),
        stated_variance=2.0 * typical / used.average,
    )  # fmt: skip
    movie = _movie(tracks, excess, used)
    back = (used.lag + 1) // 2
    start, end = pairs_at_lag(frame, particle, used.lag)
    whole = np.isfinite(movie.before[start, 0]) & np.isfinite(movie.after[end, 0])
    start, end = start[whole], end[whole]
    borders = np.searchsorted(frame[start], np.arange(tracks.n_frames + 1))
    for t in range(tracks.n_frames - used.lag):
        here = slice(borders[t], borders[t + 1])
        if borders[t + 1] - borders[t] <= config.min_neighbors:
            continue
        middle = slice(offsets[t + back], offsets[t + back + 1])
        place, seen = _looked_up(particle[middle], particle[start[here]])
        base, other, at = (start, end, t) if config.reference == "before" else (end, start, t + used.lag)
        rows = slice(offsets[at], offsets[at + 1])
        _fit_frame(found, movie, config, used, rows, base[here], other[here], offsets[t + back] + place, seen)
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Movie:
    """What every frame needs, worked out once; lengths in um.

    ``before`` and ``after`` are mean positions of the ``average`` frames up to and from each detection on, NaN where
    one is missing; ``excess_before`` and ``excess_after`` what sigma^2 of these means has more than is typical.
    """

    tracks: Trajectories
    positions: np.ndarray
    edge_distance: np.ndarray
    before: np.ndarray
    after: np.ndarray
    excess_before: np.ndarray
    excess_after: np.ndarray


def _movie(tracks: Trajectories, excess: np.ndarray, used: Scales) -> _Movie:
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    positions, width = tracks.positions, used.average
    known = np.where(doubtful(tracks)[:, None], np.nan, positions)
    sums = [known.copy(), known.copy(), excess.copy(), excess.copy()]
    seen = np.ones((2, len(frame)), dtype=np.int64)
    for k in range(1, width):
        start, end = pairs_at_lag(frame, particle, k)
        step = tracks.box.displacement(known[start], known[end])
        sums[0][end] += positions[end] - step
        sums[1][start] += positions[start] + step
        sums[2][end] += excess[start]
        sums[3][start] += excess[end]
        seen[0][end] += 1
        seen[1][start] += 1
    means = [each / width for each in sums]
    for mean, number in zip(means, (*seen, *seen), strict=True):
        mean[number < width] = np.nan
    return _Movie(
        tracks=tracks, positions=positions, edge_distance=tracks.edge_distance, before=means[0], after=means[1],
        excess_before=means[2] / width, excess_after=means[3] / width,
    )  # fmt: skip


def _looked_up(ids: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where in the sorted ``ids`` the wanted ones are, and which of them are there."""
    if not len(ids):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return place, ids[place] == wanted


def _fit_frame(
    found: Deformation, movie: _Movie, config: EventConfig, used: Scales, rows: slice, base: np.ndarray,
    other: np.ndarray, target: np.ndarray, seen: np.ndarray,
) -> None:  # fmt: skip
    """Fill the rows ``target``, where ``seen``, of the particles whose rows are ``base`` and ``other``.

    ``rows`` are all detections of the frame of ``base``: who is missing in the other frame must be known too.
    """
    box = movie.tracks.box
    graph, reach = _graph(movie.positions[rows], config, used, movie.tracks)
    local, degree = graph.among(base - rows.start)
    first, second = (movie.before[base], movie.after[other])
    own = movie.excess_before[base] + movie.excess_after[other]
    if config.reference == "after":
        first, second = movie.after[base], movie.before[other]
        own = movie.excess_after[base] + movie.excess_before[other]
    motion = nonaffine_motion(
        first, second, local, classes=found.classes[base],
        n_classes=found.weight.shape[1], variance=own, box=box,
    )  # fmt: skip
    inside = movie.edge_distance[base] >= reach[base - rows.start] + used.edge_margin
    found.edge[target[seen]] = ~inside[seen]
    sound = seen & inside & (motion.count >= config.min_neighbors) & (motion.count >= config.min_share * degree)
    sound &= np.isfinite(motion.shared) & np.isfinite(motion.total)
    to = target[sound]
    found.own[to] = own[sound]
    for name in ("total", "count", "shared", "noise", "weight"):
        getattr(found, name)[to] = getattr(motion, name)[sound]
    cage = cage_relative_displacement(first, second, local, box=box)[sound]
    found.cage[to] = cage if config.reference == "before" else -cage
    forward = motion.gradient[sound]
    found.gradient[to] = forward if config.reference == "before" else np.linalg.pinv(forward)


def _graph(
    positions: np.ndarray, config: EventConfig, used: Scales, tracks: Trajectories
) -> tuple[NeighborGraph, np.ndarray]:
    """Return the neighbour graph of a frame and how far each particle's neighbourhood reaches (um)."""
    if config.neighbors == "cutoff":
        return within(positions, used.cutoff, tracks.box), np.full(len(positions), used.cutoff)
    graph = delaunay(positions, tracks.box)
    reach = np.zeros(len(positions))
    centre, _, vectors = graph.directed()
    np.maximum.at(reach, centre, np.linalg.norm(vectors, axis=1))
    return graph, reach
