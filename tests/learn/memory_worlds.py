"""Pair dynamics with friction that acts late: plain numpy, hidden vectors for every pair there is.

Independent of the package but for its records. Each pair of particles, near or far, has hidden vectors from the start,
so that no list has to carry them; curves are given in closed form. Half kicks, drift, half kicks; the hidden vectors
relax exactly in between (exponential) or by small rotations and damping (damped oscillation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.records import Box, PhaseSeries

_BURN = 1500
"""Steps until the grid is forgotten: what it releases must have gone into the hidden vectors."""


@dataclass(frozen=True, kw_only=True)
class MemoryWorld:
    """Amplitudes of force and frictions, each times (1 - r/range)^3; kernel by decay and swing (zero: exponential)."""

    force: float = 60.0
    along: float = 12.0
    across: float = 4.0
    range: float = 1.5
    decay: float = 16.0
    swing: float = 0.0
    mass: float = 4.0
    edge: float = 4.6
    n_particles: int = 90

    def curve(self, amplitude: float, r: np.ndarray) -> np.ndarray:
        """Return a curve at distances r."""
        return amplitude * np.maximum(1.0 - np.asarray(r) / self.range, 0.0) ** 3

    @property
    def at_zero(self) -> float:
        """Kernel of integral one at time zero."""
        return (self.decay**2 + self.swing**2) / (2.0 * self.decay) if self.swing else self.decay


def simulate(
    world: MemoryWorld, n_frames: int, *, rng: np.random.Generator, dt: float = 0.005, steps_per_frame: int = 4
) -> PhaseSeries:
    """Return frames after 1500 steps from a grid; k_B T = 1."""
    n, edge = world.n_particles, world.edge
    i, j = np.triu_indices(n, 1)
    side = int(np.ceil(n ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    x = (grid[rng.permutation(len(grid))[:n]] + 0.5) * edge / side
    v = rng.normal(size=(n, 3)) / np.sqrt(world.mass)
    v -= v.mean(axis=0)
    z, u = rng.normal(size=(2, len(i), 3))
    frames = []
    for step in range(_BURN + n_frames * steps_per_frame):
        near, force, couple = _geometry(world, x, i, j)
        v, z = _kicked(world, v, z, (i[near], j[near], near), force, couple, 0.5 * dt)
        z, u = _relaxed(world, z, u, dt, rng)
        x = x + dt * v
        near, force, couple = _geometry(world, x, i, j)
        v, z = _kicked(world, v, z, (i[near], j[near], near), force, couple, 0.5 * dt)
        if step >= _BURN and (step - _BURN) % steps_per_frame == 0:
            frames.append((x, v))
    positions, velocities = (np.stack(parts) for parts in zip(*frames, strict=True))
    return PhaseSeries(
        positions=positions, velocities=velocities, species=np.zeros(n, dtype=int), masses=np.full(n, world.mass),
        box=Box(lower=(0.0,) * 3, upper=(edge,) * 3, periodic=(True,) * 3), frame_interval=dt * steps_per_frame,
        thermal_energy=1.0,
    )  # fmt: skip


def _geometry(
    world: MemoryWorld, x: np.ndarray, i: np.ndarray, j: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    step = x[i] - x[j]
    step -= world.edge * np.round(step / world.edge)
    square = (step**2).sum(axis=1)
    near = np.flatnonzero(square < world.range**2)
    r = np.sqrt(square[near])
    e = step[near] / r[:, None]
    along, across = (np.sqrt(world.at_zero * world.curve(g, r))[:, None] for g in (world.along, world.across))
    return near, world.curve(world.force, r)[:, None] * e, (e, along, across)


def _kicked(
    world: MemoryWorld, v: np.ndarray, z: np.ndarray, pairs: tuple[np.ndarray, ...], force: np.ndarray,
    couple: tuple[np.ndarray, ...], h: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return velocities after h/2, hidden vectors after h, velocities after another h/2."""
    i, j, near = pairs

    def times(vectors: np.ndarray) -> np.ndarray:
        e, along, across = couple
        axial = (vectors * e).sum(axis=1, keepdims=True) * e
        return across * vectors + (along - across) * axial

    def pushed(v: np.ndarray) -> np.ndarray:
        pair = force + times(z[near])
        total = [np.bincount(i, own, len(v)) - np.bincount(j, own, len(v)) for own in pair.T]
        return v + 0.5 * h * np.stack(total, axis=1) / world.mass

    v = pushed(v)
    z = z.copy()
    z[near] -= h * times(v[i] - v[j])
    return pushed(v), z


def _relaxed(
    world: MemoryWorld, z: np.ndarray, u: np.ndarray, dt: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if not world.swing:
        kept = np.exp(-world.decay * dt)
        return kept * z + np.sqrt(1.0 - kept**2) * rng.normal(size=z.shape), u
    angle, kept = 0.5 * dt * np.hypot(world.decay, world.swing), np.exp(-2.0 * world.decay * dt)
    z, u = np.cos(angle) * z + np.sin(angle) * u, np.cos(angle) * u - np.sin(angle) * z
    u = kept * u + np.sqrt(1.0 - kept**2) * rng.normal(size=u.shape)
    return np.cos(angle) * z + np.sin(angle) * u, np.cos(angle) * u - np.sin(angle) * z


def friction_of_particles(world: MemoryWorld, series: PhaseSeries) -> float:
    """Return the mean of trace(Gamma_ii) / (d m_i) over all times, from the true curves and every pair."""
    i, j = np.triu_indices(series.n_particles, 1)
    total = 0.0
    for positions in series.positions[::10]:
        r = np.linalg.norm(series.box.shortest(positions[i] - positions[j]), axis=1)
        total += 2.0 * float((world.curve(world.along, r) + 2.0 * world.curve(world.across, r)).sum())
    return total / (3.0 * world.mass * series.n_particles * len(series.positions[::10]))
