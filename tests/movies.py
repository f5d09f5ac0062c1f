"""Small movies of known content for tests of the pipeline and the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

PIXEL_SIZE = 0.1
FRAME_INTERVAL = 0.02


def brownian_movie(
    *, n_frames: int = 40, size: int = 128, particles: int = 24, step: float = 0.6, seed: int = 1
) -> np.ndarray:
    """Return diffusing bright spots, uint16, shape (n_frames, size, size); ``step`` in px per axis and frame."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*2 * [np.linspace(14, size - 14, int(np.ceil(np.sqrt(particles))))]), -1).reshape(-1, 2)
    positions = grid[:particles] + rng.normal(0, 1, (particles, 2))
    paths = positions + np.cumsum(rng.normal(0, step, (n_frames, particles, 2)), axis=0)
    pixel = np.arange(size)
    movie = np.empty((n_frames, size, size), dtype=np.uint16)
    for frame, points in enumerate(paths):
        along_x = np.exp(-((pixel - points[:, :1]) ** 2) / (2 * 1.8**2))
        along_y = np.exp(-((pixel - points[:, 1:]) ** 2) / (2 * 1.8**2))
        movie[frame] = rng.poisson(20 + 400 * np.einsum("ny,nx->yx", along_y, along_x))
    return movie


def write_movie(path: Path, movie: np.ndarray, **tags: object) -> Path:
    """Write a plain TIFF stack."""
    tifffile.imwrite(path, movie, photometric="minisblack", **tags)
    return path
