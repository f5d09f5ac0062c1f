"""A variable shifted across the view within species and frame: what is left is what chance and smooth fields give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from colloid_cg.records import Box

CELLS_PER_SPACING = 2.0
MOST_CELLS = 40_000
"""Cells of the raster of one frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Raster:
    """Which row is nearest to each place, frame by frame.

    Parameters
    ----------
    nearest : int array, shape (F, cells)
        Row nearest to the middle of each cell.
    shape : tuple of int
        Cells along each axis.
    frame : int array, shape (n,)
        Which of the F frames each row is in.
    share : array, shape (n, d)
        Place of each row, 0 to 1 along each axis.
    draw : int array, shape (n,)
        Block of time of each row: shifted together.
    """

    nearest: np.ndarray
    shape: tuple[int, ...]
    frame: np.ndarray
    share: np.ndarray
    draw: np.ndarray

    def shifted(self, rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        """Return for each of ``rows`` the row whose value it gets: the one nearest to its place plus a random shift.

        The shift, round the edges, is the same for all frames of a block of time, so that what is near in space and
        time stays so; only the tie between the variable and the particle is cut.
        """
        by = rng.random((int(self.draw.max(initial=0)) + 1, len(self.shape)))
        place = (self.share[rows] + by[self.draw[rows]]) % 1.0
        cells = np.minimum((place * self.shape).astype(np.int64), np.array(self.shape) - 1)
        return np.asarray(self.nearest[self.frame[rows], np.ravel_multi_index(tuple(cells.T), self.shape)])


def raster_of(frames: np.ndarray, positions: np.ndarray, box: Box, *, time_block: np.ndarray) -> Raster:
    """Return the raster of the rows (of one species) of every frame.

    Parameters
    ----------
    frames, time_block : int arrays, shape (n,)
    positions : array, shape (n, d)
        In the unit of ``box``.
    box : Box
        Along open axes the raster spans the rows.
    """
    places = box.wrap(positions)
    lower = np.where(box.periodic, box.lower, places.min(axis=0))
    lengths = np.maximum(np.where(box.periodic, box.lengths, np.ptp(places, axis=0)), 1e-12)
    share = (places - lower) / lengths
    numbers, frame = np.unique(frames, return_inverse=True)
    shape = _shape(lengths, len(frames) / len(numbers))
    middles = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n for n in shape], indexing="ij"), axis=-1)
    points = middles.reshape(-1, len(shape)) * lengths
    periods = np.where(box.periodic, lengths, 0.0)
    nearest = np.empty((len(numbers), len(points)), dtype=np.int64)
    order = np.argsort(frame, kind="stable")
    borders = np.searchsorted(frame[order], np.arange(len(numbers) + 1))
    for number in range(len(numbers)):
        rows = order[borders[number] : borders[number + 1]]
        tree = cKDTree(np.minimum(share[rows], 1.0 - 1e-12) * lengths, boxsize=periods)
        nearest[number] = rows[tree.query(points)[1]]
    draw = np.unique(time_block, return_inverse=True)[1]
    return Raster(nearest=nearest, shape=shape, frame=frame, share=share, draw=draw)


def _shape(lengths: np.ndarray, per_frame: float) -> tuple[int, ...]:
    """Return cells along each axis, about half the mean spacing wide, not more than ``MOST_CELLS`` in all."""
    spacing = (float(np.prod(lengths)) / max(per_frame, 1.0)) ** (1.0 / len(lengths))
    cells = CELLS_PER_SPACING * lengths / spacing
    cells = cells * min(1.0, (MOST_CELLS / float(np.prod(cells))) ** (1.0 / len(lengths)))
    return tuple(max(1, round(float(count))) for count in cells)


def permutation_p_value(
    values: np.ndarray, positive: np.ndarray, raster: Raster, *, permutations: int, rng: np.random.Generator
) -> float:
    """Return how probable it is that positives rank as high if a variable and the labels have nothing to do together.

    The statistic is the mean rank of the positives about the mean of their frame: up to a constant the area under the
    curve within frames. p = (1 + number of shifts that give as much) / (1 + shifts), Phipson and Smyth,
    doi:10.2202/1544-6115.1585.

    Parameters
    ----------
    values : array, shape (n,)
        Ranks of the variable over all rows, or the variable itself.
    positive : bool array, shape (n,)
    raster : Raster
        Of the same rows.
    """
    hits = np.flatnonzero(positive)
    frame = raster.frame
    mean = np.bincount(frame, weights=values) / np.bincount(frame)
    # A particle with much room is nearest to many places: shifted values scatter about the mean over places.
    over_places = values[raster.nearest].mean(axis=1)
    found = (values[hits] - mean[frame[hits]]).mean()
    centre = over_places[frame[hits]].mean()
    shifted = np.array([values[raster.shifted(rng, hits)].mean() - centre for _ in range(permutations)])
    # Rounding of equal sums must not decide.
    return float((1 + np.sum(shifted >= found - 1e-9 * np.ptp(values))) / (1 + permutations))
