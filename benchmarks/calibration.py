"""What all figures of inference share: the true noise of detections, mean errors with their limits, coverage."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.stats import t as student

from benchmarks.record import Record
from colloid_cg.records import Trajectories

NORMAL90 = 1.645
WRONG_MATCH = 6.0
"""Robust standard deviations beyond which a detection belongs to another particle."""


def true_localisation_variance(truth: pd.DataFrame, tracks: Trajectories) -> float:
    """Return the variance per coordinate (um2) of detections about the nearest true exposure-averaged positions.

    The removed drift is put back; the wide tail of wrong matches is cut at :data:`WRONG_MATCH`.
    """
    errors = []
    seen, known = tracks.as_seen(), dict(iter(truth.groupby("frame")))
    for frame in range(seen.n_frames):
        found, true = seen.at(frame)[["x", "y"]].to_numpy(), known[frame][["x", "y"]].to_numpy()
        distance, index = cKDTree(true).query(found)
        errors.append((found - true[index])[distance < 2.0])
    error = np.concatenate(errors).ravel()
    spread = 1.4826 * np.median(np.abs(error))
    return float((error[np.abs(error) < WRONG_MATCH * spread] ** 2).mean() * tracks.pixel_size**2)


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Return the mean over independent recordings and its standard error."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def add_bias(
    record: Record, name: str, values: list[float], *, asked: float, unit: str = "", note: str = "",
    control: float | None = None,
) -> None:  # fmt: skip
    """Add a mean error with its 90 % interval; its limit is what is asked for or two standard errors (P5)."""
    mean, error = mean_and_error(values)
    half, limit = float(student.ppf(0.95, len(values) - 1)) * error, max(asked, 2.0 * error)
    beside = {} if control is None else {"peer": "naive control", "peer_value": control}
    record.add(name, mean, unit=unit, target=[-limit, limit], interval=[mean - half, mean + half],
               note=f"{len(values)} recordings, s.e. {error:.4f}; {note}asked for {asked:.3g} or 2 s.e.",
               **beside)  # fmt: skip


def add_coverage(
    record: Record, name: str, inside: dict[Hashable, list[bool]], *, target: list[float] | None = None
) -> None:
    """Add the share of intervals that hold the truth; its error over whole recordings, which share their particles."""
    hits, counts = (np.array([measure(one) for one in inside.values()], dtype=float) for measure in (sum, len))
    share = float(hits.sum() / counts.sum())
    error = float(np.sqrt(np.sum((hits - share * counts) ** 2)) / counts.sum())
    record.add(name, share, target=target, interval=[share - NORMAL90 * error, share + NORMAL90 * error],
               note=f"{int(counts.sum())} intervals, s.e. {error:.3f} over {len(inside)} recordings")  # fmt: skip
