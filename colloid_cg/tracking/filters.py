"""Band-pass of a frame of any pixel type in float32: what is smaller than the noise or larger than a particle goes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numba import njit

from colloid_cg.tracking.workspace import scratch

REACH = 3.0  # standard deviations at which the Gaussian of the noise filter ends
SHORT = 15  # px: up to here a running mean is faster as a sum of products than with running sums
_EXACT_IN_FLOAT32 = ("u1", "u2", "i1", "i2", "f4", "f2")  # the level can be taken off after the conversion


def centred(frame: np.ndarray, *, level: float, invert: bool, margin: int = 0, reuse: bool = False) -> np.ndarray:
    """Return ``frame - level`` in float32, negated for dark particles, mirrored over a margin on each side.

    The level is taken off in the precision of the movie: with an offset of 1e6 grey levels single precision would
    keep no more than a sixteenth of a grey level. Nothing is requantised.

    Parameters
    ----------
    frame : array, shape (height, width)
    level : float
        Grey level that becomes zero.
    invert : bool
    margin : int
        Pixels added on each side.
    reuse : bool
        Whether the picture may be overwritten when this thread takes the next one.
    """
    height, width = frame.shape
    shape = (height + 2 * margin, width + 2 * margin)
    picture = scratch("centred", shape) if reuse else np.empty(shape, dtype=np.float32)
    inside = picture[margin : margin + height, margin : margin + width]
    if frame.dtype.str[1:] in _EXACT_IN_FLOAT32:
        np.subtract(frame, np.float32(level), out=inside, dtype=np.float32)
    else:
        inside[:] = frame.astype(np.float64) - level
    if invert:
        np.negative(inside, out=inside)
    _mirror(picture, margin, axis=1)
    _mirror(picture.T, margin, axis=1)
    return picture


def _mirror(picture: np.ndarray, margin: int, *, axis: int) -> None:
    """Fill the margins of the last axis; a margin larger than the picture is mirrored again and again."""
    length = picture.shape[axis] - 2 * margin
    for side in (np.arange(margin), np.arange(margin + length, length + 2 * margin)):
        place = (side - margin) % (2 * length)
        picture[:, side] = picture[:, margin + np.minimum(place, 2 * length - 1 - place)]


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
        smooth = _separable(picture, noise_kernel(noise_size))
    if smoothing <= SHORT:
        mean = _separable(picture, np.full(smoothing, 1.0 / smoothing, dtype=np.float32))
    else:
        mean = cv2.boxFilter(picture, cv2.CV_32F, (smoothing, smoothing), borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.subtract(smooth, mean, dst=mean))


def bandpass_inside(picture: np.ndarray, *, noise_size: float, smoothing: int, margin: int) -> np.ndarray:
    """Return :func:`bandpass` of a picture with a margin, zero in the margin, to be used before the next picture.

    Row by row, both kernels at once, in memory that is used again: faster than separable filters one after the other.

    Parameters
    ----------
    picture : float32 array
    noise_size, smoothing : float, int
        As for :func:`bandpass`.
    margin : int
        At least :func:`reach`.
    """
    filtered = scratch("filtered", picture.shape)
    last_row, last_column = (length - margin for length in picture.shape)
    filtered[:margin], filtered[last_row:] = 0.0, 0.0
    filtered[:, :margin], filtered[:, last_column:] = 0.0, 0.0
    kernel = noise_kernel(noise_size)
    even = np.full(smoothing // 2 + 1, 1.0 / smoothing, dtype=np.float32)
    _filter_rows(picture, kernel[len(kernel) // 2 :], even, margin, filtered)
    return filtered


def reach(noise_size: float, smoothing: int) -> int:
    """Return how many pixels away from a pixel the band-pass looks."""
    return max(smoothing // 2, len(noise_kernel(noise_size)) // 2)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _filter_rows(picture: np.ndarray, kernel: np.ndarray, even: np.ndarray, margin: int, filtered: np.ndarray) -> None:
    """Fill the inside of ``filtered``; both kernels from their middle on."""
    height, width = picture.shape
    smooth, mean = np.empty(width, np.float32), np.empty(width, np.float32)
    for row in range(margin, height - margin):
        _weigh_rows(picture, row, kernel, smooth)
        _weigh_rows(picture, row, even, mean)
        line = filtered[row, margin : width - margin]
        line[:] = 0.0
        _weigh_columns(smooth, margin, kernel, line)
        _weigh_columns(mean, margin, -even, line)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _weigh_rows(picture: np.ndarray, row: int, kernel: np.ndarray, total: np.ndarray) -> None:
    """Sum the rows around one with the weights of a symmetric kernel."""
    total[:] = 0.0
    _add(picture[row], picture[row], np.float32(0.5) * kernel[0], total)
    for k in range(1, len(kernel) - 1, 2):  # two pairs at once: fewer passes over the sum
        near, far = picture[row - k], picture[row + k]
        nearer, farther = picture[row - k - 1], picture[row + k + 1]
        _add_both(near, far, kernel[k], nearer, farther, kernel[k + 1], total)
    if len(kernel) % 2 == 0:
        _add(picture[row - len(kernel) + 1], picture[row + len(kernel) - 1], kernel[-1], total)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _weigh_columns(line: np.ndarray, margin: int, kernel: np.ndarray, total: np.ndarray) -> None:
    """Add the pixels around each pixel of a row with the weights of a symmetric kernel."""
    last = margin + len(total)
    _add(line[margin:last], line[margin:last], np.float32(0.5) * kernel[0], total)
    for k in range(1, len(kernel) - 1, 2):
        near, far = line[margin - k : last - k], line[margin + k : last + k]
        nearer, farther = line[margin - k - 1 : last - k - 1], line[margin + k + 1 : last + k + 1]
        _add_both(near, far, kernel[k], nearer, farther, kernel[k + 1], total)
    if len(kernel) % 2 == 0:
        k = len(kernel) - 1
        _add(line[margin - k : last - k], line[margin + k : last + k], kernel[k], total)


@njit(cache=True, nogil=True, fastmath={"contract"})  # type: ignore[untyped-decorator]
def _add(before: np.ndarray, after: np.ndarray, weight: np.float32, total: np.ndarray) -> None:
    for k in range(len(total)):
        total[k] += weight * (before[k] + after[k])


@njit(cache=True, nogil=True, fastmath={"contract"})  # type: ignore[untyped-decorator]
def _add_both(
    near: np.ndarray,
    far: np.ndarray,
    weight: np.float32,
    nearer: np.ndarray,
    farther: np.ndarray,
    other: np.float32,
    total: np.ndarray,
) -> None:
    for k in range(len(total)):
        total[k] += weight * (near[k] + far[k]) + other * (nearer[k] + farther[k])


def _separable(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.sepFilter2D(picture, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT))


@lru_cache(maxsize=64)
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
