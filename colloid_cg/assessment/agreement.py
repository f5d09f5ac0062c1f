"""How far two curves are apart, and how far apart they may be."""

from __future__ import annotations

import math

import numpy as np

GOOD, LOOK, BAD, UNDECIDED = "good", "look", "bad", "not run"

LOOK_FACTOR = 2.0
LARGEST_TOLERANCE = 0.15
INSIGNIFICANT = 2.0
STATIONARY_Z = 3.0


def rrmse(found: np.ndarray, expected: np.ndarray) -> float | None:
    """Return the relative root-mean-square error sqrt(sum (a - b)^2 / sum b^2), arXiv:2508.12569.

    Points at which either curve is unknown (NaN) are left out; None if none remain or ``expected`` is zero everywhere.
    """
    known = np.isfinite(found) & np.isfinite(expected)
    norm = float(np.sum(np.square(expected[known])))
    if norm <= 0.0:
        return None
    return float(np.sqrt(np.sum(np.square(found[known] - expected[known])) / norm))


def z_scores(
    found: np.ndarray, found_error: np.ndarray, expected: np.ndarray, expected_error: np.ndarray
) -> np.ndarray:
    """Return (a - b) / sqrt(s_a^2 + s_b^2), NaN where a value or both errors are unknown or zero."""
    variance = np.nan_to_num(np.square(found_error)) + np.nan_to_num(np.square(expected_error))
    scores = np.full(np.shape(found), np.nan)
    known = variance > 0.0
    scores[known] = (found[known] - expected[known]) / np.sqrt(variance[known])
    return scores


def root_mean_square(values: np.ndarray) -> float | None:
    """Return the root mean square of the known values, None if there are none."""
    known = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(np.square(known)))) if len(known) else None


def tolerance(halves: float | None, *, floor: float, factor: float) -> float:
    """Return the RRMSE that counts as agreement: max(floor, factor x the experiment against itself), at most 15 %.

    ``halves`` compares the two halves of a block; two whole blocks would differ by sqrt(2) less, and that is what a
    model is held to (P8 of the design: 1.5 x reference against reference).
    """
    return max(floor, min(factor * (halves or 0.0) / math.sqrt(2.0), LARGEST_TOLERANCE))


def verdict(error: float | None, *, allowed: float, rms_z: float | None, stationary: bool = True) -> str:
    """Judge an RRMSE: good within ``allowed``; look if within twice that, or if errors hide it; else bad.

    Nothing is good where the experiment is not stationary: it then cannot say how well a model should do.
    """
    if error is None:
        return UNDECIDED
    if error <= allowed:
        return GOOD if stationary else LOOK
    if error <= LOOK_FACTOR * allowed or (rms_z is not None and rms_z <= INSIGNIFICANT):
        return LOOK
    return BAD


def jsonable(value: object) -> object:
    """Return ``value`` with arrays as lists, numpy numbers as Python's and NaN or infinity as None."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.ndarray):
        return [jsonable(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
