"""Bond-orientational order."""

from __future__ import annotations

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.records import NeighborGraph
from colloid_cg.shapes import Positions


def bond_order(positions: Positions, graph: NeighborGraph, k: int) -> np.ndarray:
    """Return psi_k = <exp(i k theta_j)> over the neighbours j of each particle in the plane, complex, shape (n,).

    theta_j is the angle of the bond with the x axis; |psi_k| is 1 on a perfect lattice of k-fold symmetry.
    Nelson and Halperin, Phys. Rev. B 19, 2457 (1979), doi:10.1103/PhysRevB.19.2457. NaN without neighbours.
    """
    if graph.vectors.shape[1] != 2 or graph.n_particles != len(positions):
        raise InputError(
            f"a graph of {graph.n_particles} particles in {graph.vectors.shape[1]} dimensions",
            expected=f"a graph of the {len(positions)} positions in the plane",
            action="build the graph from these positions",
        )
    centre, _, vectors = graph.directed()
    phase = np.exp(1j * k * np.arctan2(vectors[:, 1], vectors[:, 0]))
    count = np.bincount(centre, minlength=graph.n_particles)
    total = np.bincount(centre, weights=phase.real, minlength=graph.n_particles) + 1j * np.bincount(
        centre, weights=phase.imag, minlength=graph.n_particles
    )
    return np.where(count > 0, total / np.maximum(count, 1), np.nan + 0j)
