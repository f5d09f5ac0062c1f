"""How near two detections may be: close pairs of particles told from one particle that has two maxima."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import KDTree

from colloid_cg.tracking.choices import Choice, neighbour_distances

CLOSEST = (0.6, 1.0)  # diameters and px: nearer maxima are not told apart (three spot widths and a pixel)
RELATIVE_HEIGHT = 0.5  # of the usual height: a fainter maximum beside a particle may be its texture or noise
RELATIVE_DIP = 0.5  # of the dip that two particles of the usual profile would have between them
LONE_SHARE = 0.3  # of the particles, those farthest from others: they give the usual profile
DOUBTFUL = 0.1  # of the close pairs
STEPS = 9  # points along a pair at which the picture is looked at
FEWEST = 10
ROOM = 0.9  # of the distance of the nearest pairs seen: other frames have nearer ones


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Detections nearer to each other than usual: their distances in px, and whether each is two particles.

    ``nearest`` is the distance of every detection to its nearest neighbour.
    """

    distance: np.ndarray
    genuine: np.ndarray
    nearest: np.ndarray


def closest_separation(diameter: int) -> float:
    """Return the separation with which close pairs are looked for, in px."""
    return CLOSEST[0] * diameter + CLOSEST[1]


def close_pairs(filtered: np.ndarray, points: np.ndarray, *, nearer: float) -> Pairs:
    """Return the pairs of detections of one frame that are nearer than ``nearer``, judged.

    Two particles have a dip between them, one particle with two maxima (texture, noise, a size of its own) has
    less of it. The dip expected is that of two profiles added up: min(h1, h2) - (h1 + h2) p(D / 2), with p the mean
    profile of the particles that are farthest from others, 1 at its centre.

    Parameters
    ----------
    filtered : float32 array
        Band-passed picture, particles bright.
    points : array, shape (n, 2)
        x, y of the detections in px.
    nearer : float
        In px.
    """
    pairs = KDTree(points).query_pairs(nearer, output_type="ndarray")
    if len(points) < FEWEST or not len(pairs):
        return Pairs(distance=np.empty(0), genuine=np.empty(0, dtype=bool), nearest=neighbour_distances(points))
    # A detection may lie between pixels: its height is that of the highest pixel around.
    highest = cv2.dilate(filtered, np.ones((3, 3), dtype=np.uint8))
    height = _at(highest, points)
    one, other = points[pairs[:, 0]], points[pairs[:, 1]]
    distance = np.linalg.norm(one - other, axis=1)
    share = np.linspace(0.0, 1.0, STEPS)[None, :, None]
    along = _at(filtered, (one[:, None, :] * (1.0 - share) + other[:, None, :] * share).reshape(-1, 2))
    lower = height[pairs].min(axis=1)
    dip = lower - along.reshape(-1, STEPS).min(axis=1)
    lone = points[np.argsort(-neighbour_distances(points), kind="stable")[: max(FEWEST, int(LONE_SHARE * len(points)))]]
    expected = lower - height[pairs].sum(axis=1) * _profile(filtered, lone, 0.5 * distance)
    normal = lower > RELATIVE_HEIGHT * float(np.median(height))
    genuine = normal & (expected > 0) & (dip > RELATIVE_DIP * expected)
    return Pairs(distance=distance, genuine=genuine, nearest=neighbour_distances(points))


def choose_separation(pairs: Sequence[Pairs], diameter: int) -> Choice:
    """Separation: one more than the diameter; where pairs of particles are closer, what tells most of them right.

    A separation s loses the true pairs nearer than s and doubles the particles whose maxima are farther apart. The
    largest s with the fewest mistakes is taken; a tenth less, for nearer pairs in other frames, where none is doubled.
    In a picture in which more than ``DOUBTFUL`` of the close pairs are none, walls and texture pass for pairs too: the
    separation is then nine tenths of the distance that a tenth of the particles have to their nearest neighbour.
    """
    usual = diameter + 1.0
    distance = np.concatenate([part.distance for part in pairs]) if pairs else np.empty(0)
    genuine = np.concatenate([part.genuine for part in pairs]) if pairs else np.empty(0, dtype=bool)
    evidence = {"close_pairs": int(genuine.sum()), "doubled": int((~genuine).sum()), "nearer_than_px": usual}
    if not genuine.any():
        reason = "one more than the diameter: no two particles are nearer in the frames looked at"
        return Choice(value=usual, reason=reason, evidence=evidence)
    tried = np.append(np.arange(closest_separation(diameter), usual, 0.1), usual)
    if (~genuine).mean() > DOUBTFUL:
        near = float(np.quantile(np.concatenate([part.nearest for part in pairs]), 0.1))
        tried = tried[tried >= (ROOM * near if near < usual else usual)][:1]
    lost = (distance[genuine] < tried[:, None]).sum(axis=1)
    doubled = (distance[~genuine] >= tried[:, None]).sum(axis=1)
    fewest = np.flatnonzero(lost + doubled == (lost + doubled).min())
    room = ROOM if genuine.all() else 1.0
    best = int(fewest[np.searchsorted(tried[fewest], room * tried[fewest[-1]])])
    evidence |= {"lost": int(lost[best]), "left_double": int(doubled[best])}
    reason = f"{int(genuine.sum())} pairs of particles are nearer than {usual:g} px, {int((~genuine).sum())} single "
    reason += (
        f"particles have two maxima; at this separation {int(lost[best])} and {int(doubled[best])} are taken wrong"
    )
    return Choice(value=round(float(tried[best]), 1), reason=reason, evidence=evidence)


def _profile(filtered: np.ndarray, points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Mean of the picture at some distances from the points, over its value at the points."""
    angle = 2.0 * np.pi * np.arange(16) / 16
    direction = np.column_stack([np.cos(angle), np.sin(angle)])
    table = np.linspace(0.0, max(float(radius.max()), 1.0), 16)
    around = points[:, None, None, :] + table[None, :, None, None] * direction
    values = _at(filtered, around.reshape(-1, 2)).reshape(len(points), len(table), -1)
    mean = np.median(values, axis=0).mean(axis=1)
    return np.asarray(np.interp(radius, table, mean / max(float(mean[0]), 1e-30)))


def _at(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Bilinear values of a picture at x, y."""
    x, y = points.astype(np.float32).T
    # remap takes at most 2^15 rows or columns
    return np.concatenate(
        [
            cv2.remap(picture, a[None, :], b[None, :], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
            for a, b in zip(
                np.array_split(x, len(x) // 30_000 + 1), np.array_split(y, len(y) // 30_000 + 1), strict=True
            )
        ]
    ).astype(float)
