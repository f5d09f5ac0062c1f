"""Maximum-likelihood position of each particle alone, with the error that the noise of its pixels leaves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from colloid_cg.records import FLAG_POOR_FIT
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.prepared import fit_picture, picture_noise
from colloid_cg.tracking.spot_profile import FARTHEST, PHASES_PER_PIXEL, light_table

STEPS = 12
SETTLED = 0.03  # of the standard error: a last step shorter than this adds less than .1 % to the error
PATIENCE = 3.0  # standard deviations of chi^2 above which the model is taken to be wrong


def refine_likelihood(frame: np.ndarray, found: Detections, config: TrackConfig, model: ImageModel) -> Detections:
    """Return the detections with the position, height and error of the most likely Gaussian spot.

    Each spot has the width of the movie, and a position, height and local background of its own; light is
    integrated over pixels, the variance of a pixel follows its expected level. Fisher scoring from the centroid,
    solution and error as in Smith et al. 2010, doi:10.1038/nmeth.1449, with camera noise as in Huang et al. 2013,
    doi:10.1038/nmeth.2488. ``mass`` becomes the fitted light 2 pi w^2 A, ``signal`` the height A.

    Where the residuals exceed the noise by more than ``PATIENCE`` standard deviations the error is multiplied by
    sqrt(chi^2 / degrees of freedom). ``FLAG_POOR_FIT`` marks that and fits that fail; these keep their centroid.
    """
    if not len(found) or not model.classes:
        return found
    spot = model.classes[0]
    radius = (config.diameter or 3) // 2
    picture = fit_picture(frame, config, model)
    offset, slope, least = picture_noise(config, model)
    result = fit_spots(picture, found.x, found.y, width=spot.width, radius=radius, noise=(offset, slope, least))
    return with_fits(found, result, width=spot.width)


def fit_spots(
    picture: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    *,
    width: float,
    radius: int,
    noise: tuple[float, float, float],
) -> np.ndarray:
    """Fit spots of one width, shape (n, 8): x, y, sigma_x, sigma_y, height, background, chi^2, degrees of freedom.

    Rows of fits that fail are NaN.

    Parameters
    ----------
    picture : float32 array
        Bright particles; pixels without information are NaN.
    x, y : arrays, shape (n,)
        Where to start, px.
    width : float
        Standard deviation of the spot in px.
    radius : int
        Half the edge of the square of pixels used.
    noise : (offset, slope, least)
        Variance of a pixel of expected level m: max(offset + slope m, least).
    """
    result = np.full((len(x), 8), np.nan)
    offset, slope, least = (np.float32(value) for value in noise)
    _fit(picture, x, y, light_table(float(width), radius), radius, width, offset, slope, least, result)
    return result


def with_fits(found: Detections, fits: np.ndarray, *, width: float) -> Detections:
    """Return detections with what :func:`fit_spots` found, honest about fits that are worse than the noise allows."""
    x, y, sigma_x, sigma_y, height, _, chi2, freedom = fits.T
    good = np.isfinite(x) & (height > 0)
    with np.errstate(invalid="ignore"):
        poor = good & (chi2 > freedom + PATIENCE * np.sqrt(2.0 * freedom))
        worse = np.where(poor, np.sqrt(chi2 / freedom), 1.0)
    return found.updated(
        x=np.where(good, x, found.x),
        y=np.where(good, y, found.y),
        sigma_x=np.where(good, sigma_x * worse, found.sigma_x),
        sigma_y=np.where(good, sigma_y * worse, found.sigma_y),
        mass=np.where(good, height * 2.0 * np.pi * width**2, found.mass),
        signal=np.where(good, height, found.signal),
        flags=found.flags | np.where(poor | ~good, FLAG_POOR_FIT, 0).astype(np.int32),
    )


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fit(
    picture: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    table: np.ndarray,
    radius: int,
    width: float,
    offset: np.float32,
    slope: np.float32,
    least: np.float32,
    result: np.ndarray,
) -> None:
    lanes, count = table.shape[2], 2 * radius + 1
    pixels = np.zeros((count, lanes), np.float32)
    used = np.zeros((count, lanes), np.float32)
    along = np.zeros((2, lanes), np.float32)
    down = np.zeros((2, lanes), np.float32)
    sums = np.zeros((10, lanes), np.float32)
    total = np.zeros(10)
    moments = np.zeros((3, 3))
    fisher = np.zeros((4, 4))
    score = np.zeros(4)
    unit = 2.0 * math.pi * width * width
    height, breadth = picture.shape
    for index in range(len(x)):
        row, column = round(y[index]), round(x[index])
        if row < 0 or column < 0 or row >= height or column >= breadth:
            continue
        n_used = _window(picture, row, column, radius, pixels, used)
        off_x, off_y = x[index] - column, y[index] - row
        light, ground = 0.0, 0.0
        for step in range(STEPS):
            _profile(table, off_x, along)
            _profile(table, off_y, down)
            if step == 0:
                light, ground = _linear(pixels, used, along, down, count)
            _accumulate(pixels, used, along, down, count, light, ground, offset, slope, least, sums)
            _assemble(sums, along, light, total, moments, fisher, score)
            if not _invert(fisher):
                break
            move_x, move_y = 0.0, 0.0
            for k in range(4):
                move_x += fisher[0, k] * score[k]
                move_y += fisher[1, k] * score[k]
                light += fisher[2, k] * score[k]
                ground += fisher[3, k] * score[k]
            shorter = max(1.0, 2.0 * max(abs(move_x), abs(move_y)) / width)
            off_x += move_x / shorter
            off_y += move_y / shorter
            if max(abs(off_x), abs(off_y)) > FARTHEST - 0.5 or not math.isfinite(light + ground):
                break
            error = fisher[0, 0] + fisher[1, 1]
            if move_x**2 + move_y**2 < SETTLED**2 * error:
                result[index, 0] = column + off_x
                result[index, 1] = row + off_y
                result[index, 2] = math.sqrt(fisher[0, 0])
                result[index, 3] = math.sqrt(fisher[1, 1])
                result[index, 4] = light / unit
                result[index, 5] = ground
                result[index, 6] = total[9]
                result[index, 7] = n_used - 4
                break


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _window(picture: np.ndarray, row: int, column: int, radius: int, pixels: np.ndarray, used: np.ndarray) -> int:
    height, breadth = picture.shape
    n_used = 0
    inside = column >= radius and column + radius < breadth
    for i in range(2 * radius + 1):
        at_y = row - radius + i
        if at_y < 0 or at_y >= height:
            pixels[i, :] = 0.0
            used[i, :] = 0.0
            continue
        for j in range(2 * radius + 1):
            at_x = column - radius + j
            value = np.float32(np.nan)
            if inside or (at_x >= 0 and at_x < breadth):
                value = picture[at_y, at_x]
            known = value == value
            pixels[i, j] = value if known else np.float32(0.0)
            used[i, j] = np.float32(1.0) if known else np.float32(0.0)
            n_used += known
    return n_used


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _profile(table: np.ndarray, position: float, values: np.ndarray) -> None:
    nearest = round((position + FARTHEST) * PHASES_PER_PIXEL)
    rest = np.float32(position + FARTHEST - nearest / PHASES_PER_PIXEL)
    half, third = np.float32(0.5) * rest, rest / np.float32(3.0)
    for k in range(values.shape[1]):
        first, second, last = table[nearest, 1, k], table[nearest, 2, k], table[nearest, 3, k]
        values[0, k] = table[nearest, 0, k] + rest * (first + half * (second + third * last))
        values[1, k] = first + rest * (second + half * last)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _linear(
    pixels: np.ndarray, used: np.ndarray, along: np.ndarray, down: np.ndarray, count: int
) -> tuple[float, float]:
    """Light and background of a spot at a given place by unweighted least squares."""
    n, shape, square, data, product = 0.0, 0.0, 0.0, 0.0, 0.0
    zero: Any = np.float32(0.0)
    for i in range(count):
        a, b, c, d, e = zero, zero, zero, zero, zero
        for j in range(pixels.shape[1]):
            value = used[i, j] * along[0, j]
            a += used[i, j]
            b += value
            c += value * along[0, j]
            d += pixels[i, j]
            e += pixels[i, j] * along[0, j]
        n += a
        shape += b * down[0, i]
        square += c * down[0, i] ** 2
        data += d
        product += e * down[0, i]
    determinant = n * square - shape**2
    if determinant <= 0.0:
        return 1.0, 0.0
    return (n * product - shape * data) / determinant, (square * data - shape * product) / determinant


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def _accumulate(
    pixels: np.ndarray,
    used: np.ndarray,
    along: np.ndarray,
    down: np.ndarray,
    count: int,
    light: float,
    ground: float,
    offset: np.float32,
    slope: np.float32,
    least: np.float32,
    sums: np.ndarray,
) -> None:
    """Sum, column by column, what Fisher matrix and score need: everything that depends on the row.

    With weight w, residual r = w (pixel - expected) and E, E' the light of the row and its derivative: w, w E, w E^2,
    w E E', w E'^2, w E', then r, r E, r E', and the contribution to chi^2.
    """
    sums[:] = 0.0
    bottom, amount = np.float32(ground), np.float32(light)
    for i in range(count):
        here, change = down[0, i], down[1, i]
        scale = amount * here
        square, mixed, second = here * here, here * change, change * change
        for j in range(pixels.shape[1]):
            expected = scale * along[0, j] + bottom
            weight = used[i, j] / max(offset + slope * expected, least)
            difference = pixels[i, j] - expected
            residual = weight * difference
            sums[0, j] += weight
            sums[1, j] += weight * here
            sums[2, j] += weight * square
            sums[3, j] += weight * mixed
            sums[4, j] += weight * second
            sums[5, j] += weight * change
            sums[6, j] += residual
            sums[7, j] += residual * here
            sums[8, j] += residual * change
            sums[9, j] += residual * difference


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _assemble(
    sums: np.ndarray,
    along: np.ndarray,
    light: float,
    total: np.ndarray,
    moments: np.ndarray,
    fisher: np.ndarray,
    score: np.ndarray,
) -> None:
    """Sum over the columns; parameters in the order x, y, light, background."""
    zero: Any = np.float32(0.0)
    xx, xl, xy, xb, ll, yl, bl, yy, yb, bb = zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
    sx, sy, sl, sb, chi2 = zero, zero, zero, zero, zero
    for j in range(sums.shape[1]):
        here, change = along[0, j], along[1, j]
        xx += sums[2, j] * change * change
        xl += sums[2, j] * change * here
        ll += sums[2, j] * here * here
        xy += sums[3, j] * here * change
        yl += sums[3, j] * here * here
        yy += sums[4, j] * here * here
        xb += sums[1, j] * change
        bl += sums[1, j] * here
        yb += sums[5, j] * here
        bb += sums[0, j]
        sx += sums[7, j] * change
        sl += sums[7, j] * here
        sy += sums[8, j] * here
        sb += sums[6, j]
        chi2 += sums[9, j]
    total[9] = chi2
    fisher[0, 0], fisher[1, 1], fisher[0, 1] = light * light * xx, light * light * yy, light * light * xy
    fisher[0, 2], fisher[1, 2] = light * xl, light * yl
    fisher[0, 3], fisher[1, 3] = light * xb, light * yb
    fisher[2, 2], fisher[2, 3], fisher[3, 3] = ll, bl, bb
    score[0], score[1], score[2], score[3] = light * sx, light * sy, sl, sb


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _invert(matrix: np.ndarray) -> bool:
    """Invert a symmetric positive matrix given by its upper triangle, in place; False if it is not positive."""
    n = len(matrix)
    for i in range(n):
        for j in range(i + 1):
            value = matrix[j, i]
            for k in range(j):
                value -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not value > 1e-12 * abs(matrix[i, i]) or value <= 0.0:
                    return False
                matrix[i, i] = math.sqrt(value)
            else:
                matrix[i, j] = value / matrix[j, j]
    for j in range(n):  # inverse of the triangle
        matrix[j, j] = 1.0 / matrix[j, j]
        for i in range(j + 1, n):
            value = 0.0
            for k in range(j, i):
                value -= matrix[i, k] * matrix[k, j]
            matrix[i, j] = value / matrix[i, i]
    for i in range(n):
        for j in range(i + 1):
            value = 0.0
            for k in range(i, n):
                value += matrix[k, i] * matrix[k, j]
            matrix[j, i] = value
            if i != j:
                matrix[i, j] = 0.0
    for i in range(n):
        for j in range(i):
            matrix[i, j] = matrix[j, i]
    return True
