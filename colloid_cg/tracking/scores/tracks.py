"""Scores of whole tracks: the measures of the particle-tracking challenge."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from colloid_cg.tracking.scores.matching import best_pairing, close_pairs
from colloid_cg.tracking.scores.tables import Gate, gate_in_px, tracks_of


@dataclass(frozen=True, kw_only=True)
class TrackScores:
    """Measures of Chenouard et al., Nat. Methods 11, 281 (2014), doi:10.1038/nmeth.2808.

    The first four are 1 for perfect tracks.

    Parameters
    ----------
    alpha : float
        1 - d(X, Y)/d(X, 0): how near the paired tracks are, from 0 (nothing found) to 1; blind to spurious tracks.
    beta : float
        [d(X, 0) - d(X, Y)]/[d(X, 0) + d(Y', 0)]: alpha with a penalty for the spurious tracks Y', at most alpha.
    jsc : float
        TP/(TP + FN + FP) over points: Jaccard similarity of the detections of paired tracks.
    jsc_theta : float
        TP/(TP + FN + FP) over tracks.
    rmse, min_distance, max_distance, sd_distance : float
        Root mean square, smallest, largest and standard deviation of the distances of matching points in px; the
        distance has both axes, so that an error sigma per axis gives sqrt(2) sigma. NaN where nothing matches.
    matched, missed, spurious : int
        Points: TP, FN, FP.
    matched_tracks, missed_tracks, spurious_tracks : int
        Tracks: TP, FN, FP.
    gate : float
        In px.
    """

    alpha: float
    beta: float
    jsc: float
    jsc_theta: float
    rmse: float
    min_distance: float
    max_distance: float
    sd_distance: float
    matched: int
    missed: int
    spurious: int
    matched_tracks: int
    missed_tracks: int
    spurious_tracks: int
    gate: float

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


def score_tracks(
    truth: pd.DataFrame, estimate: pd.DataFrame, *, gate: Gate, diameter: float | None = None
) -> TrackScores:
    """Score tracks against the true ones.

    With the gate eps, two tracks are d(X, Y) = sum_t min(|x_t - y_t|, eps) apart, where a frame in which only one of
    them has a point costs eps and a frame without either costs nothing. Each true track is paired with one estimated
    track or with an empty one so that the sum of distances is smallest (exact assignment; of equal sums the one with
    the empty track, so that every pair has a point within eps). Points of a pair match where they are closer than
    eps. Real points only: a gap inside a track is a missing point, never interpolated.

    Parameters
    ----------
    truth, estimate : pandas.DataFrame
        Columns frame, particle, x, y [, z]; positions in px.
    gate : float, "5 px" or "d/4"
        eps. "5 px" is that of the challenge; in dense fields it reaches the neighbour, there use "d/4".
    diameter : float, optional
        Of the particles in px, for ``gate="d/4"``.

    Returns
    -------
    TrackScores
        Measures that compare with an empty set (no true track for alpha) are NaN.
    """
    length = gate_in_px(gate, diameter)
    first, n_true = tracks_of(truth, "truth")
    second, n_found = tracks_of(estimate, "estimate")
    i, j, distance = close_pairs(truth, estimate, length)
    pair, member = np.unique(first[i] * max(n_found, 1) + second[j], return_inverse=True)
    track, candidate = np.divmod(pair, max(n_found, 1))
    near = np.bincount(member, minlength=len(pair))
    sum_near = np.bincount(member, weights=distance, minlength=len(pair))
    common = _common_frames(
        *_sorted_frames(truth, first, n_true), *_sorted_frames(estimate, second, n_found), track, candidate
    )
    # d(X, Y) = sum_near + eps (n_x + n_y - common - near); pairing X with an empty track costs eps n_x instead.
    gain = length * (common + near - np.bincount(second, minlength=n_found)[candidate]) - sum_near
    chosen = best_pairing(track, candidate, gain)
    # Differences from perfection are summed, so that perfect tracks score exactly 1.
    matched = int(near[chosen].sum())
    paired = np.bincount(second, minlength=n_found)[candidate[chosen]]
    lost = sum_near[chosen].sum() / length + (len(truth) - matched) + float((paired - common[chosen]).sum())
    spurious_points = len(estimate) - int(paired.sum())
    errors = distance[np.isin(member, chosen)]
    return TrackScores(
        alpha=_share(len(truth) - lost, len(truth)),
        beta=_share(len(truth) - lost, len(truth) + spurious_points),
        jsc=_share(matched, len(truth) + len(estimate) - matched),
        jsc_theta=_share(len(chosen), n_true + n_found - len(chosen)),
        **_spread(errors),
        matched=matched,
        missed=len(truth) - matched,
        spurious=len(estimate) - matched,
        matched_tracks=len(chosen),
        missed_tracks=n_true - len(chosen),
        spurious_tracks=n_found - len(chosen),
        gate=length,
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _spread(errors: np.ndarray) -> dict[str, float]:
    if len(errors) == 0:
        return dict.fromkeys(("rmse", "min_distance", "max_distance", "sd_distance"), float("nan"))
    return {
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "min_distance": float(errors.min()),
        "max_distance": float(errors.max()),
        "sd_distance": float(errors.std()),
    }


def _sorted_frames(table: pd.DataFrame, track: np.ndarray, n_tracks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames of all tracks one after the other, and where each track begins, shape (n_tracks + 1,)."""
    frame = table["frame"].to_numpy()
    order = np.lexsort((frame, track))
    return frame[order].astype(np.int64), np.searchsorted(track[order], np.arange(n_tracks + 1))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _common_frames(
    frame_a: np.ndarray,
    start_a: np.ndarray,
    frame_b: np.ndarray,
    start_b: np.ndarray,
    track_a: np.ndarray,
    track_b: np.ndarray,
) -> np.ndarray:
    """Return for each pair of tracks the number of frames that both are seen in, shape (p,)."""
    common = np.zeros(len(track_a), dtype=np.int64)
    for p in range(len(track_a)):
        i, end_i = start_a[track_a[p]], start_a[track_a[p] + 1]
        j, end_j = start_b[track_b[p]], start_b[track_b[p] + 1]
        while i < end_i and j < end_j:
            if frame_a[i] == frame_b[j]:
                common[p] += 1
                i += 1
                j += 1
            elif frame_a[i] < frame_b[j]:
                i += 1
            else:
                j += 1
    return common
