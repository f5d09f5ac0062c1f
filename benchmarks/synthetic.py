"""Pictures and tables of particles with known positions, the same for the same seed on every machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit
from scipy.spatial import cKDTree

from colloid_cg.records import Box, FrameStack

READ_NOISE = 2.0
BACKGROUND = 20.0
WIDTH = 1.9
DIAMETER = 9.0
MARGIN = 10.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Frames and, for each particle in each, frame, particle, x, y, width, amplitude."""

    frames: np.ndarray
    truth: pd.DataFrame
    background: float
    read_noise: float

    @property
    def view(self) -> Box:
        _, height, width = self.frames.shape
        return Box(lower=(-0.5, -0.5), upper=(width - 0.5, height - 0.5), periodic=(False, False))

    @property
    def stack(self) -> FrameStack:
        n_frames, height, width = self.frames.shape
        return FrameStack(
            reader=_Reader(self.frames), n_frames=n_frames, height=height, width=width, dtype=self.frames.dtype,
            pixel_size=0.1, frame_interval=0.01, source="synthetic",
        )  # fmt: skip


@dataclass(frozen=True)
class _Reader:
    frames: np.ndarray

    def read(self, index: int) -> np.ndarray:
        return np.array(self.frames[index])


def separated(
    n: int, size: int, rng: np.random.Generator, *, distance: float = DIAMETER, margin: float = MARGIN
) -> np.ndarray:
    """Random sequential addition: positions (n, 2) at least ``distance`` apart."""
    side = int(size / distance) + 2
    grid = np.full((side, side, 4), -1, dtype=np.int64)
    kept = np.empty((n, 2))
    count = 0
    while count < n:
        count = _add_apart(rng.uniform(margin, size - 1 - margin, (4 * n, 2)), distance, grid, kept, count)
    return kept


@njit(cache=True)
def _add_apart(tried: np.ndarray, distance: float, grid: np.ndarray, kept: np.ndarray, count: int) -> int:
    for x, y in tried:
        if count == len(kept):
            break
        a, b = int(x / distance), int(y / distance)
        free = True
        for i in range(max(a - 1, 0), min(a + 2, grid.shape[0])):
            for j in range(max(b - 1, 0), min(b + 2, grid.shape[1])):
                for other in grid[i, j]:
                    if other >= 0 and (kept[other, 0] - x) ** 2 + (kept[other, 1] - y) ** 2 < distance**2:
                        free = False
        if free:
            # A cell as wide as the distance holds at most four.
            for slot in range(4):
                if grid[a, b, slot] < 0:
                    grid[a, b, slot] = count
                    break
            kept[count, 0], kept[count, 1] = x, y
            count += 1
    return count


def jammed(
    size: int, rng: np.random.Generator, *, fraction: float = 0.75, small: float = 8.0, ratio: float = 1.4,
    margin: float = 12.0, rounds: int = 400,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Equal numbers of discs of diameters 1 : ratio pushed apart until they touch; positions (n, 2), diameters (n,).

    Overlaps are relaxed with steps of .35 of the overlap: the gradient of harmonic discs.
    """
    edge = size - 2 * margin
    n = int(fraction * edge**2 / (np.pi / 4 * small**2 * (1 + ratio**2) / 2))
    diameter = np.where(np.arange(n) % 2, small * ratio, small)
    place = rng.uniform(0, edge, (n, 2))
    for _ in range(rounds):
        pairs = cKDTree(place).query_pairs(small * ratio, output_type="ndarray")
        bond = place[pairs[:, 0]] - place[pairs[:, 1]]
        length = np.linalg.norm(bond, axis=1) + 1e-9
        overlap = np.clip(diameter[pairs].mean(axis=1) - length, 0, None)
        push = bond * (0.35 * overlap / length)[:, None]
        np.add.at(place, pairs[:, 0], push)
        np.add.at(place, pairs[:, 1], -push)
        place = np.clip(place, 0, edge)
    return place + margin, diameter


@njit(cache=True)
def render(picture: np.ndarray, positions: np.ndarray, widths: np.ndarray, amplitudes: np.ndarray) -> None:
    """Add Gaussian spots, integrated over the area of each pixel, out to 5 widths."""
    height, length = picture.shape
    for p in range(len(positions)):
        x, y, s = positions[p, 0], positions[p, 1], widths[p]
        reach, scale = math.ceil(5.0 * s), math.sqrt(2.0) * s
        flux = amplitudes[p] * 2.0 * math.pi * s * s
        left, low = round(x), round(y)
        for i in range(max(low - reach, 0), min(low + reach + 1, height)):
            part = flux * 0.5 * (math.erf((i + 0.5 - y) / scale) - math.erf((i - 0.5 - y) / scale))
            for j in range(max(left - reach, 0), min(left + reach + 1, length)):
                picture[i, j] += part * 0.5 * (math.erf((j + 0.5 - x) / scale) - math.erf((j - 0.5 - x) / scale))


def exposed(clean: np.ndarray, rng: np.random.Generator, *, dtype: type = np.uint8) -> np.ndarray:
    """One photo-electron per grey level, read noise, rounding and clipping to the type."""
    noisy = rng.poisson(clean) + rng.normal(0.0, READ_NOISE, clean.shape)
    return np.clip(np.rint(noisy), 0, np.iinfo(dtype).max).astype(dtype)


def moved(
    positions: np.ndarray, step: float, size: int, rng: np.random.Generator, *, distance: float = DIAMETER
) -> np.ndarray:
    """One step of diffusion; particles that come too close are pushed apart."""
    place = np.clip(positions + rng.normal(0, step, positions.shape), MARGIN, size - 1 - MARGIN)
    for _ in range(6):
        pairs = cKDTree(place).query_pairs(distance, output_type="ndarray")
        if len(pairs) == 0:
            break
        bond = place[pairs[:, 0]] - place[pairs[:, 1]]
        length = np.linalg.norm(bond, axis=1) + 1e-9
        push = bond * ((distance - length) / 2 / length)[:, None]
        np.add.at(place, pairs[:, 0], push)
        np.add.at(place, pairs[:, 1], -push)
        place = np.clip(place, MARGIN, size - 1 - MARGIN)
    return place


def scene(
    tracks: np.ndarray, widths: np.ndarray, amplitudes: np.ndarray, size: int, rng: np.random.Generator, *,
    background: float = BACKGROUND, dtype: type = np.uint8,
) -> Scene:  # fmt: skip
    """Frames of particles at ``tracks`` (T, n, 2)."""
    frames, parts = [], []
    for number, positions in enumerate(tracks):
        clean = np.full((size, size), background)
        render(clean, positions, widths, amplitudes)
        frames.append(exposed(clean, rng, dtype=dtype))
        parts.append(
            pd.DataFrame({"frame": number, "particle": np.arange(len(positions)), "x": positions[:, 0],
                          "y": positions[:, 1], "width": widths, "amplitude": amplitudes})
        )  # fmt: skip
    truth = pd.concat(parts, ignore_index=True)
    return Scene(frames=np.array(frames), truth=truth, background=background, read_noise=READ_NOISE)


def sparse_scene(n: int, size: int, n_frames: int, *, seed: int = 0, amplitude: float = 100.0) -> Scene:
    """Frames A (500 particles in 512 px) and B (5000 in 1024 px): amplitudes spread by 10 %, steps of .8 px."""
    rng = np.random.default_rng(seed)
    tracks = [separated(n, size, rng)]
    for _ in range(n_frames - 1):
        tracks.append(moved(tracks[-1], 0.8, size, rng))
    amplitudes = amplitude * (1 + 0.1 * rng.normal(size=n))
    return scene(np.array(tracks), np.full(n, WIDTH), amplitudes, size, rng)


def isolated_scene(amplitude: float, *, seed: int, n_frames: int = 4, n: int = 600, size: int = 1024) -> Scene:
    """Particles at least 27 px (14 widths) apart, every frame anew; 16 bits, so that bright spots are not clipped."""
    rng = np.random.default_rng(seed)
    tracks = np.array([separated(n, size, rng, distance=27.0, margin=20.0) for _ in range(n_frames)])
    amplitudes = amplitude * (1 + 0.1 * np.clip(rng.normal(size=n), -2, 2))
    return scene(tracks, np.full(n, WIDTH), amplitudes, size, rng, dtype=np.uint16)


def dense_scene(amplitude: float, *, seed: int, n_frames: int = 4, size: int = 512) -> Scene:
    """Touching discs of 8 and 11.2 px at area fraction .75, widths 1.9/9 of their diameters, shaken by .3 px."""
    rng = np.random.default_rng(seed)
    place, diameter = jammed(size, rng)
    tracks = [place + rng.uniform(-0.5, 0.5, 2) + rng.normal(0, 0.3, place.shape) for _ in range(n_frames)]
    amplitudes = amplitude * (1 + 0.1 * np.clip(rng.normal(size=len(place)), -2, 2))
    return scene(np.array(tracks), diameter * WIDTH / DIAMETER, amplitudes, size, rng)


def link_table(
    n: int, size: int, n_frames: int, *, step: float, distance: float, seed: int, missed: float = 0.03,
    false: float = 0.01, noise: float = 0.08,
) -> pd.DataFrame:  # fmt: skip
    """Detections in shuffled order: frame, x, y, truth (-1 for a false one)."""
    rng = np.random.default_rng(seed)
    place = separated(n, size, rng, distance=distance)
    parts = []
    for number in range(n_frames):
        seen = np.flatnonzero(rng.random(n) > missed)
        extra = rng.uniform(MARGIN, size - MARGIN, (rng.poisson(false * n), 2))
        points = np.concatenate([place[seen] + rng.normal(0, noise, (len(seen), 2)), extra])
        names = np.concatenate([seen, np.full(len(extra), -1)])
        order = rng.permutation(len(points))
        parts.append(
            pd.DataFrame({"frame": number, "x": points[order, 0], "y": points[order, 1], "truth": names[order]})
        )
        place = moved(place, step, size, rng, distance=distance)
    return pd.concat(parts, ignore_index=True)


def easy_links() -> pd.DataFrame:
    """5000 particles whose steps (.8 px) are small against their distance (9 px)."""
    return link_table(5000, 1024, 40, step=0.8, distance=9.0, seed=1)


def hard_links() -> pd.DataFrame:
    """5000 particles in a dense field with steps of 2.2 px."""
    return link_table(5000, 800, 40, step=2.2, distance=7.0, seed=2)
