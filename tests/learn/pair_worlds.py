"""Momentum-conserving pair dynamics with known force and friction: plain numpy, splitting O-B-A-B, white noise.

Independent of the package but for its records: curves given in closed form. Implicit midpoint for friction and
noise, two fixed-point rounds (Pagonabarraga, Hagen and Frenkel 1998, doi:10.1209/epl/i1998-00258-6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from colloid_cg.records import Box, PhaseSeries


@dataclass(frozen=True, kw_only=True)
class World:
    """Strength of force, friction along and across per species pair (00, 01, 11): amplitude (1 - r/range)^3."""

    force: tuple[float, ...] = (60.0,)
    along: tuple[float, ...] = (9.0,)
    across: tuple[float, ...] = (3.0,)
    range: float = 1.5
    masses: tuple[float, ...] = (1.0,)
    thermal_energy: float = 1.0
    edge: float = 6.0
    dimension: int = 3
    n_particles: int = 200
    periodic: bool = True

    def curve(self, amplitudes: tuple[float, ...], r: np.ndarray, kind: np.ndarray | int = 0) -> np.ndarray:
        """Return a curve at distances r."""
        return np.asarray(amplitudes)[kind] * np.maximum(1.0 - np.asarray(r) / self.range, 0.0) ** 3


def simulate(
    world: World, n_frames: int, *, rng: np.random.Generator, dt: float = 0.01, steps_per_frame: int = 1
) -> PhaseSeries:
    """Return frames after 200 steps from a grid."""
    n, d = world.n_particles, world.dimension
    species = np.arange(n) % len(world.masses)
    masses = np.asarray(world.masses)[species]
    side = int(np.ceil(n ** (1 / d)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * d, indexing="ij"), axis=-1).reshape(-1, d)
    x = (grid[rng.permutation(len(grid))[:n]] + 0.5) * world.edge / side
    v = rng.normal(size=(n, d)) * np.sqrt(world.thermal_energy / masses)[:, None]
    v -= (masses[:, None] * v).sum(axis=0) / masses.sum()
    frames_x, frames_v = [], []
    geometry = _geometry(world, x, species)
    for step in range(200 + n_frames * steps_per_frame):
        v = _friction_and_noise(world, v, masses, geometry, dt, rng)
        v = v + 0.5 * dt * _force(world, geometry, n) / masses[:, None]
        x = x + dt * v
        geometry = _geometry(world, x, species)
        v = v + 0.5 * dt * _force(world, geometry, n) / masses[:, None]
        if step >= 200 and (step - 200) % steps_per_frame == 0:
            frames_x.append(x)
            frames_v.append(v)
    return PhaseSeries(
        positions=np.stack(frames_x), velocities=np.stack(frames_v), species=species, masses=masses,
        box=Box(lower=(0.0,) * d, upper=(world.edge,) * d, periodic=(world.periodic,) * d),
        frame_interval=dt * steps_per_frame, thermal_energy=world.thermal_energy,
    )  # fmt: skip


def _geometry(world: World, x: np.ndarray, species: np.ndarray) -> tuple[np.ndarray, ...]:
    tree = cKDTree(np.mod(x, world.edge), boxsize=world.edge) if world.periodic else cKDTree(x)
    i, j = tree.query_pairs(world.range, output_type="ndarray").T
    step = x[i] - x[j]
    if world.periodic:
        step -= world.edge * np.round(step / world.edge)
    r = np.linalg.norm(step, axis=1)
    kind = species[i] + species[j]  # 00 -> 0, 01 -> 1, 11 -> 2: two species at most
    return i, j, step / r[:, None], r, kind


def _scatter(i: np.ndarray, j: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    columns = [np.bincount(i, column, n) - np.bincount(j, column, n) for column in values.T]
    return np.stack(columns, axis=1)


def _force(world: World, geometry: tuple[np.ndarray, ...], n: int) -> np.ndarray:
    i, j, e, r, kind = geometry
    return _scatter(i, j, world.curve(world.force, r, kind)[:, None] * e, n)


def _friction_and_noise(
    world: World, v: np.ndarray, masses: np.ndarray, geometry: tuple[np.ndarray, ...], dt: float,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    i, j, e, r, kind = geometry
    along, across = world.curve(world.along, r, kind)[:, None], world.curve(world.across, r, kind)[:, None]
    noise = rng.normal(size=e.shape)
    axial = (noise * e).sum(axis=1, keepdims=True) * e
    kick = np.sqrt(2.0 * world.thermal_energy * dt) * (np.sqrt(along) * axial + np.sqrt(across) * (noise - axial))
    after = v
    for _ in range(3):
        w = 0.5 * (v[i] + after[i] - v[j] - after[j])
        axial = (w * e).sum(axis=1, keepdims=True) * e
        drag = along * axial + across * (w - axial)
        after = v + _scatter(i, j, kick - dt * drag, len(v)) / masses[:, None]
    return after
