"""How far particles stray from the straight line between two detections, measured on those that were not missed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

_SHARE = 0.9  # of the deviations that count: wrong links among the others do not matter, lively particles do
_FINENESS = 64  # bins per factor of two
_LOWEST, _OCTAVES = 2.0**-40, 80  # px^2


def measured_step_variance(parts: Iterable[pd.DataFrame]) -> float:
    r"""Return the variance :math:`s^2` of a step per axis in px^2, NaN where nobody is seen in three frames in a row.

    A detection is off the middle of the detections in the frames before and after it by a Brownian bridge of variance
    :math:`s^2 / 2` per axis, so that its squared distance r^2 exceeds :math:`-s^2 \ln(1 - q)` with probability
    1 - q; the quantile of q = .9 is used. What no step shows alone is thereby in s^2 as far as it matters to a place
    between two others: an uneven motion of the stage and the errors of the positions; an even drift is not.

    Parameters
    ----------
    parts : iterable of pandas.DataFrame
        Linked detections in the order of frames (frame, particle, x, y), cut between frames anyhow: counts of a fine
        histogram are kept.
    """
    counts = np.zeros(_FINENESS * _OCTAVES, dtype=np.int64)
    carried = pd.DataFrame(columns=["frame", "particle", "x", "y"], dtype=float)
    for part in parts:
        if part.empty:
            continue
        new = part[list(carried.columns)].astype(float)
        rows = pd.concat([carried, new], ignore_index=True).sort_values(["particle", "frame"], kind="stable")
        counts += _counted(_squared_deviations(rows.to_numpy()))
        # two frames hold no triple: each is counted once
        carried = rows[rows["frame"] >= new["frame"].iloc[-1] - 1]
    return float(_quantile(counts) / -np.log(1.0 - _SHARE))


def _squared_deviations(values: np.ndarray) -> np.ndarray:
    # columns frame, particle, x, y, sorted by particle and frame
    first, middle, last = values[:-2], values[1:-1], values[2:]
    whole = (first[:, 1] == last[:, 1]) & (last[:, 0] - first[:, 0] == 2)
    off = middle[whole, 2:] - 0.5 * (first[whole, 2:] + last[whole, 2:])
    return np.asarray((off**2).sum(axis=1))


def _counted(squared: np.ndarray) -> np.ndarray:
    place = np.floor(_FINENESS * np.log2(np.maximum(squared, _LOWEST) / _LOWEST)).astype(np.int64)
    return np.bincount(np.minimum(place, _FINENESS * _OCTAVES - 1), minlength=_FINENESS * _OCTAVES)


def _quantile(counts: np.ndarray) -> float:
    total = np.concatenate([[0], np.cumsum(counts)])
    if total[-1] == 0:
        return float("nan")
    wanted = _SHARE * total[-1]
    bin_number = int(np.searchsorted(total, wanted)) - 1
    within = (wanted - total[bin_number]) / counts[bin_number]
    return float(_LOWEST * 2.0 ** ((bin_number + within) / _FINENESS))
