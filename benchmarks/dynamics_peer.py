"""What one would write by hand in torch for the same pair forces at one temperature: a yardstick for speed.

Dissipative particle dynamics without internal energy: tabulated functions, gathers, one sparse product per sum, a k-d
tree for the neighbour list, velocity Verlet around an implicit midpoint step of the friction with two iterations.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial import cKDTree

TABLE = 4096
ITERATIONS = 2
REAL = torch.float64

Curve = Callable[[np.ndarray], np.ndarray]


class IsothermalPeer:
    """Particles in a periodic cube with a pair force f(r) and frictions along and across, k_B T = 1."""

    def __init__(
        self,
        positions: np.ndarray,
        velocities: np.ndarray,
        *,
        edge: float,
        mass: float,
        cutoff: float,
        curves: tuple[Curve, Curve, Curve],
        skin: float = 0.4,
    ) -> None:
        self.positions, self.velocities = (
            torch.as_tensor(positions, dtype=REAL),
            torch.as_tensor(velocities, dtype=REAL),
        )
        self.edge, self.mass, self.cutoff, self.skin = edge, mass, cutoff, skin
        self.per_length = TABLE / (cutoff + 4 * skin)
        r = np.arange(TABLE + 2) / self.per_length
        force, par, perp = (np.where(r < cutoff, curve(np.minimum(r, cutoff)), 0.0) for curve in curves)
        rows = np.stack([force, par, perp, np.sqrt(perp), np.sqrt(par) - np.sqrt(perp)], axis=1)
        rows = np.concatenate([rows, np.diff(rows, axis=0, append=rows[-1:])], axis=1)
        self.table = torch.as_tensor(rows, dtype=REAL)
        self.rng = torch.Generator().manual_seed(0)
        self._search()
        self._look()

    def _search(self) -> None:
        places = self.positions.numpy()
        folded = np.mod(places, self.edge)
        folded[folded >= self.edge] = 0.0
        pairs = cKDTree(folded, boxsize=self.edge).query_pairs(self.cutoff + self.skin, output_type="ndarray")
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        apart = places[pairs[:, 0]] - places[pairs[:, 1]]
        self.shift = torch.as_tensor(-self.edge * np.round(apart / self.edge))
        self.first, self.second = (torch.as_tensor(column.copy()) for column in pairs.T)
        self.origin = self.positions.clone()
        count = np.arange(len(pairs))
        rows, columns = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[count, count]
        order = np.lexsort((columns, rows))
        self.sums = torch.sparse_csr_tensor(
            torch.as_tensor(np.searchsorted(rows[order], np.arange(len(places) + 1))),
            torch.as_tensor(columns[order]),
            torch.as_tensor(np.r_[np.ones(len(pairs)), -np.ones(len(pairs))][order]),
            (len(places), len(pairs)),
            check_invariants=False,
        )

    def _look(self) -> None:
        apart = self.positions[self.first] - self.positions[self.second] + self.shift
        distance = apart.norm(dim=1)
        self.direction = apart / distance[:, None]
        place = (distance * self.per_length).clamp_(max=TABLE)
        row = place.long()
        found = self.table[row]
        self.values = found[:, :5] + found[:, 5:] * (place - row)[:, None]
        self.force = self.sums @ (self.direction * self.values[:, :1])

    def step(self, dt: float) -> None:
        """Advance by ``dt``."""
        e, values = self.direction, self.values
        par, perp = values[:, 1:2], values[:, 2:3]
        normals = torch.randn(e.shape, generator=self.rng).to(REAL)
        random = values[:, 3:4] * normals + values[:, 4:5] * (e * normals).sum(dim=1, keepdim=True) * e
        random = random * (2 * dt) ** 0.5
        middle = self.velocities
        for _ in range(ITERATIONS + 1):
            w = middle[self.first] - middle[self.second]
            friction = perp * w + (par - perp) * (e * w).sum(dim=1, keepdim=True) * e
            kick = (self.sums @ (random - dt * friction)) / self.mass
            middle = self.velocities + 0.5 * kick
        half = self.velocities + kick + (0.5 * dt / self.mass) * self.force
        self.positions = self.positions + dt * half
        if float((self.positions - self.origin).square().sum(dim=1).max()) > (0.5 * self.skin) ** 2:
            self._search()
        self._look()
        self.velocities = half + (0.5 * dt / self.mass) * self.force
