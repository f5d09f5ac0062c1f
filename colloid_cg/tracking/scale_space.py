"""Blobs of any size and either sign: how large the particles are, and whether they are bright or dark."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SMALLEST = 0.84  # px: finest scale looked at
REDUCE_ABOVE = 3.0  # px: broader filters run on a block-averaged picture
NOISE_LIMIT = 4.5  # standard deviations of white noise a response must exceed


@dataclass(frozen=True, kw_only=True, eq=False)
class Blobs:
    """Extrema of the scale-normalised Laplacian in space and scale (Lindeberg 1998, doi:10.1023/A:1008045108935).

    Parameters
    ----------
    scales : array, shape (s,)
        Standard deviations of the Gaussian filters in px. A Gaussian spot answers most at its own standard
        deviation, a disc of radius R at R / sqrt(2).
    x, y, response : arrays, shape (n,)
        Positions in px, and the response in grey levels: positive for bright blobs, negative for dark ones.
    level : int array, shape (n,)
        Index into ``scales``.
    roundness : array, shape (n,)
        4 det H / (tr H)^2 of the second derivatives H: 1 for a round blob, 0 or less on a ridge.
    """

    scales: np.ndarray
    x: np.ndarray
    y: np.ndarray
    response: np.ndarray
    level: np.ndarray
    roundness: np.ndarray

    def energy(self, *, invert: bool) -> np.ndarray:
        """Return the picture energy that round blobs of one sign explain at each scale, shape (s,).

        A Gaussian spot of amplitude A and width s holds the energy pi A^2 s^2: each blob counts with its
        response^2 scale^2, times its roundness^2 so that ridges, edges and the gaps between discs count less.
        """
        chosen = (self.response < 0) if invert else (self.response > 0)
        weight = (self.response[chosen] * self.scales[self.level[chosen]] * self.roundness[chosen]) ** 2
        return np.bincount(self.level[chosen], weights=weight, minlength=len(self.scales))


def pixel_noise(frame: np.ndarray) -> float:
    """Return the standard deviation of the pixel noise in grey levels.

    Second differences in x and y cancel any smooth picture (Immerkaer 1996, doi:10.1006/cviu.1996.0060); the median
    in place of the mean makes it insensitive to edges.
    """
    rough = np.diff(np.diff(frame.astype(float), n=2, axis=0), n=2, axis=1)
    return float(1.4826 * np.median(np.abs(rough)) / 6.0)


def coarse_noise(frame: np.ndarray) -> float:
    """Return the standard deviation of white noise that would fluctuate as much as this picture does at 1 to 5 px.

    The quarter of the pixels that fluctuate least decides, so that up to half of the picture may be particles.
    """
    fine, coarse = (cv2.GaussianBlur(frame.astype(np.float32), (0, 0), width) for width in (1.0, 3.0))
    # Difference of Gaussians a, b on white noise: variance (1 / a^2 + 1 / b^2 - 4 / (a^2 + b^2)) / (4 pi)
    gain = np.sqrt((1.0 + 1.0 / 9.0 - 4.0 / 10.0) / (4.0 * np.pi))
    return float(np.quantile(np.abs(fine - coarse), 0.25) / 0.31864 / gain)


def find_blobs(frame: np.ndarray, noise: float) -> Blobs:
    """Return the blobs of one frame that stand out of white noise of standard deviation ``noise``."""
    picture = frame.astype(np.float32)
    picture -= np.median(picture)
    largest = max(2.0, min(picture.shape) / 10.0)
    scales = np.geomspace(SMALLEST, largest, int(np.ceil(4.0 * np.log2(largest / SMALLEST))) + 1)
    levels = [_curvature(picture, scale) for scale in scales]
    parts = [_extrema(levels, scales, index, picture.shape, noise) for index in range(1, len(scales) - 1)]
    x, y, response, level, roundness = np.concatenate(parts, axis=1)
    return Blobs(scales=scales, x=x, y=y, response=response, level=level.astype(int), roundness=roundness)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Level:
    block: int
    response: np.ndarray
    roundness: np.ndarray
    highest: tuple[np.ndarray, np.ndarray]  # of the 3 x 3 pixels around, of the response and of its negative


def _curvature(picture: np.ndarray, scale: float) -> _Level:
    # Block averaging adds (k^2 - 1) / 12 to the variance of the filter; what is left is filtered by the Gaussian.
    block = max(1, int(scale / REDUCE_ABOVE))
    height, width = (length // block * block for length in picture.shape)
    small = picture[:height, :width].reshape(height // block, block, width // block, block).mean(axis=(1, 3))
    left = np.sqrt((scale / block) ** 2 - (block**2 - 1) / (12.0 * block**2))
    reach = int(np.ceil(4.0 * left))
    u = np.arange(-reach, reach + 1) / left
    gaussian = np.exp(-0.5 * u**2) / np.exp(-0.5 * u**2).sum()
    slope, second = -u * gaussian / left, (u**2 - 1.0) * gaussian / left**2
    second -= second.mean()  # a flat picture has no curvature, whatever the sampling of the kernel
    filtered = [
        cv2.sepFilter2D(small, cv2.CV_32F, along_x, along_y, borderType=cv2.BORDER_REFLECT)
        for along_x, along_y in ((second, gaussian), (gaussian, second), (slope, slope))
    ]
    xx, yy, xy = filtered
    trace = xx + yy
    roundness = np.clip(4.0 * (xx * yy - xy * xy) / np.maximum(trace * trace, 1e-30), 0.0, 1.0)
    response = np.float32(-((scale / block) ** 2)) * trace
    return _Level(
        block=block, response=response, roundness=roundness, highest=(_highest(response), _highest(-response))
    )


def _extrema(levels: list[_Level], scales: np.ndarray, index: int, shape: tuple[int, ...], noise: float) -> np.ndarray:
    here = levels[index]
    limit = max(NOISE_LIMIT * noise / (scales[index] * np.sqrt(2.0 * np.pi)), 1e-6)  # noise of the response
    found = []
    for which, sign in enumerate((1.0, -1.0)):
        signed = sign * here.response
        row, column = np.nonzero((signed == here.highest[which]) & (signed > limit))
        value = signed[row, column]
        y, x = (row + 0.5) * here.block - 0.5, (column + 0.5) * here.block - 0.5
        keep = (np.minimum(x, shape[1] - 1 - x) > scales[index]) & (np.minimum(y, shape[0] - 1 - y) > scales[index])
        for other in (levels[index - 1], levels[index + 1]):
            highest = other.highest[which]
            at_y = np.clip(((y + 0.5) / other.block).astype(int), 0, highest.shape[0] - 1)
            at_x = np.clip(((x + 0.5) / other.block).astype(int), 0, highest.shape[1] - 1)
            keep &= value >= highest[at_y, at_x]
        where = (row[keep], column[keep])
        level = np.full(int(keep.sum()), float(index))
        found.append(np.stack([x[keep], y[keep], sign * value[keep], level, here.roundness[where]]))
    return np.concatenate(found, axis=1)


def _highest(values: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.dilate(values, np.ones((3, 3), dtype=np.uint8)))
