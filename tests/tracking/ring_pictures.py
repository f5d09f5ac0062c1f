"""Pictures of rings with known places, and what their pixels allow to know of the places at best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import KDTree

Profile = Callable[[np.ndarray, float, float], np.ndarray]
FINE = 5
"""Points per pixel and axis over which a profile is averaged."""


def rim(distance: np.ndarray, radius: float, width: float) -> np.ndarray:
    """A bright line: Gaussian of standard deviation ``width`` about the radius."""
    return np.exp(-0.5 * ((distance - radius) / width) ** 2)


def packed(rng: np.random.Generator, *, edge: int, share: float, radii: list[float], gap: float) -> np.ndarray:
    """Discs that touch but do not overlap (x, y, radius), shape (n, 3), filling about this share of the picture."""
    sizes: list[float] = []
    while np.pi * np.sum(np.square(sizes)) < share * edge**2:
        sizes.append(radii[len(sizes) % len(radii)])
    size, places = np.array(sizes), rng.uniform(0, edge, (len(sizes), 2))
    for _ in range(4000):
        pairs = KDTree(places).query_pairs(2 * max(radii) + gap, output_type="ndarray")
        first, second = pairs.T
        apart = places[first] - places[second]
        distance = np.linalg.norm(apart, axis=1) + 1e-9
        overlap = size[first] + size[second] + gap - distance
        if not (overlap > 0.05).any():
            break
        push = apart / distance[:, None] * np.where(overlap > 0, 0.6 * overlap + 1e-3, 0.0)[:, None]
        np.add.at(places, first, push)
        np.add.at(places, second, -push)
        places = np.clip(places, 0, edge - 1)
    return np.column_stack([places, size])


def paint_rings(
    circles: np.ndarray, *, edge: int, width: float, amplitude: float, background: float = 100.0, profile: Profile = rim
) -> np.ndarray:
    """Float picture of shape (edge, edge): profiles averaged over the area of each pixel and added up."""
    picture = np.full((edge, edge), background)
    offsets = (np.arange(FINE) + 0.5) / FINE - 0.5
    for x, y, radius in circles:
        reach = radius + 6 * width + 2
        rows = np.arange(max(0, int(y - reach)), min(edge, int(y + reach) + 2))
        columns = np.arange(max(0, int(x - reach)), min(edge, int(x + reach) + 2))
        if not len(rows) or not len(columns):
            continue
        fine_y = (rows[:, None] + offsets).ravel() - y
        fine_x = (columns[:, None] + offsets).ravel() - x
        light = profile(np.hypot(fine_x, fine_y[:, None]), radius, width)
        light = light.reshape(len(rows), FINE, len(columns), FINE).mean(axis=(1, 3))
        picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += amplitude * light
    return picture


def lower_bound(radius: float, *, width: float, amplitude: float, noise: float, profile: Profile = rim) -> float:
    """Cramer-Rao bound of x (px) of one ring whose height, background and radius are unknown too.

    Derivatives of the painted picture by finite differences: nothing in common with the code under test.
    """
    edge = int(2 * (radius + 6 * width) + 7)
    variances = []
    for shift in (0.0, 0.23, 0.5):
        truth = np.array([edge / 2 + shift, edge / 2 + 0.7 * shift, radius, amplitude, 100.0])

        def picture(values: np.ndarray) -> np.ndarray:
            look = {"width": width, "amplitude": values[3], "background": values[4], "profile": profile}
            return paint_rings(values[None, :3], edge=edge, **look)

        steps = np.diag([0.02, 0.02, 0.02, 0.1, 0.1])
        slopes = [(picture(truth + h) - picture(truth - h)).ravel() / (2 * h.max()) for h in steps]
        fisher = np.array(slopes) @ np.array(slopes).T / noise**2
        variances.append(np.linalg.inv(fisher)[:2, :2].trace() / 2)
    return float(np.sqrt(np.mean(variances)))
