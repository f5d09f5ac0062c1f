"""The search for round edges in one picture: which radii, and which side of a rim."""

from __future__ import annotations

import numpy as np

from colloid_cg.tracking.radial_symmetry import Rings, edge_map, find_rings

FINEST_RADIUS = 20.0  # px of the reduced picture: larger rings are looked for on a block-averaged one
SEARCHED = (0.62, 1.15)  # of half the diameter: radii looked for until the size classes are known
INNER_SIDE = 1.45  # px of the reduced picture: from the middle of a thin rim to its steepest side, as filtered
LEAST_SUPPORT = 0.35  # mean saturated slope along an edge
RELATIVE_SUPPORT = 0.55  # of the well supported edges of the picture
STRONG = 0.75  # of the support of the best edges (90th percentile)
CLEARLY_BETTER = 1.25  # of the explained area
OVERLAP = 0.65  # least distance of two centres in units of the sum of their radii


def strongest_edges(
    frame: np.ndarray, noise: float, *, lowest: float, highest: float, inside: float | None = None
) -> Rings:
    """Return the rings of one polarity: inside dark (-1) or bright (1); if None, whichever explains more."""
    block = max(1, round(highest / FINEST_RADIUS))
    radii = np.arange(lowest / block, highest / block + 0.999) * block
    picture = np.asarray(frame, dtype=np.float32)
    sides = []
    for sign in (-1.0, 1.0) if inside is None else (inside,):
        edges = edge_map(picture * np.float32(sign), noise, block=block)
        found = find_rings(edges, radii, minimum_support=LEAST_SUPPORT, overlap=OVERLAP)
        sides.append(found.select((found.radius > 0.92 * lowest) & (found.radius < 1.08 * highest)))
    chosen = sides[0] if len(sides) == 1 else better_side(*sides, block=block)
    if not len(chosen):
        return chosen
    usual = float(np.quantile(chosen.support, 0.9))
    return chosen.select(chosen.support >= RELATIVE_SUPPORT * usual)


def better_side(one: Rings, other: Rings, *, block: int) -> Rings:
    """Return the edges that explain more of the picture; of the two sides of a rim, where about equal, the inner.

    The inner side of a thin rim is seen all around where particles touch, the outer one is not; thick rims that are
    lit unevenly are the other way round.
    """
    first, second = (_explained(found, inner, block) for found, inner in _inner_first(one, other))
    if max(first, second) > CLEARLY_BETTER * min(first, second):
        return one if first > second else other
    return min((found for found in (one, other) if len(found)), key=_usual_radius, default=one)


def _inner_first(one: Rings, other: Rings) -> tuple[tuple[Rings, bool], tuple[Rings, bool]]:
    first = _usual_radius(one) <= _usual_radius(other)
    return (one, first), (other, not first)


def strong_rings(found: Rings) -> Rings:
    """Return the rings whose edge is seen about as well as that of the best."""
    usual = float(np.quantile(found.support, 0.9)) if len(found) else 0.0
    return found.select(found.support >= STRONG * usual)


def _usual_radius(found: Rings) -> float:
    return float(np.median(strong_rings(found).radius)) if len(found) else np.inf


def _explained(found: Rings, inner: bool, block: int) -> float:
    """Area of the strong rings by the square of their support, measured to the middle of a thin rim."""
    strong = strong_rings(found)
    middle = strong.radius + (1.0 if inner else -1.0) * INNER_SIDE * block
    return float(np.sum((strong.support * middle) ** 2))
