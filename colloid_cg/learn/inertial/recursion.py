"""Gaussian likelihood of sequences whose covariance ends at lag two: Cholesky factorisation row by row."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit


def pentadiagonal_innovations(
    value: np.ndarray, zero: np.ndarray, one: np.ndarray, two: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return log-likelihood contributions (m,) (summed over axes) and standardised innovations (m, d).

    Parameters
    ----------
    value : array, shape (m, d)
        Sequences one after the other; axes are independent of each other.
    zero, one, two : arrays, shape (m, d)
        Covariance of a row with itself, with the row before, with the one before that.
    place : int array, shape (m,)
        Place in its sequence: 0 starts a new one.

    Notes
    -----
    A row whose covariance is not positive contributes -inf.
    """
    rows, white = np.empty(len(value)), np.empty_like(value)
    _recursion(value, zero, one, two, np.asarray(place, dtype=np.int64), rows, white)
    return rows, white


@njit(cache=True)
def _recursion(value, zero, one, two, place, rows, white):
    constant = np.log(2.0 * np.pi)
    m, d = value.shape
    for t in range(m):
        rows[t] = 0.0
    for a in range(d):
        # diagonal of the factor and innovation of the last two rows, and the factor between those two
        last, before, between = 1.0, 1.0, 0.0
        white_last, white_before = 0.0, 0.0
        for t in range(m):
            far = two[t, a] / before if place[t] >= 2 else 0.0
            near = (one[t, a] - far * between) / last if place[t] >= 1 else 0.0
            pivot = zero[t, a] - near * near - far * far
            if not pivot > 0.0:
                rows[t], white[t, a] = -np.inf, 0.0
                last, before, between, white_last, white_before = 1.0, 1.0, 0.0, 0.0, 0.0
                continue
            root = np.sqrt(pivot)
            innovation = (value[t, a] - near * white_last - far * white_before) / root
            white[t, a] = innovation
            rows[t] -= 0.5 * (constant + np.log(pivot) + innovation * innovation)
            before, last, between = last, root, near
            white_before, white_last = white_last, innovation
