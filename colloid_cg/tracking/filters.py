"""Band-pass of a frame of any pixel type in float32: what is smaller than the noise or larger than a particle goes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

REACH = 4.0  # standard deviations at which the Gaussian of the noise filter ends
_EXACT_IN_FLOAT32 = ("u1", "u2", "i1", "i2", "f4", "f2")  # the level can be taken off after the conversion


def centred(frame: np.ndarray, *, level: float, invert: bool) -> np.ndarray:
    """Return ``frame - level`` in float32, negated for dark particles, shape (height, width).

    The level is taken off in the precision of the movie: with an offset of 1e6 grey levels single precision would
    keep no more than a sixteenth of a grey level. Nothing is requantised.
    """
    if frame.dtype.str[1:] in _EXACT_IN_FLOAT32:
        picture = frame.astype(np.float32)
        picture -= np.float32(level)
    else:
        picture = (frame.astype(np.float64) - level).astype(np.float32)
    if invert:
        np.negative(picture, out=picture)
    return np.ascontiguousarray(picture)


def bandpass(picture: np.ndarray, *, noise_size: float, smoothing: int) -> np.ndarray:
    """Return the picture smoothed by a Gaussian minus its running mean, float32, shape (height, width).

    Crocker and Grier, J. Colloid Interface Sci. 179, 298 (1996), doi:10.1006/jcis.1996.0217, equation 4. The picture
    is mirrored at its edges, so that an even picture gives zero up to the edge.

    Parameters
    ----------
    picture : float32 array
    noise_size : float
        Standard deviation of the Gaussian in px; 0 for none.
    smoothing : odd int
        Edge of the square of the running mean in px.
    """
    smooth = picture
    if noise_size > 0:
        kernel = noise_kernel(noise_size)
        smooth = cv2.sepFilter2D(picture, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
    mean = cv2.boxFilter(picture, cv2.CV_32F, (smoothing, smoothing), borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.subtract(smooth, mean, dst=mean))


def noise_kernel(noise_size: float) -> np.ndarray:
    """Return the Gaussian of the noise filter, float32 with sum 1; one pixel for ``noise_size = 0``."""
    reach = int(REACH * noise_size + 0.5)
    offset = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offset / max(noise_size, 1e-9)) ** 2)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def response(*, noise_size: float, smoothing: int) -> np.ndarray:
    """Return what :func:`bandpass` makes of a single pixel of height 1, a square array."""
    kernel = noise_kernel(noise_size).astype(float)
    reach = max(len(kernel), smoothing) // 2
    narrow = np.pad(kernel, reach - len(kernel) // 2)
    wide = np.pad(np.full(smoothing, 1.0 / smoothing), reach - smoothing // 2)
    return np.asarray(np.outer(narrow, narrow) - np.outer(wide, wide))


def noise_gain(*, noise_size: float, smoothing: int) -> float:
    """Return the standard deviation that white noise of standard deviation 1 keeps in the filtered picture."""
    return float(np.sqrt((response(noise_size=noise_size, smoothing=smoothing) ** 2).sum()))


def without_pixels(picture: np.ndarray, pixels: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return a copy in which each given (row, column) is the median of its neighbours that are not given."""
    result = picture.copy()
    bad = set(pixels)
    height, width = picture.shape
    for row, column in pixels:
        near = [
            picture[i, j]
            for i in range(max(row - 1, 0), min(row + 2, height))
            for j in range(max(column - 1, 0), min(column + 2, width))
            if (i, j) not in bad
        ]
        if near:
            result[row, column] = np.median(near)
    return result
