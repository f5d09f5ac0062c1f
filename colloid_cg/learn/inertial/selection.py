"""Numbers of knots of force and friction, chosen by one-frame-ahead prediction of the selection block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.inertial.candidate import Candidate, fit_free, fit_pairs, held_out, influence, with_knots
from colloid_cg.learn.inertial.dissipation import Balance, imposed
from colloid_cg.learn.inertial.equation import Frames, residuals
from colloid_cg.learn.inertial.maximum import RowLikelihood, maximise
from colloid_cg.learn.inertial.recursion import pentadiagonal_innovations
from colloid_cg.learn.sandwich import mean_interval
from colloid_cg.learn.selection import allowed_knots, first_knot
from colloid_cg.learn.series import time_blocks
from colloid_cg.learn.stride import influence_by_cluster
from colloid_cg.progress import Progress

_LEAST_PAIRS = 100
_FRICTION_AT_FIRST = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Free particles, the best interacting candidate (None: too few pairs), scores, and the gain of pair terms."""

    free: Candidate
    best: Balance | None
    scores: list[dict[str, Any]]
    gain: float
    gain_half_width: float
    note: str = ""
    """What the bath friction of the chosen candidate holds, where that was not decided by the data alone."""

    @property
    def pairs_used(self) -> bool:
        """Whether pair terms improve the prediction of unseen frames beyond the 90 % interval of the gain."""
        return self.best is not None and self.gain > self.gain_half_width

    @property
    def final(self) -> Candidate:
        """The candidate whose numbers are reported."""
        return self.best.candidate if self.best is not None and self.pairs_used else self.free


def choose(train: Frames, select: Frames, config: FitConfig, *, cutoff: float, progress: Progress) -> Selection:
    """Choose the knots of the force with a middling friction, then those of the friction with that force."""
    free = fit_free(train, cutoff=cutoff)
    base, rows = held_out(select, free.model)
    lower, distances = first_knot(train.block, cutoff)
    scores = [_entry(0, 0, base)]
    if len(distances) < _LEAST_PAIRS or len(rows) < _LEAST_PAIRS:
        return Selection(free=free, best=None, scores=scores, gain=0.0, gain_half_width=0.0)
    spread = float(np.sqrt(2.0 * free.model.thermal_speed_squared)) * train.dt
    counts = allowed_knots(config, lower=lower, cutoff=cutoff, spread=spread) if any(config.knots) else []
    zero = [0] if 0 in config.knots else []
    middling = min(counts, key=lambda count: abs(count - _FRICTION_AT_FIRST), default=0)
    likelihood: dict[tuple[int, int], np.ndarray] = {(0, 0): base}
    fitted: dict[tuple[int, int], Balance] = {}

    def try_all(wanted: list[tuple[int, int]]) -> tuple[int, int] | None:
        for force, friction in wanted:
            if (force, friction) in likelihood:
                continue
            start = with_knots(free.model, n_friction=friction, n_force=force, lower=lower, cutoff=cutoff)
            try:
                found = balanced(train, fit_pairs(train, start, smoothness=config.smoothness), config)
            except (DataError, np.linalg.LinAlgError) as error:  # a finding about this candidate, not a failure
                scores.append(_entry(force, friction, None) | {"note": str(error)})
                continue
            density = held_out(select, found.candidate.model)[0]
            likelihood[force, friction], fitted[force, friction] = density, found
            scores.append(_entry(force, friction, density))
            progress(len(scores), 2 * len(counts) + 1)
            if force and friction and float(density.mean()) < max(float(kept.mean()) for kept in likelihood.values()):
                break  # more knots than these data hold
        return max(fitted, key=lambda knots: float(likelihood[knots].mean()), default=None)

    best = try_all([(count, middling) for count in [*zero, *counts]])
    if best is not None:
        best = try_all([(best[0], count) for count in [*zero, *counts]])
    if best is None:
        return Selection(free=free, best=None, scores=scores, gain=0.0, gain_half_width=0.0, note=_failed(scores))
    blocks = time_blocks(select.block.series, config.time_blocks)[rows]
    best, note = with_friction(best, likelihood, blocks)
    gain, half = mean_interval(likelihood[best] - base, blocks)
    return Selection(free=free, best=fitted[best], scores=scores, gain=gain, gain_half_width=half, note=note)


def with_friction(
    best: tuple[int, int], likelihood: dict[tuple[int, int], np.ndarray], blocks: np.ndarray
) -> tuple[tuple[int, int], str]:
    """Return the candidate to be used and what to say of its bath friction.

    Without pair friction the bath takes all the drag, within an interval that knows of nothing else: so pair
    friction is left out only where its best candidate predicts worse beyond the 90 % interval of the difference.

    Parameters
    ----------
    best : (int, int)
        Knots of force and of friction of the best prediction.
    likelihood : dict of arrays, each of shape (m,)
        Log-densities of the same rows, by knots.
    blocks : int array, shape (m,)
        Time block of every row.
    """
    rivals = [knots for knots in likelihood if knots[1] and knots != best]
    if best[1]:
        return best, ""
    if not rivals:
        return best, "no candidate with pair friction could be fitted: the drag of neighbours is part of this number"
    rival = max(rivals, key=lambda knots: float(likelihood[knots].mean()))
    gain, half = mean_interval(likelihood[best] - likelihood[rival], blocks)
    if gain < half:
        return rival, "the selection block does not tell whether there is pair friction; it is fitted, not assumed away"
    return best, f"no pair friction: its best candidate predicts worse by {gain:.2g} +- {half:.2g} nats per row"


def _failed(scores: list[dict[str, Any]]) -> str:
    if any("note" in entry for entry in scores):
        return (
            "no candidate with pair terms could be fitted (diagnostics.selection): neighbours are part of this number"
        )
    return ""


def balanced(frames: Frames, candidate: Candidate, config: FitConfig) -> Balance:
    """Return the candidate with fluctuation-dissipation imposed, and its influence."""
    rows = influence(frames, candidate, smoothness=config.smoothness)
    clusters = influence_by_cluster(rows, frames.block.series, np.arange(len(rows)), config.time_blocks)
    return imposed(candidate, rows, clusters[-1])


def gain_over_overdamped(
    train: Frames, select: Frames, inertial: Candidate, config: FitConfig
) -> tuple[float, float | None, str]:
    """Return the gain per particle and step over free overdamped diffusion, held out, and half its interval.

    Both laws predict the same positions and know the same ones before. Zero and None where too few are left.
    """
    scale = float((train.backward**2).mean())
    fitted = maximise(_overdamped(train, inertial, scale)[0], np.array([0.0, 0.01]), np.array([0.1, 0.05]))
    likelihood, base_rows = _overdamped(select, inertial, scale)
    base = np.full(len(select.backward), np.nan)
    base[base_rows] = likelihood(fitted)
    better, rows = held_out(select, inertial.model)
    if len(rows) < _LEAST_PAIRS:
        return 0.0, None, "too few rows on the selection block to compare with an overdamped law"
    blocks = time_blocks(select.block.series, config.time_blocks)[rows]
    gain, half = mean_interval(better - base[rows], blocks)
    return gain, half, "inertial law over free overdamped diffusion, selection block, one frame ahead"


def _overdamped(frames: Frames, inertial: Candidate, scale: float) -> tuple[RowLikelihood, np.ndarray]:
    """Log-density of the steps ahead as a function of (log 2 D dt, w) in units of ``scale``: lags 0 and 1 only."""
    data = residuals(frames, inertial.model)
    first = np.flatnonzero(~data.joined)
    steps = np.insert(frames.second[data.row] + data.step, first, data.step[first], axis=0)
    given = np.insert(np.zeros(len(data.row), dtype=bool), first, True)  # the step before: known, not predicted
    index = np.arange(len(steps))
    place = index - np.maximum.accumulate(np.where(given, index, 0))
    ones = np.ones_like(steps)

    def rows(parameters: np.ndarray) -> np.ndarray:
        spread, noise = scale * float(np.exp(parameters[0])), scale * float(parameters[1])
        zero, one = (spread + 2.0 * noise) * ones, -noise * ones
        return np.asarray(pentadiagonal_innovations(steps, zero, one, 0.0 * ones, place)[0][~given])

    return rows, data.row


def _entry(force: int, friction: int, likelihood: np.ndarray | None) -> dict[str, Any]:
    mean = None if likelihood is None or not len(likelihood) else float(likelihood.mean())
    return {"knots": force, "friction_knots": friction, "log_likelihood": mean}
