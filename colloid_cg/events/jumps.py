"""Jumps of a scalar field along the track of a particle (s0, say), with their null from the movie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from colloid_cg.errors import InputError
from colloid_cg.events.hopnull import variogram, window_covariance
from colloid_cg.events.nulls import dispersed_tail
from colloid_cg.events.scale import check
from colloid_cg.events.spread import scale_and_spread
from colloid_cg.seeding import generator

_STRUCTURE = re.compile(r"s\d*")
_DRAWS = 100_000
_FEWEST_TESTS = 100
_FEWEST_AT_ONCE = 20
_ROUNDING = 1e-9


def field_jumps(fields: pd.DataFrame, columns: Sequence[str] | None = None, *, half_window: int) -> pd.DataFrame:
    """Return how far fields jump at every detection: mean over the frames from it on, less mean over those before.

    Null hypothesis: the field along a track is Gaussian with the movie's own variogram (from medians of squared
    differences, as for p_hop), so that a jump has the variance w^T C w, w = -1/h before and 1/h after. The
    scale is then matched to the median of the squared jumps, with the spread between particles
    (``spread.scale_and_spread``): rare jumps do not hide themselves. p is two-sided.

    Parameters
    ----------
    fields : pandas.DataFrame
        ``frame, particle``, one row per detection, and the fields; a column ``NAME_std`` holds the standard deviation
        of each value where it is known: jumps with larger errors are then allowed to be larger.
    columns : sequence of str, optional
        Default: s, s0, s1 and so on.
    half_window : int
        h, in frames.

    Returns
    -------
    pandas.DataFrame
        In the order of ``fields``: ``frame, particle``, and for each field ``NAME_jump``, the median over all particles
        of the frame taken off (where there are 20), and ``NAME_jump_p``. NaN unless the field is known in all 2 h
        frames around. ``attrs["jumps"]`` holds the null of each field and its check (JSON-able).

    Raises
    ------
    InputError
        If a column is missing or ``half_window`` is below 1.
    """
    names = [name for name in fields.columns if _STRUCTURE.fullmatch(str(name))] if columns is None else list(columns)
    missing = [name for name in ("frame", "particle", *names) if name not in fields.columns]
    if missing or half_window < 1:
        raise InputError(
            f"a half window of {half_window} and a table without {', '.join(missing) or 'nothing that is needed'}",
            expected="at least one frame, and columns frame, particle and the fields",
            action="name fields that the table has",
        )
    frame, particle = (fields[name].to_numpy(dtype=np.int64) for name in ("frame", "particle"))
    table, nulls = fields[["frame", "particle"]].copy(), {}
    for name in names:
        value = fields[name].to_numpy(dtype=float)
        error = fields[f"{name}_std"].to_numpy(dtype=float) if f"{name}_std" in fields.columns else None
        jump, variance = _jumps(frame, particle, value, error, half_window)
        separate = frame % (2 * half_window) == 0
        p_value, nulls[name] = _p_values(jump, variance, particle, separate, str(name))
        table[f"{name}_jump"], table[f"{name}_jump_p"] = jump, p_value
    table.attrs["jumps"] = {"half_window_frames": half_window, **nulls}
    return table


def _jumps(
    frame: np.ndarray, particle: np.ndarray, value: np.ndarray, error: np.ndarray | None, half: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return jump and its variance under the null, shapes (n,), NaN where a window is not complete."""
    known = np.isfinite(value) if error is None else np.isfinite(value) & np.isfinite(error)
    places = np.flatnonzero(known)
    places = places[np.lexsort((frame[places], particle[places]))]
    jump, variance = np.full(len(value), np.nan), np.full(len(value), np.nan)
    if len(places) < 2 * half:
        return jump, variance
    f, p, v = frame[places], particle[places], value[places]
    n = len(places) - 2 * half + 1
    whole = np.flatnonzero((p[:n] == p[2 * half - 1 :]) & (f[2 * half - 1 :] - f[:n] == 2 * half - 1))
    middle = places[whole + half]
    before, after = (_sums(v - np.median(v), whole + start, half) / half for start in (0, half))
    jump[middle] = after - before
    jump -= _common(frame, jump)
    spread = variogram(f, p, v[:, None], 2 * half - 1)
    side = np.repeat([-1.0 / half, 1.0 / half], half)
    total = float(side @ window_covariance(spread) @ side)
    variance[middle] = total
    if error is not None:
        noise = _sums(error[places] ** 2, whole, 2 * half) / half**2
        typical = float(np.median(noise)) if len(noise) else 0.0
        # What the errors do not explain is the same for all.
        variance[middle] = max(total - typical, 0.0) + noise * (min(1.0, total / typical) if typical > 0 else 1.0)
    return jump, variance


def _sums(values: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """Return the sums of ``length`` values from each start on."""
    total = np.zeros(len(start))
    for k in range(length):
        total += values[start + k]
    return total


def _common(frame: np.ndarray, jump: np.ndarray) -> np.ndarray:
    """Return the median jump of each frame for every row, 0 in frames with few."""
    groups = pd.Series(jump).groupby(frame)
    return np.asarray(np.where(groups.transform("count") >= _FEWEST_AT_ONCE, groups.transform("median"), 0.0))


def _p_values(
    jump: np.ndarray, variance: np.ndarray, particle: np.ndarray, separate: np.ndarray, name: str
) -> tuple[np.ndarray, dict[str, Any]]:
    p_value, tested = np.full(len(jump), np.nan), np.isfinite(jump) & (variance > 0)
    if tested.sum() < _FEWEST_TESTS or not (jump[tested] != 0).any():
        warning = f"only {tested.sum()} values: too few to learn the null from the movie, so no p-values are given"
        return p_value, {"n_tests": 0, "null_fit": False, "warnings": [warning]}
    rng = generator(0, "events", "jump", name)
    square = jump[tested] ** 2 / variance[tested]
    fitted = scale_and_spread(square, rng.normal(size=_DRAWS) ** 2, particle[tested], separate[tested], rng)
    tail = dispersed_tail(lambda x, _: special.erfc(np.sqrt(0.5 * x)), square / fitted.scale, fitted.dispersion)
    p_value[tested] = np.where(np.abs(jump[tested]) <= _ROUNDING * np.sqrt(variance[tested]), 1.0, tail)
    null = check(p_value[tested], fitted)
    null["variance"] = null.pop("scale") * float(np.median(variance[tested]))
    return p_value, null
