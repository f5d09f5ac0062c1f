"""Suggest the settings a movie needs, and show why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.records import FrameStack
from colloid_cg.seeding import generator
from colloid_cg.tracking.choices import (
    Choice,
    choose_diameter,
    choose_minmass,
    choose_polarity,
    choose_search_range,
    neighbour_distances,
)
from colloid_cg.tracking.config import SUGGESTED, TrackConfig, check_against
from colloid_cg.tracking.scale_space import coarse_noise, find_blobs, pixel_noise
from colloid_cg.tracking.trackpy_engine import filtered_noise, locate_frame

SAMPLED_FRAMES = 10
SAMPLED_PIXELS = 3_000_000  # for the search over scales, the slowest part
USUAL_LENGTH = 10


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
        Standard deviation of the pixel noise in grey levels.
    """

    choices: dict[str, Choice]
    frames: list[int] = field(default_factory=list)
    noise: float = 0.0

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
        return {"frames": self.frames, "noise": self.noise, "choices": choices}


def resolve(config: TrackConfig, suggestion: Suggestion) -> TrackConfig:
    """Return the settings with every open one replaced by the suggested value."""
    open_settings = {name: value for name, value in suggestion.values.items() if getattr(config, name) is None}
    return TrackConfig(**(config.model_dump() | open_settings))


def suggest(stack: FrameStack, config: TrackConfig | None = None) -> Suggestion:
    """Suggest polarity, diameter, separation, threshold, minmass, search range and minimum length for a movie.

    Pairs of consecutive frames spread over the movie are looked at. Settings already given are respected and the
    others decided for them.

    Raises
    ------
    DataError
        If the movie has fewer than two frames, no contrast, or no particle is found.
    """
    config = config or TrackConfig()
    check_against(config, stack)
    starts = np.unique(np.linspace(0, stack.n_frames - 2, SAMPLED_FRAMES).astype(int)).tolist()
    pictures = {index: stack[index] for index in sorted({*starts, *(start + 1 for start in starts)})}
    noise = _noise(pictures, starts)
    choices: dict[str, Choice] = {name: _given(config, name) for name in SUGGESTED if getattr(config, name) is not None}
    _suggest_shape(choices, pictures, starts, noise, source=stack.source)
    config = _with(config, choices)
    _suggest_detection(choices, config, pictures, starts, noise, source=stack.source)
    if "minimum_length" not in choices:
        value = max(2, min(USUAL_LENGTH, stack.n_frames // 2))
        choices["minimum_length"] = Choice(value=value, reason=f"a movie of {stack.n_frames} frames")
    ordered = {name: choices[name] for name in SUGGESTED}
    return Suggestion(choices=ordered, frames=sorted(pictures), noise=noise)


def _suggest_shape(
    choices: dict[str, Choice], pictures: dict[int, np.ndarray], starts: list[int], noise: float, *, source: str
) -> None:
    if {"invert", "diameter"} <= choices.keys():
        return
    few = max(1, min(len(starts), SAMPLED_PIXELS // pictures[0].size))
    chosen = [starts[k] for k in np.linspace(0, len(starts) - 1, few).astype(int)]
    blobs = [find_blobs(pictures[start], noise) for start in chosen]
    if not any(len(found.x) for found in blobs):
        raise DataError(
            f"no blob that stands out of the noise in {source or 'the movie'}",
            expected="particles brighter or darker than their surroundings",
            action="check the channel and the exposure, or give track.diameter, track.invert and track.minmass",
        )
    if "invert" not in choices:
        choices["invert"] = choose_polarity(blobs)
    if "diameter" not in choices:
        choices["diameter"], _ = choose_diameter(blobs, invert=choices["invert"].value)


def _suggest_detection(
    choices: dict[str, Choice],
    config: TrackConfig,
    pictures: dict[int, np.ndarray],
    starts: list[int],
    noise: float,
    *,
    source: str,
) -> None:
    threshold, false_masses = filtered_noise(config, noise, generator(0, "tracking noise"))
    if "threshold" not in choices:
        choices["threshold"] = _threshold(config, pictures[0], threshold, noise)
    open_config = _with(config, choices).model_copy(update={"minmass": 0.0})
    if "separation" not in choices:
        # Dense first: a separation of the radius finds close neighbours, whose distance then sets the real one.
        close = open_config.model_copy(update={"separation": 0.6 * (config.diameter or 3) + 1.0})
        first = locate_frame(pictures[starts[0]], close, characterize=False)
        choices["separation"] = _separation(first, false_masses, config.diameter or 3)
    open_config = _with(open_config, choices).model_copy(update={"minmass": 0.0})
    tables = {index: locate_frame(picture, open_config, characterize=False) for index, picture in pictures.items()}
    if "minmass" not in choices:
        masses = np.concatenate([table["mass"].to_numpy() for table in tables.values()])
        choices["minmass"] = choose_minmass(masses, false_masses)
    kept = {index: table[table["mass"] > choices["minmass"].value] for index, table in tables.items()}
    if not any(len(table) for table in kept.values()):
        raise DataError(
            f"no particle with a mass above {choices['minmass'].value:.4g} in the frames looked at of "
            f"{source or 'the movie'}",
            expected="particles that stand out of the noise",
            action="lower track.minmass, or check track.invert and track.diameter",
        )
    if "search_range" not in choices:
        choices["search_range"] = choose_search_range([(kept[start], kept[start + 1]) for start in starts])


def _separation(first: pd.DataFrame, false_masses: np.ndarray, diameter: int) -> Choice:
    strong = first[first["mass"] > max(1.5 * false_masses.max(initial=0.0), 0.3 * first["mass"].quantile(0.9))]
    distances = neighbour_distances(strong[["x", "y"]].to_numpy(dtype=float))
    usual = diameter + 1.0
    near = float(np.quantile(distances, 0.1)) if len(distances) >= 10 else np.inf
    evidence = {"near_px": near if np.isfinite(near) else None}
    if near >= usual:
        return Choice(value=usual, reason="one more than the diameter: neighbours are farther apart", evidence=evidence)
    value = round(max(0.6 * diameter + 1.0, 0.9 * near), 1)
    reason = f"one neighbour in ten is closer than {near:.1f} px, less than the diameter"
    return Choice(value=value, reason=reason, evidence=evidence)


def _threshold(config: TrackConfig, picture: np.ndarray, threshold: float, noise: float) -> Choice:
    if config.precision == "trackpy":
        value = 1.0 if np.issubdtype(picture.dtype, np.integer) else 1.0 / 255.0
        return Choice(value=value, reason="the default of trackpy")
    reason = f"pixel noise of {noise:.3g} grey levels leaves {threshold:.3g} after the band-pass"
    return Choice(value=threshold, reason=reason, evidence={"noise": noise})


def _noise(pictures: dict[int, np.ndarray], starts: list[int]) -> float:
    """Pixel noise in grey levels, from one frame; from frame differences where compression has smoothed the frames."""
    measured = float(np.median([pixel_noise(pictures[start]) for start in starts]))
    levels = np.unique(pictures[starts[0]]).astype(float)
    step = float(np.diff(levels).min()) if len(levels) > 1 else 0.0
    if measured > step:
        return measured
    # A compressed movie has no white noise left, yet its blocks fluctuate; motion must not pass for noise.
    changes = [pictures[start + 1].astype(float) - pictures[start].astype(float) for start in starts]
    fluctuation = float(np.median([coarse_noise(change) for change in changes])) / np.sqrt(2.0)
    return float(np.clip(fluctuation, max(measured, step / np.sqrt(12.0)), max(measured, 2.0 * step)))


def _given(config: TrackConfig, name: str) -> Choice:
    return Choice(value=getattr(config, name), reason="given in the settings")


def _with(config: TrackConfig, choices: dict[str, Choice]) -> TrackConfig:
    return config.model_copy(update={name: choice.value for name, choice in choices.items()})
