"""Look again at the pixels where a particle is missing between two detections."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from colloid_cg.errors import InputError
from colloid_cg.records import FLAG_AFTER_GAP, FLAG_POOR_FIT, FLAG_REFOUND
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections

GAP_COLUMNS = ("frame", "particle", "x", "y", "spread", "mass", "size")
"""Columns of :func:`find_gaps`."""

_FARTHEST = 13.8  # chi-square with two degrees of freedom that chance exceeds once in a thousand
_FAINTEST = 5.0  # standard deviations of the amplitude
_MASS_RATIO = 3.0

LocateNear = Callable[[np.ndarray, Detections], Detections]
"""Fits particles near given places of a picture: one detection for each place, in the same order."""


def find_gaps(parts: Iterable[pd.DataFrame], *, longest: int, step_variance: float) -> pd.DataFrame:
    """Return where particles are missing between two of their detections.

    The place is on the straight line between both; a free particle is off it by a Brownian bridge, whose variance per
    axis a frames after the one and b frames before the other is :math:`s^2 a b / (a + b)`.

    Parameters
    ----------
    parts : iterable of pandas.DataFrame
        Linked detections in the order of frames (frame, particle, x, y, mass, size), cut between frames anyhow.
    longest : int
        Longest gap in frames; memory is that of the detections of so many frames.
    step_variance : float
        Variance :math:`s^2` of a step per axis in px^2.

    Returns
    -------
    pandas.DataFrame
        Columns ``GAP_COLUMNS``, one row per particle and frame, sorted by both: place, its standard deviation
        per axis (px), mean mass and size before and after.
    """
    carried = pd.DataFrame(columns=["frame", "particle", "x", "y", "mass", "size"], dtype=float)
    found = []
    for part in parts:
        if part.empty:
            continue
        rows = pd.concat([carried, part[list(carried.columns)].astype(float)], ignore_index=True)
        rows = rows.sort_values(["particle", "frame"], kind="stable")
        values = rows.to_numpy()
        missed = np.diff(values[:, 0]) - 1
        gap = (np.diff(values[:, 1]) == 0) & (missed > 0) & (missed <= longest)
        found.append(_between(values[:-1][gap], values[1:][gap], step_variance))
        recent = rows.groupby("particle", sort=False).tail(1)
        carried = recent[recent["frame"] >= part["frame"].max() - longest]
    table = pd.DataFrame(np.concatenate(found) if found else np.empty((0, len(GAP_COLUMNS))), columns=list(GAP_COLUMNS))
    table = table.astype({"frame": "int64", "particle": "int64"})
    return table.sort_values(["frame", "particle"], kind="stable").reset_index(drop=True)


def _between(before: np.ndarray, after: np.ndarray, step_variance: float) -> np.ndarray:
    # columns frame, particle, x, y, mass, size; one row per missing frame
    missed = (after[:, 0] - before[:, 0] - 1).astype(np.int64)
    which = np.repeat(np.arange(len(missed)), missed)
    a = np.arange(len(which)) - np.repeat(np.cumsum(missed) - missed, missed) + 1.0
    whole = (missed + 1.0)[which]
    start, end = before[which], after[which]
    place = start[:, 2:4] + (end[:, 2:4] - start[:, 2:4]) * (a / whole)[:, np.newaxis]
    spread = np.sqrt(step_variance * a * (whole - a) / whole)
    return np.column_stack([start[:, 0] + a, start[:, 1], place, spread, 0.5 * (start[:, 4:] + end[:, 4:])])


def refind(
    frames: Callable[[int], np.ndarray],
    gaps: pd.DataFrame,
    *,
    present: pd.DataFrame,
    locate_near: LocateNear,
    config: TrackConfig,
) -> pd.DataFrame:
    r"""Fit again where particles are missing and return those that are really there.

    A fit is believed if it converged; is where the track leads (squared distance below 13.8 times the variance of
    bridge and fit together, exceeded by chance once in a thousand); is bright enough: a Gaussian spot of width w
    located to :math:`\sigma` has an amplitude of :math:`\sqrt{2} w / \sigma` standard errors (Fisher information of
    position and amplitude against white noise), which must exceed 5; has between a third and three times the mass of
    its track; and is no particle detected already (closer than half a diameter).

    Parameters
    ----------
    frames : callable
        From the number of a frame to its picture.
    gaps : pandas.DataFrame
        From :func:`find_gaps`; any part of it, such as the gaps within some frames.
    present : pandas.DataFrame
        Detections of those frames (frame, x, y).
    locate_near : callable
        Fits particles near given places, for example the likelihood fit of the native engine with its model bound.
    config : TrackConfig
        ``diameter`` is used.

    Returns
    -------
    pandas.DataFrame
        Detections with ``particle`` and ``FLAG_REFOUND``, to be added to the table; mark its gaps again afterwards.

    Raises
    ------
    InputError
        If ``locate_near`` returns another number of detections than it was given places.
    """
    here = {frame: rows[["x", "y"]].to_numpy() for frame, rows in present.groupby("frame", sort=True)}
    tables = []
    for frame, rows in gaps.groupby("frame", sort=True):
        number = int(str(frame))
        tables.append(_refound(number, frames(number), rows, here.get(frame, np.empty((0, 2))), locate_near, config))
    if not tables:
        return Detections.at(np.empty(0), np.empty(0)).table(0).assign(particle=np.empty(0, dtype="int64"))
    return pd.concat(tables, ignore_index=True)


def _refound(
    frame: int,
    picture: np.ndarray,
    gaps: pd.DataFrame,
    here: np.ndarray,
    locate_near: LocateNear,
    config: TrackConfig,
) -> pd.DataFrame:
    x, y, mass, size = (gaps[name].to_numpy() for name in ("x", "y", "mass", "size"))
    fitted = locate_near(picture, Detections.at(x, y, mass=mass, size=size))
    if len(fitted) != len(gaps):
        raise InputError(
            f"{len(fitted)} fits for {len(gaps)} places",
            expected="one fit for each place, in the same order",
            action="use a function that neither drops nor adds particles",
        )
    good = _believable(fitted, gaps)
    good = _apart(fitted, good, here, 0.5 * (config.diameter or 1))
    kept = fitted.select(good)
    kept = kept.updated(flags=((kept.flags & ~FLAG_AFTER_GAP) | FLAG_REFOUND).astype("int32"))
    return kept.table(frame).assign(particle=gaps["particle"].to_numpy()[good])


def _believable(fitted: Detections, gaps: pd.DataFrame) -> np.ndarray:
    x, y, spread = (gaps[name].to_numpy() for name in ("x", "y", "spread"))
    with np.errstate(invalid="ignore", divide="ignore"):
        off = (fitted.x - x) ** 2 / (spread**2 + fitted.sigma_x**2)
        off += (fitted.y - y) ** 2 / (spread**2 + fitted.sigma_y**2)
        bright = np.sqrt(2.0) * fitted.size / np.hypot(fitted.sigma_x, fitted.sigma_y) * np.sqrt(2.0)
        ratio = np.abs(np.log(fitted.mass / gaps["mass"].to_numpy()))
    # comparisons with NaN are false: what could not be measured is not believed
    good: np.ndarray = (off < _FARTHEST) & (bright > _FAINTEST) & (ratio < np.log(_MASS_RATIO))
    good &= (fitted.flags & FLAG_POOR_FIT) == 0
    return good


def _apart(fitted: Detections, good: np.ndarray, here: np.ndarray, closest: float) -> np.ndarray:
    # neither on a particle detected before nor on an earlier one of this list
    places = np.column_stack([fitted.x, fitted.y])
    alone = good.copy()
    known = cKDTree(here) if len(here) else None
    taken: list[np.ndarray] = []
    for k in np.flatnonzero(good):
        near = known is not None and known.query(places[k])[0] < closest
        near = near or any(np.hypot(*(places[k] - other)) < closest for other in taken)
        alone[k] = not near
        if alone[k]:
            taken.append(places[k])
    return alone
