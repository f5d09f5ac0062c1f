"""Pairs of neighbours with their separation vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class NeighborGraph:
    """Undirected neighbour pairs, each listed once with i < j.

    Parameters
    ----------
    pairs : int array, shape (p, 2)
    vectors : array, shape (p, d)
        r_j - r_i, shortest image, in the unit of the positions.
    n_particles : int
    """

    pairs: np.ndarray
    vectors: np.ndarray
    n_particles: int

    def __post_init__(self) -> None:
        if self.pairs.ndim != 2 or self.pairs.shape[1:] != (2,) or len(self.pairs) != len(self.vectors):
            raise InputError(
                f"pairs of shape {self.pairs.shape} with vectors of shape {self.vectors.shape}",
                expected="shapes (p, 2) and (p, d)",
                action="list each pair once",
            )

    @property
    def distances(self) -> np.ndarray:
        """Lengths of the separation vectors, shape (p,)."""
        return np.asarray(np.linalg.norm(self.vectors, axis=1))

    def among(self, kept: np.ndarray) -> tuple[NeighborGraph, np.ndarray]:
        """Return the graph among some particles (indices), renumbered, and how many neighbours each has in all."""
        number = np.full(self.n_particles, -1)
        number[kept] = np.arange(len(kept))
        pairs = number[self.pairs]
        both = (pairs >= 0).all(axis=1)
        degree = np.bincount(self.pairs.ravel(), minlength=self.n_particles)[kept]
        return NeighborGraph(pairs=pairs[both], vectors=self.vectors[both], n_particles=len(kept)), degree

    def directed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return every pair both ways: centre (2p,), neighbour (2p,), vector centre -> neighbour (2p, d)."""
        i, j = self.pairs.T
        return np.concatenate([i, j]), np.concatenate([j, i]), np.concatenate([self.vectors, -self.vectors])
