"""Observables of a movie that passes by window after window: memory for the longest lag, not for the movie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numba import njit

from colloid_cg.errors import DataError, InputError
from colloid_cg.observables.blocks import mean_of_sums, time_blocks
from colloid_cg.observables.curve import Curve
from colloid_cg.records import Trajectories

LONGEST_LAG = 100
"""Longest lag in frames where none is asked for: the positions of so many frames are kept."""


class MsdSums:
    """Sums behind the mean square displacement, taken up window by window.

    Kept are the positions of the last ``max(lags)`` frames and two numbers per lag and track and per lag and frame.

    Parameters
    ----------
    lags : sequence of int
        In frames, at least 1.
    """

    def __init__(self, lags: Sequence[int]) -> None:
        self.lags = np.unique(np.asarray(lags, dtype=np.int64))
        if not len(self.lags) or self.lags[0] < 1:
            raise InputError(f"lags {list(lags)}", expected="lags of at least 1 frame", action="give positive lags")
        self._held: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._next = 0
        self._frame_interval: float | None = None
        size = (len(self.lags), 1024)
        self._by_frame, self._frame_count = np.zeros(size), np.zeros(size, dtype=np.int64)
        self._by_track, self._track_count = np.zeros(size), np.zeros(size, dtype=np.int32)

    def add(self, window: Trajectories) -> None:
        """Take up the frames that follow those before; frames seen already, as in overlapping windows, are skipped."""
        self._frame_interval = window.frame_interval
        table = window.table[window.table["frame"] >= self._next]
        if table.empty:
            return
        frame, particle = table["frame"].to_numpy(), table["particle"].to_numpy()
        positions = np.ascontiguousarray(table[list(window.axes)].to_numpy(dtype=float) * window.pixel_size)
        periods = np.where(window.box.periodic, window.box.lengths, 0.0)
        self._by_frame, self._frame_count = (_wider(a, int(frame[-1]) + 1) for a in (self._by_frame, self._frame_count))
        tracks = int(particle.max()) + 1
        self._by_track, self._track_count = (_wider(a, tracks) for a in (self._by_track, self._track_count))
        borders = np.flatnonzero(np.diff(frame, prepend=-1, append=frame[-1] + 1))
        for start, stop in pairwise(borders):
            self._add_frame(int(frame[start]), particle[start:stop], positions[start:stop], periods)
        self._next = int(frame[-1]) + 1

    def _add_frame(self, frame: int, particle: np.ndarray, positions: np.ndarray, periods: np.ndarray) -> None:
        for old in [before for before in self._held if before < frame - self.lags[-1]]:
            del self._held[old]
        for row, lag in enumerate(self.lags):
            if frame - lag not in self._held:
                continue
            total, count = _square_displacements(
                *self._held[frame - lag], particle, positions, periods, self._by_track[row], self._track_count[row]
            )
            self._by_frame[row, frame - lag] += total
            self._frame_count[row, frame - lag] += count
        self._held[frame] = (particle, positions)

    def result(self) -> Curve:
        """Return what :func:`~colloid_cg.observables.msd` returns for the whole movie at these lags."""
        if self._frame_interval is None:
            raise DataError("no detections", expected="particles in some frame", action="check the tracking")
        rows = [self._at(row, int(lag)) for row, lag in enumerate(self.lags)]
        value, error, count = (np.array(column) for column in zip(*rows, strict=True))
        return Curve(
            x=self.lags * self._frame_interval,
            value=value,
            standard_error=error,
            count=count,
            x_unit="s",
            value_unit="um2",
        )

    def _at(self, row: int, lag: int) -> tuple[float, float, int]:
        tracks, frames = np.flatnonzero(self._track_count[row]), np.flatnonzero(self._frame_count[row])
        if not len(tracks):
            return np.nan, np.nan, 0
        mean, between_tracks = mean_of_sums(self._by_track[row, tracks, None], self._track_count[row, tracks])
        block = time_blocks(frames, lag)
        sums = np.bincount(block, weights=self._by_frame[row, frames])
        _, between_times = mean_of_sums(sums[:, None], np.bincount(block, weights=self._frame_count[row, frames]))
        return float(mean[0]), float(np.fmax(between_tracks, between_times)[0]), int(self._frame_count[row].sum())


def streamed_msd(windows: Iterable[Trajectories], lags: Sequence[int] | None = None) -> Curve:
    """Return the mean square displacement of a movie given as consecutive windows, as ``msd`` does of a whole one.

    Parameters
    ----------
    windows : iterable of Trajectories
        For example ``iterate_trajectories(path, frames_per_part=200)``.
    lags : sequence of int, optional
        In frames; default about 30 from 1 to 100, evenly spaced in the logarithm.
    """
    chosen = np.unique(np.geomspace(1, LONGEST_LAG, 30).round().astype(int)).tolist() if lags is None else lags
    sums = MsdSums(chosen)
    for window in windows:
        sums.add(window)
    return sums.result()


class TrackLengths:
    """Number of detections of each track, one number per track."""

    def __init__(self) -> None:
        self._length = np.zeros((1, 1024), dtype=np.int64)
        self._next = 0

    def add(self, window: Trajectories) -> None:
        """Take up a window; frames seen already are skipped."""
        table = window.table
        particle = table["particle"].to_numpy()[table["frame"].to_numpy() >= self._next]
        if len(particle):
            self._length = _wider(self._length, int(particle.max()) + 1)
            self._length[0] += np.bincount(particle, minlength=self._length.shape[1])
            self._next = int(table["frame"].iloc[-1]) + 1

    def result(self) -> np.ndarray:
        """Return the lengths of all tracks that have a detection, in order of their number."""
        return np.asarray(self._length[0][self._length[0] > 0])


def _wider(array: np.ndarray, width: int) -> np.ndarray:
    """Return an array with at least ``width`` columns, the new ones zero."""
    if width <= array.shape[1]:
        return array
    return np.pad(array, ((0, 0), (0, max(width, array.shape[1] * 3 // 2) - array.shape[1])))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _square_displacements(
    ids: np.ndarray,
    places: np.ndarray,
    later_ids: np.ndarray,
    later: np.ndarray,
    periods: np.ndarray,
    by_track: np.ndarray,
    track_count: np.ndarray,
) -> tuple[float, int]:
    """Add |r' - r|^2 of the particles in both frames, ids ascending, to their tracks; return sum and number."""
    total, count, j = 0.0, 0, 0
    for i in range(len(ids)):
        while j < len(later_ids) and later_ids[j] < ids[i]:
            j += 1
        if j == len(later_ids):
            break
        if later_ids[j] != ids[i]:
            continue
        square = 0.0
        for axis in range(places.shape[1]):
            step = later[j, axis] - places[i, axis]
            if periods[axis] > 0.0:
                step -= periods[axis] * np.round(step / periods[axis])
            square += step * step
        total += square
        count += 1
        by_track[ids[i]] += square
        track_count[ids[i]] += 1
    return total, count
