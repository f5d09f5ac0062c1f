"""Locating the particles of one frame with this package's own filters and fits."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np

from colloid_cg.errors import ConfigError
from colloid_cg.records import FLAG_EDGE
from colloid_cg.tracking.centroid import centroid_errors, centroids, needed_margin, noise_ratios
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections, no_detections
from colloid_cg.tracking.filters import bandpass_inside, noise_gain, reach
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.likelihood import refine_in
from colloid_cg.tracking.maxima import find_maxima, highest_within
from colloid_cg.tracking.prepared import filter_picture, picture_noise, without_information

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
    found, picture = _detect(frame, config, model)
    if config.refine == "centroid":
        return found
    if config.refine == "joint":
        return _part("joint", "refine_joint")(frame, found, config, model)
    margin = (picture.shape[0] - frame.shape[0]) // 2
    surplus = margin - needed_margin((config.diameter or 3) // 2)
    picture = without_information(picture, frame, model, margin=margin)
    inner = picture[surplus : len(picture) - surplus, surplus : picture.shape[1] - surplus]
    return refine_in(np.ascontiguousarray(inner), found, config, model)


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
    return _detect(frame, config, model)[0]


def _detect(frame: np.ndarray, config: TrackConfig, model: ImageModel) -> tuple[Detections, np.ndarray]:
    diameter = config.diameter or 3
    radius, smoothing = diameter // 2, config.smoothing or diameter
    margin = max(needed_margin(radius), smoothing, reach(config.noise_size, smoothing))
    picture = filter_picture(frame, config, model, margin=margin, reuse=True)
    separation = config.separation or diameter + 1.0
    filtered = _filtered(picture, config, smoothing=smoothing, margin=margin)
    maxima = find_maxima(filtered, threshold=config.threshold or 0.0, separation=separation)
    values, sums = centroids(filtered, picture, maxima, radius=radius, margin=margin)
    kept = values[:, 2] >= max(config.minmass or 0.0, 1e-30)
    # Two maxima whose neighbourhoods ended on the same particle are one.
    kept[kept] = highest_within(values[kept, 1::-1], values[kept, 2], 0.5 * separation, diameter)
    values, sums = values[kept], sums[kept]
    ratios = noise_ratios(radius, config.noise_size, smoothing)
    error = centroid_errors(values, sums, ratios=ratios, noise=picture_noise(config, model))
    x, y, mass, size, ecc, signal = values.T
    known = {"mass": mass, "size": size, "ecc": ecc, "signal": signal}
    flags = edge_flags(x, y, frame.shape, diameter)
    error[flags != 0] = np.nan
    found = Detections.at(x, y, **known, sigma_x=error[:, 0], sigma_y=error[:, 1], flags=flags)
    return found, picture


def _filtered(picture: np.ndarray, config: TrackConfig, *, smoothing: int, margin: int) -> np.ndarray:
    if config.preprocess:
        return bandpass_inside(picture, noise_size=config.noise_size, smoothing=smoothing, margin=margin)
    filtered = np.zeros_like(picture)
    inside = (slice(margin, -margin), slice(margin, -margin))
    filtered[inside] = picture[inside]
    return filtered


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
