"""Centres and radii of round edges, by the votes of the gradients that point at them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numba
import numpy as np

EDGE_SCALE = 1.0  # reduced px: width of the Gaussian under which gradients are taken
NOISE_FACTOR = 3.0  # standard deviations of the gradient noise that count as an edge of half weight
USUAL_EDGE = 0.3  # of the strong gradients of the picture (90th percentile): weaker ones are texture
SPREAD = 0.1  # of the radius: how far votes for one centre scatter
RAYS = 48  # directions in which the edge of a candidate is looked for
RAY_REACH = (0.18, 0.18, 0.12, 0.08)  # of the radius: how far from the expected edge a ray looks, round by round
LEAST_VOTES = 0.12  # of what a full circle would give: fewer are not looked at


@dataclass(frozen=True, kw_only=True, eq=False)
class EdgeMap:
    """Gradients of a block-averaged picture, saturated so that strong edges do not outvote weak ones.

    Parameters
    ----------
    block : int
        Pixels of the picture per pixel of the map.
    x, y : float32 arrays, shape (height, width)
        Components of ``g / sqrt(|g|^2 + t^2)``, g the gradient and t what counts as an edge of half weight.
    """

    block: int
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Rings:
    """Round edges of one picture, in px of the full picture, best first; every field an array of shape (n,).

    Parameters
    ----------
    x, y, radius : float
        Centre, and radius of the steepest descent of brightness seen from the centre.
    support : float
        Mean saturated slope along the edge, 0 to 1; what lies outside of the picture is left out.
    """

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    support: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def select(self, chosen: np.ndarray) -> Rings:
        """Return the rings of a mask or of an index array."""
        return Rings(x=self.x[chosen], y=self.y[chosen], radius=self.radius[chosen], support=self.support[chosen])


def reduced(picture: np.ndarray, block: int) -> np.ndarray:
    """Return the mean over blocks of ``block`` x ``block`` px as float32; incomplete blocks at the end are left out."""
    if block == 1:
        return picture.astype(np.float32)
    height, width = (length // block for length in picture.shape)
    whole = np.ascontiguousarray(picture[: height * block, : width * block], dtype=np.float32)
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))


def edge_map(picture: np.ndarray, noise: float, *, block: int) -> EdgeMap:
    """Return the saturated gradients of a picture whose pixels have the standard deviation ``noise``.

    A Gaussian derivative of width s leaves white noise with the standard deviation 1 / (sqrt(8 pi) s^2) per
    component; averaging over blocks divides it by the edge of the block.
    """
    small = cv2.GaussianBlur(reduced(picture, block), (0, 0), EDGE_SCALE, borderType=cv2.BORDER_REPLICATE)
    slope_x = cv2.Sobel(small, cv2.CV_32F, 1, 0, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
    slope_y = cv2.Sobel(small, cv2.CV_32F, 0, 1, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
    length = cv2.magnitude(slope_x, slope_y)
    gradient_noise = noise / block / (np.sqrt(8.0 * np.pi) * EDGE_SCALE**2)
    strong = float(np.partition(length.ravel(), int(0.9 * (length.size - 1)))[int(0.9 * (length.size - 1))])
    half = np.float32(max(NOISE_FACTOR * gradient_noise, USUAL_EDGE * strong, 1e-6))
    weight = 1.0 / np.sqrt(length**2 + half**2)
    return EdgeMap(block=block, x=slope_x * weight, y=slope_y * weight)


def find_rings(edges: EdgeMap, radii: np.ndarray, *, minimum_support: float, overlap: float) -> Rings:
    """Return the round edges whose inside is brighter, with radii (px) between the first and the last given.

    Fast radial symmetry (Loy and Zelinsky 2003, doi:10.1109/TPAMI.2003.1217601): every pixel votes for the places
    one radius up its gradient. The maxima are refined to the edge found along rays, and accepted in the order of
    their support; an edge supports one particle only, so that gaps between particles are not taken for particles.

    Parameters
    ----------
    edges : EdgeMap
    radii : array, shape (r,)
        Increasing, in px of the full picture.
    minimum_support : float
        Least mean slope along the edge, 0 to 1.
    overlap : float
        Least distance of two centres in units of the sum of the radii.
    """
    scaled = np.asarray(radii, dtype=float) / edges.block
    candidates = _candidates(edges, scaled)
    limits = (max(0.85 * scaled[0], 1.5), 1.15 * scaled[-1])
    fitted = _fit_edges(edges.x, edges.y, candidates, limits[0], limits[1])
    fitted = fitted[fitted[:, 3] >= minimum_support]
    fitted = fitted[np.lexsort((fitted[:, 0], fitted[:, 1], -fitted[:, 3]))]
    kept = _accept(edges.x, edges.y, fitted, minimum_support, overlap)
    x, y, radius, support = kept.T
    offset = (edges.block - 1) / 2.0
    return Rings(x=x * edges.block + offset, y=y * edges.block + offset, radius=radius * edges.block, support=support)


def _candidates(edges: EdgeMap, radii: np.ndarray) -> np.ndarray:
    """Maxima of the votes in the plane, each with its best radius: x, y, radius, votes; shape (n, 4)."""
    planes = []
    for radius in radii:
        votes = _vote(edges.x, edges.y, radius)
        width = max(0.8, SPREAD * radius)
        # Divided by the circumference: what a full circle of unit votes leaves at its centre is 1 / (2 pi width^2).
        gain = width**2 / radius
        planes.append(cv2.GaussianBlur(votes, (0, 0), width, borderType=cv2.BORDER_CONSTANT) * np.float32(gain))
    stack = np.stack(planes)
    best = stack.max(axis=0)
    size = 2 * max(1, int(0.3 * radii[0])) + 1
    highest = cv2.dilate(best, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    row, column = np.nonzero((best == highest) & (best > LEAST_VOTES))
    at = stack[:, row, column]
    parts = [np.column_stack([column, row, radii[np.argmax(at, axis=0)], at.max(axis=0)])]
    # A second radius, where a population of other size is nearly as likely: concentric edges, or crossing neighbours.
    peaks = (at[1:-1] >= at[:-2]) & (at[1:-1] > at[2:]) & (at[1:-1] > 0.5 * at.max(axis=0))
    level, which = np.nonzero(peaks)
    parts.append(np.column_stack([column[which], row[which], radii[level + 1], at[level + 1, which]]))
    return np.unique(np.concatenate(parts).astype(np.float64), axis=0)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _vote(along_x: np.ndarray, along_y: np.ndarray, radius: float) -> np.ndarray:
    height, width = along_x.shape
    votes = np.zeros((height, width), np.float32)
    for row in range(height):
        for column in range(width):
            u, v = along_x[row, column], along_y[row, column]
            weight = u * u + v * v
            if weight < 0.04:
                continue
            length = math.sqrt(weight)
            x = int(column + radius * u / length + 0.5)
            y = int(row + radius * v / length + 0.5)
            if 0 <= x < width and 0 <= y < height:
                votes[y, x] += length
    return votes


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _inward(along_x: np.ndarray, along_y: np.ndarray, x: float, y: float, toward_x: float, toward_y: float) -> float:
    """Slope towards the centre at (x, y), bilinear; -1 outside of the picture."""
    height, width = along_x.shape
    column, row = math.floor(x), math.floor(y)
    if column < 0 or row < 0 or column + 1 >= width or row + 1 >= height:
        return -1.0
    a, b = x - column, y - row
    u = (1 - b) * ((1 - a) * along_x[row, column] + a * along_x[row, column + 1]) + b * (
        (1 - a) * along_x[row + 1, column] + a * along_x[row + 1, column + 1]
    )
    v = (1 - b) * ((1 - a) * along_y[row, column] + a * along_y[row, column + 1]) + b * (
        (1 - a) * along_y[row + 1, column] + a * along_y[row + 1, column + 1]
    )
    return float(max(0.0, u * toward_x + v * toward_y))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _along_rays(
    along_x: np.ndarray,
    along_y: np.ndarray,
    x: float,
    y: float,
    radius: float,
    look: float,
    owned: np.ndarray,
    strength: np.ndarray,
    distance: np.ndarray,
) -> None:
    """Best slope on each ray and its distance from the expected edge; strength -1 outside of the picture."""
    reach = max(1.0, look * radius)
    steps = 2 * math.ceil(reach / 0.5) + 1
    step = 2.0 * reach / (steps - 1)
    values = np.empty(steps)
    for ray in range(RAYS):
        cosine, sine = math.cos(2.0 * math.pi * ray / RAYS), math.sin(2.0 * math.pi * ray / RAYS)
        best = -1
        for k in range(steps):
            out = radius - reach + k * step
            at_x, at_y = x + out * cosine, y + out * sine
            values[k] = _inward(along_x, along_y, at_x, at_y, -cosine, -sine)
            if values[k] > 0.0 and owned[int(at_y + 0.5), int(at_x + 0.5)]:
                values[k] = 0.0
            if best < 0 or values[k] > values[best]:
                best = k
        strength[ray] = values[best]
        distance[ray] = -reach + best * step
        if 0 < best < steps - 1 and values[best - 1] >= 0.0 and values[best + 1] >= 0.0:
            bend = values[best - 1] - 2.0 * values[best] + values[best + 1]
            if bend < 0.0:
                distance[ray] += 0.5 * step * (values[best - 1] - values[best + 1]) / bend


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _support(strength: np.ndarray) -> float:
    inside, total = 0, 0.0
    for value in strength:
        if value >= 0.0:
            inside += 1
            total += value
    return total / max(inside, RAYS // 2)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fit_edges(
    along_x: np.ndarray, along_y: np.ndarray, candidates: np.ndarray, smallest: float, largest: float
) -> np.ndarray:
    """Circle through the edge found on the rays of each candidate: x, y, radius, support; shape (n, 4)."""
    owned = np.zeros(along_x.shape, np.bool_)
    fitted = np.empty((len(candidates), 4))
    strength, distance = np.empty(RAYS), np.empty(RAYS)
    for index in range(len(candidates)):
        x, y, radius = candidates[index, 0], candidates[index, 1], candidates[index, 2]
        for turn in range(len(RAY_REACH) + 1):
            look = RAY_REACH[min(turn, len(RAY_REACH) - 1)]
            _along_rays(along_x, along_y, x, y, radius, look, owned, strength, distance)
            if turn == len(RAY_REACH):
                break
            # Weighted least squares for a small shift and growth: distance = growth + shift . direction
            s0 = s1 = s2 = s11 = s12 = s22 = g0 = g1 = g2 = 0.0
            for ray in range(RAYS):
                weight = max(0.0, strength[ray]) ** 2
                cosine, sine = math.cos(2.0 * math.pi * ray / RAYS), math.sin(2.0 * math.pi * ray / RAYS)
                s0 += weight
                s1 += weight * cosine
                s2 += weight * sine
                s11 += weight * cosine * cosine
                s12 += weight * cosine * sine
                s22 += weight * sine * sine
                g0 += weight * distance[ray]
                g1 += weight * distance[ray] * cosine
                g2 += weight * distance[ray] * sine
            if s0 < 1e-3:
                break
            ridge = 0.02 * s0  # an edge seen on one side only moves the centre along the seen direction
            s11, s22 = s11 + ridge, s22 + ridge
            c0 = s11 * s22 - s12 * s12
            c1 = s2 * s12 - s1 * s22
            c2 = s1 * s12 - s11 * s2
            det = s0 * c0 + s1 * c1 + s2 * c2
            growth = (c0 * g0 + c1 * g1 + c2 * g2) / det
            shift_x = (c1 * g0 + (s0 * s22 - s2 * s2) * g1 + (s1 * s2 - s0 * s12) * g2) / det
            shift_y = (c2 * g0 + (s1 * s2 - s0 * s12) * g1 + (s0 * s11 - s1 * s1) * g2) / det
            x, y = x + shift_x, y + shift_y
            radius = min(max(radius + growth, smallest), largest)
        fitted[index, 0], fitted[index, 1], fitted[index, 2], fitted[index, 3] = x, y, radius, _support(strength)
    return fitted


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _accept(
    along_x: np.ndarray, along_y: np.ndarray, fitted: np.ndarray, minimum_support: float, overlap: float
) -> np.ndarray:
    """Candidates in order, those left out whose edge belongs to a better one or that overlap it."""
    height, width = along_x.shape
    owned = np.zeros((height, width), np.bool_)
    kept = np.empty_like(fitted)
    n = 0
    strength, distance = np.empty(RAYS), np.empty(RAYS)
    for index in range(len(fitted)):
        x, y, radius = fitted[index, 0], fitted[index, 1], fitted[index, 2]
        clear = True
        for other in range(n):
            far = math.hypot(x - kept[other, 0], y - kept[other, 1])
            if far < overlap * (radius + kept[other, 2]):
                clear = False
                break
        if not clear:
            continue
        _along_rays(along_x, along_y, x, y, radius, RAY_REACH[-1], owned, strength, distance)
        support = _support(strength)
        if support < minimum_support:
            continue
        kept[n] = fitted[index]
        kept[n, 3] = support
        n += 1
        reach = max(1.0, 0.1 * radius)
        for row in range(max(0, int(y - radius - reach)), min(height, int(y + radius + reach) + 2)):
            for column in range(max(0, int(x - radius - reach)), min(width, int(x + radius + reach) + 2)):
                if abs(math.hypot(column - x, row - y) - radius) <= reach:
                    toward_x, toward_y = x - column, y - row
                    if along_x[row, column] * toward_x + along_y[row, column] * toward_y > 0.0:
                        owned[row, column] = True
    return kept[:n].copy()
