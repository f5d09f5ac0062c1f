"""Prediction of who rearranges: hidden variables beside hand-made ones and a supervised peer."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr

from colloid_cg.assessment.reading.ranking import (
    area_under_curve,
    average_precision,
    compare_areas,
    precision_recall_curve,
    resampled_precisions,
    roc_curve,
)
from colloid_cg.assessment.reading.resampling import Resampling, resampling, space_time_blocks, with_interval
from colloid_cg.assessment.reading.ridge import fit_ridge
from colloid_cg.assessment.reading.sample import Lagged, Sample, rows_of, threshold
from colloid_cg.assessment.reading.settings import ReadingConfig
from colloid_cg.assessment.reading.shifts import permutation_p_value, raster_of
from colloid_cg.observables.blocks import time_blocks

FEWEST_POSITIVES = 10
"""Rearrangements in the test block below which nothing is said."""
FEWEST_TO_CHOOSE = 5
SIDE = 2.0
"""Edge of a cell of space, in cutoffs: a variable knows of particles within one of them."""
RIDGE = "ridge"


def drawn_for(
    sample: Sample, rows: np.ndarray, *, frames_per_block: int, config: ReadingConfig, rng: np.random.Generator
) -> Resampling:
    """Return the resampling of some rows in blocks of time and space."""
    index = space_time_blocks(
        sample.frame[rows], sample.tracks.positions[rows], sample.tracks.box,
        frames_per_block=frames_per_block, side=SIDE * sample.cutoff,
    )  # fmt: skip
    return resampling(index, resamples=config.resamples, rng=rng)


def prediction(
    sample: Sample,
    lagged: Lagged,
    config: ReadingConfig,
    *,
    species: int,
    label: str,
    frames_per_block: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return how well every variable ranks the rows of the test block by what becomes of them.

    Sign of every variable, the best hand-made one, the best hidden one and the penalty of the ridge are chosen on the
    selection block. Intervals resample blocks of time and space of the test block, the same for all variables.
    """
    level = threshold(sample, lagged, species=species, label=label, share=config.share)
    test, select = (rows_of(sample, lagged, block=block, species=species, label=label) for block in ("test", "select"))
    future = lagged.futures[label]
    positive = future[test] > level
    count = int(positive.sum())
    result: dict[str, Any] = {
        "label": label, "lag": lagged.lag, "lag_seconds": lagged.lag * sample.tracks.frame_interval,
        "threshold": level, "rows": len(test), "positives": count,
    }  # fmt: skip
    if min(count, len(test) - count) < FEWEST_POSITIVES:
        return result | {"missing": f"{count} rearrangements among {len(test)} rows of the test block"}
    variables = {name: sample.hidden(name) for name in sample.names} | lagged.handmade
    scores = _oriented(variables, test, select, future, level)
    peer = _ridge_scores(sample, lagged, test, select, species=species, label=label, level=level)
    chosen = {
        "hidden": _best(list(sample.names), variables, select, future, level),
        "handmade": _best(list(lagged.handmade), variables, select, future, level),
    }
    scores |= {} if peer is None else {RIDGE: peer}
    drawn = drawn_for(sample, test, frames_per_block=max(frames_per_block, 2 * lagged.lag), config=config, rng=rng)
    areas = compare_areas(scores, positive, drawn)
    result |= {"blocks": drawn.n_blocks, "chosen": chosen}
    result["auc"] = {name: drawn.entry(row[0], row[1:]) for name, row in areas.items()}
    result["differences"] = _differences(areas, chosen, drawn)
    if lagged.lag == sample.lag:
        result |= _at_the_lag(sample, scores, positive, chosen, drawn, test, frames_per_block, config, rng)
    return result


def _at_the_lag(
    sample: Sample,
    scores: dict[str, np.ndarray],
    positive: np.ndarray,
    chosen: dict[str, str],
    drawn: Resampling,
    test: np.ndarray,
    frames_per_block: int,
    config: ReadingConfig,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return what is computed for the one lag that figures show: curves, average precision, p-values."""
    shown = [chosen["hidden"], chosen["handmade"], *([RIDGE] if RIDGE in scores else [])]
    frames = sample.frame[test]
    raster = raster_of(
        frames, sample.tracks.positions[test], sample.tracks.box,
        time_block=time_blocks(frames, max(1, -(-max(frames_per_block, 2 * sample.lag) // 2))),
    )  # fmt: skip
    precision = {
        name: drawn.entry(
            average_precision(scores[name], positive), resampled_precisions(scores[name], positive, drawn)
        )
        for name in shown
    }
    p_values = {
        name: permutation_p_value(rankdata(scores[name]), positive, raster, permutations=config.permutations, rng=rng)
        for name in sample.names
    }
    return {
        "average_precision": precision,
        "p_value": p_values,
        "roc": {name: roc_curve(scores[name], positive) for name in shown},
        "precision_recall": {name: precision_recall_curve(scores[name], positive) for name in shown},
    }


def _differences(areas: dict[str, np.ndarray], chosen: dict[str, str], drawn: Resampling) -> dict[str, Any]:
    """Return the area of the chosen hidden variable minus those of the best hand-made one, the memory and the ridge."""
    own = areas[chosen["hidden"]]
    against = {"handmade": chosen["handmade"], "memory": "past_displacement", RIDGE: RIDGE}
    return {
        name: with_interval(*_split(own - areas[other]), n_blocks=drawn.n_blocks)
        for name, other in against.items()
        if other in areas
    }


def _split(row: np.ndarray) -> tuple[float, np.ndarray]:
    return float(row[0]), row[1:]


def _agreement(values: np.ndarray, future: np.ndarray, level: float) -> float:
    """Return AUC - 1/2 on the selection block, or half of Spearman's correlation where too few rearranged there."""
    positive = future > level
    count = int(positive.sum())
    if min(count, len(positive) - count) >= FEWEST_TO_CHOOSE:
        return area_under_curve(values, positive) - 0.5
    if len(values) < 3 or not np.ptp(values) or not np.ptp(future):
        return 0.0
    return 0.5 * float(spearmanr(values, future).statistic)


def _oriented(
    variables: dict[str, np.ndarray], test: np.ndarray, select: np.ndarray, future: np.ndarray, level: float
) -> dict[str, np.ndarray]:
    """Return the variables of the test rows, larger for those more likely to rearrange by the selection block."""
    return {
        name: values[test] * (-1.0 if _agreement(values[select], future[select], level) < 0.0 else 1.0)
        for name, values in variables.items()
    }


def _best(
    names: list[str], variables: dict[str, np.ndarray], select: np.ndarray, future: np.ndarray, level: float
) -> str:
    return max(names, key=lambda name: abs(_agreement(variables[name][select], future[select], level)))


def _ridge_scores(
    sample: Sample, lagged: Lagged, test: np.ndarray, select: np.ndarray, *, species: int, label: str, level: float
) -> np.ndarray | None:
    """Return the prediction of a ridge regression for the test rows, None where there is nothing to train it on."""
    if not sample.described:
        return None
    future = lagged.futures[label]

    def of(block: str, wanted: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        rows, values = sample.described[block]
        if wanted is None:
            keep = (sample.species[rows] == species) & np.isfinite(future[rows]) & np.isfinite(values).all(axis=1)
        else:
            keep = np.isin(rows, wanted)
        return rows[keep], values[keep]

    rows, values = of("train", None)
    if len(rows) < 2 * values.shape[1]:
        return None
    held_rows, held = of("select", select)
    test_rows, shown = of("test", test)
    if len(test_rows) != len(test):
        return None
    return fit_ridge(values, future[rows], held, future[held_rows] > level)(shown)
