"""Look again at the pixels where a particle is missing between two detections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from colloid_cg.errors import InputError
from colloid_cg.records import FLAG_AFTER_GAP, FLAG_POOR_FIT, FLAG_REFOUND
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections

GAP_COLUMNS = ("frame", "particle", "x", "y", "spread", "mass", "size", "link_confidence")
"""Columns of :func:`find_gaps`."""

FARTHEST = 13.8  # chi-square with two degrees of freedom that chance exceeds once in a thousand
_FAINTEST = 5.0  # standard deviations of the amplitude
_MASS_RATIO = 3.0

_LINKED = ["frame", "particle", "x", "y", "mass", "size", "link_confidence"]

LocateNear = Callable[[np.ndarray, Detections, Detections], Detections]
"""From a picture, places and the particles already known there to one detection for each place, in the same order;
NaN or ``FLAG_POOR_FIT`` where there is none."""


def find_gaps(parts: Iterable[pd.DataFrame], *, longest: int, step_variance: float) -> pd.DataFrame:
    """Return where particles are missing between two of their detections.

    The place is on the straight line between both; a free particle is off it by a Brownian bridge, whose variance per
    axis a frames after the one and b frames before the other is :math:`s^2 a b / (a + b)`.

    Parameters
    ----------
    parts : iterable of pandas.DataFrame
        Linked detections in the order of frames (frame, particle, x, y, mass, size and, where it is known,
        link_confidence), cut between frames anyhow.
    longest : int
        Longest gap in frames; memory is that of the detections of so many frames.
    step_variance : float
        Variance :math:`s^2` of a step per axis in px^2.

    Returns
    -------
    pandas.DataFrame
        Columns ``GAP_COLUMNS``, one row per particle and frame, sorted by both: place, its standard deviation
        per axis (px), mean mass and size before and after, confidence of the link across the gap.
    """
    found = list(gaps_by_part(parts, longest=longest, step_variance=step_variance))
    return pd.concat(found, ignore_index=True) if found else _gap_table(np.empty((0, len(GAP_COLUMNS))))


def gaps_by_part(parts: Iterable[pd.DataFrame], *, longest: int, step_variance: float) -> Iterator[pd.DataFrame]:
    """Yield what :func:`find_gaps` returns, in one table for each part, after as many more parts as that takes.

    A part holds the gaps after its predecessor's last detection and up to its own last detection.
    """
    carried = pd.DataFrame(columns=_LINKED, dtype=float)
    waiting, ends, last = np.empty((0, len(GAP_COLUMNS))), [], -1
    for part in parts:
        if len(part):
            rows = pd.concat([carried, part.reindex(columns=_LINKED).astype(float)], ignore_index=True)
            rows = rows.sort_values(["particle", "frame"], kind="stable")
            values = rows.to_numpy()
            missed = np.diff(values[:, 0]) - 1
            gap = (np.diff(values[:, 1]) == 0) & (missed > 0) & (missed <= longest)
            waiting = np.concatenate([waiting, _between(values[:-1][gap], values[1:][gap], step_variance)])
            last = int(part["frame"].iloc[-1])
            recent = rows.groupby("particle", sort=False).tail(1)
            carried = recent[recent["frame"] >= last - longest]
        ends.append(last)
        # a frame in which a particle is missing is known by the detection after it, at most `longest` frames later
        while ends[0] + longest <= last and len(ends) > 1:
            here = waiting[:, 0] <= ends.pop(0)
            yield _gap_table(waiting[here])
            waiting = waiting[~here]
    for end in ends:
        here = waiting[:, 0] <= end
        yield _gap_table(waiting[here])
        waiting = waiting[~here]


def _gap_table(values: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame(values, columns=list(GAP_COLUMNS)).astype({"frame": "int64", "particle": "int64"})
    return table.sort_values(["frame", "particle"], kind="stable").reset_index(drop=True)


def _between(before: np.ndarray, after: np.ndarray, step_variance: float) -> np.ndarray:
    # columns as in _LINKED; one row per missing frame
    missed = (after[:, 0] - before[:, 0] - 1).astype(np.int64)
    which = np.repeat(np.arange(len(missed)), missed)
    a = np.arange(len(which)) - np.repeat(np.cumsum(missed) - missed, missed) + 1.0
    whole = (missed + 1.0)[which]
    start, end = before[which], after[which]
    place = start[:, 2:4] + (end[:, 2:4] - start[:, 2:4]) * (a / whole)[:, np.newaxis]
    spread = np.sqrt(step_variance * a * (whole - a) / whole)
    look = 0.5 * (start[:, 4:6] + end[:, 4:6])
    return np.column_stack([start[:, 0] + a, start[:, 1], place, spread, look, end[:, 6]])


def refind(
    frames: Callable[[int], np.ndarray],
    gaps: pd.DataFrame,
    *,
    present: pd.DataFrame,
    locate_near: LocateNear,
    config: TrackConfig,
    width: float | None = None,
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
        Detections of those frames (frame, x, y and, where it is known, size).
    locate_near : callable
        Fits particles near given places (see :func:`colloid_cg.tracking.second_look.locator`).
    config : TrackConfig
        ``diameter`` is used.
    width : float, optional
        Standard deviation of the spots in px; without it the size of each fit is taken for it.

    Returns
    -------
    pandas.DataFrame
        Detections with ``particle`` and ``FLAG_REFOUND``, to be added to the table; mark its gaps again afterwards.
        Their ``link_confidence`` is that of the link across the gap: if that is wrong, so is the particle.

    Raises
    ------
    InputError
        If ``locate_near`` returns another number of detections than it was given places.
    """
    here = {int(str(frame)): rows for frame, rows in present.groupby("frame", sort=True)}
    tables = []
    for frame, rows in gaps.groupby("frame", sort=True):
        number = int(str(frame))
        known = here.get(number, present.iloc[:0])
        x, y, size = (known.reindex(columns=[name])[name].to_numpy(dtype=float) for name in ("x", "y", "size"))
        known_here = Detections.at(x, y, size=size)
        fitted = _fitted(frames(number), rows, known_here, locate_near)
        good = _believable(fitted, rows, fitted.size if width is None else np.full(len(fitted), width))
        good = _apart(fitted, good, np.column_stack([x, y]), 0.5 * (config.diameter or 1))
        kept = fitted.select(good)
        kept = kept.updated(flags=((kept.flags & ~FLAG_AFTER_GAP) | FLAG_REFOUND).astype("int32"))
        link = {name: rows[name].to_numpy()[good] for name in ("particle", "link_confidence")}
        tables.append(kept.table(number).assign(**link))
    if not tables:
        nothing = {"particle": np.empty(0, dtype="int64"), "link_confidence": np.empty(0)}
        return Detections.at(np.empty(0), np.empty(0)).table(0).assign(**nothing)
    return pd.concat(tables, ignore_index=True)


def _fitted(picture: np.ndarray, gaps: pd.DataFrame, known: Detections, locate_near: LocateNear) -> Detections:
    x, y, spread, mass, size = (gaps[name].to_numpy() for name in ("x", "y", "spread", "mass", "size"))
    places = Detections.at(x, y, sigma_x=spread, sigma_y=spread, mass=mass, size=size)
    fitted = locate_near(picture, places, known)
    if len(fitted) != len(gaps):
        raise InputError(
            f"{len(fitted)} fits for {len(gaps)} places",
            expected="one fit for each place, in the same order",
            action="use a function that neither drops nor adds particles",
        )
    return fitted


def _believable(fitted: Detections, gaps: pd.DataFrame, width: np.ndarray) -> np.ndarray:
    x, y, spread = (gaps[name].to_numpy() for name in ("x", "y", "spread"))
    with np.errstate(invalid="ignore", divide="ignore"):
        off = (fitted.x - x) ** 2 / (spread**2 + fitted.sigma_x**2)
        off += (fitted.y - y) ** 2 / (spread**2 + fitted.sigma_y**2)
        bright = np.sqrt(2.0) * width / np.hypot(fitted.sigma_x, fitted.sigma_y) * np.sqrt(2.0)
        ratio = np.abs(np.log(fitted.mass / gaps["mass"].to_numpy()))
    # comparisons with NaN are false: what could not be measured is not believed
    good: np.ndarray = (off < FARTHEST) & (bright > _FAINTEST) & (ratio < np.log(_MASS_RATIO))
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
