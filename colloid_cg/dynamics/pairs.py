"""Pairs closer than a distance, in one state or in every frame of a series."""

from __future__ import annotations

import numpy as np

from colloid_cg.neighbors import within
from colloid_cg.records import Box, StateSeries


def close_pairs(positions: np.ndarray, distance: float, box: Box) -> np.ndarray:
    """Return index pairs (i < j) at most ``distance`` apart, shape (p, 2), in lexicographic order."""
    return within(positions, distance, box).pairs


def image_pairs(
    positions: np.ndarray, distance: float, box: Box, *, time: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return index pairs (i < j) at most ``distance`` apart, shape (p, 2), and the images meant, shape (p, d).

    Positions need not be wrapped: r_i - r_j - n L is the short vector, with n the whole cells returned; in a sheared
    box at ``time`` the shift n_y g L_y t along the first axis comes on top. A neighbour list needs whole cells, which
    hold while particles move, where :func:`~colloid_cg.neighbors.within` gives vectors of one instant.
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
