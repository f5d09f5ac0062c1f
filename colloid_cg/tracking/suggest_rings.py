"""Suggest the settings of a movie of rings: sizes and profile from the edges seen in a few frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.tracking.choices import Choice, choose_search_range
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.rings import choose_ring, detect_rings, refine_profile, ring_model
from colloid_cg.tracking.sampling import Sample

PROFILE_FRAMES = 3
PAIRS = 3
NOT_USED = "not used for rings"


def choose_shape(choices: dict[str, Choice], sample: Sample) -> None:
    """Decide between spots and rings; rings come with their diameter and the side of the rim that is dark."""
    if "shape" not in choices:
        choices["shape"] = choose_ring([sample.pictures[start] for start in sample.starts], sample.noise)
    shape = choices["shape"]
    if shape.value != "ring" or not {"diameter", "invert"} - choices.keys():
        return
    evidence = shape.evidence
    if "diameter_px" not in evidence:
        evidence = choose_ring([sample.pictures[start] for start in sample.starts], sample.noise).evidence
    if "diameter_px" not in evidence:
        raise DataError(
            f"no rings that stand out in {sample.source or 'the movie'}",
            expected="round edges, as track.shape = 'ring' asks for",
            action="give track.diameter and track.invert, or set track.shape = 'spot'",
        )
    reason = f"the largest round edges; radii of {', '.join(f'{radius:g}' for radius in evidence['radii_px'])} px"
    choices.setdefault("diameter", Choice(value=int(evidence["diameter_px"]), reason=reason))
    side = "dark" if evidence["invert"] else "bright"
    choices.setdefault(
        "invert", Choice(value=bool(evidence["invert"]), reason=f"the strongest edges have a {side} inside")
    )


def suggest_for_rings(choices: dict[str, Choice], sample: Sample, *, settings: Callable[[], TrackConfig]) -> ImageModel:
    """Complete the choices for a movie of rings and return its image model with the profiles.

    Parameters
    ----------
    choices : dict
        With shape, diameter and invert; the others are added.
    sample : Sample
    settings : callable
        Returns the settings with the choices made so far.

    Raises
    ------
    DataError
        If too few rings are found.
    """
    for name, value in (("separation", float(settings().diameter or 3)), ("threshold", 0.0), ("minmass", 0.0)):
        choices.setdefault(name, Choice(value=value, reason=NOT_USED))
    model = sample.model or ImageModel(noise_offset=sample.noise**2, noise_slope=0.0, background=0.0)
    frames = [sample.pictures[start] for start in _spread(sample.starts, PROFILE_FRAMES)]
    model = ring_model(frames, settings(), model)
    sizes = ", ".join(f"{item.width:.1f}" for item in model.classes)
    choices.setdefault("refine", Choice(value="likelihood", reason="the profile of the particles fitted to each"))
    choices.setdefault("size_classes", Choice(value=len(model.classes), reason=f"edges of radius {sizes} px"))
    if "search_range" not in choices:
        pairs = []
        for start in _spread(sample.starts, PAIRS):
            before, after = (
                refine_profile(picture, detect_rings(picture, settings(), model), settings(), model)
                for picture in (sample.pictures[start], sample.pictures[start + 1])
            )
            pairs.append((_points(before), _points(after)))
        choices["search_range"] = choose_search_range(pairs)
    return model


def _spread(starts: object, count: int) -> list[int]:
    values = np.asarray(starts)
    return [int(values[k]) for k in np.unique(np.linspace(0, len(values) - 1, count).astype(int))]


def _points(found: Detections) -> pd.DataFrame:
    return pd.DataFrame({"x": found.x, "y": found.y})
