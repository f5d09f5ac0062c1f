"""The table of detections seen track by track: who comes before and after whom, ends and beginnings, usual scatter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.spatial import cKDTree

from colloid_cg.events.hopnull import variogram
from colloid_cg.observables import without_affine_motion
from colloid_cg.records import Trajectories

LEVEL = 5.0
"""Standard deviations beyond which a value is not ordinary: one of two million Gaussian ones."""
SMALLEST = 0.01
"""Smallest scatter of ln mass and ln size that is believed."""
_FEWEST = 10
_CHUNK = 2_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackLinks:
    """Rows of the table linked along the tracks.

    Parameters
    ----------
    frame, particle : int arrays, shape (n,)
    order : int array, shape (n,)
        Rows by particle, then frame.
    previous, following : int arrays, shape (n,)
        Row of the detection of the same particle before and after, -1 where there is none.
    gap : int array, shape (n,)
        Frames since the detection before, 0 where there is none.
    """

    frame: np.ndarray
    particle: np.ndarray
    order: np.ndarray
    previous: np.ndarray
    following: np.ndarray
    gap: np.ndarray


def track_links(tracks: Trajectories) -> TrackLinks:
    """Return the links of a table."""
    frame, particle = (tracks.table[name].to_numpy() for name in ("frame", "particle"))
    order = np.lexsort((frame, particle))
    same = np.flatnonzero(np.diff(particle[order]) == 0)
    previous, following, gap = np.full(len(frame), -1), np.full(len(frame), -1), np.zeros(len(frame), dtype=np.int64)
    before, after = order[same], order[same + 1]
    previous[after], following[before] = before, after
    gap[after] = frame[after] - frame[before]
    return TrackLinks(frame=frame, particle=particle, order=order, previous=previous, following=following, gap=gap)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reach:
    """How far particles go by chance.

    Parameters
    ----------
    places : array, shape (n, d)
        Positions in um with the common affine motion removed.
    square : array, shape (n, g + 1)
        Squared distance (um2) of each detection's species over 0 to g frames that is still ordinary.
    spacing : float
        Median distance to the nearest neighbour, um; NaN if there never are two.
    """

    places: np.ndarray
    square: np.ndarray
    spacing: float


def reach_of(tracks: Trajectories, links: TrackLinks, longest: int) -> Reach:
    """Return the ordinary reach over 1 to ``longest`` frames: LEVEL standard deviations, from medians, by species."""
    places = without_affine_motion(tracks)
    kinds, kind = np.unique(tracks.table["species"].to_numpy(), return_inverse=True)
    limit = stats.chi2.isf(2 * stats.norm.sf(LEVEL), tracks.dimension)
    squares = np.zeros((len(kinds), longest + 1))
    for k in range(len(kinds)):
        rows = kind == k
        squares[k] = limit * variogram(links.frame[rows], links.particle[rows], places[rows], longest)
    return Reach(places=places, square=squares[kind], spacing=_spacing(tracks))


def _spacing(tracks: Trajectories) -> float:
    """Return the median distance to the nearest neighbour in up to 20 frames (open edges taken for walls)."""
    offsets, found = tracks.frame_offsets(), []
    filled = np.flatnonzero(np.diff(offsets) > 1)
    for t in filled[np.unique(np.linspace(0, len(filled) - 1, 20).astype(int))] if len(filled) else ():
        places = tracks.positions[offsets[t] : offsets[t + 1]]
        found.append(cKDTree(places).query(places, k=2)[0][:, 1])
    return float(np.median(np.concatenate(found))) if found else np.nan


def scatter(values: np.ndarray, links: TrackLinks) -> np.ndarray:
    """Return the standard deviation of values of each detection's particle, robustly, shape (n,).

    The larger of that of its own values (median, with ten of them) and that of all (median and 95 % quantile, so that
    tails heavier than Gaussian count), at least SMALLEST. ``values`` are centred on zero, NaN where unknown.
    """
    size, known = np.abs(values), np.isfinite(values)
    if not known.any():
        return np.full(len(values), np.nan)
    everyone = max(
        np.median(size[known]) / stats.norm.ppf(0.75), np.quantile(size[known], 0.95) / stats.norm.ppf(0.975)
    )
    own = median_of_tracks(size, links, fewest=_FEWEST) / stats.norm.ppf(0.75)
    return np.asarray(np.fmax(np.fmax(own, everyone), SMALLEST))


def median_of_tracks(values: np.ndarray, links: TrackLinks, *, fewest: int) -> np.ndarray:
    """Return the median of the values of each detection's particle, NaN with fewer than ``fewest`` known ones."""
    rows = links.order[np.isfinite(values[links.order])]
    result = np.full(len(values), np.nan)
    if not len(rows):
        return result
    rows = rows[np.lexsort((values[rows], links.particle[rows]))]
    ids, start, count = np.unique(links.particle[rows], return_index=True, return_counts=True)
    low, high = values[rows[start + (count - 1) // 2]], values[rows[start + count // 2]]
    medians = np.where(count >= fewest, 0.5 * (low + high), np.nan)
    place = np.minimum(np.searchsorted(ids, links.particle), len(ids) - 1)
    return np.asarray(np.where(ids[place] == links.particle, medians[place], np.nan))


def near_pairs(
    tracks: Trajectories, first: np.ndarray, second: np.ndarray, distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of all pairs of places at most ``distance`` apart, shortest images."""
    if not len(first) or not len(second) or not distance > 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    step, found = max(1, _CHUNK // len(second)), []
    for start in range(0, len(first), step):
        apart = tracks.box.displacement(first[start : start + step, None], second[None])
        a, b = np.nonzero((apart**2).sum(axis=-1) <= distance**2)
        found.append((a + start, b))
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])
