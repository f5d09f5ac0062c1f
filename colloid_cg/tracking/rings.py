"""Rings, discs with a rim, hollow and defocused particles: found by the symmetry of their edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from colloid_cg.errors import ConfigError
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.profile import estimate_profile, refine_profile
from colloid_cg.tracking.ring_choice import choose_ring
from colloid_cg.tracking.ring_search import INNER_SIDE, SEARCHED, strongest_edges

__all__ = ["choose_ring", "detect_rings", "estimate_profile", "refine_profile", "ring_model"]

WITH_MODEL = (0.85, 1.15)  # of the smallest and the largest class: radii looked for


def detect_rings(frame: np.ndarray, config: TrackConfig, model: ImageModel) -> Detections:
    """Return the round edges of one frame, with centres good to a fraction of a pixel to start a fit from.

    With the size classes of the movie in ``model`` only their radii and their edge count. Without, the edge that is
    looked for has a dark inside if ``config.invert``, a bright one if not; None decides for each frame by what is
    seen of either.

    Parameters
    ----------
    frame : array, shape (height, width)
        Any number type.
    config : TrackConfig
        ``diameter`` is that of the largest particles; smaller ones down to half of it are found as well.
    model : ImageModel

    Returns
    -------
    Detections
        x, y and ``size``, the radius of the edge (px); ``signal`` is the share of the edge that was seen, 0 to 1.
    """
    lowest, highest = searched_radii(config, model)
    noise = float(np.sqrt(model.variance(np.array(model.background))))
    found = strongest_edges(frame, noise, lowest=lowest, highest=highest, inside=inside_of_edge(config, model))
    return Detections.at(found.x, found.y, size=found.radius, signal=found.support)


def inside_of_edge(config: TrackConfig, model: ImageModel) -> float | None:
    """Return 1 where the edge to look for has a bright inside, -1 for a dark one, None if it is not known."""
    for item in sorted(model.classes, key=lambda item: -item.share):
        if item.profile is not None:
            radius, value = np.array(item.profile).T
            # Detection sees the profile blurred: its edge lies beside the rim, where the profile itself may be flat.
            blur = max(1.5, 0.1 * item.width) / (radius[1] - radius[0])
            seen = gaussian_filter1d(item.amplitude * value, blur, mode="nearest")
            slope = np.interp(item.width, radius, np.gradient(seen, radius))
            return -1.0 if slope > 0 else 1.0
    return None if config.invert is None else (-1.0 if config.invert else 1.0)


def searched_radii(config: TrackConfig, model: ImageModel) -> tuple[float, float]:
    """Return the smallest and the largest radius to look for (px).

    Raises
    ------
    ConfigError
        If neither the model nor the settings say how large the particles are.
    """
    widths = [item.width for item in model.classes if item.profile is not None]
    if widths:
        return WITH_MODEL[0] * min(widths), WITH_MODEL[1] * max(widths)
    if config.diameter is None:
        raise ConfigError(
            "no value for track.diameter and no profile of the particles",
            expected="the diameter of the largest rings in px",
            action="give track.diameter, or let suggest decide it",
        )
    largest = config.diameter / 2.0
    return max(2.0, SEARCHED[0] * largest - INNER_SIDE), SEARCHED[1] * largest


def ring_model(frames: Sequence[np.ndarray], config: TrackConfig, model: ImageModel) -> ImageModel:
    """Return the model with the size classes and profiles of the rings of some frames (detection, then fit, twice).

    Parameters
    ----------
    frames : sequence of arrays
    config : TrackConfig
    model : ImageModel
        Noise and background; classes it has are replaced.
    """
    known = replace(model, classes=())
    first = estimate_profile(frames, [detect_rings(frame, config, known) for frame in frames], config, known)
    return estimate_profile(frames, [detect_rings(frame, config, first) for frame in frames], config, first)
