"""Blocks of space and time, and what a number becomes when whole blocks are drawn anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from colloid_cg.observables.blocks import FEWEST_GROUPS, time_blocks
from colloid_cg.records import Box

MOST_CELLS = 6
"""Cells of space along each axis at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Resampling:
    """Which block each row is in, and how often each block is drawn.

    Parameters
    ----------
    index : int array, shape (n,)
        Block of each row, from 0.
    weights : array, shape (R, B)
        How often each resample holds each block.
    """

    index: np.ndarray
    weights: np.ndarray

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return int(self.weights.shape[1])

    def sums(self, columns: np.ndarray) -> np.ndarray:
        """Return the sums of columns (n, k) within blocks, shape (B, k)."""
        return np.stack(
            [np.bincount(self.index, weights=column, minlength=self.n_blocks) for column in columns.T], axis=1
        )

    def entry(self, value: float, samples: np.ndarray) -> dict[str, Any]:
        """Return a value with the 90 % interval of its resamples; none with fewer than four blocks."""
        return with_interval(value, samples, n_blocks=self.n_blocks)


def with_interval(value: float, samples: np.ndarray, *, n_blocks: int) -> dict[str, Any]:
    """Return value, low90, high90: percentiles of the resamples that gave a number; None where there are too few.

    Percentiles are taken further out than 5 and 95 %, by what Student's t asks of B blocks (expanded percentiles,
    Hesterberg, doi:10.1080/00031305.2015.1089789): those of few blocks would be too narrow.
    """
    known = samples[np.isfinite(samples)]
    if n_blocks < FEWEST_GROUPS or len(known) < 0.9 * len(samples) or not np.isfinite(value):
        return {"value": float(value), "low90": None, "high90": None}
    low, high = np.quantile(known, (level := outer_level(n_blocks), 1.0 - level))
    return {"value": float(value), "low90": float(low), "high90": float(high)}


def outer_level(n_blocks: int) -> float:
    """Return the share of resamples beyond each end of a 90 % interval: 5 % with many blocks, less with few."""
    return float(stats.norm.sf(np.sqrt(n_blocks / (n_blocks - 1)) * stats.t.ppf(0.95, n_blocks - 1)))


def space_time_blocks(
    frames: np.ndarray, positions: np.ndarray, box: Box, *, frames_per_block: int, side: float
) -> np.ndarray:
    """Return the block of each row: a span of time in a cell of space.

    Parameters
    ----------
    frames : int array, shape (n,)
    positions : array, shape (n, d)
        In the unit of ``box``.
    box : Box
    frames_per_block : int
        Least length of a block in time: as long as a row says something about later ones.
    side : float
        Least edge of a cell: as far as neighbours say something about each other.
    """
    if not len(frames):
        return np.zeros(0, dtype=np.int64)
    key = time_blocks(frames, max(1, -(-frames_per_block // 2)))
    lower = np.where(box.periodic, box.lower, positions.min(axis=0))
    lengths = np.where(box.periodic, box.lengths, np.ptp(positions, axis=0))
    places = box.wrap(positions)
    for axis, length in enumerate(lengths):
        count = int(np.clip(length // side, 1, MOST_CELLS))
        cell = np.clip(((places[:, axis] - lower[axis]) / max(length, 1e-300) * count).astype(int), 0, count - 1)
        key = key * count + cell
    return np.asarray(np.unique(key, return_inverse=True)[1])


def resampling(index: np.ndarray, *, resamples: int, rng: np.random.Generator) -> Resampling:
    """Draw as many blocks as there are, with replacement, ``resamples`` times (Kuensch, doi:10.1214/aos/1176347265)."""
    n_blocks = int(index.max()) + 1 if len(index) else 0
    if not n_blocks:
        return Resampling(index=index, weights=np.zeros((resamples, 0)))
    drawn = rng.multinomial(n_blocks, np.full(n_blocks, 1.0 / n_blocks), size=resamples)
    return Resampling(index=index, weights=drawn.astype(float))
