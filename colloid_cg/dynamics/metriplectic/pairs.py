"""Pairs of neighbours as tensors: differences across them, sums over them, and the list that is rebuilt when needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic import loops
from colloid_cg.dynamics.metriplectic.cell import Cell
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

    @cached_property
    def gather(self) -> torch.Tensor:
        """Sparse (n, p): +1 at (i, pair), -1 at (j, pair)."""
        return self._incidence(-1.0)

    @cached_property
    def total(self) -> torch.Tensor:
        """Sparse (n, p): +1 at (i, pair) and (j, pair)."""
        return self._incidence(1.0)

    def _incidence(self, sign: float) -> torch.Tensor:
        numbers = torch.arange(len(self), device=self.first.device)
        rows, columns = torch.cat([self.first, self.second]), torch.cat([numbers, numbers])
        order = torch.argsort(rows, stable=True)
        starts = torch.searchsorted(rows[order], torch.arange(self.n_particles + 1, device=rows.device))
        ones = torch.ones(len(self), dtype=self.image.dtype, device=rows.device)
        entries = torch.cat([ones, sign * ones])[order]
        shape = (self.n_particles, len(self))
        return torch.sparse_csr_tensor(starts, columns[order], entries, shape, check_invariants=False)

    def difference(self, values: torch.Tensor) -> torch.Tensor:
        """Return x_i - x_j, shape (d, p) for ``values`` of shape (n, d), (p,) for shape (n,)."""
        if loops.usable(values):
            return loops.difference(values, self.first, self.second)
        return _applied(_Difference, values, self)

    def ends(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return x_i and x_j, each of shape (p,), for ``values`` of shape (n,)."""
        if loops.usable(values):
            return loops.both_ends(values, self.first, self.second)
        return values.index_select(0, self.first), values.index_select(0, self.second)

    def net(self, values: torch.Tensor) -> torch.Tensor:
        """Return sum_j y_ij with y_ji = -y_ij: shape (n, d) for ``values`` of shape (d, p), (n,) for shape (p,)."""
        if loops.usable(values):
            return loops.summed(values, self.first, self.second, n_particles=self.n_particles, sign=-1.0)
        return _applied(_Net, values, self)

    def added(self, values: torch.Tensor) -> torch.Tensor:
        """Return x_i + x_j, shape (p,), for ``values`` of shape (n,)."""
        first, second = self.ends(values)
        return first + second

    def both(self, values: torch.Tensor) -> torch.Tensor:
        """Return sum_j y_ij with y_ji = y_ij, shape (n,) or (n, k), for ``values`` of shape (p,) or (k, p)."""
        if loops.usable(values):
            return loops.summed(values, self.first, self.second, n_particles=self.n_particles, sign=1.0)
        return _applied(_Both, values, self)


def _applied(function: type[torch.autograd.Function], values: torch.Tensor, pairs: Pairs) -> torch.Tensor:
    return cast(torch.Tensor, function.apply(values, pairs))  # type: ignore[no-untyped-call]


def _rows(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return ``values[index]`` with one row per column of ``values``, shape (d, p) or (p,)."""
    if values.ndim == 1:
        return values.index_select(0, index)
    return torch.stack([column.index_select(0, index) for column in values.T.contiguous()])


def _summed(matrix: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return matrix @ values.T.contiguous() if values.ndim == 2 else (matrix @ values[:, None])[:, 0]


# The two sums and the difference are each other's transposes; torch knows no fast transpose of a sparse product.
class _Difference(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        context.pairs = pairs
        return _rows(values, pairs.first) - _rows(values, pairs.second)

    @staticmethod
    def backward(context: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        return context.pairs.net(slope), None


class _Net(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        context.pairs = pairs
        return _summed(pairs.gather, values)

    @staticmethod
    def backward(context: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        return context.pairs.difference(slope), None


class _Both(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        context.pairs = pairs
        return _summed(pairs.total, values)

    @staticmethod
    def backward(context: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        pairs = context.pairs
        return _rows(slope, pairs.first) + _rows(slope, pairs.second), None


def pairs_from(indices: np.ndarray, images: np.ndarray, n_particles: int, like: torch.Tensor) -> Pairs:
    """Return index pairs (p, 2) with whole cells (p, d) as tensors of the device and precision of ``like``."""
    first, second = (torch.as_tensor(np.ascontiguousarray(column), device=like.device) for column in indices.T)
    image = torch.as_tensor(np.ascontiguousarray(images.T), dtype=like.dtype, device=like.device)
    return Pairs(first=first, second=second, image=image, n_particles=n_particles)


class NeighbourList:
    """Pairs within cutoff + skin, searched again only when they may have changed.

    A list made at one instant holds as long as no two particles can have approached by more than the skin: twice the
    largest displacement since then, plus what a sheared cell slid by. ``rebuilds`` counts the searches.

    Parameters
    ----------
    cell : Cell
    cutoff : float
        At most half of every periodic edge.
    skin : float
        Cut down to what half the cell allows.
    """

    def __init__(self, cell: Cell, *, cutoff: float, skin: float) -> None:
        self.cell, self.cutoff = cell, cutoff
        self.skin = min(skin, cell.largest_reach() - cutoff)
        self.rebuilds = 0
        self._origin: torch.Tensor | None = None
        self._time, self._pairs = 0.0, cast(Pairs, None)

    def of(self, positions: torch.Tensor, time: float) -> Pairs:
        """Return the pairs that hold at ``positions``, shape (n, d)."""
        if self._origin is None or self._may_miss(positions, time):
            self._search(positions, time)
        return self._pairs

    def _may_miss(self, positions: torch.Tensor, time: float) -> bool:
        if self._origin is None or len(self._origin) != len(positions):
            return True
        slid = abs(self.cell.face_speed * (time - self._time))
        moved = (positions - self._origin).square().sum(dim=1).max().sqrt() if len(positions) else 0.0
        return 2.0 * float(moved) + slid > self.skin

    def _search(self, positions: torch.Tensor, time: float) -> None:
        places = positions.detach().cpu().numpy().astype(float)
        indices, images = image_pairs(places, self.cutoff + self.skin, self.cell.box, time=time)
        self._pairs = pairs_from(indices, images, len(places), positions)
        self._origin, self._time = positions.detach().clone(), time
        self.rebuilds += 1
