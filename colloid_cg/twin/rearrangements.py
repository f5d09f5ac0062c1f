"""True rearrangements: neighbours that part for good, found in the noiseless positions by one stated rule.

Two particles with contact distance a become neighbours when r < 1.1 a and part when r > 1.5 a. They have parted for
good if r stays above 1.1 a for the next 5 frames (a movie's last frames cannot tell and give no events). Strain and
vibration move r by some per cent and are no rearrangement; an exchange of neighbours (T1) moves the parting pair from
a to between 1.5 a (large discs past small ones) and 1.9 a. Pairs that were only close, above 1.1 a, do not count. The
idea of broken bonds with two thresholds is that of Yamamoto and Onuki, DOI 10.1103/PhysRevE.58.3515.

A parting begins in the last frame with r < 1.1 a (t_on), ends in the first with r > 1.5 a (t_off) and is fastest in
t_peak. Partings of which t_peak differs by at most 2 frames and the midpoints by at most 1.5 times the contact distance
of two large discs are one event, chains included.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from colloid_cg.twin.drive import shortest
from colloid_cg.twin.forces import neighbour_pairs

NEAR, APART = 1.1, 1.5
"""Distances over the contact distance at which two particles become neighbours, and part."""
PERSISTENCE = 5
"""Frames for which a parted pair must stay apart."""
SAME_TIME, SAME_PLACE = 2, 1.5
"""Partings this close, in frames and in the largest contact distance, belong to one event."""

RULE: dict[str, Any] = {
    "neighbours_below_contacts": NEAR,
    "parted_above_contacts": APART,
    "persistence_frames": PERSISTENCE,
    "same_event_frames": SAME_TIME,
    "same_event_contacts": SAME_PLACE,
}
"""The numbers of the rule, for the parameters of a twin."""


def partings(instants: np.ndarray, *, diameters: np.ndarray, lengths: np.ndarray) -> pd.DataFrame:
    """Return every pair of particles that part for good.

    Parameters
    ----------
    instants : array, shape (frames, n, 2)
        Unwrapped positions at the frame times, um.
    diameters : array, shape (n,)
        um; two particles touch at the mean of theirs.
    lengths : array, shape (2,)
        Edges of the periodic cell, um.

    Returns
    -------
    DataFrame
        Columns i, j, t_on, t_peak, t_off; one row for each parting, in the order of t_off.
    """
    i, j = _ever_near(instants, diameters=diameters, lengths=lengths)
    contact = 0.5 * (diameters[i] + diameters[j])
    before = np.full(len(i), np.inf)
    bonded, parted = np.zeros(len(i), dtype=bool), np.zeros(len(i), dtype=bool)
    t_on, t_peak, t_off = (np.zeros(len(i), dtype=np.int64) for _ in range(3))
    fastest = np.zeros(len(i))
    found: list[pd.DataFrame] = []
    for frame, positions in enumerate(instants):
        away = shortest(positions[j] - positions[i], lengths)
        ratio = np.hypot(away[:, 0], away[:, 1]) / contact
        near = ratio < NEAR
        speed = np.where(bonded, ratio - before, 0.0)
        # the parting is fastest between two frames: the later one is named
        t_peak = np.where(speed > fastest, frame, t_peak)
        fastest = np.maximum(fastest, speed)
        parts = bonded & (ratio > APART)
        t_off, parted, bonded = np.where(parts, frame, t_off), parted | parts, (bonded & ~parts) | near
        lasting = parted & ~near & (frame - t_off >= PERSISTENCE)
        found.append(_rows(lasting, i=i, j=j, t_on=t_on, t_peak=t_peak, t_off=t_off))
        parted &= ~near & ~lasting
        t_on, t_peak = np.where(near, frame, t_on), np.where(near, frame, t_peak)
        fastest = np.where(near, 0.0, fastest)
        before = ratio
    return pd.concat(found, ignore_index=True)


def grouped(
    partings: pd.DataFrame, instants: np.ndarray, *, contact: float, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the event number of each parting and its midpoint (um, in the first image of the cell's lengths).

    ``contact`` is the largest contact distance, um.
    """
    i, j, peak = (partings[name].to_numpy() for name in ("i", "j", "t_peak"))
    start = instants[peak, i]
    middle = start + 0.5 * shortest(instants[peak, j] - start, lengths)
    if not len(partings):
        return np.zeros(0, dtype=np.int64), middle
    folded = np.minimum(np.mod(middle, lengths), np.nextafter(lengths, 0.0))
    close = cKDTree(folded, boxsize=lengths).query_pairs(SAME_PLACE * contact, output_type="ndarray")
    together = close[np.abs(peak[close[:, 0]] - peak[close[:, 1]]) <= SAME_TIME]
    links = coo_array((np.ones(len(together)), (together[:, 0], together[:, 1])), shape=(len(i), len(i)))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64), folded


def _ever_near(instants: np.ndarray, *, diameters: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs i < j that are neighbours in some frame."""
    n = len(diameters)
    keys = np.zeros(0, dtype=np.int64)
    for positions in instants:
        i, j = neighbour_pairs(positions, NEAR * float(diameters.max()), lengths=lengths).T
        away = shortest(positions[j] - positions[i], lengths)
        near = np.hypot(away[:, 0], away[:, 1]) < 0.5 * NEAR * (diameters[i] + diameters[j])
        keys = np.union1d(keys, (i * n + j)[near])
    return keys // n, keys % n


def _rows(chosen: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({name: values[chosen] for name, values in columns.items()})
