"""Pairs of neighbours as tensors: differences across them, sums over them, and the list that is rebuilt when needed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic import loops
from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.loops import motion, sums
from colloid_cg.dynamics.pairs import image_pairs


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Index pairs (i, j) of n particles and which periodic image of j is meant.

    Pair quantities are tensors of shape (d, p) or (p,): one row per axis is several times faster than one row per pair.

    Parameters
    ----------
    first, second : int tensors, shape (p,)
    image : tensor, shape (d, p)
        Whole cells n by which r_i - r_j exceeds the vector to the image that is meant.
    n_particles : int
    """

    first: torch.Tensor
    second: torch.Tensor
    image: torch.Tensor
    n_particles: int

    def __len__(self) -> int:
        return len(self.first)

    @property
    def arrays(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """First, second and image, as the compiled loops take them."""
        return self.first, self.second, self.image

    def difference(self, values: torch.Tensor) -> torch.Tensor:
        """Return x_i - x_j, shape (d, p) for ``values`` of shape (n, d), (p,) for shape (n,)."""
        if loops.usable(values):
            return sums.difference(values, self.first, self.second)
        columns = values.T if values.ndim == 2 else values
        return columns.index_select(-1, self.first) - columns.index_select(-1, self.second)

    def ends(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return x_i and x_j, each of shape (p,), for ``values`` of shape (n,)."""
        if loops.usable(values):
            return sums.both_ends(values, self.first, self.second)
        return values.index_select(0, self.first), values.index_select(0, self.second)

    def net(self, values: torch.Tensor) -> torch.Tensor:
        """Return sum_j y_ij with y_ji = -y_ij: shape (n, d) for ``values`` of shape (d, p), (n,) for shape (p,)."""
        if loops.usable(values):
            return sums.summed(values, self.first, self.second, n_particles=self.n_particles, sign=-1.0)
        return self._summed(values, -values)

    def added(self, values: torch.Tensor) -> torch.Tensor:
        """Return x_i + x_j, shape (p,), for ``values`` of shape (n,)."""
        first, second = self.ends(values)
        return first + second

    def both(self, values: torch.Tensor) -> torch.Tensor:
        """Return sum_j y_ij with y_ji = y_ij, shape (n,) or (n, k), for ``values`` of shape (p,) or (k, p)."""
        if loops.usable(values):
            return sums.summed(values, self.first, self.second, n_particles=self.n_particles, sign=1.0)
        return self._summed(values, values)

    def along(self, magnitude: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """Return sum_j y_ij e_ij, shape (n, d), for ``magnitude`` y_ij = y_ji (p,) and ``direction`` e_ij (d, p)."""
        if loops.usable(magnitude, direction):
            return sums.along(magnitude, direction, self.first, self.second, n_particles=self.n_particles)
        return self.net(magnitude * direction)

    def _summed(self, of_first: torch.Tensor, of_second: torch.Tensor) -> torch.Tensor:
        # Column by column several times faster than particle by particle. On accelerators the order of the sums, and
        # with it the last digit, may change from run to run.
        zero = of_first.new_zeros(*of_first.shape[:-1], self.n_particles)
        summed = zero.index_add(-1, self.first, of_first).index_add(-1, self.second, of_second)
        return summed.T if summed.ndim == 2 else summed


def pairs_from(indices: np.ndarray, images: np.ndarray, n_particles: int, like: torch.Tensor) -> Pairs:
    """Return index pairs (p, 2) with whole cells (p, d) as tensors of the device and precision of ``like``."""
    first, second = (torch.as_tensor(np.ascontiguousarray(column), device=like.device) for column in indices.T)
    image = torch.as_tensor(np.ascontiguousarray(images.T), dtype=like.dtype, device=like.device)
    return Pairs(first=first, second=second, image=image, n_particles=n_particles)


def separations(positions: torch.Tensor, pairs: Pairs, cell: Cell, time: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return e_ij = (r_i - r_j)/r_ij, shape (d, p), and r_ij, shape (p,), of the meant images.

    Two particles at one place have no direction: e_ij = 0, so that they neither push nor rub each other.
    """
    least = _LEAST[positions.dtype]
    if loops.usable(positions):
        return motion.separations(
            positions, pairs.arrays, lengths=cell.box.lengths, slide=cell.face_speed * time, least=least
        )  # fmt: skip
    vectors = cell.vectors(pairs.difference(positions), pairs.image, time)
    distance = torch.linalg.vecdot(vectors, vectors, dim=0).sqrt()
    return vectors / distance.clamp(min=least), distance


_LEAST = {torch.float64: 1e-300, torch.float32: 1e-30}
"""Distances below this are none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NeighbourList:
    """Pairs within cutoff + skin at one instant; made by :func:`neighbour_list`.

    They hold as long as no two particles can have approached by more than the skin: twice the largest displacement
    since then, plus what a sheared cell slid by.

    Parameters
    ----------
    cell : Cell
    cutoff, skin : float
    pairs : Pairs
    origin : tensor, shape (n, d)
        Positions when the pairs were searched.
    time : float
    searches : int
        How many there have been since the first list.
    """

    cell: Cell
    cutoff: float
    skin: float
    pairs: Pairs
    origin: torch.Tensor
    time: float
    searches: int = 1

    def at(self, positions: torch.Tensor, time: float) -> NeighbourList:
        """Return this list, or a new one if it may miss a pair at ``positions``, shape (n, d)."""
        if not self._may_miss(positions, time):
            return self
        found = neighbour_list(self.cell, positions, cutoff=self.cutoff, skin=self.skin, time=time)
        return replace(found, searches=self.searches + 1)

    def _may_miss(self, positions: torch.Tensor, time: float) -> bool:
        slid = abs(self.cell.face_speed * (time - self.time))
        if loops.usable(positions, self.origin):
            moved = motion.farthest(positions, self.origin)
        else:
            moved = float((positions - self.origin).square().sum(dim=1).max().sqrt()) if len(positions) else 0.0
        return 2.0 * moved + slid > self.skin


def neighbour_list(
    cell: Cell, positions: torch.Tensor, *, cutoff: float, skin: float, time: float = 0.0
) -> NeighbourList:
    """Return the pairs within ``cutoff`` + ``skin``; the skin is cut down to what half of the cell allows."""
    skin = min(skin, cell.largest_reach() - cutoff)
    origin = positions.detach()
    indices, images = image_pairs(origin.cpu().numpy().astype(float), cutoff + skin, cell.box, time=time)
    pairs = pairs_from(indices, images, len(origin), origin)
    return NeighbourList(cell=cell, cutoff=cutoff, skin=skin, pairs=pairs, origin=origin.clone(), time=time)
