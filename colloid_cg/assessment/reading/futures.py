"""What becomes of a particle within the next frames: displacement, D2min, p_hop, events."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.neighbors import within
from colloid_cg.observables import bond_statistics, d2min, p_hop_of_rows, pairs_at_lag
from colloid_cg.records import Trajectories

FEWEST_NEIGHBOURS = 4
LEAST_SHARE = 0.75
LONGEST_HALF_WINDOW = 5


def displacements(positions: np.ndarray, tracks: Trajectories, lag: int) -> np.ndarray:
    """Return how far each detection moves within ``lag`` frames, um, shape (n,); NaN where it is not seen then.

    ``positions``: um, shape (n, d), of the rows of ``tracks``, the motion common to all particles taken off (see
    :func:`colloid_cg.observables.without_affine_motion`).
    """
    start, end = pairs_at_lag(tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy(), lag)
    moved = np.full(len(tracks), np.nan)
    moved[start] = np.linalg.norm(tracks.box.shortest(positions[end] - positions[start]), axis=1)
    return moved


def d2min_ahead(tracks: Trajectories, frames: np.ndarray, lag: int, *, cutoff: float) -> np.ndarray:
    """Return D2min per bond (um2) from each detection of ``frames`` to ``lag`` frames later, shape (n,).

    NaN in other frames and where :func:`colloid_cg.observables.d2min` cannot be told: the particle, or more than a
    quarter of its neighbours within ``cutoff`` (um), not seen at both ends; a neighbourhood over the edge of the view.
    """
    positions, edge, box = tracks.positions, tracks.edge_distance, tracks.box
    frame, offsets = tracks.table["frame"].to_numpy(), tracks.frame_offsets()
    value = np.full(len(frame), np.nan)
    wanted = np.isin(frame, frames) | np.isin(frame, np.asarray(frames) + lag)
    rows = np.flatnonzero(wanted)
    start, end = (rows[part] for part in pairs_at_lag(frame[rows], tracks.table["particle"].to_numpy()[rows], lag))
    borders = np.searchsorted(frame[start], np.arange(tracks.n_frames + 1))
    for t in (int(number) for number in np.unique(frames)):
        if not 0 <= t < tracks.n_frames:
            continue
        kept, partner = start[borders[t] : borders[t + 1]], end[borders[t] : borders[t + 1]]
        if len(kept) <= FEWEST_NEIGHBOURS:
            continue
        here = within(positions[offsets[t] : offsets[t + 1]], cutoff, box)
        local, degree = here.among(kept - offsets[t])
        n, shared = bond_statistics(positions[kept], local, box=box)
        amount = d2min(positions[kept], positions[partner], local, box=box)
        sound = (n >= FEWEST_NEIGHBOURS) & (n >= LEAST_SHARE * degree) & (edge[kept] >= cutoff) & np.isfinite(shared)
        value[kept[sound]] = amount[sound]
    return value


def p_hop_ahead(positions: np.ndarray, tracks: Trajectories, lag: int) -> np.ndarray:
    """Return the largest p_hop (um2) whose whole window lies within the ``lag`` frames after each detection, (n,).

    The window has h = (lag + 1) // 2 frames on either side, at most five: nothing before the detection enters. NaN
    where no complete window exists. ``positions`` as in :func:`displacements`.
    """
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    half = min(LONGEST_HALF_WINDOW, (lag + 1) // 2)
    hops = p_hop_of_rows(positions, frame, particle, half_window=half)
    order = np.lexsort((frame, particle))
    sorted_frame, sorted_particle, sorted_hops = frame[order], particle[order], hops[order]
    best = np.full(len(order), np.nan)
    for ahead in range(half, lag - half + 2):
        if ahead >= len(order):
            break
        later = np.flatnonzero(
            (sorted_particle[ahead:] == sorted_particle[:-ahead])
            & (sorted_frame[ahead:] - sorted_frame[:-ahead] == ahead)
        )
        best[later] = np.fmax(best[later], sorted_hops[later + ahead])
    found = np.empty(len(order))
    found[order] = best
    return found


def carried(values: np.ndarray, tracks: Trajectories, lag: int) -> np.ndarray:
    """Return for each detection the value its particle had ``lag`` frames earlier, shape (n,), NaN if not seen."""
    start, end = pairs_at_lag(tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy(), lag)
    found = np.full(len(tracks), np.nan)
    found[end] = values[start]
    return found


def in_events(tracks: Trajectories, events: pd.DataFrame, lag: int) -> np.ndarray:
    """Return which detections take part in an event that peaks within the next ``lag`` frames, bool, shape (n,).

    ``events``: the table of an EventTable, with the particle numbers of ``tracks``; those of a detector and the true
    ones of a twin alike.
    """
    peaks = zip(events["t_peak"], events["particles"], strict=True)
    return _takes_part(tracks, [(int(peak), int(particle)) for peak, members in peaks for particle in members], lag)


def in_partings(tracks: Trajectories, partings: pd.DataFrame, lag: int) -> np.ndarray:
    """Return which detections part for good from a neighbour within the next ``lag`` frames, bool, shape (n,).

    ``partings``: those of a twin (see :mod:`colloid_cg.twin.rearrangements`), with the particle numbers of ``tracks``.
    """
    columns = [partings[name].to_numpy() for name in ("t_peak", "i", "j")]
    pairs = [(int(peak), int(particle)) for peak, *both in zip(*columns, strict=True) for particle in both]
    return _takes_part(tracks, pairs, lag)


def _takes_part(tracks: Trajectories, when: list[tuple[int, int]], lag: int) -> np.ndarray:
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    if not when:
        return np.zeros(len(frame), dtype=bool)
    length = tracks.n_frames + lag + 1
    peaks = np.unique([who * length + peak for peak, who in when])
    # Peaks in (frame, frame + lag] of the same particle.
    own = particle * length + frame
    return np.asarray(np.searchsorted(peaks, own + lag, side="right") > np.searchsorted(peaks, own, side="right"))
