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


def image_pairs(
    positions: np.ndarray, distance: float, box: Box, *, time: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return index pairs (i < j) closer than ``distance``, shape (p, 2), and the images meant, shape (p, d).

    Positions need not be wrapped: r_i - r_j - n L is the short vector, with n the whole cells returned; in a sheared
    box at ``time`` the shift n_y g L_y t along the first axis comes on top.
    """
    folds = np.where(box.periodic, np.floor((positions - np.asarray(box.lower)) / box.lengths), 0.0)
    slide = box.shear_rate * box.lengths[1] * time if box.shear_rate else 0.0
    inside = positions - folds * box.lengths
    inside[:, 0] -= folds[:, 1] * slide
    if box.shear_rate:
        along = np.floor((inside[:, 0] - box.lower[0]) / box.lengths[0])
        folds[:, 0] += along
        inside[:, 0] -= along * box.lengths[0]
        found, hops = _sheared_pairs(inside, distance, box, slide)
    else:
        found = close_pairs(inside, distance, box)
        hops = np.round((inside[found[:, 0]] - inside[found[:, 1]]) / np.where(box.periodic, box.lengths, np.inf))
    return found, folds[found[:, 0]] - folds[found[:, 1]] + hops


def _sheared_pairs(inside: np.ndarray, distance: float, box: Box, slide: float) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of wrapped positions and r_i - r_j in whole cells: copies beyond the sliding faces stand in."""
    lower, lengths = np.asarray(box.lower), box.lengths
    above = np.flatnonzero(inside[:, 1] - lower[1] < distance)  # their images one cell up the second axis
    copies = inside[above] + np.eye(box.dimension)[1] * lengths[1]
    copies[:, 0] += slide
    hop_x = np.floor((copies[:, 0] - lower[0]) / lengths[0])
    copies[:, 0] -= hop_x * lengths[0]
    plain = Box(
        lower=box.lower, upper=(box.upper[0], box.upper[1] + 2 * lengths[1], *box.upper[2:]), periodic=box.periodic
    )
    found = close_pairs(np.concatenate([inside, copies]), distance, plain)
    n = len(inside)
    found = found[found[:, 0] < n]
    copied = found[:, 1] >= n
    number = np.where(copied, found[:, 1] - n, 0)
    second = np.where(copied, above[number] if len(above) else 0, found[:, 1])
    everything = np.concatenate([inside, copies])
    period = np.where(box.periodic, lengths, np.inf)
    period[1] = np.inf
    hops = np.round((everything[found[:, 0]] - everything[found[:, 1]]) / period)
    hops[:, 1] = 0.0
    # r_i - r_j(image): the copy of j stands at r_j + L_y + slide - hop_x L_x.
    hops[:, 1] += copied
    hops[:, 0] -= np.where(copied, hop_x[number] if len(above) else 0, 0)
    pairs = np.stack([found[:, 0], second], axis=1)
    swap = pairs[:, 0] > pairs[:, 1]
    pairs, hops = np.where(swap[:, None], pairs[:, ::-1], pairs), np.where(swap[:, None], -hops, hops)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], hops[order]


def series_pairs(series: StateSeries, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return row pairs of all frames, shape (p, 2), and where each frame's pairs begin, shape (T + 1,)."""
    blocks, counts = [], [0]
    for frame in range(series.n_frames):
        rows = series.rows(frame)
        found = close_pairs(series.positions[rows], distance, series.box) + rows.start
        blocks.append(found)
        counts.append(len(found))
    return np.concatenate(blocks), np.cumsum(counts)
