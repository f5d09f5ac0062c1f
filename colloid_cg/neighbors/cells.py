"""All pairs within a cutoff by a grid of cells at least as wide as the cutoff, in two or three dimensions."""

from __future__ import annotations

import numpy as np
from numba import njit

_MARGIN = 1e-9  # cells are this much wider than the cutoff: rounding must not carry a neighbour two cells away


def pairs_within(
    folded: np.ndarray, positions: np.ndarray, cutoff: float, periods: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs i < j in lexicographic order, shape (p, 2), and r_j - r_i of the shortest images, shape (p, d).

    Parameters
    ----------
    folded : array, shape (n, d)
        Positions relative to the lower corner, inside the box along periodic axes.
    positions : array, shape (n, d)
        The same particles, not folded; differences are taken here.
    cutoff : float
        At most half of every period.
    periods : array, shape (d,)
        Edge of the box, infinite along open axes.
    """
    n, dimension = folded.shape
    periodic = np.isfinite(periods)
    lower = np.where(periodic, 0.0, folded.min(axis=0))
    extent = np.where(periodic, periods, folded.max(axis=0) - lower)
    # No more cells than particles, however far apart these are.
    most = max(int(np.ceil(n ** (1 / dimension))), 1)
    shape = np.clip(extent // (cutoff * (1 + _MARGIN)), 1, most).astype(np.int64)
    cell = ((folded - lower) * (shape / np.where(extent > 0, extent, 1.0))).astype(np.int64)
    cell = np.clip(cell, 0, shape - 1)
    # Two dimensions are three with one layer of cells.
    layers = 3 - dimension
    places, cells = np.pad(positions, ((0, 0), (0, layers))), np.pad(cell, ((0, 0), (0, layers)))
    shape, periods = np.pad(shape, (0, layers), constant_values=1), np.pad(periods, (0, layers), constant_values=np.inf)
    edges, inverse = np.where(np.isfinite(periods), periods, 0.0), 1.0 / periods
    flat = (cells[:, 0] * shape[1] + cells[:, 1]) * shape[2] + cells[:, 2]
    start, member = _members(flat, int(np.prod(shape)))
    # The factor keeps pairs that sit exactly at the cutoff from being lost to rounding.
    pairs = _search(places, cells, shape, edges, inverse, start, member, (cutoff * (1 + 1e-12)) ** 2)
    return pairs, _differences(np.ascontiguousarray(positions), edges, inverse, pairs)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _members(flat: np.ndarray, n_cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each cell begins in the list of particles, and that list, ascending within a cell."""
    start = np.zeros(n_cells + 1, dtype=np.int64)
    for value in flat:
        start[value + 1] += 1
    for value in range(n_cells):
        start[value + 1] += start[value]
    place = start[:-1].copy()
    member = np.empty(len(flat), dtype=np.int64)
    for particle in range(len(flat)):
        member[place[flat[particle]]] = particle
        place[flat[particle]] += 1
    return start, member


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _cells_to_visit(cell: int, n_cells: int, periodic: bool) -> tuple[int, int]:
    """Return the first cell beside a cell along an axis (not folded) and how many there are, each once."""
    if periodic:
        return cell - 1, min(3, n_cells)
    first = max(cell - 1, 0)
    return first, min(cell + 1, n_cells - 1) - first + 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fold(cell: int, n_cells: int) -> int:
    return cell + n_cells if cell < 0 else cell - n_cells if cell >= n_cells else cell


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _shortest(difference: float, edge: float, inverse: float) -> float:
    """Return the shortest image of a difference; edge and 1/edge are zero along open axes."""
    return float(difference - edge * np.rint(difference * inverse))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _later_neighbors(
    i: int,
    places: np.ndarray,
    cell: np.ndarray,
    shape: np.ndarray,
    edges: np.ndarray,
    inverse: np.ndarray,
    start: np.ndarray,
    member: np.ndarray,
    square: float,
    found: np.ndarray,
) -> int:
    """Write the neighbours j > i in ascending order into ``found``; return their number."""
    count = 0
    x0, nx = _cells_to_visit(cell[0], shape[0], edges[0] > 0)
    y0, ny = _cells_to_visit(cell[1], shape[1], edges[1] > 0)
    z0, nz = _cells_to_visit(cell[2], shape[2], edges[2] > 0)
    for a in range(x0, x0 + nx):
        row = _fold(a, shape[0]) * shape[1]
        for b in range(y0, y0 + ny):
            column = (row + _fold(b, shape[1])) * shape[2]
            for c in range(z0, z0 + nz):
                flat = column + _fold(c, shape[2])
                for place in range(start[flat + 1] - 1, start[flat] - 1, -1):
                    j = member[place]
                    if j <= i:
                        break
                    x = _shortest(places[j, 0] - places[i, 0], edges[0], inverse[0])
                    y = _shortest(places[j, 1] - places[i, 1], edges[1], inverse[1])
                    z = _shortest(places[j, 2] - places[i, 2], edges[2], inverse[2])
                    if x * x + y * y + z * z > square:
                        continue
                    slot = count
                    while slot > 0 and found[slot - 1] > j:
                        found[slot] = found[slot - 1]
                        slot -= 1
                    found[slot] = j
                    count += 1
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _search(
    places: np.ndarray,
    cells: np.ndarray,
    shape: np.ndarray,
    edges: np.ndarray,
    inverse: np.ndarray,
    start: np.ndarray,
    member: np.ndarray,
    square: float,
) -> np.ndarray:
    """Return pairs at most sqrt(``square``) apart, ordered by first and second particle."""
    n = len(places)
    pairs = np.empty((4 * n + 16, 2), dtype=np.int64)
    found = np.empty(n, dtype=np.int64)
    count = 0
    for i in range(n):
        n_found = _later_neighbors(i, places, cells[i], shape, edges, inverse, start, member, square, found)
        if count + n_found > len(pairs):
            shorter = pairs
            pairs = np.empty((2 * (count + n_found), 2), dtype=np.int64)
            pairs[:count] = shorter[:count]
        for k in range(n_found):
            pairs[count + k, 0] = i
            pairs[count + k, 1] = found[k]
        count += n_found
    return pairs[:count].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _differences(positions: np.ndarray, edges: np.ndarray, inverse: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return r_j - r_i of the shortest image of each pair."""
    vectors = np.empty((len(pairs), positions.shape[1]))
    for p in range(len(pairs)):
        i, j = pairs[p, 0], pairs[p, 1]
        for axis in range(positions.shape[1]):
            vectors[p, axis] = _shortest(positions[j, axis] - positions[i, axis], edges[axis], inverse[axis])
    return vectors
