"""From positions to grey levels: spots integrated over pixels, exposure blur, shot noise, read noise, saturation."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erf

from colloid_cg.shapes import Image, Scalars
from colloid_cg.twin.settings import CameraConfig

SPOT_RADIUS = 5.0
"""Spots are drawn out to this many psf_sigma; 6e-7 of the flux lies beyond."""


def pixel_profile(offset: np.ndarray, *, sigma: np.ndarray) -> np.ndarray:
    """Return the integral of exp(-u^2/(2 sigma^2)) over pixels of width 1 centred ``offset`` px from the spot.

    sqrt(pi/2) sigma [erf((u + 1/2)/(sqrt2 sigma)) - erf((u - 1/2)/(sqrt2 sigma))]; the spot is the product of
    two such profiles (DOI 10.1038/nmeth.1449).
    """
    scale = 1.0 / (math.sqrt(2.0) * sigma)
    return np.asarray(math.sqrt(math.pi / 2.0) * sigma * (erf((offset + 0.5) * scale) - erf((offset - 0.5) * scale)))


def spot_image(positions: np.ndarray, *, sigma: Scalars, amplitude: Scalars, height: int, width: int) -> Image:
    """Return the sum of all spots, averaged over the parts of an exposure.

    Parameters
    ----------
    positions : array, shape (parts, n, 2)
        x, y in px; pixel centres at integers.
    sigma, amplitude : arrays, shape (n,)
        px, counts.
    """
    if not positions.size:
        return np.zeros((height, width))
    centre = np.round(positions.mean(axis=0))
    spread = float(np.abs(positions - centre).max())
    half = math.ceil(SPOT_RADIUS * float(sigma.max()) + spread)
    grid = np.arange(-half, half + 1)
    offset = centre[None, :, :, None] + grid - positions[..., None]
    profile = pixel_profile(offset, sigma=sigma[None, :, None, None])
    # (n, rows, parts) @ (n, parts, columns): the average over parts of the products of both profiles
    patch = profile[:, :, 1].transpose(1, 2, 0) @ profile[:, :, 0].transpose(1, 0, 2)
    patch *= (amplitude / len(positions))[:, None, None]
    rows = (centre[:, 1, None] + grid).astype(np.int64)[:, :, None]
    columns = (centre[:, 0, None] + grid).astype(np.int64)[:, None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    place = (rows * width + columns)[inside]
    return np.bincount(place, weights=patch[inside], minlength=height * width).reshape(height, width)


def illumination(camera: CameraConfig, *, height: int, width: int) -> Image:
    """Return the relative brightness of each pixel, 1 in the middle, linear along both axes."""
    along_x = camera.illumination_gradient[0] * (np.arange(width) / max(width - 1, 1) - 0.5)
    along_y = camera.illumination_gradient[1] * (np.arange(height) / max(height - 1, 1) - 0.5)
    return np.asarray(1.0 + along_x[None, :] + along_y[:, None])


def mean_image(spots: Image, camera: CameraConfig) -> Image:
    """Return the expected counts: illumination times background plus (or, dark particles, minus) the spots."""
    signed = -spots if camera.dark_particles else spots
    bright = np.clip(camera.background + signed, 0.0, None)
    return np.asarray(bright * illumination(camera, height=spots.shape[0], width=spots.shape[1]))


def expose(mean: Image, camera: CameraConfig, *, rng: np.random.Generator) -> np.ndarray:
    """Return a recorded frame: gain * Poisson(mean/gain) + read noise, rounded and clipped to the bit depth."""
    counts = camera.gain * rng.poisson(mean / camera.gain) + camera.read_noise * rng.standard_normal(mean.shape)
    return np.clip(np.rint(counts), 0, 2**camera.bit_depth - 1).astype(pixel_type(camera))


def pixel_type(camera: CameraConfig) -> np.dtype:
    """Return the type the pixels are stored in."""
    return np.dtype(np.uint8 if camera.bit_depth == 8 else np.uint16)


def pixel_variance(mean: np.ndarray, camera: CameraConfig) -> np.ndarray:
    """Return the variance of pixels of expected value ``mean``, counts^2: gain * mean + read_noise^2 + 1/12.

    The last term is the rounding to whole counts.
    """
    return np.asarray(camera.gain * np.asarray(mean) + camera.read_noise**2 + 1.0 / 12.0)
