"""The best any localisation can do with a given camera: the Cramer-Rao bound of an isolated spot."""

from __future__ import annotations

import math

import numpy as np

from colloid_cg.twin.camera import SPOT_RADIUS, pixel_profile, pixel_variance
from colloid_cg.twin.settings import CameraConfig


def spot_model(parameters: np.ndarray, *, sigma: float, grid: np.ndarray, sign: float) -> np.ndarray:
    """Return the expected counts of one spot; ``parameters`` are x, y (px), amplitude and background (counts)."""
    x, y, amplitude, background = parameters
    along_x = pixel_profile(grid - x, sigma=np.asarray(sigma))
    along_y = pixel_profile(grid - y, sigma=np.asarray(sigma))
    return np.asarray(background + sign * amplitude * along_y[:, None] * along_x[None, :])


def fisher_information(x: float, y: float, *, camera: CameraConfig, sigma: float, amplitude: float) -> np.ndarray:
    """Return the Fisher matrix of (x, y, amplitude, background) of an isolated spot of known width, shape (4, 4).

    I_ab = sum_pixels (dmu/da)(dmu/db) / v with v the variance of the pixel: exact for Gaussian noise of known variance,
    and the usual approximation for shot plus read noise (DOI 10.1038/nmeth.2488).
    """
    half = math.ceil(SPOT_RADIUS * sigma + 0.5)
    grid = np.arange(-half, half + 1, dtype=float)
    sign = -1.0 if camera.dark_particles else 1.0
    point = np.array([x, y, amplitude, camera.background])
    steps = np.array([1e-4, 1e-4, 1e-4 * amplitude, 1e-4 * max(camera.background, 1.0)])
    slopes = []
    for step in np.diag(steps):
        above = spot_model(point + step, sigma=sigma, grid=grid, sign=sign)
        below = spot_model(point - step, sigma=sigma, grid=grid, sign=sign)
        slopes.append((above - below).ravel() / (2.0 * step.sum()))
    jacobian = np.stack(slopes)
    mean = np.clip(spot_model(point, sigma=sigma, grid=grid, sign=sign), 0.0, None)
    return np.asarray((jacobian / pixel_variance(mean.ravel(), camera)) @ jacobian.T)


def localisation_bound(camera: CameraConfig, *, sigma: float, amplitude: float, motion_variance: float = 0.0) -> float:
    """Return the standard localisation error along one axis in px that no unbiased method can beat.

    The mean over sub-pixel positions of the bound with amplitude and background unknown, at the illumination of
    the middle of the view.

    Parameters
    ----------
    camera : CameraConfig
    sigma, amplitude : float
        Of the resting spot, px and counts.
    motion_variance : float
        Variance (px^2) of the particle about its mean during the exposure, D t_exp/3 for free diffusion: widens
        the spot at the same flux.
    """
    width = math.sqrt(sigma**2 + motion_variance)
    height = amplitude * sigma**2 / width**2
    variances = []
    for x in (0.0, 0.25, 0.5):
        for y in (0.0, 0.25, 0.5):
            information = fisher_information(x, y, camera=camera, sigma=width, amplitude=height)
            variances.append(np.linalg.inv(information)[0, 0])
    return math.sqrt(float(np.mean(variances)))
