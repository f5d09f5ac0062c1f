"""Movies of Gaussian spots with known positions, for the tests of tracking."""

from __future__ import annotations

import numpy as np

from colloid_cg.records import FrameStack


class ArrayReader:
    def __init__(self, frames: np.ndarray) -> None:
        self.frames = frames

    def read(self, index: int) -> np.ndarray:
        return np.array(self.frames[index])


def stack_of(frames: np.ndarray, **values: object) -> FrameStack:
    calibration = {"pixel_size": 0.1, "frame_interval": 0.01, "source": "spots"} | values
    n_frames, height, width = frames.shape
    return FrameStack(
        reader=ArrayReader(frames), n_frames=n_frames, height=height, width=width, dtype=frames.dtype, **calibration
    )


def lattice(rng: np.random.Generator, *, edge: int, spacing: float, jitter: float = 2.0) -> np.ndarray:
    """Positions (x, y) on a jittered square lattice, shape (n, 2)."""
    axis = np.arange(spacing / 2 + 8, edge - spacing / 2 - 8, spacing)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return grid + rng.uniform(-jitter, jitter, grid.shape)


def paint(
    positions: np.ndarray,
    *,
    edge: int,
    width: float = 2.0,
    amplitude: float = 80.0,
    background: float = 60.0,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """One float frame of Gaussian spots at (x, y), shape (edge, edge)."""
    y, x = np.mgrid[:edge, :edge]
    frame = np.full((edge, edge), background)
    for at_x, at_y in positions:
        frame += amplitude * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * width**2))
    return frame + (rng.normal(0.0, noise, frame.shape) if rng is not None else 0.0)


def brownian(
    rng: np.random.Generator, start: np.ndarray, *, n_frames: int, step: float, drift: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """Positions of shape (n_frames, n, 2): free diffusion with a common drift per frame."""
    steps = rng.normal(0.0, step, (n_frames, *start.shape)) + np.asarray(drift)
    steps[0] = 0.0
    return start + np.cumsum(steps, axis=0)


def movie(rng: np.random.Generator, positions: np.ndarray, *, edge: int, **look: float) -> np.ndarray:
    """Float movie of shape (n_frames, edge, edge)."""
    return np.stack([paint(frame, edge=edge, rng=rng, **look) for frame in positions])
