"""Truth for the recovery tests: free, trapped, drifting, inertial and Yukawa particles, written without the package."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numba import njit

from colloid_cg.records import Box, Trajectories

PIXEL = 0.1


def tracks(positions: np.ndarray, *, side: float, dt: float, exposure: float | None = None) -> Trajectories:
    """Tracks in a view of ``side`` um from positions (T, n, 2) in um, folded into the view; a crossing is a new id."""
    n_frames, n, _ = positions.shape
    image = np.floor(positions / side).astype(int)
    crossed = np.zeros((n_frames, n), dtype=int)
    crossed[1:] = np.cumsum((np.diff(image, axis=0) != 0).any(axis=-1), axis=0)
    folded = (positions - image * side) / PIXEL
    table = pd.DataFrame(
        {
            "frame": np.repeat(np.arange(n_frames), n),
            "particle": (crossed * n + np.arange(n)).ravel(),
            "x": folded[..., 0].ravel(),
            "y": folded[..., 1].ravel(),
        }
    )
    view = Box(lower=(0.0, 0.0), upper=(side / PIXEL, side / PIXEL), periodic=(False, False))
    return Trajectories(
        table=table, pixel_size=PIXEL, frame_interval=dt, exposure=exposure, field_of_view=view, n_frames=n_frames
    )


def brownian(
    rng: np.random.Generator, *, n: int, frames: int, diffusion: float, dt: float, blurred: bool = False
) -> np.ndarray:
    """Free paths (T, n, 2) in um; averaged over the whole frame if ``blurred``."""
    parts = 20 if blurred else 1
    steps = np.sqrt(2 * diffusion * dt / parts) * rng.standard_normal((frames * parts, n, 2))
    path = np.cumsum(steps, axis=0)
    return path.reshape(frames, parts, n, 2).mean(axis=1) + 60.0 * rng.random((n, 2))


def trapped(rng: np.random.Generator, *, n: int, frames: int, diffusion: float, dt: float, rate: float) -> np.ndarray:
    """Exact Ornstein-Uhlenbeck positions around fixed centres."""
    decay = np.exp(-rate * dt)
    x, path = np.sqrt(diffusion / rate) * rng.standard_normal((n, 2)), np.empty((frames, n, 2))
    for t in range(frames):
        x = decay * x + np.sqrt(diffusion / rate * (1 - decay**2)) * rng.standard_normal((n, 2))
        path[t] = x
    return path + 60.0 * rng.random((n, 2))


def inertial(rng: np.random.Generator, *, n: int, frames: int, diffusion: float, dt: float, theta: float) -> np.ndarray:
    """Integrated Ornstein-Uhlenbeck velocity, friction rate times frame interval = theta."""
    parts, gamma = 20, theta / dt
    h = dt / parts
    v, x = np.sqrt(diffusion * gamma) * rng.standard_normal((n, 2)), 60.0 * rng.random((n, 2))
    decay, path = np.exp(-gamma * h), np.empty((frames, n, 2))
    for t in range(frames):
        for _ in range(parts):
            new = decay * v + np.sqrt(diffusion * gamma * (1 - decay**2)) * rng.standard_normal((n, 2))
            x, v = x + 0.5 * h * (v + new), new
        path[t] = x
    return path


def yukawa_force(r: np.ndarray, *, amplitude: float = 40.0, kappa: float = 2.0, cutoff: float = 3.0) -> np.ndarray:
    """Force of phi = amplitude exp(-kappa r)/r in k_B T/um, shifted to zero at the cutoff."""

    def bare(x: np.ndarray | float) -> np.ndarray:
        return np.asarray(amplitude * np.exp(-kappa * np.asarray(x)) * (1 + kappa * np.asarray(x)) / np.asarray(x) ** 2)

    return np.where(r < cutoff, bare(r) - bare(cutoff), 0.0)


def yukawa(seed: int, *, frames: int, dt: float = 0.005, substeps: int = 10) -> tuple[np.ndarray, float]:
    """144 Yukawa particles with D = 1 um2/s in a periodic cell; positions (T, n, 2) unwrapped and the side in um."""
    side = 12 * 1.28
    grid = (np.stack(np.meshgrid(np.arange(12), np.arange(12)), axis=-1).reshape(-1, 2) + 0.5) * 1.28
    start = grid + 0.12 * np.random.default_rng(seed).standard_normal(grid.shape)
    path = np.empty((frames, len(start), 2))
    _brownian_dynamics(start, side, dt / substeps, substeps, seed, path)
    return path, side


@njit(cache=True)
def _brownian_dynamics(x, side, h, substeps, seed, path):  # type: ignore[no-untyped-def]
    np.random.seed(seed)  # noqa: NPY002 (the only generator numba can seed in place)
    n = x.shape[0]
    shift = 40.0 * np.exp(-6.0) * 7.0 / 9.0
    force = np.zeros((n, 2))
    for t in range(-40, path.shape[0]):
        for _ in range(substeps):
            force[:] = 0.0
            for i in range(n):
                for j in range(i):
                    dx, dy = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1]
                    dx -= side * np.round(dx / side)
                    dy -= side * np.round(dy / side)
                    square = dx * dx + dy * dy
                    if square < 9.0:
                        r = np.sqrt(square)
                        size = (40.0 * np.exp(-2.0 * r) * (1 + 2.0 * r) / square - shift) / r
                        force[i, 0] += size * dx
                        force[i, 1] += size * dy
                        force[j, 0] -= size * dx
                        force[j, 1] -= size * dy
            for i in range(n):
                for a in range(2):
                    x[i, a] += h * force[i, a] + np.sqrt(2 * h) * np.random.standard_normal()  # noqa: NPY002
        if t >= 0:
            path[t] = x
