r"""Join tracks across gaps: ends with beginnings, all of them at once over the whole movie.

An end is followed by the beginning of another track after a gap of g frames with probability :math:`\rho_g`, or by
none; tracks also begin anew, with density :math:`\lambda` per frame and px^d. A pair r apart (beyond the motion
expected) then has the odds

.. math:: w = \frac{\rho_g}{1 - \sum_h \rho_h}\,\frac{N_d(r; \kappa s^2 (g + 1))}{\lambda}

against both being true ends, with :math:`s^2` the variance of the steps of the two tracks, drawn towards that of all.
:math:`\rho, \lambda, \kappa` are those that make the movie most probable (expectation-maximisation), so that no cost
has to be chosen: the pairing with the largest product of odds is taken, and a pair less likely than not stays apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.linking.assignment import assign
from colloid_cg.tracking.linking.candidates import candidates
from colloid_cg.tracking.linking.marginals import marginals
from colloid_cg.tracking.linking.motion import common_shift
from colloid_cg.tracking.linking.summary import TrackSummary

_ROUNDS = 50
_CONVERGED = 1e-4
_TRUST = 5.0  # steps' worth of trust in the mean step of all tracks
_TRUST_GAPS = 20.0  # pairs' worth of trust in diffusion across gaps


_NO_PAIRS = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))


@dataclass(frozen=True, kw_only=True, eq=False)
class Joins:
    """Tracks that are one, every field an array of shape (n,).

    Parameters
    ----------
    end, start : int64
        Track that is continued, and track that continues it.
    probability : float64
        That this is right.
    """

    end: np.ndarray
    start: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pairs:
    # candidates by end, as a sparse matrix; squared distance from the expected place, gap, variance of the displacement
    row_start: np.ndarray
    column: np.ndarray
    squared: np.ndarray
    gap: np.ndarray
    variance: np.ndarray


def close_gaps(summary: TrackSummary, config: TrackConfig) -> np.ndarray:
    """Return the new id of every track, shape (n_tracks,), counting up in order of first appearance.

    Parameters
    ----------
    summary : TrackSummary
        Of the whole movie.
    config : TrackConfig
        ``close_gaps`` is the longest gap in frames; pairs farther apart than the search range, growing with the
        gap as diffusion asks for, are not looked at.
    """
    return joined_ids(summary.n_tracks, find_joins(summary, config))


def joined_ids(n_tracks: int, joins: Joins) -> np.ndarray:
    """Return the new id of every track after some were joined, shape (n_tracks,)."""
    origin = np.arange(n_tracks)
    # a track begins after the one it continues ends, and therefore has the larger id: origins are final in this order
    for k in np.argsort(joins.start, kind="stable"):
        origin[joins.start[k]] = origin[joins.end[k]]
    result: np.ndarray = np.unique(origin, return_inverse=True)[1]
    return result.astype(np.int64)


def find_joins(summary: TrackSummary, config: TrackConfig) -> Joins:
    """Return which tracks continue which (see :func:`close_gaps`)."""
    nothing = np.empty(0, dtype=np.int64)
    if config.close_gaps == 0 or summary.n_tracks < 2 or not np.isfinite(summary.step_variance):
        return Joins(end=nothing, start=nothing, probability=np.empty(0))
    first_frame, last_frame = int(summary.first_frame.min()), int(summary.last_frame.max())
    ends = np.flatnonzero(summary.last_frame < last_frame)
    ends = ends[np.argsort(summary.last_frame[ends], kind="stable")]
    starts = np.flatnonzero(summary.first_frame > first_frame)
    starts = starts[np.argsort(summary.first_frame[starts], kind="stable")]
    pairs = _candidates(summary, config, ends, starts)
    both = np.concatenate([summary.first, summary.last])
    field = float(np.prod(np.ptp(both, axis=0) + (config.search_range or 1.0)))
    odds, probability = _believed(
        pairs, len(starts), config.close_gaps + 1, field * (last_frame - first_frame), summary.dimension
    )
    chosen = assign(pairs.row_start, pairs.column, -np.log(np.maximum(odds, 1e-300)), 0.0, len(starts))
    made = np.flatnonzero(chosen >= 0)
    return Joins(end=ends[made], start=starts[pairs.column[chosen[made]]], probability=probability[chosen[made]])


def _candidates(summary: TrackSummary, config: TrackConfig, ends: np.ndarray, starts: np.ndarray) -> _Pairs:
    # ends of one frame with the beginnings of one later frame at a time
    reach, growth = config.search_range or 1.0, max(config.gap_growth, 0.5)
    start_frame = summary.first_frame[starts]
    last, first = summary.last[ends], summary.first[starts]
    velocity = _expected_velocity(summary, config)[ends]
    frames, begins = np.unique(summary.last_frame[ends], return_index=True)
    found: list[tuple[np.ndarray, ...]] = []
    for frame, begin, stop in zip(frames, begins, [*begins[1:], len(ends)], strict=True):
        offsets = np.searchsorted(start_frame, np.arange(frame + 1, frame + config.close_gaps + 3))
        for gap in np.flatnonzero(np.diff(offsets)):
            low, high = offsets[gap], offsets[gap + 1]
            farthest = reach * (1.0 + gap) ** growth
            expected = last[begin:stop] + (1.0 + gap) * velocity[begin:stop]
            ranges = np.full(stop - begin, farthest)
            row_start, column, squared = candidates(expected, ranges, first[low:high], farthest)
            row = begin + np.repeat(np.arange(stop - begin), np.diff(row_start))
            found.append((row, low + column, squared, np.full(len(column), gap)))
    merged = [np.concatenate(parts) for parts in zip(*found, strict=True)] if found else list(_NO_PAIRS)
    order = np.argsort(merged[0], kind="stable")
    rows, columns, lengths, gaps = (values[order] for values in merged)
    return _Pairs(
        row_start=np.searchsorted(rows, np.arange(len(ends) + 1)),
        column=columns,
        squared=lengths,
        gap=gaps,
        variance=_variance(summary, ends[rows], starts[columns]) * (1.0 + gaps),
    )


def _variance(summary: TrackSummary, ends: np.ndarray, starts: np.ndarray) -> np.ndarray:
    # of a step per axis (px^2), from the steps of both tracks
    d = summary.dimension
    squared = summary.squared[ends] + summary.squared[starts] + _TRUST * d * summary.step_variance
    steps = summary.steps[ends] + summary.steps[starts] + _TRUST
    result: np.ndarray = np.maximum(squared / (d * steps), 1e-6)
    return result


def _expected_velocity(summary: TrackSummary, config: TrackConfig) -> np.ndarray:
    # shape (n_tracks, d), px per frame
    elapsed = summary.last_frame - summary.first_frame
    moved = elapsed > 0
    if config.prediction == "none" or int(moved.sum()) < config.drift_minimum_particles:
        return np.zeros_like(summary.velocity)
    if config.prediction == "velocity":
        return summary.velocity
    mean = (summary.last[moved] - summary.first[moved]) / elapsed[moved, np.newaxis]
    return np.broadcast_to(common_shift(mean), summary.velocity.shape)


def _believed(pairs: _Pairs, n_starts: int, n_gaps: int, volume: float, d: int) -> tuple[np.ndarray, np.ndarray]:
    # odds and probability of every pair; volume: frames times field (px^d)
    n_ends = len(pairs.row_start) - 1
    returning = np.full(n_gaps, 0.5 / n_gaps)
    widening, n_new = 1.0, float(n_starts)
    odds = probability = np.zeros(len(pairs.column))
    for _ in range(_ROUNDS):
        variance = widening * pairs.variance
        height = returning / (1.0 - returning.sum()) * volume / (n_new + 0.5)
        odds = height[pairs.gap] * np.exp(-0.5 * pairs.squared / variance) / (2.0 * np.pi * variance) ** (0.5 * d)
        before = probability
        probability = marginals(pairs.row_start, pairs.column, odds, n_starts)[0]
        if np.abs(probability - before).max(initial=0.0) < _CONVERGED:
            break
        by_gap = np.bincount(pairs.gap, probability, n_gaps)
        returning = (by_gap + 0.5 / n_gaps) / (n_ends + 1.0)
        n_new = max(n_starts - float(by_gap.sum()), 0.0)
        squares = float((probability * pairs.squared / pairs.variance).sum()) / d
        widening = (squares + _TRUST_GAPS) / (float(by_gap.sum()) + _TRUST_GAPS)
    return odds, probability
