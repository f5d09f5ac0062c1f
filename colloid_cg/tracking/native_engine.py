"""Locating the particles of one frame with this package's own filters and fits."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np

from colloid_cg.errors import ConfigError
from colloid_cg.records import FLAG_EDGE
from colloid_cg.tracking.centroid import centroid_errors, centroids, noise_ratios
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections, no_detections
from colloid_cg.tracking.filters import bandpass, noise_gain
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.likelihood import refine_likelihood
from colloid_cg.tracking.maxima import find_maxima, highest_within
from colloid_cg.tracking.prepared import filter_picture, picture_noise

PEAK_WIDTHS = 4.0
"""Standard deviations of the filtered noise that a maximum must exceed."""


def locate_frame(frame: np.ndarray, config: TrackConfig, model: ImageModel) -> Detections:
    """Return the particles of one frame, by the finder of ``config.shape`` and the refinement of ``config.refine``.

    Where these are ``None``: spots, each fitted alone.
    """
    if np.ptp(frame) == 0:
        return no_detections()
    if config.shape == "ring":
        found = _part("rings", "detect_rings")(frame, config, model)
        return found if config.refine == "centroid" else _part("rings", "refine_profile")(frame, found, config, model)
    found = detect(frame, config, model)
    if config.refine == "centroid":
        return found
    if config.refine == "joint":
        return _part("joint", "refine_joint")(frame, found, config, model)
    return refine_likelihood(frame, found, config, model)


def _part(module: str, name: str) -> Callable[..., Detections]:
    try:
        return getattr(importlib.import_module(f"colloid_cg.tracking.{module}"), name)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        setting, value = ("shape", "ring") if module == "rings" else ("refine", "joint")
        raise ConfigError(
            f"track.{setting} = '{value}'",
            expected="a method that this version has",
            action=f"set track.{setting} = '{'spot' if module == 'rings' else 'likelihood'}'",
        ) from error


def detect(frame: np.ndarray, config: TrackConfig, model: ImageModel) -> Detections:
    """Find the spots of one frame: band-pass, local maxima, centroid and its error.

    Parameters
    ----------
    frame : array, shape (height, width)
        Of any pixel type.
    config : TrackConfig
        Diameter, polarity, threshold, separation and minmass known.
    model : ImageModel
        Background, noise and hot pixels.
    """
    diameter = config.diameter or 3
    picture = filter_picture(frame, config, model)
    filtered = picture
    smoothing = config.smoothing or diameter
    if config.preprocess:
        filtered = bandpass(picture, noise_size=config.noise_size, smoothing=smoothing)
    separation = config.separation or diameter + 1.0
    threshold = config.threshold or 0.0
    maxima = find_maxima(filtered, threshold=threshold, separation=separation)
    values = centroids(filtered, maxima, radius=diameter // 2, floor=0.0)
    values = values[values[:, 2] >= max(config.minmass or 0.0, 1e-30)]
    # Two maxima whose neighbourhoods ended on the same particle are one.
    values = values[highest_within(values[:, 1::-1].copy(), values[:, 2], 0.5 * separation)]
    ratios = noise_ratios(diameter // 2, config.noise_size, smoothing)
    noise = picture_noise(config, model)
    error = centroid_errors(picture, filtered, values, radius=diameter // 2, ratios=ratios, noise=noise)
    x, y, mass, size, ecc, signal = values.T
    known = {"mass": mass, "size": size, "ecc": ecc, "signal": signal}
    flags = edge_flags(x, y, frame.shape, diameter)
    error[flags != 0] = np.nan
    return Detections.at(x, y, **known, sigma_x=error[:, 0], sigma_y=error[:, 1], flags=flags)


def edge_flags(x: np.ndarray, y: np.ndarray, shape: tuple[int, ...], diameter: int) -> np.ndarray:
    """Return ``FLAG_EDGE`` for each particle closer to the edge of the frame than its radius, int32."""
    height, width = shape
    edge = np.minimum.reduce([x + 0.5, y + 0.5, width - 0.5 - x, height - 0.5 - y])
    return np.where(edge < diameter / 2, FLAG_EDGE, 0).astype(np.int32)


def threshold_for(config: TrackConfig, model: ImageModel) -> float:
    """Return the height a maximum of the filtered picture must exceed so that noise alone hardly reaches it."""
    smoothing = config.smoothing or config.diameter or 3
    gain = noise_gain(noise_size=config.noise_size, smoothing=smoothing) if config.preprocess else 1.0
    return PEAK_WIDTHS * gain * float(np.sqrt(model.variance(np.array(model.background))))
