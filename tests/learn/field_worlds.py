"""Truth for the tests of external fields, written without the package: wells, a driven needle, a background flow."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numba import njit

from colloid_cg.records import Trajectories
from colloid_cg.records.motion import CommonMotion
from tests.learn.worlds import PIXEL, tracks

D, DT = 1.0, 0.01
SPACING = 6.0


@njit(cache=True)
def _wells(seed, n, frames, parts, k, q, blurred):  # type: ignore[no-untyped-def]
    np.random.seed(seed)  # noqa: NPY002 (the only generator numba can seed in place)
    h = DT / parts
    x = np.random.randn(n, 2) / np.sqrt(k + np.sqrt(2.0 * q))  # noqa: NPY002
    out = np.zeros((frames, n, 2))
    for t in range(-200, frames):
        for part in range(parts):
            for i in range(n):
                square = x[i, 0] ** 2 + x[i, 1] ** 2
                for a in range(2):
                    if t >= 0 and blurred:
                        out[t, i, a] += x[i, a] / parts
                    elif t >= 0 and part == 0:
                        out[t, i, a] = x[i, a]
                    x[i, a] += -h * D * (k + q * square) * x[i, a] + np.sqrt(2 * D * h) * np.random.randn()  # noqa: NPY002
    return out


def wells(
    seed: int, *, n: int = 40, frames: int = 300, k: float, q: float = 0.0, ratio: float, blurred: bool = False
) -> tuple[Trajectories, pd.DataFrame]:
    """Particles in wells on a grid, D = 1 um2/s, one frame per 10 ms; tracks, and the table of the centres in px."""
    side = int(np.ceil(np.sqrt(n)))
    centres = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)[:n] * SPACING + SPACING
    noise = np.sqrt(ratio * 2 * D * DT) * np.random.default_rng(seed).standard_normal((frames, n, 2))
    seen = _wells(seed, n, frames, 40, k, q, blurred) + centres + noise
    whole = tracks(seen, side=SPACING * (side + 1), dt=DT, exposure=DT if blurred else None)
    return whole, pd.DataFrame(centres / PIXEL, columns=["x", "y"])


PUSH, REACH = 10.0, 1.8
"""Spring between neighbours, k_B T/um2, below that distance in um."""


def pushing_wells(seed: int, *, pairs: int, frames: int) -> tuple[Trajectories, pd.DataFrame]:
    """Pairs of wells (k = 10 k_B T/um2) 1.4 um apart whose particles push each other with PUSH (REACH - r)."""
    rng, parts = np.random.default_rng(seed), 20
    h, side = DT / parts, int(np.ceil(np.sqrt(pairs)))
    middle = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)[:pairs] * SPACING + SPACING
    centres = middle[:, None] + np.array([[-0.7, 0.0], [0.7, 0.0]])
    x, path = centres + 0.2 * rng.standard_normal(centres.shape), np.empty((frames, 2 * pairs, 2))
    for t in range(-100, frames):
        if t >= 0:
            path[t] = x.reshape(-1, 2)
        for _ in range(parts):
            apart = x[:, 1] - x[:, 0]
            r = np.linalg.norm(apart, axis=1, keepdims=True)
            push = np.where(r < REACH, PUSH * (REACH - r), 0.0) * apart / r
            force = -10.0 * (x - centres) + np.stack([-push, push], axis=1)
            x = x + D * force * h + np.sqrt(2 * D * h) * rng.standard_normal(x.shape)
    path += np.sqrt(0.1 * 2 * D * DT) * rng.standard_normal(path.shape)
    table = pd.DataFrame(centres.reshape(-1, 2) / PIXEL, columns=["x", "y"]).assign(particle=np.arange(2 * pairs))
    return tracks(path, side=SPACING * (side + 1), dt=DT), table


SIDE, RADIUS, STIFFNESS, NEEDLE = 20.0, 1.5, 60.0, 120.0


@njit(cache=True)
def _soft(seed, x, needle, speed, frames, parts, h):  # type: ignore[no-untyped-def]
    """Soft discs (contact spring below RADIUS) in a periodic cell, a needle, and a solvent moving along x."""
    np.random.seed(seed)  # noqa: NPY002
    n = x.shape[0]
    path, force = np.empty((frames, n, 2)), np.zeros((n, 2))
    for t in range(-30, frames):
        if t >= 0:
            path[t] = x
        for part in range(parts):
            force[:] = 0.0
            frame = max(t, 0)
            u = speed[frame]
            for i in range(n):
                for j in range(i):
                    dx, dy = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1]
                    dx -= SIDE * np.round(dx / SIDE)
                    dy -= SIDE * np.round(dy / SIDE)
                    r = np.sqrt(dx * dx + dy * dy)
                    if r < RADIUS:
                        size = STIFFNESS * (RADIUS - r) / r
                        force[i, 0] += size * dx
                        force[i, 1] += size * dy
                        force[j, 0] -= size * dx
                        force[j, 1] -= size * dy
                for m in range(needle.shape[1]):
                    place = needle[frame, m, 0] + (part * h * u if t >= 0 else 0.0)
                    dx, dy = x[i, 0] - place, x[i, 1] - needle[frame, m, 1]
                    dx -= SIDE * np.round(dx / SIDE)
                    dy -= SIDE * np.round(dy / SIDE)
                    r = np.sqrt(dx * dx + dy * dy)
                    if r < RADIUS:
                        force[i, 0] += NEEDLE * (RADIUS - r) / r * dx
                        force[i, 1] += NEEDLE * (RADIUS - r) / r * dy
            for i in range(n):
                x[i, 0] += h * (force[i, 0] + (u if t >= 0 else 0.0)) + np.sqrt(2 * h) * np.random.randn()  # noqa: NPY002
                x[i, 1] += h * force[i, 1] + np.sqrt(2 * h) * np.random.randn()  # noqa: NPY002
    return path


def needle(seed: int, *, frames: int, ratio: float, dt: float = 0.002) -> tuple[Trajectories, pd.DataFrame, np.ndarray]:
    """Discs pushed by an oscillating needle of eight beads in a solvent that moves with it.

    Returns tracks, the table of the beads (px), and the velocity of the solvent in every frame (um/s, along x).
    """
    time = np.arange(frames + 1) * dt
    shift = 2.0 * np.sin(2 * np.pi * time / 0.3)
    speed = np.diff(shift) / dt
    beads = np.stack([np.full(8, 10.0), 6.5 + np.arange(8)], axis=1)
    path = beads[None] + np.stack([shift[:-1], np.zeros(frames)], axis=1)[:, None]
    grid = (np.stack(np.meshgrid(np.arange(14), np.arange(14)), axis=-1).reshape(-1, 2) + 0.5) * SIDE / 14
    start = grid[np.abs(grid[:, 0] - 10.0) > 0.3] + 0.05 * np.random.default_rng(seed).standard_normal((2,))
    found = _soft(seed, np.ascontiguousarray(start), path, speed, frames, 10, dt / 10)
    seen = found + np.sqrt(ratio * 2 * dt) * np.random.default_rng(seed).standard_normal(found.shape)
    table = pd.DataFrame(
        {
            "frame": np.repeat(np.arange(frames), 8),
            "particle": np.tile(np.arange(8), frames),
            "x": path[..., 0].ravel() / PIXEL,
            "y": path[..., 1].ravel() / PIXEL,
            "species": 0,
        }
    )
    return tracks(seen, side=SIDE, dt=dt), table, speed


def uniform_flow(speed: np.ndarray) -> pd.DataFrame:
    """The table of a flow along x, the same everywhere."""
    corners = np.array([(0.0, 0.0), (0.0, 200.0), (200.0, 0.0), (200.0, 200.0)])
    frames = len(speed)
    return pd.DataFrame(
        {
            "frame": np.repeat(np.arange(frames), 4),
            "x": np.tile(corners[:, 0], frames),
            "y": np.tile(corners[:, 1], frames),
            "u_x": np.repeat(speed, 4),
            "u_y": 0.0,
        }
    )


def stabilised(whole: Trajectories, pixels: float) -> Trajectories:
    """The tracks after a removal of drift that took off up to that many px along x."""
    n = whole.n_frames
    motion = CommonMotion(
        kind="translation",
        frame=np.arange(n),
        translation=np.stack([pixels * np.sin(np.arange(n) / 20.0), np.zeros(n)], axis=1),
        translation_error=np.full((n, 2), 0.01),
        rotation=np.zeros(n),
        rotation_error=np.zeros(n),
        strain=np.zeros((n, 3)),
        strain_error=np.zeros((n, 3)),
        n_particles=np.full(n, 25),
        scatter=np.ones(n),
        centre=np.zeros(2),
        diffusion_bias=-0.02,
    )
    return whole.with_table(motion.remove(whole.table), metadata={"drift": motion.as_dict()})
