"""Light of a Gaussian spot in each pixel, tabulated over the sub-pixel position."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import erf

LANES = 16  # pixels of a row are handled in groups of this many: one vector register
PHASES_PER_PIXEL = 32
FARTHEST = 2.0  # px: how far a fit may wander from the pixel it started on


def needed_lanes(radius: int) -> int:
    """Return the length of a row of ``2 radius + 1`` pixels rounded up to whole vector registers."""
    return -(-(2 * radius + 1) // LANES) * LANES


def pixel_light(offset: np.ndarray, width: float) -> np.ndarray:
    """Return the share of a Gaussian line of light that falls on pixels ``offset`` px away from its centre.

    E(u) = (erf((u + 1/2) / (sqrt 2 w)) - erf((u - 1/2) / (sqrt 2 w))) / 2, and a spot of peak height A (before the
    integration over pixels) gives 2 pi w^2 A E(x) E(y): Smith et al. 2010, doi:10.1038/nmeth.1449, equation 3.
    """
    scale = np.sqrt(2.0) * width
    return np.asarray(0.5 * (erf((offset + 0.5) / scale) - erf((offset - 0.5) / scale)))


def pixel_slopes(offset: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first three derivatives of :func:`pixel_light` to the position of the centre."""
    right, left = ((offset + side) / width for side in (0.5, -0.5))
    normal_right, normal_left = (np.exp(-0.5 * u**2) / np.sqrt(2.0 * np.pi) for u in (right, left))
    first = (normal_left - normal_right) / width
    second = (left * normal_left - right * normal_right) / width**2
    third = ((left**2 - 1.0) * normal_left - (right**2 - 1.0) * normal_right) / width**3
    return first, second, third


@lru_cache(maxsize=64)
def light_table(width: float, radius: int) -> np.ndarray:
    """Return light and its three derivatives on a grid of positions, float32, shape (phases, 4, lanes).

    Position ``p / PHASES_PER_PIXEL - FARTHEST`` relative to the middle pixel of ``2 radius + 1``; the lanes are
    padded with zeros to a multiple of ``LANES``. A Taylor step of at most 1/64 px from the nearest position is
    exact to 1e-6 / width^3.
    """
    count = 2 * radius + 1
    position = np.arange(int(2 * FARTHEST * PHASES_PER_PIXEL) + 1) / PHASES_PER_PIXEL - FARTHEST
    offset = np.arange(-radius, radius + 1)[None, :] - position[:, None]
    values = np.stack([pixel_light(offset, width), *pixel_slopes(offset, width)], axis=1)
    table = np.zeros((len(position), 4, needed_lanes(radius)), dtype=np.float32)
    table[..., :count] = values
    table.setflags(write=False)
    return table
