"""A frame made ready: particles bright, bad pixels out of the way, noise in the same terms."""

from __future__ import annotations

import numpy as np

from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.filters import centred, without_pixels
from colloid_cg.tracking.image_model import ImageModel


def filter_picture(
    frame: np.ndarray, config: TrackConfig, model: ImageModel, *, margin: int = 0, reuse: bool = False
) -> np.ndarray:
    """Return the frame about its background in float32, particles bright, hot pixels replaced by their neighbours.

    With ``reuse`` it may be overwritten when this thread takes the next one.
    """
    if model.hot_pixels:
        frame = without_pixels(frame, model.hot_pixels)
    return centred(frame, level=model.background, invert=bool(config.invert), margin=margin, reuse=reuse)


def fit_picture(frame: np.ndarray, config: TrackConfig, model: ImageModel, *, margin: int = 0) -> np.ndarray:
    """Return the frame about its background in float32, particles bright, pixels without information NaN.

    Those are hot and saturated ones, and the margin on each side.
    """
    picture = centred(frame, level=model.background, invert=bool(config.invert), margin=margin)
    return without_information(picture, frame, model, margin=margin)


def without_information(picture: np.ndarray, frame: np.ndarray, model: ImageModel, *, margin: int) -> np.ndarray:
    """Set to NaN, in place, the margin and the hot and saturated pixels of a centred picture."""
    height, width = frame.shape
    picture[:margin], picture[margin + height :] = np.nan, np.nan
    picture[:, :margin], picture[:, margin + width :] = np.nan, np.nan
    if np.isfinite(model.saturation):
        picture[margin : margin + height, margin : margin + width][frame >= model.saturation] = np.nan
    for row, column in model.hot_pixels:
        picture[margin + row, margin + column] = np.nan
    return picture


def picture_noise(config: TrackConfig, model: ImageModel) -> tuple[float, float, float]:
    """Return offset, slope and least value of the variance of a pixel against the level in these pictures."""
    sign = -1.0 if config.invert else 1.0
    level = model.noise_offset + model.noise_slope * model.background
    return level, sign * model.noise_slope, max(1e-3 * level, 1e-12)
