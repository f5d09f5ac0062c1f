"""Neighbours by Delaunay triangulation; every axis open or periodic."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
from scipy.spatial import Delaunay, QhullError

from colloid_cg.errors import DataError
from colloid_cg.neighbors.cutoff import checked_positions, graph_of
from colloid_cg.records import Box, NeighborGraph
from colloid_cg.shapes import Positions


def delaunay(positions: Positions, box: Box, *, longest: float = 2.5) -> NeighborGraph:
    """Return the pairs that share an edge of the Delaunay triangulation.

    Along open axes the convex hull joins particles that see each other only around the outside. Triangles whose
    outer edge is longer than ``longest`` times the median edge are therefore peeled off from the hull inwards;
    an edge inside the sample is never removed, so voids stay bridged. Along periodic axes images are added until
    the circumscribed circle of every triangle that touches the cell lies inside the region filled with images.

    Parameters
    ----------
    positions : array, shape (n, d)
        In any unit.
    box : Box
        Same unit.
    longest : float
        Longest outer edge kept, in median edge lengths; ``inf`` keeps the convex hull.

    Returns
    -------
    NeighborGraph
        Pairs i < j in lexicographic order with r_j - r_i; in a cell so small that two particles touch through
        two images the pair is listed once with the shortest vector, and a particle is never its own neighbour.

    Raises
    ------
    DataError
        If there are fewer than d + 1 particles or all lie on a line (plane).
    """
    positions = checked_positions(positions, box)
    folded = box.wrap(positions)
    lengths = np.where(box.periodic, box.lengths, 0.0)
    spacing = (box.volume / max(len(positions), 1)) ** (1.0 / box.dimension)
    margin = 5.0 * spacing
    while True:
        owner, points = _with_images(folded, box, margin)
        mesh = _triangulate(points)
        # The hull of the images of a fully periodic cell is no edge of the sample.
        simplices = mesh.simplices if all(box.periodic) else _peeled(mesh, points, longest)
        enough = (margin >= 2.0 * lengths).all()
        if not any(box.periodic) or enough or _covered(simplices, points, len(positions), box, margin):
            break
        margin *= 2.0
    edges = np.concatenate([simplices[:, pair] for pair in combinations(range(box.dimension + 1), 2)])
    edges = edges[(edges < len(positions)).any(axis=1)]
    vectors = points[edges[:, 1]] - points[edges[:, 0]]
    return _unique(owner[edges], vectors, len(positions))


def _with_images(folded: np.ndarray, box: Box, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Return owner and position of all points: first the particles, then their images within the margin."""
    lower, upper = np.asarray(box.lower), np.asarray(box.upper)
    reach = [
        int(np.ceil(min(margin, 2 * length) / length)) if wraps else 0
        for length, wraps in zip(box.lengths, box.periodic, strict=True)
    ]
    owners, points = [np.arange(len(folded))], [folded]
    for shift in product(*(range(-n, n + 1) for n in reach)):
        if any(shift):
            image = folded + np.asarray(shift) * box.lengths
            near = ((image >= lower - margin) & (image <= upper + margin) | ~np.asarray(box.periodic)).all(axis=1)
            owners.append(np.flatnonzero(near))
            points.append(image[near])
    return np.concatenate(owners), np.concatenate(points)


def _triangulate(points: np.ndarray) -> Delaunay:
    dimension = points.shape[1]
    if len(points) > dimension:
        try:
            return Delaunay(points)
        except QhullError:
            pass
    raise DataError(
        f"{len(points)} particles that span no area",
        expected=f"at least {dimension + 1} particles not on one line",
        action="use a cutoff instead of Delaunay neighbours",
    )


def _peeled(mesh: Delaunay, points: np.ndarray, longest: float) -> np.ndarray:
    """Return the simplices left after removing, from outside inwards, those with a far too long outer edge."""
    simplices, neighbors = mesh.simplices, mesh.neighbors
    corners = range(simplices.shape[1])
    length = {
        pair: np.linalg.norm(points[simplices[:, pair[0]]] - points[simplices[:, pair[1]]], axis=1)
        for pair in combinations(corners, 2)
    }
    limit = longest * float(np.median(np.concatenate(list(length.values()))))
    # Column k: the longest edge of the facet opposite to corner k.
    facet = np.stack([np.max([length[p] for p in length if k not in p], axis=0) for k in corners], axis=1)
    alive = np.ones(len(simplices), dtype=bool)
    while True:
        outer = (neighbors < 0) | ~alive[neighbors]
        peel = alive & (outer & (facet > limit)).any(axis=1)
        if not peel.any():
            return np.asarray(simplices[alive])
        alive &= ~peel


def _covered(simplices: np.ndarray, points: np.ndarray, n_particles: int, box: Box, margin: float) -> bool:
    """Tell whether the circumscribed spheres of all simplices that touch the cell stay inside the imaged region."""
    corners = points[simplices[(simplices < n_particles).any(axis=1)]]
    edges = corners[:, 1:] - corners[:, :1]
    try:
        centre = np.linalg.solve(2 * edges, (edges**2).sum(axis=-1)[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return False
    radius = np.linalg.norm(centre, axis=1)
    centre = centre + corners[:, 0]
    periodic = np.asarray(box.periodic)
    below = centre - radius[:, None] >= np.asarray(box.lower) - margin
    above = centre + radius[:, None] <= np.asarray(box.upper) + margin
    return bool(((below & above) | ~periodic).all())


def _unique(pairs: np.ndarray, vectors: np.ndarray, n_particles: int) -> NeighborGraph:
    keep = pairs[:, 0] != pairs[:, 1]
    pairs, vectors = pairs[keep], vectors[keep]
    swap = pairs[:, 0] > pairs[:, 1]
    pairs = np.where(swap[:, None], pairs[:, ::-1], pairs)
    vectors = np.where(swap[:, None], -vectors, vectors)
    order = np.lexsort((np.linalg.norm(vectors, axis=1), pairs[:, 1], pairs[:, 0]))
    pairs, vectors = pairs[order], vectors[order]
    first = np.ones(len(pairs), dtype=bool)
    first[1:] = (np.diff(pairs, axis=0) != 0).any(axis=1)
    return graph_of(pairs[first].astype(np.int64), vectors[first], n_particles)
