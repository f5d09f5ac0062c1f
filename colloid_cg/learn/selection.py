"""Choice of the number of knots on the selection block, and the errors of the chosen model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from colloid_cg.dynamics import OverdampedModel
from colloid_cg.errors import DataError
from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.coupled import coupled_influence, score_slopes
from colloid_cg.learn.forces import estimating_equation, force_data
from colloid_cg.learn.problem import Block, Candidate, fit_candidate, fit_free, held_out, with_knots
from colloid_cg.learn.sandwich import mean_interval
from colloid_cg.learn.series import time_blocks
from colloid_cg.learn.stride import influence_by_cluster
from colloid_cg.progress import Progress

FitOne = Callable[..., Candidate]
Score = Callable[[Block, Candidate], tuple[np.ndarray, np.ndarray]]

_FIRST_PAIRS = 1e-3
_LEAST_PAIRS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """The best interacting candidate (None if there are too few pairs), free diffusion on the same rows, the gain."""

    free: Candidate
    best: Candidate | None
    scores: list[dict[str, Any]]
    gain: float
    gain_half_width: float
    candidates: tuple[int, ...]

    @property
    def force_used(self) -> bool:
        """Whether the pair force improves the prediction of unseen frames beyond its 90 % interval.

        Candidates without 0 ask for a force in any case, candidates without another number for none.
        """
        if self.best is None or not any(self.candidates):
            return False
        return 0 not in self.candidates or self.gain > self.gain_half_width


@dataclass(frozen=True, kw_only=True, eq=False)
class FitResult:
    """The outcome of a fit: the interacting model on its targets, or what acts without it on every row, with errors."""

    selection: Selection
    final: Candidate
    block: Block
    force_block: Block
    influences: list[np.ndarray]
    shown_influences: list[np.ndarray]


def first_knot(block: Block, cutoff: float) -> tuple[float, np.ndarray]:
    """Return the distance that all but the closest pairs exceed, and the sorted distances within the cutoff (um)."""
    i, j = block.neighbours.pairs.T
    seen = block.targets[i] | block.targets[j]
    difference = block.series.positions[i[seen]] - block.series.positions[j[seen]]
    distance = np.linalg.norm(block.series.box.shortest(difference), axis=1)
    distance = np.sort(distance[distance < cutoff])
    if len(distance) < 5 * _LEAST_PAIRS:
        return 0.5 * cutoff, distance
    return float(distance[max(_LEAST_PAIRS, int(_FIRST_PAIRS * len(distance)))]), distance


def allowed_knots(config: FitConfig, *, lower: float, cutoff: float, spread: float) -> list[int]:
    """Return the candidates whose knots lie farther apart than a pair spreads in one frame (um), at least one."""
    positive = [count for count in config.knots if count]
    kept = [count for count in positive if (cutoff - lower) / count > spread]
    return kept or positive[:1] or [4]


def choose_knots(
    train: Block, select: Block, config: FitConfig, *, cutoff: float, seed: int, progress: Progress,
    free: Candidate | None = None, fit_one: FitOne = fit_candidate, score: Score = held_out,
) -> Selection:  # fmt: skip
    """Fit every candidate on the training block, score it on the selection block by the banded likelihood.

    ``free`` is what a force must beat (free diffusion); ``fit_one`` and ``score`` fit and score one candidate.
    """
    free = free or fit_free(train)
    lower, distances = first_knot(train, cutoff)
    base, rows = score(select, free)
    scores: list[dict[str, Any]] = [{"knots": 0, "log_likelihood": float(base.mean()) if len(base) else 0.0}]
    if len(distances) < 5 * _LEAST_PAIRS or len(rows) < _LEAST_PAIRS:
        return Selection(free=free, best=None, scores=scores, gain=0.0, gain_half_width=0.0, candidates=config.knots)
    spread = float(np.sqrt(4.0 * free.noise.diffusion.max() * train.series.frame_interval))
    counts = allowed_knots(config, lower=lower, cutoff=cutoff, spread=spread)
    fitted, best_score, previous = [], -np.inf, free
    for step, count in enumerate(counts):
        start = with_knots(previous.model, n_knots=count, lower=lower, cutoff=cutoff)
        try:
            candidate = fit_one(
                train,
                previous,
                model=start,
                z_rng=np.random.default_rng(seed),
                smoothness=config.smoothness,
                iterations=config.iterations,
            )
        except DataError as error:  # too many knots for these data: a finding about this candidate, not a failure
            scores.append({"knots": count, "log_likelihood": None, "note": str(error)})
            continue
        likelihood = score(select, candidate)[0]
        scores.append({"knots": count, "log_likelihood": float(likelihood.mean())})
        fitted.append((candidate, likelihood))
        best_score, previous = max(best_score, float(likelihood.mean())), candidate
        progress(step + 1, len(counts))
    if not fitted:
        return Selection(free=free, best=None, scores=scores, gain=0.0, gain_half_width=0.0, candidates=config.knots)
    best, likelihood = next(pair for pair in fitted if float(pair[1].mean()) == best_score)
    blocks = time_blocks(select.series, config.time_blocks)[rows]
    gain, half = mean_interval(likelihood - base, blocks)
    return Selection(free=free, best=best, scores=scores, gain=gain, gain_half_width=half, candidates=config.knots)


def joint_influence(block: Block, candidate: Candidate, config: FitConfig, *, seed: int) -> list[np.ndarray]:
    """Return the influence on (D.., s2, force coefficients..), summed over time blocks and over particles.

    D and s2 depend on the force and the force on them: see :mod:`colloid_cg.learn.coupled`.
    """
    data = block.residuals(candidate.model)
    noise = block.noise(data, candidate.noise.parameters, scores=True)
    outer = influence_by_cluster(
        _spread_rows(noise.influence, data.row, block), block.series, np.arange(len(block.targets)), config.time_blocks
    )
    if candidate.forces is None:
        return outer
    forces = force_data(
        block.series, block.neighbours, targets=block.targets, drift=block.drift, rng=np.random.default_rng(seed)
    )

    def equation(
        model: OverdampedModel, variance: float | np.ndarray, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        found = estimating_equation(model, forces, localisation_variance=variance, exact_slope=exact)
        return found.rows, found.slope

    model, variance = candidate.model, noise.localisation_variance
    rows, slope = equation(model, block.noise_of_rows(variance), True)
    stiffness = slope + (candidate.forces.stiffness - candidate.forces.equation.slope)
    nuisance = np.empty((rows.shape[1], len(noise.parameters)))
    total = rows.sum(axis=0)
    for k, value in enumerate(noise.parameters):
        step = 0.02 * (
            value if k < model.n_species else max(abs(value), 0.2 * model.diffusion.min() * block.series.frame_interval)
        )
        diffusion = model.diffusion + step * (np.arange(model.n_species) == k)
        moved = replace(model, diffusion=diffusion)
        shifted = equation(moved, block.noise_of_rows(variance + step * (k == model.n_species)))[0].sum(axis=0)
        # the weight of the equation changes with D too; at its root that does not matter
        nuisance[:, k] = (shifted - total) / step
    full = coupled_influence(
        _spread_rows(noise.scores, data.row, block),
        _spread_rows(rows, forces.rows, block),
        information=noise.information,
        stiffness=stiffness,
        score_slopes=score_slopes(block, model, noise),
        force_slope=nuisance,
    )
    return influence_by_cluster(full, block.series, np.arange(len(full)), config.time_blocks)


def _spread_rows(values: np.ndarray, rows: np.ndarray, block: Block) -> np.ndarray:
    full = np.zeros((len(block.targets), values.shape[1]))
    full[rows] = values
    return full
