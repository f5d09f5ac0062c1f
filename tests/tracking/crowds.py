"""Pictures of touching particles with known truth: random close packings, spots integrated over pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import KDTree

from colloid_cg.tracking.bounds import crowded_bound, render
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel

READ_NOISE = 2.0
NOISE = ImageModel(noise_offset=READ_NOISE**2 + 1.0 / 12.0, noise_slope=1.0, background=22.0)


@dataclass(frozen=True, kw_only=True)
class Scene:
    frames: list[np.ndarray]
    positions: list[np.ndarray]
    widths: np.ndarray
    amplitudes: np.ndarray
    background: np.ndarray
    found: list[Detections]

    def scores(self, refined: list[Detections], *, basis: np.ndarray | None = None) -> dict[str, float]:
        """Recall, precision, rms error over the bound, stated over true error, share of right classes."""
        errors, stated, right, hits, total, true = [], [], [], 0, 0, 0
        edge = len(self.background)
        for found, truth in zip(refined, self.positions, strict=True):
            places = np.column_stack([found.x, found.y])
            distance, nearest = KDTree(truth).query(places)
            own = (distance < 2.5) & (KDTree(places).query(truth)[1][nearest] == np.arange(len(places)))
            hits, total, true = hits + int(own.sum()), total + len(places), true + len(truth)
            inside = own & (np.abs(places - edge / 2) < edge / 2 - 12).all(axis=1)
            errors.append((places - truth[nearest])[inside])
            stated.append(np.column_stack([found.sigma_x, found.sigma_y])[inside])
            right.append(np.searchsorted(np.unique(self.widths), self.widths)[nearest[inside]] == found.species[inside])
        error = float(np.sqrt((np.concatenate(errors) ** 2).mean()))
        bound = crowded_bound(
            self.positions[0], self.widths, self.amplitudes, NOISE, background=self.background, basis=basis
        )
        core = (np.abs(self.positions[0] - edge / 2) < edge / 2 - 12).all(axis=1)
        return {
            "recall": hits / true,
            "precision": hits / total,
            "efficiency": error / float(np.sqrt((bound[core] ** 2).mean())),
            "stated": float(np.sqrt((np.concatenate(stated) ** 2).mean())) / error,
            "classes": float(np.concatenate(right).mean()),
        }


def packing(rng: np.random.Generator, *, edge: int, fraction: float, diameter: float, ratio: float) -> tuple:
    """Centres (n, 2) and diameters of discs pushed apart until few overlap; half of them ``ratio`` times larger."""
    side = edge - 24.0
    count = int(fraction * side**2 / (np.pi / 4 * diameter**2 * (1 + ratio**2) / 2))
    sizes = np.where(np.arange(count) % 2, diameter * ratio, diameter)
    centres = rng.uniform(0, side, (count, 2))
    for _ in range(300):
        first, second = KDTree(centres).query_pairs(diameter * ratio, output_type="ndarray").T
        apart = centres[first] - centres[second]
        length = np.linalg.norm(apart, axis=1) + 1e-9
        push = (apart.T / length * np.clip((sizes[first] + sizes[second]) / 2 - length, 0, None) * 0.35).T
        np.add.at(centres, first, push)
        np.add.at(centres, second, -push)
        centres = np.clip(centres, 0, side)
    return centres + 12, sizes


def scene(
    *,
    ratio: float,
    amplitude: float,
    edge: int = 200,
    n_frames: int = 5,
    seed: int = 1,
    background: np.ndarray | float = 20.0,
    spread: float = 0.0,
) -> Scene:
    """8-bit frames of one packing, shifted by a fraction of a pixel from frame to frame; dark for amplitude < 0."""
    rng = np.random.default_rng(seed)
    centres, sizes = packing(rng, edge=edge, fraction=0.75, diameter=8.0 if ratio > 1 else 9.0, ratio=ratio)
    widths = sizes * 1.9 / 9.0
    amplitudes = amplitude * (1.0 + spread * rng.standard_normal(len(centres)))
    level = np.array(np.broadcast_to(background, (edge, edge)), dtype=float)
    frames, positions, found = [], [], []
    for _ in range(n_frames):
        truth = centres + rng.uniform(-0.5, 0.5, 2)
        mean = render((edge, edge), truth, widths, amplitudes, level)
        noisy = rng.poisson(mean) + rng.normal(0.0, READ_NOISE, mean.shape)
        frames.append(np.clip(np.round(noisy), 0, 255).astype(np.uint8))
        positions.append(truth)
        found.append(first_guess(np.sign(amplitude) * frames[-1].astype(np.float32), 0.1 * abs(amplitude)))
    return Scene(
        frames=frames, positions=positions, widths=widths, amplitudes=amplitudes, background=level, found=found
    )


def first_guess(picture: np.ndarray, threshold: float) -> Detections:
    """Whole-pixel maxima of a band-passed picture."""
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.0) - cv2.blur(picture, (9, 9))
    highest = cv2.dilate(smooth, np.ones((5, 5), np.uint8))
    row, column = np.nonzero((smooth == highest) & (smooth > threshold))
    return Detections.at(column.astype(float), row.astype(float))
