"""Invariant, smooth description of the neighbourhood of every particle of one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from colloid_cg.neighbors import within
from colloid_cg.records import Box, NeighborGraph
from colloid_cg.shapes import Positions, Scalars
from colloid_cg.structure.bonds import ORDERS, SHELL_ORDERS, shell_bond_orders
from colloid_cg.structure.cells import voronoi_cells
from colloid_cg.structure.neighbourhood import Neighbourhood
from colloid_cg.structure.windows import window, window_volume


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is known about each particle of one frame.

    Parameters
    ----------
    values : array, shape (n, q)
        Descriptors named by :func:`descriptor_names`; NaN rows where ``valid`` is False.
    valid : bool array, shape (n,)
        True where nothing beyond the edge of the view can change the values.
    psi6, voronoi_area, local_density : arrays, shape (n,)
        Readable fields: bond order over the sides of the Voronoi cell and its area (um2), both NaN in 3-D; particles
        per um2 (um3) in the smooth window, itself included. NaN where the edge of the view could change them.
    """

    values: np.ndarray
    valid: np.ndarray
    psi6: np.ndarray
    voronoi_area: np.ndarray
    local_density: np.ndarray


def descriptor_names(neighbourhood: Neighbourhood) -> tuple[str, ...]:
    """Return the names of the columns of ``Description.values``."""
    letter = "psi" if neighbourhood.dimension == 2 else "q"
    names = [f"g{b}_{radius:.3g}" for b in range(neighbourhood.n_species) for radius in neighbourhood.shells]
    names += [f"{letter}{k}_{shell}" for shell in ("near", "wide") for k in ORDERS]
    names += [f"{letter}{k}_{radius:.3g}" for k in SHELL_ORDERS for radius in neighbourhood.bond_radii]
    names += ["cell"] if neighbourhood.dimension == 2 else []
    return tuple(f"{name}_mean{g}" if g else name for g in range(neighbourhood.generations + 1) for name in names)


def describe(positions: Positions, species: np.ndarray, box: Box, *, neighbourhood: Neighbourhood) -> Description:
    """Describe the neighbourhoods of one frame.

    Parameters
    ----------
    positions : array, shape (n, d)
        In um.
    species : int array, shape (n,)
    box : Box
        In um; open faces make the particles near them invalid.
    neighbourhood : Neighbourhood

    Returns
    -------
    Description
        Unchanged (to rounding) by relabelling, rotation, reflection and translation.
    """
    n, dimension = positions.shape
    graph = within(positions, neighbourhood.cutoff, box)
    area, psi6 = np.full(n, np.nan), np.full(n, np.nan)
    columns = radial_functions(graph, species, neighbourhood=neighbourhood) + _bond_orders(graph, neighbourhood)
    if dimension == 2:
        cells = voronoi_cells(positions, box, clip=0.5 * neighbourhood.cutoff)
        area, psi6 = cells.area, cells.psi6
        columns.append(cells.clipped / neighbourhood.cutoff**2)
    own = np.stack(columns, axis=1)
    edge = box.edge_distance(positions)
    seen = edge >= neighbourhood.cutoff
    values = averaged_generations(own, graph, neighbourhood=neighbourhood)
    valid = (edge >= neighbourhood.reach) & np.isfinite(values).all(axis=1)
    return Description(
        values=np.where(valid[:, None], values, np.nan),
        valid=valid,
        psi6=np.where(seen, psi6, np.nan),
        voronoi_area=np.where(seen, area, np.nan),
        local_density=np.where(seen, local_density(graph, neighbourhood.cutoff), np.nan),
    )


def radial_functions(graph: NeighborGraph, species: np.ndarray, *, neighbourhood: Neighbourhood) -> list[Scalars]:
    r"""Return one array per neighbour species b and shell radius R, each of shape (n,).

    .. math:: G_{bR}(i) = \sum_{j \in b} e^{-(r_{ij} - R)^2 / 2 w^2} \chi(r_{ij})

    Behler and Parrinello, doi:10.1103/PhysRevLett.98.146401, with the window of :mod:`colloid_cg.structure.windows`.
    """
    centre, neighbour, _ = graph.directed()
    distance = np.concatenate([graph.distances, graph.distances])
    smooth = window(distance, neighbourhood.cutoff)
    sums = []
    for b in range(neighbourhood.n_species):
        of_species = species[neighbour] == b
        i, r, chi = centre[of_species], distance[of_species], smooth[of_species]
        for radius in neighbourhood.shells:
            shell = np.exp(-0.5 * ((r - radius) / neighbourhood.shell_width) ** 2)
            sums.append(np.bincount(i, shell * chi, minlength=graph.n_particles))
    return sums


def local_density(graph: NeighborGraph, cutoff: float) -> Scalars:
    """Return (1 + sum_j chi(r_ij)) / (integral of chi): particles per um2 or um3, the particle itself included."""
    centre, _, vectors = graph.directed()
    weight = window(np.concatenate([graph.distances, graph.distances]), cutoff)
    total = 1.0 + np.bincount(centre, weight, minlength=graph.n_particles)
    return np.asarray(total / window_volume(cutoff, vectors.shape[1]))


def averaged_generations(values: np.ndarray, graph: NeighborGraph, *, neighbourhood: Neighbourhood) -> np.ndarray:
    r"""Append ``generations`` rounds of averaging over neighbours, shape (n, q (1 + generations)).

    .. math:: \bar x_i = \Big(x_i + \sum_j \chi_{ij} x_j\Big) \Big/ \Big(1 + \sum_j \chi_{ij}\Big)

    Filion and co-workers, doi:10.1103/PhysRevLett.127.088007.
    """
    n = graph.n_particles
    weight = window(graph.distances, neighbourhood.averaging)
    near = weight > 0.0
    (i, j), w = graph.pairs[near].T, weight[near]
    each = np.arange(n)
    rows, columns = np.concatenate([i, j, each]), np.concatenate([j, i, each])
    matrix = csr_matrix((np.concatenate([w, w, np.ones(n)]), (rows, columns)), shape=(n, n))
    total = np.asarray(matrix.sum(axis=1)).reshape(n, 1)
    generations = [values]
    for _ in range(neighbourhood.generations):
        generations.append((matrix @ generations[-1]) / total)
    return np.concatenate(generations, axis=1)


def _bond_orders(graph: NeighborGraph, neighbourhood: Neighbourhood) -> list[Scalars]:
    """Return the bond order of the first shell, of the whole neighbourhood and of each of ``bond_radii``."""
    centre, _, vectors = graph.directed()
    distance = np.concatenate([graph.distances, graph.distances])
    n, columns = graph.n_particles, []
    for radius in (neighbourhood.bond_cutoff, neighbourhood.cutoff):
        weight = window(distance, radius)
        inside = weight > 0.0
        columns += shell_bond_orders(vectors[inside], [weight[inside]], centre[inside], n_particles=n, orders=ORDERS)
    if neighbourhood.bond_shells:
        width = 0.5 * (neighbourhood.cutoff - neighbourhood.first_shell) / neighbourhood.bond_shells
        smooth = window(distance, neighbourhood.cutoff)
        shells = [smooth * np.exp(-0.5 * ((distance - r) / width) ** 2) for r in neighbourhood.bond_radii]
        columns += shell_bond_orders(vectors, shells, centre, n_particles=n, orders=SHELL_ORDERS)
    return columns
