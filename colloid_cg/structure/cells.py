"""Areas of Voronoi cells in the plane: whole, and clipped to a disc so that they depend on near neighbours only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial import Delaunay, QhullError

from colloid_cg.records import Box
from colloid_cg.shapes import Positions, Scalars

_GHOSTS = 32


@dataclass(frozen=True)
class CellAreas:
    """Voronoi areas of each particle, in squared units of the positions, shape (n,).

    ``whole`` is NaN where a particle beyond an open edge could change it. ``clipped`` is the part of the cell
    within the clip radius of its particle: it depends only on neighbours up to twice that radius.
    """

    whole: np.ndarray
    clipped: np.ndarray


def cell_areas(positions: Positions, box: Box, *, clip: float) -> CellAreas:
    """Return the Voronoi areas of points in the plane.

    A cell is the union of the triangles from its particle to its sides; the side shared with a neighbour at
    distance r lies r/2 away. Points are repeated across periodic faces and a distant ring of points closes the
    cells at open ones. Nothing beyond an open edge can change a cell if, for each of its corners, the empty circle
    through the three particles around that corner lies inside the box.

    Parameters
    ----------
    positions : array, shape (n, 2)
    box : Box
    clip : float
        Radius of the disc of ``clipped``.

    Returns
    -------
    CellAreas
        NaN in both for a particle at exactly the place of another.
    """
    n = len(positions)
    if n == 0:
        return CellAreas(np.empty(0), np.empty(0))
    points, n_ghosts = _surrounded(box.wrap(positions), box, clip=clip)
    try:
        triangles = Delaunay(points)
    except QhullError:
        return CellAreas(np.full(n, np.nan), np.full(n, np.nan))
    centre, radius = _circumcircles(points[triangles.simplices])
    known = np.bincount(triangles.simplices.ravel(), minlength=len(points))[:n] > 0
    unclosed = (triangles.simplices >= len(points) - n_ghosts).any(axis=1)
    insecure = triangles.simplices[unclosed | ~(box.edge_distance(centre) >= radius)]
    open_cell = np.bincount(insecure.ravel(), minlength=len(points))[:n] > 0
    whole, clipped = _sum_over_sides(points, triangles, centre, n=n, clip=clip)
    return CellAreas(np.where(known & ~open_cell, whole, np.nan), np.where(known, clipped, np.nan))


def _surrounded(positions: Positions, box: Box, *, clip: float) -> tuple[Positions, int]:
    """Return the points, their images across periodic faces and (open box) a distant ring, with its number."""
    shifts = [s for s in product(*((-1, 0, 1) if p else (0,) for p in box.periodic)) if any(s)]
    points = np.concatenate([positions, *(positions + np.multiply(shift, box.lengths) for shift in shifts)])
    if all(box.periodic):
        return points, 0
    middle = points.mean(axis=0)
    reach = 4.0 * (np.abs(points - middle).max() + clip)
    angle = 2.0 * np.pi * (np.arange(_GHOSTS) + 0.5) / _GHOSTS
    return np.concatenate([points, middle + reach * np.stack([np.cos(angle), np.sin(angle)], axis=1)]), _GHOSTS


def _circumcircles(corners: np.ndarray) -> tuple[Positions, Scalars]:
    """Return centres and radii of the circles through triangles, corners of shape (m, 3, 2)."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    cross = 2.0 * (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
    cross = np.where(cross == 0.0, np.finfo(float).tiny, cross)
    square_first, square_second = (first**2).sum(axis=1), (second**2).sum(axis=1)
    offset = np.stack(
        [
            (second[:, 1] * square_first - first[:, 1] * square_second) / cross,
            (first[:, 0] * square_second - second[:, 0] * square_first) / cross,
        ],
        axis=1,
    )
    return corners[:, 0] + offset, np.hypot(offset[:, 0], offset[:, 1])


def _sum_over_sides(
    points: Positions, triangles: Delaunay, centre: Positions, *, n: int, clip: float
) -> tuple[Scalars, Scalars]:
    """Return whole and clipped areas of the first n points, summed over the sides of their cells."""
    whole, clipped = np.zeros(n), np.zeros(n)
    for corner in range(3):
        other = triangles.neighbors[:, corner]
        once = np.flatnonzero(other > np.arange(len(other)))
        pair = np.delete(triangles.simplices[once], corner, axis=1)
        ends = np.stack([centre[once], centre[other[once]]], axis=1)
        for own, neighbour in (pair.T, pair.T[::-1]):
            real = own < n
            triangle, sector = _side(points[own[real]], points[neighbour[real]], ends[real], clip)
            whole += np.bincount(own[real], triangle, minlength=n)
            clipped += np.bincount(own[real], sector, minlength=n)
    return whole, clipped


def _side(own: Positions, neighbour: Positions, ends: np.ndarray, clip: float) -> tuple[Scalars, Scalars]:
    """Return the area of the triangles (own, end, end) and of their parts within ``clip`` of ``own``."""
    towards = neighbour - own
    distance = np.hypot(towards[:, 0], towards[:, 1])
    along = np.stack([-towards[:, 1], towards[:, 0]], axis=1) / distance[:, None]
    height = 0.5 * distance
    first, second = (((ends[:, k] - own) * along).sum(axis=1) for k in range(2))
    triangle = 0.5 * height * np.abs(second - first)
    return triangle, np.abs(_swept(second, height, clip) - _swept(first, height, clip))


def _swept(offset: Scalars, height: Scalars, clip: float) -> Scalars:
    """Return the area within ``clip`` of the right triangle with legs ``height`` and ``offset`` (signed by offset)."""
    half_chord = np.sqrt(np.clip(clip**2 - height**2, 0.0, None))
    inside = 0.5 * height * np.clip(np.abs(offset), 0.0, half_chord)
    angle = np.arctan2(np.abs(offset), height) - np.arctan2(half_chord, height)
    return np.asarray(np.sign(offset) * (inside + 0.5 * clip**2 * np.clip(angle, 0.0, None)))
