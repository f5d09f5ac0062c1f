"""Tracking quality in numbers: what the figures and checks of the report are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from colloid_cg.records import FLAG_POOR_FIT, CommonMotion, Trajectories
from colloid_cg.reporting.stated import with_stated
from colloid_cg.tracking import dropped_frames, poor_fits, tracking_faults

SUBPIXEL_BINS = 20
HISTOGRAM_BINS = 60
MOST_ROWS = 500_000
"""Rows that a distribution is taken from: more would change no digit that is shown."""
_SAMPLED = ("frame", "particle", "x", "y", "mass", "size", "sigma_x", "sigma_y")


def tracking_quality(tracks: Trajectories) -> dict[str, Any]:
    """Return JSON-able histograms and numbers on the quality of tracking.

    Keys: ``subpixel_x, subpixel_y, mass, size, track_lengths`` (each ``edges, counts``), ``detections_per_frame``,
    ``first_frame``, ``drift`` (frame, dx, dy, se_x, se_y in px, removed, reason; or None), ``locking`` (x, y, noise),
    ``median_stated_sigma`` (px), ``rms_step`` (px, one frame, one axis) and counts. Where the drift was taken off
    the positions, it is put back before the sub-pixel part is taken.
    """
    return streamed_quality([tracks], n_rows=len(tracks))


def streamed_quality(windows: Iterable[Trajectories], *, n_rows: int) -> dict[str, Any]:
    """Return what :func:`tracking_quality` returns, of a movie given as consecutive windows.

    Counts, steps, gaps and lengths are those of all rows. Distributions (sub-pixel part, mass, size, sigma) come from
    evenly spaced whole frames with at most about ``MOST_ROWS`` rows, ``distributions_from`` of them in all. What
    follows particles from frame to frame (lost tracks, gaps, localisation error) comes from the first windows with at
    least ``MOST_ROWS`` rows, the frames before ``faults_before``.

    Parameters
    ----------
    windows : iterable of Trajectories
    n_rows : int
        Rows of the movie.
    """
    counted, every = CountedQuality(), -(-n_rows // MOST_ROWS) or 1
    sample: list[pd.DataFrame] = []
    block: list[Trajectories] = []
    motion: CommonMotion | None = None
    drift: dict[str, Any] | None = None
    for window in windows:
        if motion is None:
            motion, drift = CommonMotion.parse(window.metadata.get("drift")), drift_of(window)
        counted.add(window)
        rows = window.table[window.table["frame"] % every == 0]
        sample.append(_seen_by_the_camera(rows[[name for name in _SAMPLED if name in rows.columns]], motion))
        if sum(len(part) for part in block) < MOST_ROWS:
            block.append(window)
    table, counts = pd.concat(sample, ignore_index=True), counted.result()
    faults = _faults(block, counts, motion or CommonMotion.parse(None))
    return _distributions(table) | counts | faults | {"drift": drift, "distributions_from": len(table)}


def _faults(block: list[Trajectories], counts: dict[str, Any], motion: CommonMotion) -> dict[str, Any]:
    """Return the faults within the first windows, and the frames of the whole movie that do not fit."""
    tracks = block[0] if len(block) == 1 else block[0].with_table(pd.concat([part.table for part in block]))
    faults = tracking_faults(tracks)
    faults["localisation"] = with_stated(faults["localisation"], tracks)
    last = int(tracks.table["frame"].iloc[-1])
    if faults["dropped_frames"] is not None:
        first = counts["first_frame"]
        per_frame = np.zeros(int(motion.frame[-1]) + 1, dtype=np.int64)
        per_frame[first : first + len(counts["detections_per_frame"])] = counts["detections_per_frame"]
        faults["dropped_frames"] = dropped_frames(per_frame[motion.frame], motion)
    return faults | {"poor_fits": counts["poor_fits"], "faults_before": last + 1}


def _seen_by_the_camera(rows: pd.DataFrame, motion: CommonMotion) -> pd.DataFrame:
    if not motion.removed:
        return rows
    seen = motion.restored(rows[["x", "y"]].to_numpy(dtype=float), rows["frame"].to_numpy())
    return rows.assign(seen_x=seen[:, 0], seen_y=seen[:, 1])


def _distributions(table: pd.DataFrame) -> dict[str, Any]:
    quality: dict[str, Any] = {"locking": {"noise": modulation_of_chance(visited_pixels(table))}}
    for axis in "xy":
        counts, edges = subpixel_histogram(table[f"seen_{axis}" if f"seen_{axis}" in table else axis].to_numpy())
        quality[f"subpixel_{axis}"] = {"edges": edges.tolist(), "counts": counts.tolist()}
        quality["locking"][axis] = locking_amplitude(counts)
    for name in ("mass", "size"):
        quality[name] = _histogram(table[name].to_numpy())
    sigma = table[["sigma_x", "sigma_y"]].to_numpy().ravel()
    sigma = sigma[np.isfinite(sigma)]
    return quality | {"median_stated_sigma": float(np.median(sigma)) if len(sigma) else None}


class CountedQuality:
    """What has to be counted over all rows: detections per frame, lengths, steps and gaps of tracks.

    Kept are four numbers per track and two per frame.
    """

    def __init__(self) -> None:
        self._length, self._seen = np.zeros(1024, dtype=np.int64), np.full(1024, -1, dtype=np.int64)
        self._place = np.zeros((1024, 2))
        self._per_frame: list[np.ndarray] = []
        self._poor: list[np.ndarray] = []
        self._first: int | None = None
        self._next = 0
        self._square, self._steps, self._gaps, self._links = 0.0, 0, 0, 0

    def add(self, window: Trajectories) -> None:
        """Take up the frames that follow those before."""
        table = window.table
        if table.empty:
            return
        frame, particle = table["frame"].to_numpy(), table["particle"].to_numpy()
        positions = table[["x", "y"]].to_numpy(dtype=float)
        start = int(frame[0]) if self._first is None else self._next
        self._first = start if self._first is None else self._first
        self._next = int(frame[-1]) + 1
        self._per_frame.append(np.bincount(frame - start, minlength=self._next - start))
        poor = (table["flags"].to_numpy() & FLAG_POOR_FIT) > 0
        self._poor.append(np.bincount(frame[poor] - start, minlength=self._next - start))
        self._reserve(int(particle.max()) + 1)
        square, steps, links, gaps = _followed(frame, particle, positions, self._seen, self._place, self._length)
        self._square += square
        self._steps, self._links, self._gaps = self._steps + steps, self._links + links, self._gaps + gaps

    def _reserve(self, tracks: int) -> None:
        if tracks > len(self._length):
            more = max(tracks, len(self._length) * 3 // 2) - len(self._length)
            self._length = np.pad(self._length, (0, more))
            self._seen = np.pad(self._seen, (0, more), constant_values=-1)
            self._place = np.pad(self._place, ((0, more), (0, 0)))

    def result(self) -> dict[str, Any]:
        """Return the counts, JSON-able."""
        lengths = self._length[self._length > 0]
        edges = np.unique(np.geomspace(1, lengths.max() + 1, 25).round())
        per_frame = np.concatenate(self._per_frame)
        poor = poor_fits(per_frame, np.concatenate(self._poor))
        return {
            "track_lengths": {"edges": edges.tolist(), "counts": np.histogram(lengths, edges)[0].tolist()},
            "first_frame": self._first,
            "detections_per_frame": per_frame.tolist(),
            "poor_fits": [self._first + index for index in poor] if self._first is not None else [],
            "n_detections": int(lengths.sum()),
            "n_tracks": len(lengths),
            "median_track_length": float(np.median(lengths)),
            "rms_step": float(np.sqrt(self._square / (2 * self._steps))) if self._steps else None,
            "after_gap_fraction": self._gaps / self._links if self._links else 0.0,
        }


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _followed(
    frame: np.ndarray,
    particle: np.ndarray,
    positions: np.ndarray,
    seen: np.ndarray,
    place: np.ndarray,
    length: np.ndarray,
) -> tuple[float, int, int, int]:
    """Take rows in frame order; return sum of squared steps of one frame, their number, links, links over a gap."""
    square, steps, links, gaps = 0.0, 0, 0, 0
    for row in range(len(frame)):
        track = particle[row]
        if seen[track] >= 0:
            links += 1
            if seen[track] == frame[row] - 1:
                steps += 1
                for axis in range(2):
                    square += (positions[row, axis] - place[track, axis]) ** 2
            else:
                gaps += 1
        seen[track] = frame[row]
        place[track] = positions[row]
        length[track] += 1
    return square, steps, links, gaps


def subpixel_histogram(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts and edges of ``positions`` (px) modulo one pixel."""
    counts, edges = np.histogram(np.mod(positions, 1.0), bins=SUBPIXEL_BINS, range=(0.0, 1.0))
    return counts, edges


def visited_pixels(table: pd.DataFrame) -> int:
    """Return how many pixels the particles visited: one that stays put samples a single sub-pixel part."""
    visited = table[["particle", "x", "y"]].round({"x": 0, "y": 0})
    return max(len(visited.drop_duplicates()), 1)


def modulation_of_chance(samples: int) -> float:
    """Return the modulation that ``samples`` independent positions show if nothing is locked: sqrt(2 (b - 1) / n)."""
    return float(np.sqrt(2.0 * (SUBPIXEL_BINS - 1) / samples))


def locking_amplitude(counts: np.ndarray) -> float:
    """Return the modulation of a sub-pixel histogram: sqrt(2) x its relative standard deviation over bins.

    0 is flat; 1 + A cos(2 pi (x - x0)) gives A, and steps or several peaks count alike.
    """
    mean = float(np.mean(counts))
    return float(np.sqrt(2.0) * np.std(counts) / mean) if mean > 0.0 else 0.0


def drift_of(tracks: Trajectories) -> dict[str, Any] | None:
    """Return what tracking reported on the drift (frame, dx, dy, se_x, se_y in px; removed, reason), or None."""
    drift = tracks.metadata.get("drift")
    if not isinstance(drift, dict) or not {"frame", "dx", "dy"} <= set(drift):
        return None
    return drift


def _histogram(values: np.ndarray) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    if not len(values):
        return {"edges": [], "counts": []}
    low, high = np.percentile(values, (0.1, 99.9))
    counts, edges = np.histogram(values, bins=HISTOGRAM_BINS, range=(low, high if high > low else low + 1.0))
    return {"edges": edges.tolist(), "counts": counts.tolist()}
