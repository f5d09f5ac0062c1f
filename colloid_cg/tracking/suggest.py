"""Suggest the settings a movie needs, and show why."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.records import FrameStack
from colloid_cg.tracking.choices import (
    Choice,
    choose_diameter,
    choose_minmass,
    choose_polarity,
    choose_search_range,
    compared,
    share_that_lasts,
)
from colloid_cg.tracking.close_pairs import Pairs, choose_separation, close_pairs, closest_separation
from colloid_cg.tracking.config import NATIVE_ONLY, SUGGESTED, TrackConfig, check_against
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.filters import bandpass, centred
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.likelihood import refine_likelihood
from colloid_cg.tracking.neighbour_light import choose_refinement, neighbour_shifts
from colloid_cg.tracking.noise_model import sampled_starts, spread, with_spots
from colloid_cg.tracking.prepared import picture_noise
from colloid_cg.tracking.sampling import Sample, native_sample, trackpy_sample
from colloid_cg.tracking.saturation import with_saturation
from colloid_cg.tracking.scale_space import find_blobs
from colloid_cg.tracking.size_classes import estimate_classes
from colloid_cg.tracking.suggest_rings import choose_shape, suggest_for_rings
from colloid_cg.tracking.wide_areas import with_doubt

SAMPLED_PIXELS = 1_000_000  # for the search over scales, the slowest part
USUAL_LENGTH = 10
FAINT = 0.3  # of the mass of the bright particles: fainter detections say nothing about pairs


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """Suggested settings, each a :class:`Choice` with value, reason and evidence.

    Parameters
    ----------
    choices : dict
        One per name in ``SUGGESTED``.
    frames : list of int
        Frames that were looked at.
    noise : float
        Standard deviation of the pixel noise in grey levels, between the particles.
    image_model : ImageModel or None
        Noise and look of the particles for :func:`locate`; None for the trackpy engine.
    """

    choices: dict[str, Choice]
    frames: list[int] = field(default_factory=list)
    noise: float = 0.0
    image_model: ImageModel | None = None

    def __getattr__(self, name: str) -> Any:
        if name in SUGGESTED:
            return self.choices[name].value
        raise AttributeError(name)

    @property
    def values(self) -> dict[str, Any]:
        """Suggested values by name of the setting."""
        return {name: choice.value for name, choice in self.choices.items()}

    @property
    def warnings(self) -> list[str]:
        """What to check by eye."""
        return [choice.warning for choice in self.choices.values() if choice.warning]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary: frames, noise, and value, reason and evidence for each setting."""
        choices = {name: choice.as_dict() for name, choice in self.choices.items()}
        model = self.image_model.as_dict() if self.image_model else None
        return {"frames": self.frames, "noise": self.noise, "image_model": model, "choices": choices}


def resolve(config: TrackConfig, suggestion: Suggestion) -> TrackConfig:
    """Return the settings with every open one replaced by the suggested value."""
    open_settings = {name: value for name, value in suggestion.values.items() if getattr(config, name) is None}
    return TrackConfig(**(config.model_dump() | open_settings))


def suggest(stack: FrameStack, config: TrackConfig | None = None) -> Suggestion:
    """Suggest every setting of ``SUGGESTED`` for a movie.

    Pairs of consecutive frames spread over the movie are looked at. Settings already given are respected and the
    others decided for them.

    Raises
    ------
    DataError
        If the movie has fewer than two frames, no contrast, or no particle is found.
    """
    config = config or TrackConfig()
    check_against(config, stack)
    starts = sampled_starts(stack.n_frames)
    pictures = {index: stack[index] for index in sorted({*starts, *(start + 1 for start in starts)})}
    sample = (native_sample if config.engine == "native" else trackpy_sample)(pictures, starts, stack.source)
    choices: dict[str, Choice] = {name: _given(config, name) for name in SUGGESTED if getattr(config, name) is not None}
    if config.engine == "trackpy":
        for name, value in zip(NATIVE_ONLY, ("spot", "centroid", 1), strict=True):
            choices.setdefault(name, Choice(value=value, reason="all that the trackpy engine has"))
    choose_shape(choices, sample)
    model: ImageModel | None = None
    if choices["shape"].value == "ring":
        model = _rings_that_last(choices, config, sample)
    if choices["shape"].value == "spot":
        _suggest_size(choices, sample)
        kept = _suggest_detection(choices, config, sample)
        model = _suggest_refinement(choices, config, sample, kept)
    if "minimum_length" not in choices:
        value = max(2, min(USUAL_LENGTH, stack.n_frames // 2))
        choices["minimum_length"] = Choice(value=value, reason=f"a movie of {stack.n_frames} frames")
    ordered = {name: choices[name] for name in SUGGESTED}
    return Suggestion(choices=ordered, frames=sorted(pictures), noise=sample.noise, image_model=model)


def _rings_that_last(choices: dict[str, Choice], config: TrackConfig, sample: Sample) -> ImageModel | None:
    """Complete the choices for rings; go back to spots where what looks like rings is not there a frame later."""
    trial = dict(choices)
    try:
        model = suggest_for_rings(trial, sample, settings=lambda: _with(config, trial))
        doubt = trial["search_range"].warning
    except DataError as error:
        model, doubt = None, str(error)
    if doubt and config.shape is None:
        for name in {"invert", "diameter"} & choices.keys():
            if getattr(config, name) is None:
                del choices[name]
        reason = f"what looks like rings does not last from frame to frame ({doubt})"
        choices["shape"] = Choice(value="spot", reason=reason, evidence=choices["shape"].evidence)
        return None
    if model is None:
        raise DataError(
            f"too few rings in {sample.source or 'the movie'}",
            expected="rings, as track.shape = 'ring' asks for",
            action="check track.diameter and track.invert, or set track.shape = 'spot'",
        )
    choices.update(trial)
    return model


def _suggest_size(choices: dict[str, Choice], sample: Sample) -> None:
    """Decide polarity and diameter; those given are compared with what the movie suggests."""
    starts, pictures = sample.starts, sample.pictures
    few = max(1, min(len(starts), SAMPLED_PIXELS // pictures[0].size))
    chosen = [starts[k] for k in np.linspace(0, len(starts) - 1, few).astype(int)]
    blobs = [find_blobs(pictures[start], sample.noise) for start in chosen]
    if not any(len(found.x) for found in blobs):
        if {"invert", "diameter"} <= choices.keys():
            return
        raise DataError(
            f"no blob that stands out of the noise in {sample.source or 'the movie'}",
            expected="particles brighter or darker than their surroundings",
            action="check the channel and the exposure, or give track.diameter, track.invert and track.minmass",
        )
    polarity = choose_polarity(blobs)
    choices["invert"] = compared(choices.get("invert"), polarity, setting="invert")
    diameter, _ = choose_diameter(blobs, invert=choices["invert"].value)
    choices["diameter"] = compared(choices.get("diameter"), diameter, setting="diameter")


def _suggest_detection(choices: dict[str, Choice], config: TrackConfig, sample: Sample) -> dict[int, Detections]:
    """Decide what counts as a particle and how far it moves; return the particles of the frames looked at."""
    config = _with(config, choices)
    threshold, false_masses = sample.noise_response(config)
    if "threshold" not in choices:
        choices["threshold"] = threshold
    open_config = _with(config, choices).model_copy(update={"minmass": 0.0})
    diameter = config.diameter or 3
    if "separation" not in choices:
        least = float(1.5 * false_masses.max(initial=0.0))
        choices["separation"] = choose_separation(
            [_close_pairs(sample.pictures[start], sample, open_config, least) for start in spread(sample.starts)],
            diameter,
        )
    open_config = _with(open_config, choices).model_copy(update={"minmass": 0.0})
    found = {index: sample.find(index, open_config) for index in sample.pictures}
    if "minmass" not in choices:
        pairs = [(found[start], found[start + 1]) for start in sample.starts]
        choices["minmass"] = choose_minmass(
            np.concatenate([part.mass for part in found.values()]),
            false_masses,
            lasting=partial(share_that_lasts, pairs),
        )
    least = choices["minmass"].value
    kept = {index: part.select(part.mass > least) for index, part in found.items()}
    if not any(len(part) for part in kept.values()):
        raise DataError(
            f"no particle with a mass above {least:.4g} in the frames looked at of {sample.source or 'the movie'}",
            expected="particles that stand out of the noise",
            action="lower track.minmass, or check track.invert and track.diameter",
        )
    first = sample.starts[0]
    for doubt in (with_doubt, with_saturation):
        choices["minmass"] = doubt(
            choices["minmass"], sample.pictures[first], kept[first], diameter=diameter, invert=bool(config.invert)
        )
    if "search_range" not in choices:
        steps = [(_points(kept[start]), _points(kept[start + 1])) for start in sample.starts]
        choices["search_range"] = choose_search_range(steps)
    return kept


def _close_pairs(picture: np.ndarray, sample: Sample, config: TrackConfig, least: float) -> Pairs:
    """Return the pairs that a small separation finds among the particles of more than noise."""
    diameter = config.diameter or 3
    found = sample.locate(picture, config.model_copy(update={"separation": closest_separation(diameter)}))
    bright = float(np.quantile(found.mass, 0.9)) if len(found) else 0.0
    found = found.select(found.mass > max(least, FAINT * bright))
    filtered = centred(picture, level=float(np.median(picture)), invert=bool(config.invert), margin=0)
    filtered = bandpass(filtered, noise_size=config.noise_size, smoothing=config.smoothing or diameter)
    return close_pairs(filtered, np.column_stack([found.x, found.y]), nearer=diameter + 1.0)


def _suggest_refinement(
    choices: dict[str, Choice], config: TrackConfig, sample: Sample, kept: dict[int, Detections]
) -> ImageModel | None:
    if sample.model is None:
        return None
    config = _with(config, choices)
    model = with_spots(sample.model, sample.pictures, {start: kept[start] for start in sample.starts}, config)
    if "refine" not in choices and (config.size_classes or 1) > 1:
        reason = f"{config.size_classes} size classes are asked for: all particles are fitted together"
        choices["refine"] = Choice(value="joint", reason=reason)
    if "refine" not in choices:
        choices["refine"] = choose_refinement(*_shifts(sample, kept, config, model))
    if choices["refine"].value == "joint":
        model = _with_classes(choices, config, sample, kept, model)
    choices.setdefault("size_classes", Choice(value=1, reason="one population of particles"))
    return model


def _shifts(
    sample: Sample, kept: dict[int, Detections], config: TrackConfig, model: ImageModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far neighbours shift the particles of a few frames, and the errors of their fits."""
    shifts, errors = [], []
    for start in spread(sample.starts):
        fitted = refine_likelihood(sample.pictures[start], kept[start], config, model)
        error = np.column_stack([fitted.sigma_x, fitted.sigma_y])
        known = np.isfinite(error).all(axis=1) & (error > 0).all(axis=1) & (fitted.signal > 0)
        # Heights of fits that run away between neighbours would light up everything around.
        fitted, error = fitted.select(known), error[known]
        radius = (config.diameter or 3) // 2
        shifts.append(
            neighbour_shifts(fitted, model.classes[0].width, radius=radius, noise=picture_noise(config, model))
        )
        errors.append(error)
    return np.concatenate(shifts), np.concatenate(errors)


def _with_classes(
    choices: dict[str, Choice], config: TrackConfig, sample: Sample, kept: dict[int, Detections], model: ImageModel
) -> ImageModel:
    """Return the model with the populations of crowded frames, and say how many there are."""
    starts = [start for start in sample.starts if len(kept[start])]
    few = spread(starts)
    try:
        model = estimate_classes(
            [sample.pictures[start] for start in few], [kept[start] for start in few], config, model
        )
    except DataError:
        if config.refine is not None or config.size_classes is not None:
            raise
        choices["refine"] = Choice(value="likelihood", reason="too few particles to tell size classes")
        return model
    widths = ", ".join(f"{item.width:.2f} px ({100 * item.share:.0f} %)" for item in model.classes)
    choices.setdefault("size_classes", Choice(value=len(model.classes), reason=f"widths of {widths}"))
    return model


def _points(found: Detections) -> pd.DataFrame:
    return pd.DataFrame({"x": found.x, "y": found.y})


def _given(config: TrackConfig, name: str) -> Choice:
    return Choice(value=getattr(config, name), reason="given in the settings")


def _with(config: TrackConfig, choices: dict[str, Choice]) -> TrackConfig:
    return config.model_copy(update={name: choice.value for name, choice in choices.items()})
