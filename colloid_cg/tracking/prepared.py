"""A frame made ready: particles bright, bad pixels out of the way, noise in the same terms."""

from __future__ import annotations

import numpy as np

from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.filters import centred, without_pixels
from colloid_cg.tracking.image_model import ImageModel


def filter_picture(frame: np.ndarray, config: TrackConfig, model: ImageModel) -> np.ndarray:
    """Return the frame about its background in float32, particles bright, hot pixels replaced by their neighbours."""
    picture = centred(frame, level=model.background, invert=bool(config.invert))
    return without_pixels(picture, model.hot_pixels) if model.hot_pixels else picture


def fit_picture(frame: np.ndarray, config: TrackConfig, model: ImageModel) -> np.ndarray:
    """Return the frame about its background in float32, particles bright, pixels without information NaN.

    Those are hot and saturated ones.
    """
    picture = centred(frame, level=model.background, invert=bool(config.invert))
    if np.isfinite(model.saturation):
        picture[frame >= model.saturation] = np.nan
    for row, column in model.hot_pixels:
        picture[row, column] = np.nan
    return picture


def picture_noise(config: TrackConfig, model: ImageModel) -> tuple[float, float, float]:
    """Return offset, slope and least value of the variance of a pixel against the level in these pictures."""
    sign = -1.0 if config.invert else 1.0
    level = model.noise_offset + model.noise_slope * model.background
    return level, sign * model.noise_slope, max(1e-3 * level, 1e-12)
