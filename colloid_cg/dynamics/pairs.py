"""Pairs closer than a distance, in one state or in every frame of a series."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from colloid_cg.errors import DataError
from colloid_cg.records import Box, StateSeries


def close_pairs(positions: np.ndarray, distance: float, box: Box) -> np.ndarray:
    """Return index pairs (i < j) closer than ``distance``, shape (p, 2), in a fixed order."""
    if len(positions) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    if any(box.periodic):
        shortest = min(length for length, wraps in zip(box.lengths, box.periodic, strict=True) if wraps)
        if 2 * distance > shortest:
            raise DataError(
                f"a search distance of {distance:.3g} um in a periodic cell of {shortest:.3g} um",
                expected="at most half the cell",
                action="use a smaller cutoff or a larger field of view",
            )
        size = np.where(box.periodic, box.lengths, 0.0)
        inside = box.wrap(positions) - np.where(box.periodic, box.lower, 0.0)
        inside = np.where(np.asarray(box.periodic) & (inside >= box.lengths), 0.0, inside)
        tree = cKDTree(inside, boxsize=size)
    else:
        tree = cKDTree(positions)
    pairs = tree.query_pairs(distance, output_type="ndarray").astype(np.int64)
    return np.asarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])


def series_pairs(series: StateSeries, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return row pairs of all frames, shape (p, 2), and where each frame's pairs begin, shape (T + 1,)."""
    blocks, counts = [], [0]
    for frame in range(series.n_frames):
        rows = series.rows(frame)
        found = close_pairs(series.positions[rows], distance, series.box) + rows.start
        blocks.append(found)
        counts.append(len(found))
    return np.concatenate(blocks), np.cumsum(counts)
