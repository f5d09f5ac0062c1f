"""Forces on the particles of the twin, in k_B T/um."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from colloid_cg.shapes import Positions, Vectors
from colloid_cg.twin.potentials import SpeciesPotentials, largest_cutoff, tabulate

Force = Callable[[Positions], Vectors]
"""Positions in um, shape (n, 2) -> forces in k_B T/um, shape (n, 2)."""


def no_force(positions: Positions) -> Vectors:
    """Return zero force on every particle."""
    return np.zeros_like(positions)


@dataclass(frozen=True, kw_only=True, eq=False)
class HarmonicTraps:
    """One trap for each particle: F = -k (x - c), with k in k_B T/um2 and centres of shape (n, 2) in um."""

    centres: np.ndarray
    stiffness: float

    def __call__(self, positions: Positions) -> Vectors:
        """Return the forces at ``positions``."""
        return np.asarray(-self.stiffness * (positions - self.centres))


class PairForces:
    """Pair forces in a periodic cell, positions unwrapped.

    The neighbour list holds pairs up to the cutoff of their species plus a skin and is rebuilt once a particle has
    moved half the skin: a cache that changes how long a call takes, never (beyond round-off) what it returns.

    Parameters
    ----------
    potentials : dict
        Potential of each pair of species.
    species : int array, shape (n,)
    lengths : array, shape (2,)
        Edges of the periodic cell in um, each more than twice the cutoff.
    skin : float
        Width of the skin over the largest cutoff: small for particles that stay where they are.
    """

    def __init__(
        self, potentials: SpeciesPotentials, *, species: np.ndarray, lengths: np.ndarray, skin: float = 0.3
    ) -> None:
        self._cutoff = largest_cutoff(potentials)
        self._skin = skin * self._cutoff
        n_species = int(species.max()) + 1
        self._reach = np.zeros((n_species, n_species))
        for (a, b), potential in potentials.items():
            self._reach[a, b] = self._reach[b, a] = potential.cutoff + self._skin
        self._lengths = np.asarray(lengths, dtype=float)
        self._species = np.asarray(species, dtype=np.int64)
        self._force, self._energy, self._spacing = tabulate(potentials, n_species=n_species)
        self._listed = np.full((len(self._species), 2), np.inf)
        self._pairs = np.zeros((0, 2), dtype=np.int64)

    def __call__(self, positions: Positions) -> Vectors:
        """Return the forces at ``positions``."""
        return self._sums(positions)[0]

    def energy(self, positions: Positions) -> float:
        """Return the total pair energy in k_B T."""
        return self._sums(positions)[1]

    def _sums(self, positions: Positions) -> tuple[Vectors, float]:
        moved = np.square(positions - self._listed).sum(axis=1).max(initial=0.0)
        if not moved < 0.25 * self._skin**2:
            pairs = neighbour_pairs(positions, self._cutoff + self._skin, lengths=self._lengths)
            away = positions[pairs[:, 1]] - positions[pairs[:, 0]]
            away -= self._lengths * np.round(away / self._lengths)
            reach = self._reach[self._species[pairs[:, 0]], self._species[pairs[:, 1]]]
            self._pairs = pairs[np.square(away).sum(axis=1) < reach**2]
            self._listed = positions.copy()
        forces, energy = _sum_pairs(
            positions, self._species, self._pairs, self._lengths, self._force, self._energy, self._spacing
        )
        return forces, float(energy)


def neighbour_pairs(positions: Positions, distance: float, *, lengths: np.ndarray) -> np.ndarray:
    """Return pairs (i < j) whose shortest images are closer than ``distance`` (um), shape (p, 2), sorted by i.

    Cell list; ``positions`` may be unwrapped. In a cell shorter than twice ``distance`` every pair still appears once.
    """
    cells = np.maximum(np.floor(lengths / distance), 1.0).astype(np.int64)
    cells[cells < 3] = 1
    place = np.floor(np.mod(positions, lengths) / lengths * cells).astype(np.int64)
    # np.mod can round a tiny negative number up to the length itself
    place = np.minimum(place, cells - 1)
    cell = place[:, 1] * cells[0] + place[:, 0]
    order = np.argsort(cell, kind="stable")
    first = np.searchsorted(cell[order], np.arange(cells[0] * cells[1] + 1))
    at_even_density = 0.5 * len(positions) ** 2 * math.pi * distance**2 / float(np.prod(lengths))
    pairs = np.empty((int(1.3 * at_even_density) + len(positions), 2), dtype=np.int64)
    count = _list_pairs(positions, place, order, first, cells, lengths, distance, pairs)
    if count > len(pairs):
        pairs = np.empty((count, 2), dtype=np.int64)
        _list_pairs(positions, place, order, first, cells, lengths, distance, pairs)
    return pairs[:count]


def _list_pairs_loop(
    positions: np.ndarray,
    place: np.ndarray,
    order: np.ndarray,
    first: np.ndarray,
    cells: np.ndarray,
    lengths: np.ndarray,
    distance: float,
    pairs: np.ndarray,
) -> int:
    """Count the pairs and, as far as there is room, write them into ``pairs``."""
    count = 0
    reach_x = 1 if cells[0] > 1 else 0
    reach_y = 1 if cells[1] > 1 else 0
    for i in range(positions.shape[0]):
        for step_y in range(-reach_y, reach_y + 1):
            for step_x in range(-reach_x, reach_x + 1):
                row = (place[i, 1] + step_y) % cells[1]
                cell = row * cells[0] + (place[i, 0] + step_x) % cells[0]
                for k in range(first[cell], first[cell + 1]):
                    j = order[k]
                    if j <= i:
                        continue
                    dx = positions[j, 0] - positions[i, 0]
                    dy = positions[j, 1] - positions[i, 1]
                    dx -= lengths[0] * np.floor(dx / lengths[0] + 0.5)
                    dy -= lengths[1] * np.floor(dy / lengths[1] + 0.5)
                    if dx * dx + dy * dy < distance * distance:
                        if count < pairs.shape[0]:
                            pairs[count, 0] = i
                            pairs[count, 1] = j
                        count += 1
    return count


def _sum_pairs_loop(
    positions: np.ndarray,
    species: np.ndarray,
    pairs: np.ndarray,
    lengths: np.ndarray,
    force_table: np.ndarray,
    energy_table: np.ndarray,
    spacing: float,
) -> tuple[np.ndarray, float]:
    forces = np.zeros_like(positions)
    energy = 0.0
    last = force_table.shape[2] - 1
    per_x, per_y, per_point = 1.0 / lengths[0], 1.0 / lengths[1], 1.0 / spacing
    for k in range(pairs.shape[0]):
        i, j = pairs[k, 0], pairs[k, 1]
        dx = positions[j, 0] - positions[i, 0]
        dy = positions[j, 1] - positions[i, 1]
        dx -= lengths[0] * np.floor(dx * per_x + 0.5)
        dy -= lengths[1] * np.floor(dy * per_y + 0.5)
        r = math.sqrt(dx * dx + dy * dy)
        place = r * per_point
        if place >= last or r == 0.0:
            continue
        below = int(place)
        part = place - below
        a, b = species[i], species[j]
        strength = (1.0 - part) * force_table[a, b, below] + part * force_table[a, b, below + 1]
        energy += (1.0 - part) * energy_table[a, b, below] + part * energy_table[a, b, below + 1]
        strength /= r
        forces[j, 0] += strength * dx
        forces[j, 1] += strength * dy
        forces[i, 0] -= strength * dx
        forces[i, 1] -= strength * dy
    return forces, energy


_list_pairs = numba.njit(cache=True)(_list_pairs_loop)
_sum_pairs = numba.njit(cache=True)(_sum_pairs_loop)
