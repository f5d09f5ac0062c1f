"""The particles of one frame as plain arrays, between finding and refining."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

DETECTION_COLUMNS = (
    "frame",
    "x",
    "y",
    "sigma_x",
    "sigma_y",
    "mass",
    "size",
    "ecc",
    "signal",
    "flags",
    "species",
)
"""Columns of a detection table, in order."""

_INTEGERS = {"frame": "int64", "flags": "int32", "species": "int32"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections:
    """Particles of one frame, every field an array of shape (n,).

    Parameters
    ----------
    x, y : float
        Position in px, centre of the first pixel at (0, 0).
    sigma_x, sigma_y : float
        Standard localisation errors in px; NaN where unknown.
    mass : float
        Integrated light above the background in grey levels, positive for the polarity looked for.
    size : float
        Radius of gyration of the light, or width of the fitted spot (px).
    ecc : float
        Eccentricity, 0 for a round particle; NaN where not measured.
    signal : float
        Peak height above the background in grey levels.
    flags : int32
        Bits of :mod:`colloid_cg.records`.
    species : int32
        Size class, 0 where there is one.
    """

    x: np.ndarray
    y: np.ndarray
    sigma_x: np.ndarray
    sigma_y: np.ndarray
    mass: np.ndarray
    size: np.ndarray
    ecc: np.ndarray
    signal: np.ndarray
    flags: np.ndarray
    species: np.ndarray

    @classmethod
    def at(cls, x: np.ndarray, y: np.ndarray, **known: np.ndarray) -> Detections:
        """Return detections at the given places; what is not given is NaN, or 0 for flags and species."""
        values: dict[str, Any] = {}
        for item in fields(cls):
            missing = np.zeros(len(x), _INTEGERS[item.name]) if item.name in _INTEGERS else np.full(len(x), np.nan)
            values[item.name] = known.get(item.name, missing)
        return cls(**(values | {"x": np.asarray(x, dtype=float), "y": np.asarray(y, dtype=float)}))

    def __len__(self) -> int:
        return len(self.x)

    def select(self, chosen: np.ndarray) -> Detections:
        """Return the detections of a mask or of an index array."""
        return Detections(**{item.name: getattr(self, item.name)[chosen] for item in fields(self)})

    def updated(self, **changes: np.ndarray) -> Detections:
        """Return the same detections with some fields replaced."""
        return replace(self, **changes)

    def table(self, frame: int) -> pd.DataFrame:
        """Return a table with the columns ``DETECTION_COLUMNS``."""
        columns = {"frame": np.full(len(self), frame)} | {item.name: getattr(self, item.name) for item in fields(self)}
        return pd.DataFrame({name: columns[name].astype(_INTEGERS.get(name, "float64")) for name in DETECTION_COLUMNS})


def no_detections() -> Detections:
    """Return detections of nothing."""
    return Detections.at(np.empty(0), np.empty(0))
