"""Rings, discs with a rim, hollow and defocused particles: found by the symmetry of their edges."""

from __future__ import annotations

import numpy as np

from colloid_cg.errors import ConfigError
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.radial_symmetry import Rings, edge_map, find_rings

FINEST_RADIUS = 12.0  # px of the reduced picture: larger rings are looked for on a block-averaged one
WITHOUT_MODEL = (0.5, 1.15)  # of half the diameter: radii looked for until the size classes are known
WITH_MODEL = (0.85, 1.15)  # of the smallest and the largest class
LEAST_SUPPORT = 0.35  # mean saturated slope along an edge
RELATIVE_SUPPORT = 0.55  # of the well supported edges of the picture
CLEARLY_BETTER = 1.5  # of the support of all strong edges
OVERLAP = 0.7  # least distance of two centres in units of the sum of their radii


def detect_rings(frame: np.ndarray, config: TrackConfig, model: ImageModel) -> Detections:
    """Return the round edges of one frame, with centres good to a fraction of a pixel to start a fit from.

    The edge that is looked for is the one that separates a dark inside from a brighter rim, or the reverse,
    whichever is found on more of the picture: ``config.invert`` is not needed. With the size classes of the movie
    in ``model`` only their radii and their edge count.

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
    found = strongest_edges(frame, noise, lowest=lowest, highest=highest, inside=inside_of_edge(model))
    return Detections.at(found.x, found.y, size=found.radius, signal=found.support)


def inside_of_edge(model: ImageModel) -> float | None:
    """Return 1 where the edges of the classes have a bright inside, -1 for a dark one, None without profiles."""
    for item in model.classes:
        if item.profile is not None:
            radius, value = np.array(item.profile).T
            slope = np.interp(item.width, radius, np.gradient(item.amplitude * value, radius))
            return -1.0 if slope > 0 else 1.0
    return None


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
    return WITHOUT_MODEL[0] * config.diameter / 2.0, WITHOUT_MODEL[1] * config.diameter / 2.0


def strongest_edges(
    frame: np.ndarray, noise: float, *, lowest: float, highest: float, inside: float | None = None
) -> Rings:
    """Return the rings of one polarity: inside dark (-1) or bright (1); if None, whichever explains more."""
    block = max(1, round(highest / FINEST_RADIUS))
    radii = np.arange(lowest / block, highest / block + 0.999) * block
    picture = np.asarray(frame, dtype=np.float32)
    sides = []
    for sign in (-1.0, 1.0) if inside is None else (inside,):
        edges = edge_map(picture * np.float32(sign), noise, block=block)
        found = find_rings(edges, radii, minimum_support=LEAST_SUPPORT, overlap=OVERLAP)
        sides.append(found.select((found.radius > 0.92 * lowest) & (found.radius < 1.08 * highest)))
    chosen = sides[0] if len(sides) == 1 else better_side(*sides)
    if not len(chosen):
        return chosen
    usual = float(np.quantile(chosen.support, 0.9))
    return chosen.select(chosen.support >= RELATIVE_SUPPORT * usual)


def better_side(one: Rings, other: Rings) -> Rings:
    """Return the edges that are seen best; of the two sides of a rim, about equal, the inner.

    The inner side of a rim is seen all around where particles touch, the outer one is not.
    """
    first, second = (_seen(found) for found in (one, other))
    if max(first, second) > CLEARLY_BETTER * min(first, second):
        return one if first > second else other
    return min(one, other, key=lambda found: float(np.median(_strong(found).radius)))


def _strong(found: Rings) -> Rings:
    usual = float(np.quantile(found.support, 0.9)) if len(found) else 0.0
    return found.select(found.support >= 0.75 * usual)


def _seen(found: Rings) -> float:
    return float(np.sum(_strong(found).support ** 2))
