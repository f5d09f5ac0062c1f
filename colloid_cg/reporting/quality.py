"""Tracking quality in numbers: what the figures and checks of the report are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.records import Trajectories
from colloid_cg.tracking import camera_positions, tracking_faults

SUBPIXEL_BINS = 20
HISTOGRAM_BINS = 60


def tracking_quality(tracks: Trajectories) -> dict[str, Any]:
    """Return JSON-able histograms and numbers on the quality of tracking.

    Keys: ``subpixel_x, subpixel_y, mass, size, track_lengths`` (each ``edges, counts``), ``detections_per_frame``,
    ``first_frame``, ``drift`` (frame, dx, dy, se_x, se_y in px, removed, reason; or None), ``locking`` (x, y, noise),
    ``median_stated_sigma`` (px), ``rms_step`` (px, one frame, one axis), counts, and ``lost_tracks, dropped_frames,
    gap_share, link_confidence, localisation, subpixel_bias`` of ``tracking.tracking_faults``. Where the common motion
    was taken off the positions, it is put back before the sub-pixel part is taken.
    """
    table, drift = tracks.table, drift_of(tracks)
    quality: dict[str, Any] = {"drift": drift, "locking": {"noise": modulation_of_chance(visited_pixels(tracks))}}
    seen = camera_positions(tracks)
    for axis, positions in zip("xy", seen.T, strict=True):
        counts, edges = subpixel_histogram(positions)
        quality[f"subpixel_{axis}"] = {"edges": edges.tolist(), "counts": counts.tolist()}
        quality["locking"][axis] = locking_amplitude(counts)
    for name in ("mass", "size"):
        quality[name] = _histogram(table[name].to_numpy())
    lengths = table.groupby("particle").size().to_numpy()
    edges = np.unique(np.geomspace(1, lengths.max() + 1, 25).round())
    quality["track_lengths"] = {"edges": edges.tolist(), "counts": np.histogram(lengths, edges)[0].tolist()}
    first, last = int(table["frame"].iloc[0]), int(table["frame"].iloc[-1])
    per_frame = np.bincount(table["frame"].to_numpy() - first, minlength=last - first + 1)
    sigma = table[["sigma_x", "sigma_y"]].to_numpy().ravel()
    sigma = sigma[np.isfinite(sigma)]
    return (
        quality
        | {
            "first_frame": first,
            "detections_per_frame": per_frame.tolist(),
            "n_detections": len(table),
            "n_tracks": len(lengths),
            "median_track_length": float(np.median(lengths)),
            "median_stated_sigma": float(np.median(sigma)) if len(sigma) else None,
            "rms_step": _rms_step(tracks),
            "after_gap_fraction": _gap_fraction(table),
        }
        | tracking_faults(tracks)
    )


def subpixel_histogram(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts and edges of ``positions`` (px) modulo one pixel."""
    counts, edges = np.histogram(np.mod(positions, 1.0), bins=SUBPIXEL_BINS, range=(0.0, 1.0))
    return counts, edges


def visited_pixels(tracks: Trajectories) -> int:
    """Return how many pixels the particles visited: one that stays put samples a single sub-pixel part."""
    visited = tracks.table[["particle", "x", "y"]].round({"x": 0, "y": 0})
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


def _rms_step(tracks: Trajectories) -> float | None:
    table = tracks.table.sort_values(["particle", "frame"], kind="stable")
    consecutive = (np.diff(table["particle"]) == 0) & (np.diff(table["frame"]) == 1)
    steps = np.diff(table[["x", "y"]].to_numpy(), axis=0)[consecutive]
    return float(np.sqrt(np.mean(steps**2))) if len(steps) else None


def _gap_fraction(table: pd.DataFrame) -> float:
    ordered = table.sort_values(["particle", "frame"], kind="stable")
    same = np.diff(ordered["particle"]) == 0
    return float(np.mean(np.diff(ordered["frame"])[same] > 1)) if same.any() else 0.0
