r"""Background and uneven light, frame by frame, in float32.

The sign of a particle is kept: what was brighter than its surroundings stays positive, what was darker becomes
negative. For dark particles on a bright background (``particles="dark"``) the background is estimated from above
(closing, or the ball rolled on the inverted image), so that they stand out as negative values. They are never inverted
here: whether tracking has to invert is the same for corrected and for raw frames.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.records import FrameStack
from colloid_cg.video.config import VideoConfig

_SAMPLED_FRAMES = 50


def corrected(stack: FrameStack, config: VideoConfig) -> FrameStack:
    r"""Return the movie with uneven light divided out and the background subtracted, lazily.

    .. math:: C = \frac{I - d}{F} - B, \qquad
              F = \frac{G * (\langle I \rangle - d)}{\text{mean of } G * (\langle I \rangle - d)}

    with the image :math:`I`, the dark level :math:`d`, the illumination :math:`F` (mean over up to 50 frames, smoothed
    with a Gaussian :math:`G` of ``flat_field_radius`` px) and the background :math:`B` of the divided frame.

    Parameters
    ----------
    stack : FrameStack
        Any movie.
    config : VideoConfig
        ``background``, ``background_radius``, ``particles``, ``flat_field``, ``flat_field_radius``, ``dark_level``.

    Returns
    -------
    FrameStack
        float32 frames; the given stack itself if nothing was asked for.
    """
    if config.background == "none" and not config.flat_field:
        return stack
    asked = {key: getattr(config, key) for key in ("background", "background_radius", "particles", "flat_field")}
    return replace(
        stack,
        reader=CorrectedReader(stack, config),
        dtype=np.dtype(np.float32),
        metadata={**stack.metadata, "correction": asked},
    )


class CorrectedReader:
    """Frames of a stack, corrected on reading."""

    def __init__(self, stack: FrameStack, config: VideoConfig) -> None:
        self.stack, self.config = stack, config
        self._lock = threading.Lock()
        self._flat: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"stack": self.stack, "config": self.config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def read(self, index: int) -> np.ndarray:
        """Return one corrected frame."""
        image: np.ndarray = self.stack[index].astype(np.float32)
        if self.config.flat_field:
            with self._lock:
                if self._flat is None:
                    self._flat = illumination(self.stack, self.config)
            image = (image - np.float32(self.config.dark_level)) / self._flat
        return np.asarray(image - background(image, self.config), dtype=np.float32)


def illumination(stack: FrameStack, config: VideoConfig) -> np.ndarray:
    """Return the uneven light, mean one, from the smoothed mean of up to 50 evenly spaced frames.

    Raises
    ------
    InputError
        If the dark level is not below the light everywhere.
    """
    from skimage.filters import gaussian

    chosen = np.unique(np.linspace(0, len(stack) - 1, min(len(stack), _SAMPLED_FRAMES)).round().astype(int))
    total = np.zeros((stack.height, stack.width))
    for index in chosen:
        total += stack[int(index)]
    light = total / len(chosen) - config.dark_level
    smooth = np.asarray(gaussian(light, sigma=config.flat_field_radius, mode="nearest", preserve_range=True))
    if smooth.min() <= 0:
        raise InputError(
            f"light of {smooth.min():.3g} grey levels above the dark level {config.dark_level:g} in {stack.source}",
            expected="positive light everywhere",
            action="lower video.dark_level or switch video.flat_field off",
        )
    return np.asarray(smooth / smooth.mean(), dtype=np.float32)


def background(image: np.ndarray, config: VideoConfig) -> np.ndarray:
    """Return the slowly varying background of one image (grey levels).

    "tophat" is the opening by a disk, approximated by a sequence of small steps for speed: image minus opening is the
    white top-hat, for dark particles image minus closing the negative black top-hat. "rolling_ball" is the envelope a
    ball touches (Sternberg 1983, doi:10.1109/MC.1983.1654163). "gaussian" is a mean over the neighbourhood, particles
    included, the same for bright and dark.
    """
    if config.background == "none":
        return np.zeros_like(image)
    if config.background == "gaussian":
        from skimage.filters import gaussian

        return np.asarray(gaussian(image, sigma=config.background_radius, mode="nearest", preserve_range=True))
    if config.particles == "dark":
        return -_from_below(-image, config)
    return _from_below(image, config)


def _from_below(image: np.ndarray, config: VideoConfig) -> np.ndarray:
    if config.background == "rolling_ball":
        from skimage.restoration import rolling_ball

        return np.asarray(rolling_ball(image, radius=config.background_radius))
    from skimage.morphology import disk, opening

    return np.asarray(opening(image, disk(config.background_radius, decomposition="sequence")))
