r"""Pair the tracks with the detections of one frame: where to look, what a pair costs, the best pairing.

With :math:`k = (1 + g)^{2 \gamma}` for a track that was missed in g frames, the search range is
:math:`R \sqrt{k}` and a pair at distance r costs :math:`r^2/k \cdot (1 - c/R^2) + c`, from c for no distance to
:math:`R^2` at the search range; not continuing a track costs :math:`R^2`. The surcharge c, zero without a gap,
is what the odds say of a particle that was missed, so that it does not take the detection of one that was not.
For :math:`\gamma = 0` there is no surcharge: the cost of Crocker and Grier (1996), doi:10.1006/jcis.1996.0217.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit

from colloid_cg.tracking.linking.assignment import assign
from colloid_cg.tracking.linking.candidates import candidates
from colloid_cg.tracking.linking.live import LiveTracks
from colloid_cg.tracking.linking.motion import SharedMotion, common_affine, common_shift

_ATTEMPTS = {"none": 1, "drift": 5, "velocity": 5, "affine": 20}
_WORTH_REPEATING = 0.05  # of the search range: a smaller correction of the common motion changes no link
_WORTH_COMPARING = 0.1  # of the search range
_SAMPLE = 500
_LARGEST_SURCHARGE = 0.9


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Settings of the pairing (see :class:`~colloid_cg.tracking.config.TrackConfig`)."""

    search_range: float
    memory: int
    gap_growth: float
    prediction: str
    minimum_particles: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Matched:
    """The best pairing of one frame, and the candidates it was chosen from.

    Parameters
    ----------
    row_start, column, squared : arrays
        Candidates by track: index of the detection, squared distance from the predicted place (px^2).
    pair : int64 array, shape (m,)
        Candidate chosen for each track, -1 for none.
    predicted : array, shape (m, d)
    motion : SharedMotion
        Common motion of this step.
    """

    row_start: np.ndarray
    column: np.ndarray
    squared: np.ndarray
    pair: np.ndarray
    predicted: np.ndarray
    motion: SharedMotion


def match(
    tracks: LiveTracks,
    gap: np.ndarray,
    detections: np.ndarray,
    *,
    elapsed: int,
    motion: SharedMotion,
    surcharge: Callable[[np.ndarray], np.ndarray],
    rules: Rules,
) -> Matched:
    """Pair tracks with detections at the least total cost.

    Parameters
    ----------
    tracks : LiveTracks
        Those that are no more than a shadow have candidates and are never paired.
    gap : int array, shape (m,)
        Frames missed.
    detections : array, shape (n, d)
    elapsed : int
        Frames since the last one linked.
    motion : SharedMotion
        Of the step before.
    surcharge : callable
        From k for each length of the gap to c in px^2.
    rules : Rules
    """
    reach = rules.search_range
    growth = (1.0 + np.arange(rules.memory + 1)) ** (2.0 * rules.gap_growth)
    added = np.minimum(surcharge(growth), _LARGEST_SURCHARGE * reach**2) if rules.gap_growth > 0.0 else 0.0 * growth
    ranges = reach * np.sqrt(growth[gap])
    scale, added = (1.0 - added / reach**2)[gap] / growth[gap], added[gap]
    fresh, carried = gap <= elapsed - 1, tracks.carried
    motion = _starting_motion(carried[fresh], detections, elapsed=elapsed, motion=motion, rules=rules)
    strained = bool(motion.gradient.any())  # a strain is only fitted once the translation is right
    for _ in range(_ATTEMPTS[rules.prediction]):
        predicted = carried + elapsed * _velocities(carried, tracks.velocity, motion, rules)
        row_start, column, squared = candidates(predicted, ranges, detections, reach)
        cost = _costs(row_start, squared, scale, added, tracks.shadow, reach**2)
        pair = assign(row_start, column, cost, reach**2, len(detections))
        if rules.prediction == "none":
            break
        linked = np.flatnonzero((pair >= 0) & fresh)
        moved = (detections[column[pair[linked]]] - carried[linked]) / elapsed
        before, motion = motion, _estimated(carried[linked], moved, rules, strained=strained)
        if elapsed * motion.farthest_from(before, carried) <= _WORTH_REPEATING * reach:
            if strained or rules.prediction != "affine":
                break
            strained = True
    return Matched(row_start=row_start, column=column, squared=squared, pair=pair, predicted=predicted, motion=motion)


def _velocities(carried: np.ndarray, velocity: np.ndarray, motion: SharedMotion, rules: Rules) -> np.ndarray:
    common = motion.at(carried)
    if rules.prediction != "velocity":
        return common
    return np.where(np.isnan(velocity), common, velocity)


def _estimated(positions: np.ndarray, displacements: np.ndarray, rules: Rules, *, strained: bool) -> SharedMotion:
    d = positions.shape[1]
    if len(positions) < rules.minimum_particles:
        return SharedMotion.none(d)
    if strained and len(positions) >= 3 * (d + 1):
        return common_affine(positions, displacements)
    shift = common_shift(displacements)
    return SharedMotion(shift=shift, gradient=np.zeros((d, d)), centre=np.zeros(d))


def _starting_motion(
    carried: np.ndarray, detections: np.ndarray, *, elapsed: int, motion: SharedMotion, rules: Rules
) -> SharedMotion:
    # A stage that drifts goes on as before, one that shakes does not: the better of both guesses, on a sample.
    reach = rules.search_range
    sample = np.ascontiguousarray(carried[:: max(1, len(carried) // _SAMPLE)])
    still = SharedMotion.none(carried.shape[1])
    if elapsed * motion.farthest_from(still, sample) <= _WORTH_COMPARING * reach:
        return motion
    ranges = np.full(len(sample), reach)
    totals = []
    for guess in (sample, sample + elapsed * motion.at(sample)):
        row_start, _, squared = candidates(guess, ranges, detections, reach)
        totals.append(sum(squared[a:b].min(initial=reach**2) for a, b in pairwise(row_start)))
    return motion if totals[1] <= totals[0] else still


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _costs(
    row_start: np.ndarray,
    squared: np.ndarray,
    factor: np.ndarray,
    added: np.ndarray,
    forbidden: np.ndarray,
    unmatched: float,
) -> np.ndarray:
    # within rounding of the search range a pair is as good as none, and is then made
    cost = np.empty(len(squared))
    for i in range(len(row_start) - 1):
        for e in range(row_start[i], row_start[i + 1]):
            cost[e] = np.inf if forbidden[i] else min(factor[i] * squared[e] + added[i], unmatched)
    return cost
