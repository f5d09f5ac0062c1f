"""Maximum-likelihood position of each particle alone, with the error that the noise of its pixels leaves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from colloid_cg.records import FLAG_POOR_FIT
from colloid_cg.tracking.background_tilt import Tilt, background_tilt
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.prepared import fit_picture, picture_noise
from colloid_cg.tracking.spot_profile import FARTHEST, PHASES_PER_PIXEL, light_table, needed_lanes
from colloid_cg.tracking.spot_width import copy_window, fit_widths, level_window

STEPS = 12
SETTLED = 0.2  # of the standard error: scoring converges at least tenfold per step, the rest adds .02 % to the error
FREE_WIDTH = 0.35  # relative spread above which a shared width costs more than a free one, which neighbours stretch
POOR = 3.0
PATIENCE = 3.0  # standard deviations of chi^2 above which the model is taken to be wrong


def refine_likelihood(frame: np.ndarray, found: Detections, config: TrackConfig, model: ImageModel) -> Detections:
    """Return the detections with the position, height and error of the most likely Gaussian spot.

    Each spot has the width of the movie, and a position, height and local background of its own; light is
    integrated over pixels, the variance of a pixel follows its expected level. Fisher scoring from the centroid,
    solution and error as in Smith et al. 2010, doi:10.1038/nmeth.1449, with camera noise as in Huang et al. 2013,
    doi:10.1038/nmeth.2488. ``mass`` becomes the fitted light 2 pi w^2 A, ``signal`` the height A.

    Where the widths of the particles differ by more than ``FREE_WIDTH``, each has its own (then ``size`` is that).
    Where the residuals exceed the noise by more than ``PATIENCE`` standard deviations, or usually do in this movie,
    the error is multiplied by sqrt(chi^2 / degrees of freedom). ``FLAG_POOR_FIT`` marks residuals of more than
    ``POOR`` times what is usual in the movie, and fits that fail; these keep their centroid.
    """
    margin = needed_lanes((config.diameter or 3) // 2)
    return refine_in(fit_picture(frame, config, model, margin=margin), found, config, model)


def refine_in(picture: np.ndarray, found: Detections, config: TrackConfig, model: ImageModel) -> Detections:
    """Do what :func:`refine_likelihood` does, on a picture made by ``fit_picture`` with the margin of its lanes."""
    if not len(found) or not model.classes:
        return found
    spot = model.classes[0]
    noise, radius = picture_noise(config, model), (config.diameter or 3) // 2
    tilt = Tilt(slope=np.zeros((len(found), 2)), error=np.zeros((len(found), 2)))
    if np.isfinite(model.background_scale):
        margin = needed_lanes(radius)
        inner = picture[margin:-margin, margin:-margin]
        tilt = background_tilt(inner, found.x, found.y, diameter=config.diameter or 3)
    if spot.width_spread > FREE_WIDTH * spot.width:
        fits = fit_widths(picture, found.x, found.y, radius=radius, noise=noise, tilt=tilt.slope)
        width = np.where(np.isfinite(fits[:, 0]), fits[:, 0], spot.width)
        refined = with_fits(found, fits[:, [6, 7, 8, 9, 2, 3, 4, 5]], width=width, misfit=spot.misfit)
        return _with_shift_error(refined, tilt, width).updated(size=width)
    fits = fit_spots(picture, found.x, found.y, width=spot.width, radius=radius, noise=noise, tilt=tilt.slope)
    refined = with_fits(found, fits, width=spot.width, misfit=spot.misfit)
    return _with_shift_error(refined, tilt, spot.width)


def _with_shift_error(refined: Detections, tilt: Tilt, width: np.ndarray | float) -> Detections:
    """Add to the errors what the uncertain slope of the background leaves."""
    shift = tilt.shift_error(width, np.where(refined.signal > 0, refined.signal, np.inf))
    return refined.updated(
        sigma_x=np.hypot(refined.sigma_x, shift[:, 0]), sigma_y=np.hypot(refined.sigma_y, shift[:, 1])
    )


def fit_spots(
    picture: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    *,
    width: float,
    radius: int,
    noise: tuple[float, float, float],
    tilt: np.ndarray | None = None,
) -> np.ndarray:
    """Fit spots of one width, shape (n, 8): x, y, sigma_x, sigma_y, height, background, chi^2, degrees of freedom.

    Rows of fits that fail are NaN.

    Parameters
    ----------
    picture : float32 array
        Bright particles; pixels without information are NaN, as is a margin of ``needed_lanes(radius)``.
    x, y : arrays, shape (n,)
        Where to start, px, without the margin.
    width : float
        Standard deviation of the spot in px.
    radius : int
        Half the edge of the square of pixels used.
    noise : (offset, slope, least)
        Variance of a pixel of expected level m: max(offset + slope m, least).
    tilt : array, shape (n, 2), optional
        Slope of the background along x and y at each particle, grey levels per px.
    """
    result = np.full((len(x), 8), np.nan)
    offset, slope, least = (np.float32(value) for value in noise)
    slopes = np.zeros((len(x), 2)) if tilt is None else tilt
    _fit(picture, x, y, light_table(float(width), radius), radius, width, offset, slope, least, slopes, result)
    return result


def with_fits(found: Detections, fits: np.ndarray, *, width: np.ndarray | float, misfit: float = 1.0) -> Detections:
    """Return detections with what :func:`fit_spots` found, honest about fits that are worse than the noise allows.

    Parameters
    ----------
    found : Detections
    fits : array, shape (n, 8)
    width : float or array, shape (n,)
        Standard deviation of the spots in px.
    misfit : float
        Usual chi^2 per degree of freedom in this movie.
    """
    x, y, sigma_x, sigma_y, height, _, chi2, freedom = fits.T
    good = np.isfinite(x) & (height > 0)
    freedom = np.where(good, np.maximum(freedom, 1.0), 1.0)
    ratio = np.where(good, chi2, 0.0) / freedom
    scatter = PATIENCE * np.sqrt(2.0 / freedom)
    worse = np.sqrt(np.where((ratio > 1.0 + scatter) | (misfit > 1.0), np.maximum(ratio, 1.0), 1.0))
    # An error of more than the width of the spot is none: the pixels do not say where it is.
    lost = good & ~(np.maximum(sigma_x, sigma_y) * worse < width)
    sigma_x, sigma_y = (np.where(lost, np.nan, sigma) for sigma in (sigma_x, sigma_y))
    poor = ~good | lost | (ratio > POOR * misfit + scatter)
    return found.updated(
        x=np.where(good, x, found.x),
        y=np.where(good, y, found.y),
        sigma_x=np.where(good, sigma_x * worse, found.sigma_x),
        sigma_y=np.where(good, sigma_y * worse, found.sigma_y),
        mass=np.where(good, height * 2.0 * np.pi * width**2, found.mass),
        signal=np.where(good, height, found.signal),
        flags=found.flags | np.where(poor, FLAG_POOR_FIT, 0).astype(np.int32),
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
    tilt: np.ndarray,
    result: np.ndarray,
) -> None:
    lanes, count = table.shape[2], 2 * radius + 1
    pixels, used = np.zeros((count, lanes), np.float32), np.zeros((count, lanes), np.float32)
    along, down = np.zeros((2, lanes), np.float32), np.zeros((2, lanes), np.float32)
    shapes, solution = np.zeros((3, count, lanes), np.float32), np.zeros(7)
    flat = shapes.reshape((3, count * lanes))
    unit = 2.0 * math.pi * width * width
    height, breadth = picture.shape[0] - 2 * lanes, picture.shape[1] - 2 * lanes
    for index in range(len(x)):
        row, column = round(y[index]), round(x[index])
        if row < 0 or column < 0 or row >= height or column >= breadth:
            continue
        freedom = copy_window(picture, row + lanes - radius, column + lanes - radius, count, pixels, used) - 4
        level_window(pixels, used, tilt[index, 0], tilt[index, 1])
        off_x, off_y = x[index] - column, y[index] - row
        light, ground = 0.0, 0.0
        for step in range(STEPS):
            _profile(table, off_x, along)
            _profile(table, off_y, down)
            _outer(along, down, shapes)
            if step == 0:
                light, ground = _linear(pixels.ravel(), used.ravel(), flat[0])
            if not _score(pixels.ravel(), used.ravel(), flat, light, ground, offset, slope, least, solution):
                break
            light += solution[2]
            ground += solution[3]
            shorter = max(1.0, 2.0 * max(abs(solution[0]), abs(solution[1])) / width)
            off_x += solution[0] / shorter
            off_y += solution[1] / shorter
            if max(abs(off_x), abs(off_y)) > FARTHEST - 0.5 or not math.isfinite(light + ground):
                break
            if solution[0] ** 2 + solution[1] ** 2 < SETTLED**2 * (solution[4] + solution[5]):
                result[index, 0] = column + off_x
                result[index, 1] = row + off_y
                result[index, 2] = math.sqrt(solution[4])
                result[index, 3] = math.sqrt(solution[5])
                result[index, 4] = light / unit
                result[index, 5] = ground
                result[index, 6] = solution[6]
                result[index, 7] = freedom
                break


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _profile(table: np.ndarray, position: float, values: np.ndarray) -> None:
    nearest = round((position + FARTHEST) * PHASES_PER_PIXEL)
    rest = np.float32(position + FARTHEST - nearest / PHASES_PER_PIXEL)
    half, third = np.float32(0.5) * rest, rest / np.float32(3.0)
    near = table[nearest]
    for k in range(values.shape[1]):
        first, second, last = near[1, k], near[2, k], near[3, k]
        values[0, k] = near[0, k] + rest * (first + half * (second + third * last))
        values[1, k] = first + rest * (second + half * last)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _outer(along: np.ndarray, down: np.ndarray, shapes: np.ndarray) -> None:
    """Light of each pixel and its derivatives to x and y."""
    for i in range(shapes.shape[1]):
        _multiply(along[0], down[0, i], shapes[0, i])
        _multiply(along[1], down[0, i], shapes[1, i])
        _multiply(along[0], down[1, i], shapes[2, i])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _multiply(values: np.ndarray, factor: np.float32, product: np.ndarray) -> None:
    for j in range(len(product)):
        product[j] = values[j] * factor


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _linear(pixels: np.ndarray, used: np.ndarray, shape: np.ndarray) -> tuple[float, float]:
    """Light and background of a spot at a given place by unweighted least squares."""
    zero: Any = np.float32(0.0)
    n, total, square, data, product = zero, zero, zero, zero, zero
    for k in range(len(pixels)):
        value = used[k] * shape[k]
        n += used[k]
        total += value
        square += value * shape[k]
        data += pixels[k]
        product += pixels[k] * shape[k]
    determinant = float(n) * square - float(total) * total
    if determinant <= 0.0:
        return 1.0, 0.0
    light = (float(n) * product - float(total) * data) / determinant
    return light, (data - light * total) / n


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _score(
    pixels: np.ndarray,
    used: np.ndarray,
    shapes: np.ndarray,
    light: float,
    ground: float,
    offset: np.float32,
    slope: np.float32,
    least: np.float32,
    solution: np.ndarray,
) -> bool:
    """Take the step of Fisher scoring; False if the matrix is singular.

    ``solution`` becomes the steps in x, y, light and background, the variances of x and y, and chi^2.
    """
    zero: Any = np.float32(0.0)
    xx, xl, xy, xb, ll, yl, bl, yy, yb, bb = zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
    sx, sy, sl, sb, chi2 = zero, zero, zero, zero, zero
    bottom, amount = np.float32(ground), np.float32(light)
    shape, along, down = shapes[0], shapes[1], shapes[2]
    for k in range(len(pixels)):
        here, ahead, below = shape[k], along[k], down[k]
        expected = amount * here + bottom
        weight = used[k] / max(offset + slope * expected, least)
        difference = pixels[k] - expected
        residual = weight * difference
        to_x, to_y, to_l = weight * ahead, weight * below, weight * here
        xx += to_x * ahead
        xy += to_x * below
        xl += to_x * here
        xb += to_x
        yy += to_y * below
        yl += to_y * here
        yb += to_y
        ll += to_l * here
        bl += to_l
        bb += weight
        sx += residual * ahead
        sy += residual * below
        sl += residual * here
        sb += residual
        chi2 += residual * difference
    solution[6] = chi2
    position = (float(xx), float(xy), float(yy), float(sx), float(sy))
    rest = (float(ll), float(bl), float(bb), float(sl), float(sb))
    solved: bool = _step(position, rest, (float(xl), float(xb), float(yl), float(yb)), light, solution)
    return solved


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _step(
    position: tuple[float, float, float, float, float],
    rest: tuple[float, float, float, float, float],
    mixed: tuple[float, float, float, float],
    light: float,
    solution: np.ndarray,
) -> bool:
    """Solve by blocks for the position p and (light, background) q.

    What the pixels know about the position alone is M = F_pp - F_pq F_qq^-1 F_qp; its inverse is the covariance of x
    and y. Derivatives to x and y are given in units of the light.
    """
    xx, xy, yy, sx, sy = position
    ll, bl, bb, sl, sb = rest
    xl, xb, yl, yb = mixed
    inner = ll * bb - bl * bl
    if light == 0.0 or not inner > 1e-9 * ll * bb:
        return False
    px, qx = (xl * bb - xb * bl) / inner, (xb * ll - xl * bl) / inner
    py, qy = (yl * bb - yb * bl) / inner, (yb * ll - yl * bl) / inner
    mxx, mxy, myy = xx - px * xl - qx * xb, xy - px * yl - qx * yb, yy - py * yl - qy * yb
    outer = mxx * myy - mxy * mxy
    if not outer > 1e-9 * xx * yy:
        return False
    gx, gy = sx - px * sl - qx * sb, sy - py * sl - qy * sb
    step_x, step_y = (myy * gx - mxy * gy) / outer, (mxx * gy - mxy * gx) / outer
    left_l, left_b = sl - xl * step_x - yl * step_y, sb - xb * step_x - yb * step_y
    solution[0], solution[1] = step_x / light, step_y / light
    solution[2], solution[3] = (left_l * bb - left_b * bl) / inner, (left_b * ll - left_l * bl) / inner
    solution[4], solution[5] = myy / (outer * light * light), mxx / (outer * light * light)
    return True
