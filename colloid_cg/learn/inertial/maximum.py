"""Maximum likelihood of a few parameters, with the score of every row and the observed information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from colloid_cg.errors import DataError

RowLikelihood = Callable[[np.ndarray], np.ndarray]
_ITERATIONS = 30
_PATIENCE = 8
_SETTLED = 0.01
_LONGEST = 10.0
_SHORTEST = 1e-6
_DERIVATIVE = 1e-3


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
    """Return the parameters that maximise the sum of ``rows(parameters)``.

    Scores of rows given those before are uncorrelated, so that the sum of their squares estimates the information:
    Newton steps with it (Berndt, Hall, Hall and Hausman 1974), cut until the likelihood rises, and ended where a step
    is below a hundredth of a standard error. Under a law far from the data that estimate is poor: later steps use the
    curvature itself. ``spread`` (k,) is the size of a first change of each parameter.

    Raises
    ------
    DataError
        If the start has no likelihood, or no maximum is found.
    """
    at, step = np.asarray(start, dtype=float), _DERIVATIVE * spread
    value = float(rows(at).sum())
    if not np.isfinite(value):
        raise DataError(
            "the covariance of the start is not positive", expected="noise above zero", action="check the tracks"
        )
    for number in range(_ITERATIONS):
        own = scores(rows, at, step) * spread
        gradient, information = own.sum(axis=0), own.T @ own
        if number >= _PATIENCE:
            observed = _information(rows, at, step) * np.outer(spread, spread)
            information = observed if np.linalg.eigvalsh(observed).min() > 0.0 else information
        change = np.linalg.lstsq(information, gradient, rcond=1e-12)[0]
        if float(gradient @ change) < _SETTLED**2:
            return at
        change *= min(1.0, _LONGEST / float(np.abs(change).max()))
        length = 1.0
        while length > _SHORTEST:
            moved = at + length * spread * change
            found = float(rows(moved).sum())
            if found > value:
                break
            length *= 0.5
        else:
            return at  # the likelihood is flat to round-off along the ascent
        at, value = moved, found
    raise DataError(
        f"no maximum of the likelihood in {_ITERATIONS} steps",
        expected="data that fix noise, friction and thermal speed",
        action="use a longer movie, or fewer knots",
    )


def scores(rows: RowLikelihood, at: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the derivative of every row's log-density, shape (m, k): central, or one-sided at the edge of the law."""
    columns = []
    for k in range(len(at)):
        shift = step * (np.arange(len(at)) == k)
        upper, lower, width = rows(at + shift), rows(at - shift), 2.0 * step[k]
        for sign in (1.0, -1.0):
            if not np.isfinite(lower if sign > 0 else upper).all():
                here, width = rows(at), step[k]
                upper, lower = (upper, here) if sign > 0 else (here, lower)
        columns.append((upper - lower) / width)
    return np.stack(columns, axis=1)


def with_scores(rows: RowLikelihood, at: np.ndarray, step: np.ndarray) -> Maximum:
    """Return the maximum with its scores and observed information.

    Raises
    ------
    DataError
        If the information is not finite.
    """
    return Maximum(parameters=at, scores=scores(rows, at, step), information=_information(rows, at, step))


def _information(rows: RowLikelihood, at: np.ndarray, step: np.ndarray) -> np.ndarray:
    information = np.empty((len(at), len(at)))
    for k in range(len(at)):
        shift = step * (np.arange(len(at)) == k)
        upper, lower = (scores(rows, at + sign * shift, step).sum(axis=0) for sign in (1, -1))
        information[k] = -(upper - lower) / (2.0 * step[k])
    if not np.isfinite(information).all():
        raise DataError(
            "the covariance of the positions is not positive beside the maximum of the likelihood",
            expected="noise, friction and thermal speed that the data fix",
            action="use a longer movie, or fewer knots",
        )
    return 0.5 * (information + information.T)
