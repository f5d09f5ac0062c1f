"""Numbers that tell a good tracking from a bad one, for the report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.records import FLAG_AFTER_GAP, FLAG_EDGE, FLAG_POOR_FIT, CommonMotion, Trajectories
from colloid_cg.tracking.faults import (
    confidence,
    dropped_frames,
    gap_share,
    localisation_error,
    lost_tracks,
    poor_fits,
)
from colloid_cg.tracking.track_sizes import track_sizes


def quality(tracks: Trajectories, *, bins: int = 20) -> dict[str, Any]:
    """Return quality figures of a set of tracks, JSON-able.

    Returns
    -------
    dict
        ``subpixel`` {edges, x, y, locking_x, locking_y}: histogram of the fractional parts of the positions as
        seen by the camera and the largest excess over an even one, (max - mean) / mean; well above 3 sqrt(bins / n)
        means pixel locking (diameter too small or 8-bit rounding).
        ``mass``, ``size``, ``ecc`` {edges, counts, median} where known; ``detections_per_frame`` {frame, count};
        ``track_length`` {edges, counts, median}; ``stated_sigma`` {mean, median, share_known} in px;
        ``share_after_gap``, ``share_at_edge``, ``n_detections``, ``n_particles``; ``faults``: see
        :func:`tracking_faults`.
    """
    table = tracks.table
    lengths = table.groupby("particle").size().to_numpy()
    flags = table["flags"].to_numpy()
    result: dict[str, Any] = {
        "n_detections": len(table),
        "n_particles": tracks.n_particles,
        "subpixel": _subpixel(camera_positions(tracks), bins),
        "detections_per_frame": {
            "frame": list(range(tracks.n_frames)),
            "count": np.bincount(table["frame"], minlength=tracks.n_frames).tolist(),
        },
        "track_length": _histogram(lengths.astype(float), bins),
        "stated_sigma": _stated_sigma(table),
        "share_after_gap": _share(flags & FLAG_AFTER_GAP),
        "share_at_edge": _share(flags & FLAG_EDGE),
        "faults": tracking_faults(tracks),
    }
    for name in ("mass", "size", "ecc"):
        if name in table.columns and table[name].notna().any():
            result[name] = _histogram(table[name].dropna().to_numpy(dtype=float), 2 * bins)
    return result


def tracking_faults(tracks: Trajectories) -> dict[str, Any]:
    """Return what went wrong where, JSON-able.

    Returns
    -------
    dict
        ``lost_tracks``, ``dropped_frames`` (None where the common motion was not recorded), ``poor_fits``,
        ``gap_share``, ``link_confidence`` and ``localisation``, of the functions of these names in
        :mod:`colloid_cg.tracking.faults`;
        ``subpixel_bias``: what :func:`measured_bias` gave when the movie was inspected, or None; ``second_look``:
        how often a particle was missing between two of its detections and how often it was found again (missing,
        found), or None without a second look; ``sizes``: see :func:`colloid_cg.tracking.track_sizes.track_sizes`.
    """
    motion = CommonMotion.parse(tracks.metadata.get("drift"))
    frame, poor = tracks.table["frame"], (tracks.table["flags"] & FLAG_POOR_FIT) > 0
    counts = np.bincount(frame, minlength=tracks.n_frames)
    dropped = None
    if len(motion) and np.isfinite(motion.scatter).any():
        dropped = dropped_frames(counts[motion.frame], motion)
    return {
        "lost_tracks": lost_tracks(tracks),
        "dropped_frames": dropped,
        "poor_fits": poor_fits(counts, np.bincount(frame[poor], minlength=len(counts))),
        "gap_share": gap_share(tracks.table),
        "link_confidence": confidence(tracks.table),
        "localisation": localisation_error(tracks),
        "subpixel_bias": tracks.metadata.get("subpixel_bias"),
        "second_look": _second_look(tracks.metadata.get("counts") or {}),
        "sizes": track_sizes(tracks),
    }


def _second_look(counts: dict[str, Any]) -> dict[str, int] | None:
    if "n_missing" not in counts:
        return None
    return {"missing": int(counts["n_missing"]), "found": int(counts["n_refound"])}


def camera_positions(tracks: Trajectories) -> np.ndarray:
    """Return x, y in px of the camera, shape (n, 2): the drift that was removed is put back."""
    motion = CommonMotion.parse(tracks.metadata.get("drift"))
    return motion.restored(tracks.table[["x", "y"]].to_numpy(dtype=float), tracks.table["frame"].to_numpy())


def _subpixel(positions: np.ndarray, bins: int) -> dict[str, Any]:
    result: dict[str, Any] = {"edges": np.linspace(0.0, 1.0, bins + 1).tolist()}
    for axis, name in enumerate("xy"):
        counts = np.histogram(np.mod(positions[:, axis], 1.0), bins=bins, range=(0.0, 1.0))[0]
        result[name] = counts.tolist()
        result[f"locking_{name}"] = float(counts.max() / counts.mean() - 1.0) if len(positions) else None
    return result


def _histogram(values: np.ndarray, bins: int) -> dict[str, Any]:
    # The last percent is left out of the picture, not of the median: one bright speck would flatten the rest.
    top = float(np.quantile(values, 0.99)) if len(values) else 1.0
    low = float(values.min()) if len(values) else 0.0
    counts, edges = np.histogram(values, bins=bins, range=(low, top if top > low else low + 1.0))
    median = float(np.median(values)) if len(values) else None
    return {"edges": edges.tolist(), "counts": counts.tolist(), "median": median}


def _stated_sigma(table: pd.DataFrame) -> dict[str, Any]:
    sigma = table[["sigma_x", "sigma_y"]].to_numpy(dtype=float)
    known = np.isfinite(sigma).all(axis=1)
    if not known.any():
        return {"mean": None, "median": None, "share_known": 0.0}
    values = sigma[known]
    return {"mean": float(values.mean()), "median": float(np.median(values)), "share_known": float(known.mean())}


def _share(bits: np.ndarray) -> float:
    return float((bits != 0).mean()) if len(bits) else 0.0
