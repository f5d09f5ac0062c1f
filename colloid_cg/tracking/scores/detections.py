"""Scores of single detections: found or not, how far off, and whether the stated errors are the true ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.records import Box
from colloid_cg.tracking.scores.matching import match_detections
from colloid_cg.tracking.scores.tables import Gate, axes_of, gate_in_px, positions_of

N_PHASES = 10
"""Bins of the sub-pixel phase."""

_HALF_NORMAL_MEDIAN = 0.6744897501960817  # of |z|: the third quartile of the normal law


@dataclass(frozen=True, kw_only=True)
class DetectionScores:
    """What is found and how well; errors are estimate minus truth, along one axis, in px.

    Parameters
    ----------
    matched, missed, spurious : int
        TP, FN, FP.
    recall, precision, jaccard : float
        TP/(TP + FN), TP/(TP + FP), TP/(TP + FN + FP).
    rmse : float
        Root mean square error along one axis, over all axes (the distance has sqrt(d) times that).
    robust_error : float
        Median absolute error as the standard deviation of a normal law: blind to a few wrong matches.
    bias : tuple of float
        Mean error along x, y [, z].
    phase_bias_x, phase_bias_y : tuple of float, length 10
        Mean error against the sub-pixel phase of the true coordinate, in tenths of a pixel from -.5 to .5 about the
        pixel centre, mean error removed: the locking of positions to pixels.
    phase_bias : float
        Root mean square of these, both axes, with the sampling noise of the bins subtracted (0 where noise is all).
    stated_over_true : float
        sqrt(<sigma^2>/<error^2>) over the detections with a stated error; 1 is honest.
    z_sd : float
        Standard deviation of z = error/sigma about 0.
    z_robust : float
        The same from the median of |z|.
    z_within_1, z_within_2 : float
        Share of |z| < 1 and < 1.96: .683 and .950 for honest normal errors.
    z_kurtosis : float
        <z^4>/<z^2>^2 - 3: 0 for a normal law.
    unstated : int
        Matched detections without a stated error; the z figures are about the others.
    gate : float
        In px.
    """

    matched: int
    missed: int
    spurious: int
    recall: float
    precision: float
    jaccard: float
    rmse: float
    robust_error: float
    bias: tuple[float, ...]
    phase_bias_x: tuple[float, ...]
    phase_bias_y: tuple[float, ...]
    phase_bias: float
    stated_over_true: float
    z_sd: float
    z_robust: float
    z_within_1: float
    z_within_2: float
    z_kurtosis: float
    unstated: int
    gate: float

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


def score_detections(
    truth: pd.DataFrame,
    estimate: pd.DataFrame,
    *,
    gate: Gate,
    diameter: float | None = None,
    border: float = 0.0,
    view: Box | None = None,
) -> DetectionScores:
    """Score detections against the true positions.

    Pairs are those of :func:`match_detections`. Within ``border`` of an edge of the view nothing counts: neither a
    true particle there, nor a detection paired with one, nor a lonely detection there; what lies inside is paired
    with all candidates, so that the border has no edge of its own.

    Parameters
    ----------
    truth : pandas.DataFrame
        Columns frame, x, y [, z]; px.
    estimate : pandas.DataFrame
        The same and, for the figures of the stated errors, sigma_x, sigma_y [, sigma_z].
    gate : float, "5 px" or "d/4"
        Largest distance of a match.
    diameter : float, optional
        Of the particles in px, for ``gate="d/4"``.
    border : float
        In px.
    view : Box, optional
        Region the camera sees, in px; needed with a border (``Trajectories.field_of_view``).
    """
    if border > 0 and view is None:
        raise InputError(
            f"a border of {border:g} px without a view", expected="the region seen", action="give view=field_of_view"
        )
    axes = axes_of(truth, estimate)
    partner = match_detections(truth, estimate, gate=gate, diameter=diameter)
    true, found = positions_of(truth, axes), positions_of(estimate, axes)
    inside_true, inside_found = (_inside(points, border, view) for points in (true, found))
    paired = partner >= 0
    counted = paired & inside_true[partner]
    rows = np.flatnonzero(counted)
    matched = len(rows)
    missed = int(inside_true.sum()) - matched
    spurious = int((~paired & inside_found).sum())
    error = found[rows] - true[partner[rows]]
    stated = estimate.reindex(columns=[f"sigma_{axis}" for axis in axes]).to_numpy(dtype=float)[rows]
    by_axis, phase_bias = _phase_bias(true[partner[rows], :2], error[:, :2])
    return DetectionScores(
        matched=matched,
        missed=missed,
        spurious=spurious,
        recall=_share(matched, matched + missed),
        precision=_share(matched, matched + spurious),
        jaccard=_share(matched, matched + missed + spurious),
        rmse=_rms(error),
        robust_error=float(np.median(np.abs(error)) / _HALF_NORMAL_MEDIAN) if matched else float("nan"),
        bias=tuple(error.mean(axis=0).tolist()) if matched else (float("nan"),) * len(axes),
        phase_bias_x=by_axis[0],
        phase_bias_y=by_axis[1],
        phase_bias=phase_bias,
        **_honesty(error, stated),
        gate=gate_in_px(gate, diameter),
    )


def _inside(points: np.ndarray, border: float, view: Box | None) -> np.ndarray:
    if view is None or border <= 0:
        return np.ones(len(points), dtype=bool)
    return np.asarray(view.edge_distance(points) >= border)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")


def _phase_bias(true: np.ndarray, error: np.ndarray) -> tuple[list[tuple[float, ...]], float]:
    """Return the mean error per bin of sub-pixel phase for x and y, and the root mean square beyond sampling noise.

    The mean over a bin of n errors of variance v has the variance v/n, which is subtracted from the mean square.
    """
    phase = (true + 0.5) % 1.0
    bins = np.minimum((phase * N_PHASES).astype(int), N_PHASES - 1)
    by_axis, squares = [], []
    for axis in range(2):
        count = np.bincount(bins[:, axis], minlength=N_PHASES)
        if (count < 2).any():
            by_axis.append((float("nan"),) * N_PHASES)
            continue
        centred = error[:, axis] - error[:, axis].mean()
        mean = np.bincount(bins[:, axis], weights=centred, minlength=N_PHASES) / count
        scatter = np.bincount(bins[:, axis], weights=(centred - mean[bins[:, axis]]) ** 2, minlength=N_PHASES)
        by_axis.append(tuple(mean.tolist()))
        squares.append(np.mean(mean**2 - scatter / (count * (count - 1))))
    return by_axis, float(np.sqrt(max(np.mean(squares), 0.0))) if squares else float("nan")


def _honesty(error: np.ndarray, stated: np.ndarray) -> dict[str, Any]:
    """Return the figures that compare stated and true errors."""
    known = np.isfinite(stated).all(axis=1) & (stated > 0).all(axis=1)
    names = ("stated_over_true", "z_sd", "z_robust", "z_within_1", "z_within_2", "z_kurtosis")
    unstated = int((~known).sum())
    if not known.any():
        return dict.fromkeys(names, float("nan")) | {"unstated": unstated}
    z = error[known] / stated[known]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = (
            np.sqrt(np.mean(stated[known] ** 2) / np.mean(error[known] ** 2)),
            np.sqrt(np.mean(z**2)),
            np.median(np.abs(z)) / _HALF_NORMAL_MEDIAN,
            np.mean(np.abs(z) < 1.0),
            np.mean(np.abs(z) < 1.96),
            np.mean(z**4) / np.mean(z**2) ** 2 - 3.0,
        )
    return dict(zip(names, map(float, values), strict=True)) | {"unstated": unstated}
