"""What the pixels of a movie are made of: noise, bad pixels, background and the light of its particles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from colloid_cg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SpotClass:
    """One population of particles that look alike.

    Parameters
    ----------
    width : float
        Standard deviation of the Gaussian spot in px (before integration over a pixel).
    amplitude, amplitude_spread : float
        Median and robust standard deviation of the peak height above the background in grey levels; positive
        for bright particles, negative for dark ones.
    share : float
        Fraction of the detections.
    profile : tuple of (radius, value) or None
        Radial profile of a particle that is no Gaussian spot (ring, disc), at increasing radii in px, scaled so
        that its largest absolute value is 1; None for a spot.
    width_spread : float
        Robust standard deviation of the width from particle to particle in px, what noise adds taken off.
    misfit : float
        Median chi^2 per degree of freedom of fits to isolated particles, at least 1: above 1 where particles are no
        exact Gaussian spots.
    """

    width: float
    amplitude: float
    amplitude_spread: float = 0.0
    share: float = 1.0
    profile: tuple[tuple[float, float], ...] | None = None
    width_spread: float = 0.0
    misfit: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ImageModel:
    """Estimated once from frames spread over the movie, then the same for every frame.

    Parameters
    ----------
    noise_offset, noise_slope : float
        The variance of a pixel of mean grey level g is ``noise_offset + noise_slope * g`` (grey levels^2): read
        noise, black level and rounding in the first, photon noise in the second (photon transfer, Janesick 2007,
        doi:10.1117/3.725073).
    background : float
        Median grey level between the particles.
    classes : tuple of SpotClass
        Ordered by width.
    hot_pixels : tuple of (row, column)
        Pixels that do not follow the picture; they are given no weight.
    background_scale : float
        Length in px over which the background changes by the height of a particle; infinite where its slope does
        not matter.
    saturation : float
        Grey level at which pixels saturate; they are given no weight. Infinite where none does.
    per_frame : int or None
        Most detections in one of the frames looked at; a frame with ten times as many is refused.
    """

    noise_offset: float
    noise_slope: float
    background: float
    classes: tuple[SpotClass, ...] = ()
    hot_pixels: tuple[tuple[int, int], ...] = ()
    background_scale: float = float("inf")
    saturation: float = float("inf")
    per_frame: int | None = None

    def variance(self, level: np.ndarray) -> np.ndarray:
        """Return the variance of pixels of mean grey level ``level``, never below a thousandth of the floor."""
        floor = max(1e-3 * (self.noise_offset + self.noise_slope * self.background), 1e-12)
        return np.maximum(self.noise_offset + self.noise_slope * np.asarray(level, dtype=float), floor)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        content = asdict(self)
        return content | {name: _json(content[name]) for name in ("background_scale", "saturation")}

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> ImageModel:
        """Return the model written by :meth:`as_dict`.

        Raises
        ------
        InputError
            If a part is missing or unknown.
        """
        try:
            classes = tuple(
                SpotClass(**(dict(item) | {"profile": _pairs(item["profile"])})) for item in content["classes"]
            )
            changed = {
                "classes": classes,
                "hot_pixels": tuple((int(row), int(column)) for row, column in content["hot_pixels"]),
                "background_scale": _parsed(content["background_scale"]),
                "saturation": _parsed(content.get("saturation")),
            }
            return cls(**(dict(content) | changed))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"an image model that cannot be read ({error})",
                expected="the content written by inspect",
                action="run inspect or track again",
            ) from error


def _json(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _parsed(value: Any) -> float:
    return float("inf") if value is None else float(value)


def _pairs(profile: Any) -> tuple[tuple[float, float], ...] | None:
    return None if profile is None else tuple((float(radius), float(value)) for radius, value in profile)
