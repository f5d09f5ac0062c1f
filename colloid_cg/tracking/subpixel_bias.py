"""What the method itself does to a position inside its pixel, measured on spots painted as the movie shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.native_engine import locate_frame
from colloid_cg.tracking.spot_profile import pixel_light

SPACING = 4  # diameters between the painted spots: no neighbour matters
MOST_PIXELS = 1_500_000  # of one painted picture
BUDGET = 3_000_000  # px painted for one movie: about a second, whatever the diameter
FEWEST, MOST = 100, 1500  # spots


def bias_of_movie(config: TrackConfig, model: ImageModel | None, rng: np.random.Generator) -> dict[str, Any] | None:
    """Return :func:`measured_bias` within a second or so, None where particles are no spots of known width.

    Parameters
    ----------
    config : TrackConfig
        Complete settings.
    model : ImageModel or None
    rng : numpy.random.Generator
    """
    if config.engine != "native" or config.shape == "ring" or model is None:
        return None
    if not model.classes or not all(np.isfinite([item.width, item.amplitude]).all() for item in model.classes):
        return None
    spots = int(np.clip(BUDGET // (SPACING * (config.diameter or 3)) ** 2, FEWEST, MOST))
    found = measured_bias(config, model, rng, spots=spots)
    return found if found["found"] > 0.0 else None


def measured_bias(
    config: TrackConfig, model: ImageModel, rng: np.random.Generator, *, phases: int = 10, spots: int = 4000
) -> dict[str, Any]:
    """Locate spots of known position, painted with width, height and noise of the movie.

    Parameters
    ----------
    config : TrackConfig
        Complete settings.
    model : ImageModel
        With at least one class; the most frequent one is painted.
    rng : numpy.random.Generator
    phases : int
        Bins of the sub-pixel position.
    spots : int
        Number of spots.

    Returns
    -------
    dict, JSON-able
        ``phase`` (middle of the bins, px from the centre of the pixel), ``bias_x``, ``bias_y`` (mean error in each
        bin, px), ``standard_error`` (of these means), ``largest`` (rms over the bins, what chance gives taken off),
        ``rms_error``, ``stated_error`` (rms of the errors and of what the method states, px), ``found`` (share).
    """
    # hot pixels are places of the camera, which the painted pictures do not have
    truth, found = _painted_and_found(config, replace(model, hot_pixels=()), rng, spots)
    error = np.stack([found.x, found.y], axis=1) - truth
    place = np.floor((truth - np.round(truth) + 0.5) * phases).astype(int).clip(0, phases - 1)
    seen = np.isfinite(error).all(axis=1)
    count = np.stack([np.bincount(place[seen, axis], minlength=phases) for axis in (0, 1)])
    total = np.stack([np.bincount(place[seen, a], weights=error[seen, a], minlength=phases) for a in (0, 1)])
    bias = total / np.maximum(count, 1)
    rms = float(np.sqrt(np.mean(error[seen] ** 2))) if seen.any() else float("nan")
    chance = rms / np.sqrt(max(count.mean(), 1.0))
    stated = np.stack([found.sigma_x, found.sigma_y], axis=1)[seen]
    known = stated[np.isfinite(stated)]
    return {
        "phase": ((np.arange(phases) + 0.5) / phases - 0.5).tolist(),
        "bias_x": bias[0].tolist(),
        "bias_y": bias[1].tolist(),
        "standard_error": float(chance),
        "largest": float(np.sqrt(max(np.mean(bias**2) - chance**2, 0.0))),
        "rms_error": rms,
        "stated_error": float(np.sqrt(np.mean(known**2))) if len(known) else None,
        "found": float(seen.mean()),
    }


def _painted_and_found(
    config: TrackConfig, model: ImageModel, rng: np.random.Generator, spots: int
) -> tuple[np.ndarray, Detections]:
    """Positions painted, shape (n, 2), and what was found there: NaN where nothing was."""
    step = SPACING * (config.diameter or 3)
    side = max(1, min(int(np.ceil(np.sqrt(spots))), int(np.sqrt(MOST_PIXELS)) // step))
    truths, parts = [], []
    for _ in range(-(-spots // side**2)):
        places = (np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2) + 0.5) * step
        truth = np.round(places) + rng.uniform(-0.5, 0.5, places.shape)
        found = locate_frame(_painted(truth, side * step, model, rng), config, model)
        truths.append(truth)
        parts.append(_matched(truth, found))
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Detections.__dataclass_fields__}
    return np.concatenate(truths), Detections(**joined)


def _painted(truth: np.ndarray, edge: int, model: ImageModel, rng: np.random.Generator) -> np.ndarray:
    spot = max(model.classes, key=lambda item: item.share)
    picture = np.full((edge, edge), model.background)
    reach = int(np.ceil(5.0 * spot.width)) + 1
    for x, y in truth:
        rows = np.arange(max(int(y) - reach, 0), min(int(y) + reach + 2, edge))
        columns = np.arange(max(int(x) - reach, 0), min(int(x) + reach + 2, edge))
        light = np.outer(pixel_light(rows - y, spot.width), pixel_light(columns - x, spot.width))
        picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += (
            spot.amplitude * 2.0 * np.pi * spot.width**2 * light
        )
    return np.asarray(picture + rng.normal(size=picture.shape) * np.sqrt(model.variance(picture)))


def _matched(truth: np.ndarray, found: Detections) -> Detections:
    if not len(found):
        return Detections.at(np.full(len(truth), np.nan), np.full(len(truth), np.nan))
    distance, nearest = KDTree(np.column_stack([found.x, found.y])).query(truth)
    chosen = found.select(nearest)
    far = distance > 2.0
    return chosen.updated(x=np.where(far, np.nan, chosen.x), y=np.where(far, np.nan, chosen.y))
