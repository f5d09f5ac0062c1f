"""Area of Voronoi cells in the plane."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.spatial import QhullError, Voronoi

from colloid_cg.errors import DataError, InputError
from colloid_cg.records import Box
from colloid_cg.shapes import Positions, Scalars


def voronoi(positions: Positions, box: Box) -> Scalars:
    """Return the area of each particle's Voronoi cell, shape (n,), in the squared unit of the positions.

    NaN for cells that reach an open edge: their true extent depends on particles outside the view. Along periodic
    axes cells are complete and their areas add up to the area of the box.

    Raises
    ------
    DataError
        If too few particles span the plane.
    """
    positions = np.asarray(positions, dtype=float)
    if positions.ndim != 2 or positions.shape[1] != 2 or box.dimension != 2:
        raise InputError(
            f"positions of shape {positions.shape}", expected="shape (n, 2)", action="Voronoi areas are for the plane"
        )
    folded = box.wrap(positions)
    shifts = [(0,) if not wraps else (0, 1, -1, 2, -2) for wraps in box.periodic]
    spacing = np.sqrt(box.volume / max(len(positions), 1))
    # Ten spacings of images around the cell, or the two next cells where these are smaller.
    margin = np.minimum(10 * spacing, 2 * box.lengths)
    points = [folded]
    for shift in product(*shifts):
        if any(shift):
            image = folded + np.asarray(shift) * box.lengths
            near = (image >= np.asarray(box.lower) - margin) & (image <= np.asarray(box.upper) + margin)
            points.append(image[(near | ~np.asarray(box.periodic)).all(axis=1)])
    try:
        diagram = Voronoi(np.concatenate(points))
    except (QhullError, ValueError) as error:
        raise DataError(
            f"{len(positions)} particles that span no area",
            expected="at least 4 particles not on one line",
            action="use more particles",
        ) from error
    return _areas(diagram, box, len(positions))


def _areas(diagram: Voronoi, box: Box, n_particles: int) -> Scalars:
    """Add to both cells of each border the triangle from its particle to the border: length x distance / 4."""
    border, cells = np.asarray(diagram.ridge_vertices), diagram.ridge_points
    ends = diagram.vertices[border]
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    distance = np.linalg.norm(diagram.points[cells[:, 1]] - diagram.points[cells[:, 0]], axis=1)
    triangle = 0.25 * length * distance
    outside = (diagram.vertices < np.asarray(box.lower)) | (diagram.vertices > np.asarray(box.upper))
    beyond = (outside & ~np.asarray(box.periodic)).any(axis=1)
    # A vertex at infinity has the number -1; its triangle means nothing.
    unbounded = (border < 0).any(axis=1) | beyond[border].any(axis=1)
    triangle[unbounded] = np.nan
    n_points = len(diagram.points)
    area = np.bincount(cells.ravel(), weights=np.repeat(triangle, 2), minlength=n_points)
    return np.asarray(area[:n_particles])
