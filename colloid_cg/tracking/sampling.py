"""The frames that settings are decided from, and what an engine finds on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from colloid_cg.seeding import generator
from colloid_cg.tracking.choices import Choice
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections, no_detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.native_engine import detect, threshold_for
from colloid_cg.tracking.noise_model import estimate_noise
from colloid_cg.tracking.scale_space import coarse_noise, pixel_noise

NOISE_EDGE = 512  # px: edge of the picture of pure noise in which false detections are counted


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Frames of a movie by index, the first ones of consecutive pairs, and an engine to look at them with.

    Parameters
    ----------
    pictures : mapping of int to array
    starts : sequence of int
    noise : float
        Standard deviation of a pixel between the particles in grey levels.
    source : str
        Name of the movie for messages.
    locate : callable
        (picture, settings) to detections.
    respond : callable
        Settings to (choice of the threshold, masses of the false detections that noise alone makes).
    model : ImageModel or None
        Noise model of the native engine, without particles.
    """

    pictures: Mapping[int, np.ndarray]
    starts: Sequence[int]
    noise: float
    source: str
    locate: Callable[[np.ndarray, TrackConfig], Detections]
    respond: Callable[[TrackConfig], tuple[Choice, np.ndarray]]
    model: ImageModel | None = None

    def find(self, index: int, config: TrackConfig) -> Detections:
        """Return the particles of one of the frames."""
        return self.locate(self.pictures[index], config)

    def noise_response(self, config: TrackConfig) -> tuple[Choice, np.ndarray]:
        """Return the choice of the threshold, and the masses that noise alone reaches above it."""
        return self.respond(config)


def native_sample(pictures: Mapping[int, np.ndarray], starts: Sequence[int], source: str) -> Sample:
    """Return the sample as the native engine sees it."""
    model = estimate_noise(pictures, starts)
    noise = float(np.sqrt(model.variance(np.array(model.background))))

    def locate(picture: np.ndarray, config: TrackConfig) -> Detections:
        return detect(picture, config, model) if np.ptp(picture) else no_detections()

    def respond(config: TrackConfig) -> tuple[Choice, np.ndarray]:
        value = threshold_for(config, model)
        reason = f"four times what pixel noise of {noise:.3g} grey levels leaves after the band-pass"
        choice = Choice(value=value, reason=reason, evidence={"noise": noise})
        edge = max(NOISE_EDGE, 6 * (config.diameter or 3))
        picture = generator(0, "tracking noise").normal(0.0, noise, (edge, edge))
        changes = {"minmass": 0.0, "threshold": value, "invert": False}
        changes["separation"] = config.separation or (config.diameter or 3) + 1.0
        flat = ImageModel(noise_offset=noise**2, noise_slope=0.0, background=0.0)
        return choice, detect(picture, config.model_copy(update=changes), flat).mass

    return Sample(
        pictures=pictures, starts=starts, noise=noise, source=source, locate=locate, respond=respond, model=model
    )


def trackpy_sample(pictures: Mapping[int, np.ndarray], starts: Sequence[int], source: str) -> Sample:
    """Return the sample as trackpy sees it."""
    from colloid_cg.tracking import trackpy_engine

    noise = _noise(pictures, starts)
    first = pictures[starts[0]]

    def locate(picture: np.ndarray, config: TrackConfig) -> Detections:
        found = trackpy_engine.locate_frame(picture, config, characterize=False)
        return Detections.at(found["x"].to_numpy(), found["y"].to_numpy(), mass=found["mass"].to_numpy())

    def respond(config: TrackConfig) -> tuple[Choice, np.ndarray]:
        threshold, masses = trackpy_engine.filtered_noise(config, noise, generator(0, "tracking noise"))
        if config.precision == "trackpy":
            value = 1.0 if np.issubdtype(first.dtype, np.integer) else 1.0 / 255.0
            return Choice(value=value, reason="the default of trackpy"), masses
        reason = f"pixel noise of {noise:.3g} grey levels leaves {threshold:.3g} after the band-pass"
        return Choice(value=threshold, reason=reason, evidence={"noise": noise}), masses

    return Sample(pictures=pictures, starts=starts, noise=noise, source=source, locate=locate, respond=respond)


def _noise(pictures: Mapping[int, np.ndarray], starts: Sequence[int]) -> float:
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
