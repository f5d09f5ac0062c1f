"""Noise of the pixels of a movie as a function of their grey level, and the pixels that do not belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from colloid_cg.tracking.scale_space import coarse_noise

_FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
_SECOND = np.array([1.0, -2.0, 1.0])
BINS = 32
FEWEST = 300  # pixels in a bin of grey levels
PICTURE_FREE = 1.15  # ratio of the variances that second and fourth differences see: above, structure is left in them
CORRELATED = 1.5  # the same ratio where there is no structure: above, the noise is not white (compressed movies)
MOST_HOT = 1e-3  # of all pixels
OFTEN = 0.7  # of the frames: a particle that passes by hides a hot pixel
_NORMAL = 0.45494  # median of chi^2 with one degree of freedom


@dataclass(frozen=True, kw_only=True)
class PixelNoise:
    """Variance of a pixel of mean grey level g: ``offset + slope * g``; ``white`` is False for compressed movies."""

    offset: float
    slope: float
    white: bool = True

    def at(self, level: float) -> float:
        """Return the standard deviation at a grey level."""
        return float(np.sqrt(max(self.offset + self.slope * level, 0.0)))


def photon_transfer(pairs: Sequence[tuple[np.ndarray, np.ndarray]], *, saturation: float = float("inf")) -> PixelNoise:
    """Return the noise of a movie from pairs of consecutive frames.

    Differences of two frames lose everything that stands still (the illumination, particles that stick); fourth
    differences in x and y lose what is smooth over some px (particles that move). What is left has the variance
    of the noise at the grey level of the place: a straight line for photon and read noise (Janesick 2007,
    doi:10.1117/3.725073). Levels at which second differences see clearly more are left out, as there structure
    remains. Rounding to grey levels adds its step^2 / 12. Pixels at the level ``saturation`` have no noise and are
    left out with their neighbours.
    """
    step = grey_step(pairs[0][0])
    least = step**2 / 12.0
    # Where all frames are copies of the one before, one frame alone has to do: its structure is left in.
    moved = [pair for pair in pairs if not np.array_equal(*pair)] or [(0 * pair[0], pair[0]) for pair in pairs]
    fine, level = _residuals(moved, _FOURTH, saturation)
    rough, rough_level = _residuals(moved, _SECOND, saturation)
    edges = np.linspace(float(np.quantile(level, 0.0005)), float(np.quantile(level, 0.9995)), BINS + 1)
    counts, means, variances = _binned(level, fine, edges)
    _, _, others = _binned(rough_level, rough, edges)
    known = counts >= FEWEST
    if not known.any():
        known = counts == counts.max()
    usual = known & (counts >= 0.05 * counts.sum())
    main = usual if usual.any() else known
    ratio = np.average(others[main], weights=counts[main]) / max(
        np.average(variances[main], weights=counts[main]), 1e-12
    )
    if ratio > CORRELATED or np.average(variances[main], weights=counts[main]) < least:
        return _correlated(moved, step, float(np.sqrt(np.average(variances[main], weights=counts[main]))))
    clean = known & (others < PICTURE_FREE * variances)
    if not clean.any():
        clean = main
    offset, slope = _line(counts[clean], means[clean], variances[clean])
    floor = max(least, 1e-12)
    lowest = float(level.min())
    return PixelNoise(offset=max(offset, floor - slope * max(lowest, 0.0) if slope else floor), slope=slope)


def grey_step(frame: np.ndarray) -> float:
    """Return the smallest difference between two grey levels of a frame."""
    levels = np.unique(frame[:256, :256]).astype(float)
    if len(levels) < 2:
        levels = np.unique(frame).astype(float)
    return float(np.diff(levels).min()) if len(levels) > 1 else 0.0


def _residuals(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], kernel: np.ndarray, saturation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Squares of the normalised differences of differences, and the mean level each of them belongs to."""
    squares, levels = [], []
    weight = kernel**2 / (kernel**2).sum()
    reach = len(kernel) // 2
    for first, second in pairs:
        start, end = first.astype(np.float64), second.astype(np.float64)
        change = cv2.sepFilter2D(end - start, cv2.CV_64F, kernel, kernel)[reach:-reach, reach:-reach]
        alone = not first.any()
        mean = end if alone else 0.5 * (start + end)
        level = cv2.sepFilter2D(mean, cv2.CV_64F, weight, weight)[reach:-reach, reach:-reach]
        known = np.ones(change.shape, dtype=bool)
        if np.isfinite(saturation):
            full = (np.maximum(start, end) >= saturation).astype(np.uint8)
            known = cv2.dilate(full, np.ones((len(kernel), len(kernel))))[reach:-reach, reach:-reach] == 0
        squares.append((change**2 / ((1.0 if alone else 2.0) * (kernel**2).sum() ** 2))[known])
        levels.append(level[known])
    return np.concatenate(squares), np.concatenate(levels)


def _binned(level: np.ndarray, squares: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, mean level and robust variance in each bin of grey levels."""
    count = len(edges) - 1
    counts, means, variances = np.zeros(count), np.zeros(count), np.zeros(count)
    place = np.floor((level - edges[0]) * (count / max(edges[-1] - edges[0], 1e-30))).clip(-1, count).astype(np.int16)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(count + 1))
    for k in range(count):
        chosen = order[starts[k] : starts[k + 1]]
        if len(chosen):
            counts[k], means[k] = len(chosen), level[chosen].mean()
            variances[k] = np.median(squares[chosen]) / _NORMAL
    return counts, means, variances


def _line(counts: np.ndarray, means: np.ndarray, variances: np.ndarray) -> tuple[float, float]:
    """Weighted straight line with a slope of at least zero; n pixels know their variance v to v/sqrt(n)."""
    flat = float(np.average(variances, weights=counts))
    expected = np.full(len(means), max(flat, 1e-12))
    offset, slope = flat, 0.0
    for _ in range(4):
        weight = counts / expected**2
        centre = np.average(means, weights=weight)
        spread = np.sum(weight * (means - centre) ** 2)
        if len(means) < 3 or spread <= 0.0:
            return flat, 0.0
        slope = float(np.sum(weight * (means - centre) * variances) / spread)
        offset = float(np.average(variances, weights=weight) - slope * centre)
        if slope * np.sqrt(spread) < 10.0:  # a slope that the scatter of overlapping differences could give
            return flat, 0.0
        expected = np.maximum(offset + slope * means, 0.05 * flat)
    return offset, slope


def _correlated(pairs: Sequence[tuple[np.ndarray, np.ndarray]], step: float, fine: float) -> PixelNoise:
    """White noise that would disturb a particle as much as this movie's fluctuations at the scale of 1 to 5 px do."""
    changes = [end.astype(float) - start.astype(float) for start, end in pairs]
    coarse = float(np.median([coarse_noise(change) for change in changes])) / np.sqrt(2.0)
    value = max(coarse, fine, step / np.sqrt(12.0))
    if step > 0.1 * value:  # movies of few grey levels: what moves must not pass for noise
        value = max(fine, min(value, 2.0 * step))
    return PixelNoise(offset=max(value**2, 1e-12), slope=0.0, white=False)


def find_hot_pixels(
    frames: Sequence[np.ndarray], noise: PixelNoise, *, widths: float = 6.0
) -> tuple[tuple[int, int], ...]:
    """Return the (row, column) of pixels that stand alone above or below their neighbours in most frames.

    Light is never confined to one pixel: the ring of neighbours of a true spot stands out too.
    """
    if not noise.white:  # compression has spread them over blocks
        return ()
    times = np.sum([_alone(frame, noise, widths) for frame in frames], axis=0)
    alone = np.nonzero(times >= OFTEN * len(frames))
    if len(alone[0]) > MOST_HOT * frames[0].size:  # a texture, not a camera
        return ()
    return tuple((int(row), int(column)) for row, column in zip(*alone, strict=True))


def _alone(frame: np.ndarray, noise: PixelNoise, widths: float) -> np.ndarray:
    picture = frame.astype(np.float32)
    ring = np.ones((3, 3), dtype=np.float32) / 8.0
    ring[1, 1] = 0.0
    around, usual = cv2.medianBlur(picture, 3), cv2.medianBlur(picture, 5)
    near = cv2.filter2D(picture, cv2.CV_32F, ring, borderType=cv2.BORDER_REFLECT) - usual
    excess = picture - around
    sigma = np.sqrt(np.maximum(noise.offset + noise.slope * usual, noise.offset * 1e-3 + 1e-12))
    return np.asarray((np.abs(excess) > widths * sigma) & (np.abs(near) < 0.25 * np.abs(picture - usual) + sigma))
