"""The second look as a pass of tracking: pixels are fitted again where the tracks say a particle is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from colloid_cg.records import FLAG_POOR_FIT, FrameStack
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.finishing import Parts, Survey
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.joint import refine_joint
from colloid_cg.tracking.likelihood import refine_likelihood
from colloid_cg.tracking.linking import gaps_by_part, measured_step_variance, refind
from colloid_cg.tracking.linking.refinding import FARTHEST, LocateNear
from colloid_cg.tracking.native_engine import detect, threshold_for
from colloid_cg.tracking.profile import refine_profile

NEEDED = ("frame", "x", "y", "mass", "size", "link_confidence")
"""Columns that listing the gaps looks at."""

PRESENT = ("frame", "x", "y", "size")
"""Columns of the detections that a second look at their frames takes into account."""


def missing_by_part(parts: Parts, tracks: Survey, config: TrackConfig) -> Iterator[pd.DataFrame]:
    """Yield where particles are missing within tracks, one table for each part.

    Two passes over the linked parts: how far particles stray, then the gaps, of which those of the last few parts
    are held.

    Parameters
    ----------
    parts : callable
        Linked detections part by part.
    tracks : Survey
        Of the same parts: tracks joined across gaps count as one.
    config : TrackConfig
        ``memory`` or ``close_gaps``, whichever is longer, is the longest gap.
    """
    variance = measured_step_variance(_tracks(parts, tracks))
    return gaps_by_part(_tracks(parts, tracks), longest=longest_gap(config), step_variance=variance)


def longest_gap(config: TrackConfig) -> int:
    """Return for how many frames a particle may be missing within a track."""
    return max(config.memory, config.close_gaps)


def _tracks(parts: Parts, tracks: Survey) -> Iterator[pd.DataFrame]:
    for part in parts(NEEDED):
        linked = part["particle"].to_numpy()
        confidence = tracks.confidence(part)
        yield part.assign(particle=tracks.joined[linked], **({} if confidence is None else confidence))


def look_again(
    missing: pd.DataFrame,
    present: pd.DataFrame,
    stack: FrameStack,
    config: TrackConfig,
    *,
    model: ImageModel,
    tracks: Survey,
) -> pd.DataFrame:
    """Return the detections that a second look finds, as linked detections to be added by :func:`with_refound`.

    Parameters
    ----------
    missing : pandas.DataFrame
        From :func:`missing_by_part`, or any part of it.
    present : pandas.DataFrame
        All detections of those frames, at least their columns ``PRESENT``.
    stack : FrameStack
        Frames in which nobody is missing are not read.
    config : TrackConfig
    model : ImageModel
        The one the movie was located with.
    tracks : Survey
    """
    width = _width(config, model)
    near = locator(config, model)
    found = refind(stack.__getitem__, missing, present=present, locate_near=near, config=config, width=width)
    # the first id of a track has no join before it that a row without confidence could pass for
    first = np.unique(tracks.joined, return_index=True)[1]
    return found.assign(particle=first[found["particle"].to_numpy()])


def locator(config: TrackConfig, model: ImageModel) -> LocateNear:
    """Return what fits near given places as the movie was located, by shape and refinement of the settings."""
    if config.shape == "ring":
        # the limit on the mass is that of a first look, at any place; the track knows the mass it has to have
        limitless = config.model_copy(update={"minmass": None})

        def rings(picture: np.ndarray, start: Detections) -> Detections:
            return refine_profile(picture, start, limitless, model)

        return _together(rings)
    if config.refine == "joint":
        return _together(lambda picture, start: refine_joint(picture, start, config, model))

    def near(picture: np.ndarray, places: Detections, known: Detections) -> Detections:
        start, seen = _maxima_near(picture, places, known, config, model)
        if config.refine == "centroid" or not model.classes:
            return start.updated(flags=start.flags | np.where(seen, 0, FLAG_POOR_FIT).astype(np.int32))
        return refine_likelihood(picture, start, config, model)

    return near


def _maxima_near(
    picture: np.ndarray, places: Detections, known: Detections, config: TrackConfig, model: ImageModel
) -> tuple[Detections, np.ndarray]:
    """Return the maximum of the filtered picture nearest to each place, and where there is one the track may lead to.

    Maxima count that noise alone hardly reaches, of any mass and at any distance from each other, unless they are of
    a known particle. A place without one is returned as it is: a fit may still find a particle between neighbours.
    """
    least = threshold_for(config, model)
    close = 0.5 * (config.diameter or 3)
    loose = {"minmass": 0.0, "threshold": min(config.threshold or least, least), "separation": close}
    maxima = detect(picture, config.model_copy(update=loose), model)
    maxima = maxima.select(_distance(maxima, known)[0] > close)
    distance, index = _distance(places, maxima)
    with np.errstate(invalid="ignore"):
        seen = distance**2 < FARTHEST * (places.sigma_x**2 + 0.25 * close**2)
    nothing = np.full(len(places), np.nan)
    start = places.updated(sigma_x=nothing, sigma_y=nothing)
    if not len(maxima):
        return start, seen
    chosen = maxima.select(np.where(seen, index, 0))
    fields = {name: np.where(seen, getattr(chosen, name), getattr(start, name)) for name in start.__dict__}
    return Detections(**fields), seen


def _together(refine: Callable[[np.ndarray, Detections], Detections]) -> LocateNear:
    """Return what fits the missing particles together with those known, and gives the missing ones.

    Such fits drop and add particles: a place has the fit that is nearest to it. :func:`refind` refuses it where it
    is too far away, or that of a known particle or of another place.
    """

    def near(picture: np.ndarray, places: Detections, known: Detections) -> Detections:
        start = Detections.at(
            np.concatenate([known.x, places.x]),
            np.concatenate([known.y, places.y]),
            size=np.concatenate([known.size, places.size]),
        )
        fitted = refine(picture, start)
        if not len(fitted):
            return Detections.at(places.x, places.y, flags=np.full(len(places), FLAG_POOR_FIT, dtype=np.int32))
        return fitted.select(_distance(places, fitted)[1])

    return near


def _distance(points: Detections, others: Detections) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the nearest of the others, infinite without any, and its index, each of shape (n,)."""
    if not len(others):
        return np.full(len(points), np.inf), np.zeros(len(points), dtype=np.int64)
    distance, index = cKDTree(np.column_stack([others.x, others.y])).query(np.column_stack([points.x, points.y]))
    return np.asarray(distance), np.asarray(index, dtype=np.int64)


def _width(config: TrackConfig, model: ImageModel) -> float | None:
    """Width of the spots where it is not what the fit gives as size."""
    together = config.shape == "ring" or config.refine in ("joint", "centroid")
    return None if together or not model.classes else model.classes[0].width


def with_refound(part: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return linked detections with those of the second look in their frames, after the others."""
    if found.empty:
        return part
    both = pd.concat([part, found.reindex(columns=part.columns)], ignore_index=True)
    return both.sort_values("frame", kind="stable").reset_index(drop=True)


def surveyed_again(tracks: Survey, found: Iterable[pd.DataFrame]) -> Survey:
    """Return the survey with the detections of the second look (column particle) in the lengths of their tracks."""
    length = tracks.length.copy()
    for part in found:
        length += np.bincount(tracks.joined[part["particle"].to_numpy()], minlength=len(length))
    return replace(tracks, length=length)
