"""Maximum likelihood of a few parameters, with the score of every row and the observed information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

RowLikelihood = Callable[[np.ndarray], np.ndarray]
_LARGE = 1e12


@dataclass(frozen=True, kw_only=True, eq=False)
class Maximum:
    """Parameters at the maximum, ``scores`` (m, k) of the rows, ``information`` (k, k): minus the second derivative."""

    parameters: np.ndarray
    scores: np.ndarray
    information: np.ndarray

    @property
    def influence(self) -> np.ndarray:
        """Influence of every row on the parameters, shape (m, k)."""
        return np.asarray(self.scores @ np.linalg.pinv(self.information))


def maximise(rows: RowLikelihood, start: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the parameters that maximise the sum of ``rows(parameters)`` (BFGS in units of ``spread``)."""
    scale = max(len(rows(start)), 1)

    def objective(scaled: np.ndarray) -> float:
        total = float(rows(start + spread * scaled).sum())
        return -total / scale if np.isfinite(total) else _LARGE

    found = minimize(
        objective, np.zeros(len(start)), method="BFGS", jac="3-point", options={"gtol": 1e-5, "maxiter": 60}
    )
    return np.asarray(start + spread * found.x)


def scores(rows: RowLikelihood, at: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the derivative of every row's log-density, shape (m, k), by central differences."""
    columns = []
    for k in range(len(at)):
        shift = step * (np.arange(len(at)) == k)
        columns.append((rows(at + shift) - rows(at - shift)) / (2.0 * step[k]))
    return np.stack(columns, axis=1)


def with_scores(rows: RowLikelihood, at: np.ndarray, step: np.ndarray) -> Maximum:
    """Return the maximum with its scores and observed information."""
    information = np.empty((len(at), len(at)))
    for k in range(len(at)):
        shift = step * (np.arange(len(at)) == k)
        upper, lower = (scores(rows, at + sign * shift, step).sum(axis=0) for sign in (1, -1))
        information[k] = -(upper - lower) / (2.0 * step[k])
    return Maximum(parameters=at, scores=scores(rows, at, step), information=0.5 * (information + information.T))
