"""Particles whose brightest pixels the camera cut off at its highest level (or darkest ones at its lowest)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from colloid_cg.tracking.choices import Choice
from colloid_cg.tracking.detections import Detections

CLIPPED_PIXELS = 3
"""A peak that the camera resolves has one or two pixels at one level, hardly three."""
NOTICED_SHARE = 0.05


def clipped_share(picture: np.ndarray, found: Detections, *, diameter: int, invert: bool) -> float:
    """Return the share of particles with three or more pixels at the extreme level of the whole picture.

    Parameters
    ----------
    picture : array, shape (height, width)
    found : Detections
    diameter : int
        Of the particles, px: pixels nearer than half of it count.
    invert : bool
        Particles are dark: the lowest level counts, not the highest.
    """
    if not len(found):
        return 0.0
    at_limit = picture == (picture.min() if invert else picture.max())
    half = diameter // 2
    offset = np.arange(-half, half + 1)
    down, right = (axis.ravel() for axis in np.meshgrid(offset, offset, indexing="ij"))
    disc = down**2 + right**2 <= (diameter / 2) ** 2
    rows = np.clip(np.round(found.y).astype(int)[:, None] + down[disc], 0, picture.shape[0] - 1)
    columns = np.clip(np.round(found.x).astype(int)[:, None] + right[disc], 0, picture.shape[1] - 1)
    return float((at_limit[rows, columns].sum(axis=1) >= CLIPPED_PIXELS).mean())


def with_saturation(choice: Choice, picture: np.ndarray, found: Detections, *, diameter: int, invert: bool) -> Choice:
    """Return the choice of minmass with a warning where the camera cut off many particles."""
    share = clipped_share(picture, found, diameter=diameter, invert=invert)
    if share < NOTICED_SHARE:
        return choice
    level = picture.min() if invert else picture.max()
    words = (
        f"{100 * share:.0f} % of the particles are cut off at level {level:g} (saturated): their positions are worse"
        " than their stated errors say; record with less light or gain"
    )
    warning = "; ".join(part for part in (choice.warning, words) if part)
    return replace(choice, evidence=choice.evidence | {"saturated_share": share}, warning=warning)
