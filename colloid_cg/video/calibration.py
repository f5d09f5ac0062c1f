"""Pixel size, frame interval and exposure as files state them, with a guard against nonsense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from colloid_cg.errors import ConfigError
from colloid_cg.units import micrometres, seconds

_SMALLEST_PIXEL, _LARGEST_PIXEL = 1e-4, 50.0
_LIKELY_PIXEL = (1e-3, 50.0)
PLAYBACK = "playback rate of the file"
"""How the source of a frame interval begins that only says how fast a player shows the frames."""
_PLAIN_UNITS = {"micron": "um", "microns": "um", "µm": "um", "μm": "um", "sec": "s", "secs": "s", "msec": "ms"}
_NO_LENGTH = {"", "pixel", "pixels", "px", "inch", "inches", "in", "reference frame"}
_UNEVEN = 0.01


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Values found in a file (um, s, s), where each came from, and notes on what was found but not used."""

    pixel_size: float | None = None
    frame_interval: float | None = None
    exposure: float | None = None
    pixel_size_source: str = "unknown"
    frame_interval_source: str = "unknown"
    exposure_source: str = "unknown"
    notes: tuple[str, ...] = ()

    def with_note(self, note: str) -> Calibration:
        """Return the same values with one more note."""
        return replace(self, notes=(*self.notes, note))

    def with_pixel(self, x: Any, y: Any, unit: str, *, source: str) -> Calibration:
        """Return a copy with the pixel size, if the two edges agree and lie between 0.1 nm and 50 um.

        A microscope's pixel in the sample plane is below 50 um; 72 or 300 dots per inch (353 and 85 um), the default
        of image editors, is not one. Lengths in inch are never taken for the same reason.
        """
        width, height = length(x, unit), length(y, unit)
        if width is None or height is None:
            return self
        if abs(width - height) > _UNEVEN * max(width, height):
            return self.with_note(f"pixels of {width:.6g} x {height:.6g} um are not square: {source} is not used")
        if not _SMALLEST_PIXEL <= width <= _LARGEST_PIXEL:
            return self.with_note(f"a pixel of {width:.6g} um is not plausible: {source} is not used")
        return replace(self, pixel_size=width, pixel_size_source=source)

    def with_interval(self, value: Any, unit: str, *, source: str) -> Calibration:
        """Return a copy with the frame interval, if it is a positive, finite time."""
        interval = duration(value, unit)
        return self if interval is None else replace(self, frame_interval=interval, frame_interval_source=source)

    def with_exposure(self, value: Any, unit: str, *, source: str) -> Calibration:
        """Return a copy with the exposure, if it is a positive time no longer than the frame interval."""
        exposure = duration(value, unit)
        if exposure is None:
            return self
        if self.frame_interval is not None and exposure > self.frame_interval * (1 + _UNEVEN):
            return self.with_note(
                f"an exposure of {exposure:.6g} s is longer than the frame interval: {source} is not used"
            )
        return replace(self, exposure=exposure, exposure_source=source)


def doubts(pixel_size: float | None, interval_source: str) -> list[str]:
    """Return what is hard to believe of a calibration, one sentence each.

    Parameters
    ----------
    pixel_size : float or None
        um.
    interval_source : str
        Where the frame interval came from.
    """
    found = []
    if pixel_size is not None and not _LIKELY_PIXEL[0] <= pixel_size <= _LIKELY_PIXEL[1]:
        found.append(
            f"a pixel size of {pixel_size:.4g} um is none of a microscope, whose pixels lie between "
            f"{_LIKELY_PIXEL[0]:g} and {_LIKELY_PIXEL[1]:g} um: every length and diffusion coefficient depends on it, "
            "check its unit"
        )
    if interval_source.startswith(PLAYBACK):
        found.append(
            f"the time between frames is taken from the {interval_source}: every time and diffusion coefficient "
            "depends on it, give the one of the camera with --frame-interval"
        )
    return found


def length(value: Any, unit: str) -> float | None:
    """Return a length in um, or None where value and unit state none."""
    unit = unit.replace("\\u00B5", "u").strip()
    if value is None or unit.lower() in _NO_LENGTH:
        return None
    try:
        return micrometres(f"{float(value)!r} {_PLAIN_UNITS.get(unit, unit)}")
    except (ConfigError, ValueError, TypeError):
        return None


def duration(value: Any, unit: str) -> float | None:
    """Return a time in s, or None where value and unit state none."""
    unit = unit.replace("\\u00B5", "u").strip()
    if value is None or not unit:
        return None
    try:
        return seconds(f"{float(value)!r} {_PLAIN_UNITS.get(unit, unit)}")
    except (ConfigError, ValueError, TypeError):
        return None


def typical_interval(times: Sequence[float] | np.ndarray) -> tuple[float | None, str]:
    """Return the median difference of recorded times (s) and a note if the differences are uneven.

    The median, not the mean: one pause or lost frame must not change the interval of all others.
    """
    steps = np.diff(np.asarray(times, float))
    steps = steps[np.isfinite(steps)]
    if steps.size == 0 or np.median(steps) <= 0:
        return None, ""
    middle = float(np.median(steps))
    uneven = int(np.count_nonzero(np.abs(steps - middle) > 0.5 * middle))
    note = f"{uneven} of {steps.size} recorded frame intervals differ by more than half from {middle:.6g} s"
    return middle, note if uneven else ""
