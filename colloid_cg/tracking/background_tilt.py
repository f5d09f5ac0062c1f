"""Slope of the background under each particle, where the light is uneven."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit

REACH = 3.0  # diameters: half the edge of the square over which the background is taken to be a plane
FEWEST = 0.05  # share of the square that must be free of particles


def background_tilt(picture: np.ndarray, x: np.ndarray, y: np.ndarray, *, diameter: int) -> np.ndarray:
    """Return the slope of the background along x and y at each particle in grey levels per px, shape (n, 2).

    A plane is fitted by least squares to the pixels around that belong to no particle; zero where there are hardly
    any. Left in the picture, a slope g shifts the fit of a spot of height A and width w by 4 g w^2 / A.

    Parameters
    ----------
    picture : float32 array
        Without a margin; NaN pixels are left out.
    x, y : arrays, shape (n,)
        Positions in px.
    diameter : int
        Of the particles in px.
    """
    cell = max(2, diameter // 3)
    height, width = (length // cell for length in picture.shape)
    free = np.isfinite(picture).astype(np.float32)
    _cover(free, x, y, int(np.ceil(0.75 * diameter)))
    light = np.where(free > 0, picture, np.float32(0.0))
    area = (slice(0, height * cell), slice(0, width * cell))
    weight, level = (
        cv2.resize(part[area], (width, height), interpolation=cv2.INTER_AREA).astype(np.float64)
        for part in (free, light)
    )
    edge = 2 * int(np.ceil(REACH * diameter / cell)) + 1
    v, u = (grid.astype(float) for grid in np.mgrid[:height, :width])
    row = np.clip((y / cell).astype(int), 0, height - 1)
    column = np.clip((x / cell).astype(int), 0, width - 1)

    def around(values: np.ndarray) -> np.ndarray:
        total = cv2.boxFilter(values, cv2.CV_64F, (edge, edge), normalize=False, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(total[row, column])

    total, at_u, at_v = around(weight), around(weight * u), around(weight * v)
    mean = around(level)
    with np.errstate(divide="ignore", invalid="ignore"):
        uu, vv = around(weight * u * u) - at_u**2 / total, around(weight * v * v) - at_v**2 / total
        uv = around(weight * u * v) - at_u * at_v / total
        zu, zv = around(level * u) - mean * at_u / total, around(level * v) - mean * at_v / total
        slopes = np.column_stack([vv * zu - uv * zv, uu * zv - uv * zu]) / (uu * vv - uv * uv)[:, None] / cell
    known = np.isfinite(slopes).all(axis=1) & (total > FEWEST * edge**2)
    return np.where(known[:, None], slopes, 0.0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _cover(free: np.ndarray, x: np.ndarray, y: np.ndarray, radius: int) -> None:
    """Set discs around the particles to zero."""
    height, width = free.shape
    for index in range(len(x)):
        row, column = round(y[index]), round(x[index])
        for i in range(max(row - radius, 0), min(row + radius + 1, height)):
            for j in range(max(column - radius, 0), min(column + radius + 1, width)):
                if (i - row) ** 2 + (j - column) ** 2 <= radius**2:
                    free[i, j] = 0.0
