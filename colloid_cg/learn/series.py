"""Views of a state series that the fit works on: chains of linked rows, every second frame, clusters for errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from colloid_cg.records import StateSeries


@dataclass(frozen=True, kw_only=True, eq=False)
class Chains:
    """Rows in the order particle, frame, so that linked rows follow each other.

    ``order`` (n,) rows; ``joined`` (n,) True where a row continues the one before it in ``order``.
    """

    order: np.ndarray
    joined: np.ndarray


def chains(series: StateSeries) -> Chains:
    """Return the rows chained along the links (gaps and new particles start a new chain)."""
    order = np.lexsort((frame_of_rows(series), series.particle))
    joined = np.zeros(len(order), dtype=bool)
    joined[1:] = series.previous[order[1:]] == order[:-1]
    return Chains(order=order, joined=joined)


def frame_of_rows(series: StateSeries) -> np.ndarray:
    """Return the frame number (from 0) of every row."""
    return np.repeat(np.arange(series.n_frames), np.diff(series.offsets))


def later_rows(series: StateSeries, lag: int) -> np.ndarray:
    """Return for every row that of its particle ``lag`` frames later, -1 where a detection up to there is missing."""
    later = np.arange(len(series.positions))
    for _ in range(lag):
        later = np.where(later >= 0, series.following[later], -1)
    return later


def every_nth_frame(series: StateSeries, stride: int) -> StateSeries:
    """Return frames 0, n, 2n, ...; links join rows whose particle was also detected in every frame between."""
    if stride == 1:
        return series
    frame = frame_of_rows(series)
    keep = np.flatnonzero(frame % stride == 0)
    number = np.full(len(frame), -1)
    number[keep] = np.arange(len(keep))
    after = later_rows(series, stride)[keep]
    following = np.where(after >= 0, number[after], -1)
    previous = np.full(len(keep), -1)
    linked = np.flatnonzero(following >= 0)
    previous[following[linked]] = linked
    counts = np.diff(series.offsets)[::stride]
    return replace(
        series,
        positions=series.positions[keep],
        species=series.species[keep],
        particle=series.particle[keep],
        localisation_variance=series.localisation_variance[keep],
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        previous=previous,
        following=following,
        edge_distance=series.edge_distance[keep],
        times=series.times[::stride],
        frame_interval=stride * series.frame_interval,
    )


def first_rows(series: StateSeries, limit: int) -> StateSeries:
    """Return the leading frames that hold at most ``limit`` rows (at least three frames)."""
    if len(series.positions) <= limit:
        return series
    frames = max(3, int(np.searchsorted(series.offsets, limit, side="right")) - 1)
    stop = int(series.offsets[frames])
    return replace(
        series,
        positions=series.positions[:stop],
        species=series.species[:stop],
        particle=series.particle[:stop],
        localisation_variance=series.localisation_variance[:stop],
        offsets=series.offsets[: frames + 1],
        previous=series.previous[:stop],
        following=np.where(series.following[:stop] < stop, series.following[:stop], -1),
        edge_distance=series.edge_distance[:stop],
        times=series.times[:frames],
    )


def exposure_share(series: StateSeries) -> float:
    """Return exposure / frame interval, 0 if the exposure is unknown."""
    return 0.0 if series.exposure is None else min(series.exposure / series.frame_interval, 1.0)


def blur_coefficient(series: StateSeries) -> float:
    """Return R = exposure / (6 dt), 0 if the exposure is unknown (Berglund 2010, doi:10.1103/PhysRevE.82.011917)."""
    return exposure_share(series) / 6.0


def time_blocks(series: StateSeries, wanted: int) -> np.ndarray:
    """Return the block number of every row: consecutive blocks of at least five frames, at least two blocks."""
    count = max(2, min(wanted, series.n_frames // 5))
    return frame_of_rows(series) * count // max(series.n_frames, 1)


def particle_clusters(series: StateSeries) -> np.ndarray:
    """Return particle numbers from 0, one per row."""
    return np.asarray(np.unique(series.particle, return_inverse=True)[1])
