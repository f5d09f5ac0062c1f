"""How well one run can be predicted at all: the same start, run again with other thermal noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from colloid_cg.assessment.reading.ranking import area_under_curve, pairs_won, resampled_areas
from colloid_cg.assessment.reading.resampling import Resampling, with_interval
from colloid_cg.errors import DataError, InputError
from colloid_cg.records import Trajectories


def displacements_of_runs(runs: Sequence[Trajectories], lag: int, *, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the particles seen in every run at both ends (n,), and how far each moves in each run, um, (R, n).

    Parameters
    ----------
    runs : sequence of Trajectories
        The same particles from the same positions in frame ``start``, with other thermal noise.
    lag : int
        In frames.

    Raises
    ------
    InputError
        If the runs do not start from the same positions.
    """
    ends = [(run.at(start), run.at(start + lag)) for run in runs]
    common = None
    for table in (part for pair in ends for part in pair):
        own = table["particle"].to_numpy()
        common = own if common is None else np.intersect1d(common, own)
    if common is None or not len(common):
        raise DataError(
            f"{len(runs)} runs without a particle seen in all of them", expected="the same particles in every run",
            action="compare runs of one configuration",
        )  # fmt: skip
    axes, moved, first = list(runs[0].axes), [], None
    for run, (before, after) in zip(runs, ends, strict=True):
        places = [part.set_index("particle").loc[common, axes].to_numpy() * run.pixel_size for part in (before, after)]
        first = places[0] if first is None else first
        if not np.allclose(places[0], first, atol=1e-9 * max(1.0, float(np.abs(first).max()))):
            raise InputError(
                f"runs that differ in frame {start} already", expected="one starting configuration",
                action="give runs of the same configuration",
            )  # fmt: skip
        moved.append(np.linalg.norm(run.box.shortest(places[1] - places[0]), axis=1))
    return common, np.array(moved)


def top_share(outcomes: np.ndarray, share: float) -> np.ndarray:
    """Return which entries of each row (R, n) are among its largest ``share``."""
    return np.asarray(outcomes > np.quantile(outcomes, 1.0 - share, axis=-1, keepdims=True))


def oracle_areas(outcomes: np.ndarray, drawn: Resampling, *, share: float = 0.05) -> np.ndarray:
    """Return the area under the curve of the leave-run-out oracle, then that of every resample, shape (1 + R,).

    Each run in turn says who rearranged; the mean of all other runs is the score. An oracle that includes the scored
    run leaks its answer (on Kob-Andersen glasses .79 instead of .70). Means over runs.

    Parameters
    ----------
    outcomes : array, shape (runs, n)
        Displacement or D2min of each particle of one species in each run.
    drawn : Resampling
        Of the particles: blocks of space.

    Raises
    ------
    InputError
        With a single run.
    """
    if len(outcomes) < 2:
        raise InputError("a single run", expected="at least two runs from one start", action="run it again")
    others = (outcomes.sum(axis=0) - outcomes) / (len(outcomes) - 1)
    return _mean_areas(list(others), top_share(outcomes, share), drawn)


def single_run_areas(scores: np.ndarray, outcomes: np.ndarray, drawn: Resampling, *, share: float = 0.05) -> np.ndarray:
    """Return the mean over runs of the area of ``scores`` (n,) against each run alone, then of resamples, (1 + R,)."""
    return _mean_areas([scores] * len(outcomes), top_share(outcomes, share), drawn)


def _mean_areas(scores: list[np.ndarray], labels: np.ndarray, drawn: Resampling) -> np.ndarray:
    found = []
    for values, positive in zip(scores, labels, strict=True):
        samples = resampled_areas(pairs_won(values, positive, drawn), positive, drawn)
        found.append(np.append(area_under_curve(values, positive), samples))
    return np.asarray(np.mean(found, axis=0))


def against_ceiling(
    scores: dict[str, np.ndarray], outcomes: np.ndarray, drawn: Resampling, *, share: float = 0.05
) -> dict[str, Any]:
    """Compare variables with the ceiling that thermal noise sets for a single run.

    Parameters
    ----------
    scores : dict of arrays, shape (n,)
        Oriented: larger means more likely to move.
    outcomes : array, shape (runs, n)
    drawn : Resampling

    Returns
    -------
    dict
        ``oracle``: area of the leave-run-out oracle; ``variables``: per name ``auc`` and ``efficiency``
        = (AUC - 1/2) / (oracle - 1/2), all with 90 % intervals, paired.
    """
    oracle = oracle_areas(outcomes, drawn, share=share)
    variables = {}
    for name, values in scores.items():
        areas = single_run_areas(values, outcomes, drawn, share=share)
        with np.errstate(invalid="ignore", divide="ignore"):
            efficiency = (areas - 0.5) / (oracle - 0.5)
        variables[name] = {
            key: with_interval(row[0], row[1:], n_blocks=drawn.n_blocks)
            for key, row in (("auc", areas), ("efficiency", efficiency))
        }
    return {
        "oracle": with_interval(oracle[0], oracle[1:], n_blocks=drawn.n_blocks),
        "variables": variables, "runs": len(outcomes), "share": share,
    }  # fmt: skip
