"""How many populations of different size there are among measured radii."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

CLEAR = 2.5  # Ashman's D of two populations
LEAST_SHARE = 0.08  # of the particles in a class
MOST_CLASSES = 4
VALLEY = 0.5  # of what is found about the mean radii, at most, in between


def split_radii(radii: np.ndarray, classes: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the median radius of each size class, increasing, and the class of each particle.

    The radii are cut where that lowers the variance within the parts most. Without a given number of classes parts
    stay apart if both parts hold enough particles and their means are far apart for their widths: Ashman's
    D = |m1 - m2| / sqrt((s1^2 + s2^2) / 2) > 2.5 (Ashman, Bird and Zepf 1994, doi:10.1086/117248; 2 separates two
    Gaussians, and the halves of one Gaussian cut in the middle reach 2.65 with their own widths, which is why robust
    widths and a valley between the parts are asked for as well).

    Parameters
    ----------
    radii : array, shape (n,)
    classes : int or None
    """
    values = np.log(np.asarray(radii, dtype=float))
    parts = _joined(_cut(values, MOST_CLASSES), len(values))
    if classes is not None:  # the largest populations; if there are too few, plain cuts
        largest = sorted(parts, key=len, reverse=True)[:classes]
        parts = sorted(largest, key=np.median) if len(largest) == classes else _cut(values, classes)
    middles = np.array([np.exp(np.median(part)) for part in parts])
    return middles, np.abs(values[:, None] - np.log(middles)).argmin(axis=1)


def _cut(values: np.ndarray, n_parts: int) -> list[np.ndarray]:
    parts = [np.sort(values)]
    while len(parts) < n_parts:
        cuts = [_best_cut(part) for part in parts]
        best = int(np.argmax([gain for gain, _ in cuts]))
        gain, cut = cuts[best]
        if gain <= 0.0:
            break
        parts[best : best + 1] = [parts[best][:cut], parts[best][cut:]]
    return parts


def _joined(parts: list[np.ndarray], n: int) -> list[np.ndarray]:
    """Neighbouring parts put together, the closest first, until all that are left are populations of their own."""
    parts = list(parts)
    while len(parts) > 1:
        gaps = [
            np.inf if _distinct(low, high, n) else float(np.median(high) - np.median(low))
            for low, high in pairwise(parts)
        ]
        closest = int(np.argmin(gaps))
        if not np.isfinite(gaps[closest]):
            break
        parts[closest : closest + 2] = [np.concatenate(parts[closest : closest + 2])]
    # A few stray radii are no class of their own.
    return [part for part in parts if len(part) >= LEAST_SHARE * n]


def _best_cut(values: np.ndarray) -> tuple[float, int]:
    """Gain of squared deviation by the best cut of sorted values, and where it is."""
    n = len(values)
    if n < 2:
        return 0.0, 0
    count = np.arange(1, n)
    total = np.cumsum(values)[:-1]
    left, right = total / count, (values.sum() - total) / (n - count)
    gain = count * (n - count) / n * (left - right) ** 2
    cut = int(np.argmax(gain))
    return float(gain[cut]), cut + 1


def _distinct(low: np.ndarray, high: np.ndarray, n: int) -> bool:
    if min(len(low), len(high)) < max(3.0, 0.5 * LEAST_SHARE * n):
        return False
    distance = float(np.median(high) - np.median(low))
    widths = [1.4826 * float(np.median(np.abs(part - np.median(part)))) for part in (low, high)]
    if distance <= CLEAR * np.sqrt(0.5 * (widths[0] ** 2 + widths[1] ** 2)):
        return False
    # A valley: the middle third of the way holds fewer than either end third, by far.
    place = (np.concatenate([low, high]) - np.median(low)) / distance
    middle = np.sum(np.abs(place - 0.5) < 1.0 / 6.0)
    ends = min(np.sum(np.abs(place) < 1.0 / 6.0), np.sum(np.abs(place - 1.0) < 1.0 / 6.0))
    return bool(middle < VALLEY * ends)
