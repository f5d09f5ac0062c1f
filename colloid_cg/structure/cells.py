"""Voronoi cells in the plane: area, bond order over the sides, and the area in reach of near neighbours only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial import Delaunay, QhullError

from colloid_cg.records import Box
from colloid_cg.shapes import Positions, Scalars
from colloid_cg.structure.bonds import harmonic, modulus_squared

_GHOSTS = 32


@dataclass(frozen=True)
class Cells:
    """The Voronoi cell of each particle, arrays of shape (n,).

    ``area`` (squared unit of the positions) and ``psi6`` are NaN where a particle beyond an open edge could change
    them. ``clipped`` is the part of the area within the clip radius of the particle: it depends only on neighbours
    up to twice that radius.
    """

    area: np.ndarray
    psi6: np.ndarray
    clipped: np.ndarray


def voronoi_cells(positions: Positions, box: Box, *, clip: float) -> Cells:
    r"""Return areas and bond order of the Voronoi cells of points in the plane.

    A cell is the union of the triangles from its particle to its sides; the side shared with a neighbour at
    distance r lies r/2 away. Points are repeated across periodic faces and a distant ring of points closes the
    cells at open ones. Nothing beyond an open edge can change a cell if, for each of its corners, the empty circle
    through the three particles around that corner lies inside the box. The bond order weighs neighbours by the
    length l of the shared side, so that it is continuous and needs no cutoff (doi:10.1063/1.4774084):

    .. math:: \psi_6 = \Big|\sum_j l_{ij} e^{6 i \theta_{ij}}\Big| \Big/ \sum_j l_{ij}

    Parameters
    ----------
    positions : array, shape (n, 2)
    box : Box
    clip : float
        Radius of the disc of ``clipped``.

    Returns
    -------
    Cells
        NaN everywhere for a particle at exactly the place of another.
    """
    n = len(positions)
    nothing = np.full(n, np.nan)
    if n == 0:
        return Cells(nothing, nothing, nothing)
    try:
        points, n_ghosts, triangles, centre, radius = _triangulated(box.wrap(positions), box, clip=clip)
    except QhullError:
        return Cells(nothing, nothing, nothing)
    known = np.bincount(triangles.simplices.ravel(), minlength=len(points))[:n] > 0
    unclosed = (triangles.simplices >= len(points) - n_ghosts).any(axis=1)
    insecure = triangles.simplices[unclosed | ~(box.edge_distance(centre) >= radius)]
    certain = known & (np.bincount(insecure.ravel(), minlength=len(points))[:n] == 0)
    area, psi6, clipped = _sum_over_sides(points, triangles, centre, n=n, clip=clip)
    return Cells(
        area=np.where(certain, area, np.nan),
        psi6=np.where(certain, psi6, np.nan),
        clipped=np.where(known, clipped, np.nan),
    )


def _triangulated(
    positions: Positions, box: Box, *, clip: float
) -> tuple[Positions, int, Delaunay, Positions, Scalars]:
    """Return points with their images, number of ghosts, triangles, and centres and radii of their circles.

    In a periodic box images within a strip of two clip radii are enough wherever the circles of the triangles of the
    particles themselves end within it: no point further out can then lie in one.
    """
    whole, n_ghosts = _surrounded(positions, box, clip=clip)
    if all(box.periodic):
        below, above = (np.asarray(edge) for edge in (box.lower, box.upper))
        near = ((whole >= below - 2.0 * clip) & (whole <= above + 2.0 * clip)).all(axis=1)
        points = whole[near]
        try:
            triangles = Delaunay(points)
        except QhullError:  # too few points, or all on a line, in the strip
            triangles = Delaunay(whole)
            return whole, n_ghosts, triangles, *_circumcircles(whole[triangles.simplices])
        centre, radius = _circumcircles(points[triangles.simplices])
        own = (triangles.simplices < len(positions)).any(axis=1)
        room = np.minimum(centre - below, above - centre).min(axis=1) + 2.0 * clip
        if (radius[own] <= room[own]).all() and (triangles.neighbors[own] >= 0).all():
            return points, n_ghosts, triangles, centre, radius
    triangles = Delaunay(whole)
    return whole, n_ghosts, triangles, *_circumcircles(whole[triangles.simplices])


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
) -> tuple[Scalars, Scalars, Scalars]:
    """Return area, bond order and clipped area of the first n points, summed over the sides of their cells."""
    own, neighbour, ends = _sides(triangles, centre, n=n)
    towards = points[neighbour] - points[own]
    distance = np.hypot(towards[:, 0], towards[:, 1])
    along = np.stack([-towards[:, 1], towards[:, 0]], axis=1) / distance[:, None]
    height = 0.5 * distance
    first, second = (((ends[:, k] - points[own]) * along).sum(axis=1) for k in range(2))
    length = np.abs(second - first)
    sector = np.abs(_swept(second, height, clip) - _swept(first, height, clip))
    area, clipped = (np.bincount(own, part, minlength=n) for part in (0.5 * height * length, sector))
    total = np.bincount(own, length, minlength=n)
    square = modulus_squared(harmonic(towards, 6), length, own, n_particles=n)
    return area, np.sqrt(square) / np.where(total > 0, total, 1.0), clipped


def _sides(triangles: Delaunay, centre: Positions, *, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every side of the first n cells: own point (m,), neighbour (m,), both ends of the side (m, 2, 2)."""
    owns, neighbours, ends = [], [], []
    for corner in range(3):
        other = triangles.neighbors[:, corner]
        once = np.flatnonzero(other > np.arange(len(other)))
        pair = np.delete(triangles.simplices[once], corner, axis=1).astype(np.int64)
        for own, neighbour in (pair.T, pair.T[::-1]):
            real = own < n
            owns.append(own[real])
            neighbours.append(neighbour[real])
            ends.append(np.stack([centre[once[real]], centre[other[once[real]]]], axis=1))
    return np.concatenate(owns), np.concatenate(neighbours), np.concatenate(ends)


def _swept(offset: Scalars, height: Scalars, clip: float) -> Scalars:
    """Return the area within ``clip`` of the right triangle with legs ``height`` and ``offset`` (signed by offset)."""
    half_chord = np.sqrt(np.clip(clip**2 - height**2, 0.0, None))
    inside = 0.5 * height * np.clip(np.abs(offset), 0.0, half_chord)
    angle = np.arctan2(np.abs(offset), height) - np.arctan2(half_chord, height)
    return np.asarray(np.sign(offset) * (inside + 0.5 * clip**2 * np.clip(angle, 0.0, None)))
