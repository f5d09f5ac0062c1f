"""Detections that tracking may have got wrong: exchanged identities, merged particles, broken links, odd brightness."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.events.tracklinks import (
    LEVEL,
    Reach,
    TrackLinks,
    median_of_tracks,
    near_pairs,
    reach_of,
    scatter,
    track_links,
)
from colloid_cg.records import Trajectories

SUSPECTS = ("swap", "merge", "missing_link", "mass_jump", "out_of_focus")
"""Names of the columns."""

_DOUBTFUL = 0.5
_BESIDE = 1.5
_FOCUS_LEVEL = 4.0
_FOCUS_FRAMES = 3
_FEWEST = 10


def tracking_suspects(tracks: Trajectories, *, reach: int = 5) -> pd.DataFrame:
    """Return which detections look like errors of tracking.

    A mark is no proof, and what leaves no trace in the table is not marked. Thresholds are five robust standard
    deviations (LEVEL) of what the movie itself does, so that a movie without errors has next to no marks.

    Parameters
    ----------
    tracks : Trajectories
        Used are positions, ``mass``, ``size`` and, where recorded, ``link_confidence``; a mark that needs a column
        without values is false.
    reach : int
        Longest gap in frames over which identities are compared and broken links looked for.

    Returns
    -------
    pandas.DataFrame
        One row per detection in the order of ``tracks.table``: ``frame, particle`` and five boolean columns.

        swap: since the frame it was last seen in (up to ``reach`` before), the particle moved further than is ordinary
        and so did another, and exchanging their identities makes both displacements ordinary; or the mass of
        both jumped, and exchanging neighbours makes both masses ordinary; or ``link_confidence`` < 1/2.
        merge: a track ends, or has a gap, beside (1.5 times the distance of nearest neighbours) a detection whose mass
        rises by what was lost, to within half of it in the logarithm, or two tracks end and one with the mass of
        both begins at their centre; also backwards in time, when they part. Without masses a jump of the size
        decides. Marked are the last detection before and all of the merged one.
        missing_link: the last detection of a track and the first of another one up to ``reach`` frames later, as near
        as one particle would be, and nearer than half the distance of nearest neighbours.
        mass_jump: ln mass changed since the detection before by more than five standard deviations of such changes,
        those of the particle or those of the movie, whichever are larger.
        out_of_focus: in at least three successive detections both ln mass and ln size are more than four
        standard deviations off the median of the particle (tracks of ten detections or more).

        ``attrs["suspects"]`` holds the counts and the scales used (JSON-able).

    Raises
    ------
    InputError
        If ``reach`` is below 1.
    """
    if reach < 1:
        raise InputError(f"a reach of {reach} frames", expected="at least 1 frame", action="give a positive reach")
    table, links = tracks.table[["frame", "particle"]].copy(), track_links(tracks)
    marks = {name: np.zeros(len(table), dtype=bool) for name in SUSPECTS}
    scales: dict[str, float | None] = {}
    if len(table):
        bright, wide = (_logarithm(tracks, name) for name in ("mass", "size"))
        rise, noise = _change(bright, links)
        roughness = _change(wide, links)[1]
        near = reach_of(tracks, links, reach)
        marks["mass_jump"] = np.abs(rise) > LEVEL * noise
        marks["out_of_focus"] = _out_of_focus(bright, wide, links, reach)
        marks["swap"] = _exchanged(tracks, links, near, reach) | _doubtful(tracks)
        marks["swap"] |= _exchanged_masses(tracks, links, near, bright, noise, marks["mass_jump"])
        marks["merge"] = _merged(tracks, links, near, bright, noise, wide, roughness)
        marks["missing_link"] = _broken(tracks, links, near, reach)
        typical = {"mass_noise": noise, "size_noise": roughness, "step_um": np.sqrt(near.square[:, 1])}
        scales = {name: float(np.nanmedian(v)) if np.isfinite(v).any() else None for name, v in typical.items()}
    table = table.assign(**marks)
    table.attrs["suspects"] = {**scales, **{name: int(mark.sum()) for name, mark in marks.items()}}
    return table


def _logarithm(tracks: Trajectories, name: str) -> np.ndarray:
    values = tracks.table[name].to_numpy(dtype=float)
    return np.asarray(np.log(np.where(values > 0, values, np.nan)))


def _change(values: np.ndarray, links: TrackLinks) -> tuple[np.ndarray, np.ndarray]:
    """Return the change since the detection before, NaN without, and its usual scatter."""
    change = np.where(links.previous >= 0, values - values[links.previous], np.nan)
    return change, scatter(change, links)


def _out_of_focus(bright: np.ndarray, wide: np.ndarray, links: TrackLinks, reach: int) -> np.ndarray:
    """Mark runs of detections with both brightness and width far from the particle's own."""
    far = np.ones(len(bright), dtype=bool)
    for values in (bright, wide):
        away = values - median_of_tracks(values, links, fewest=_FEWEST)
        far &= np.abs(away) > _FOCUS_LEVEL * scatter(away, links)
    rows = links.order
    begins = ~far[rows] | (links.gap[rows] == 0) | (links.gap[rows] > reach)
    begins[1:] |= ~far[rows][:-1]
    run = np.cumsum(begins) - 1
    marked = np.zeros(len(far), dtype=bool)
    marked[rows] = far[rows] & (np.bincount(run)[run] >= _FOCUS_FRAMES)
    return marked


def _doubtful(tracks: Trajectories) -> np.ndarray:
    if "link_confidence" not in tracks.table.columns:
        return np.zeros(len(tracks), dtype=bool)
    return np.asarray(tracks.table["link_confidence"].to_numpy(dtype=float) < _DOUBTFUL)


def _exchanged(tracks: Trajectories, links: TrackLinks, near: Reach, reach: int) -> np.ndarray:
    """Mark pairs whose displacements are ordinary only with identities exchanged."""
    marked, rows = np.zeros(len(links.frame), dtype=bool), np.flatnonzero((links.gap > 0) & (links.gap <= reach))
    moved = _square(tracks, near.places[links.previous[rows]], near.places[rows])
    rows = rows[moved > near.square[rows, links.gap[rows]]]
    for here in _by_frame(rows, links.frame):
        last = links.previous[here]
        limit = near.square[last, links.gap[here]]
        # a goes on where b was, and b where a was.
        a, b = near_pairs(tracks, near.places[here], near.places[last], float(np.sqrt(limit.max())))
        good = _square(tracks, near.places[last[b]], near.places[here[a]]) <= limit[b]
        a, b = a[good], b[good]
        mutual = np.isin(b * len(here) + a, a * len(here) + b)
        marked[here[a[mutual]]] = True
    return marked


def _exchanged_masses(
    tracks: Trajectories,
    links: TrackLinks,
    near: Reach,
    bright: np.ndarray,
    noise: np.ndarray,
    jumped: np.ndarray,
) -> np.ndarray:
    """Mark neighbours whose masses both jumped and are ordinary with identities exchanged."""
    marked = np.zeros(len(links.frame), dtype=bool)
    for here in _by_frame(np.flatnonzero(jumped), links.frame):
        a, b = near_pairs(tracks, near.places[here], near.places[here], _BESIDE * near.spacing)
        a, b = here[a[a < b]], here[b[a < b]]
        first = np.abs(bright[a] - bright[links.previous[b]]) <= LEVEL * np.fmax(noise[a], noise[b])
        second = np.abs(bright[b] - bright[links.previous[a]]) <= LEVEL * np.fmax(noise[a], noise[b])
        marked[a[first & second]] = marked[b[first & second]] = True
    return marked


def _merged(
    tracks: Trajectories,
    links: TrackLinks,
    near: Reach,
    bright: np.ndarray,
    noise: np.ndarray,
    wide: np.ndarray,
    roughness: np.ndarray,
) -> np.ndarray:
    """Mark what ends beside a detection that takes up its light, and what begins beside one that gives light away."""
    marked, mass = np.zeros(len(links.frame), dtype=bool), np.exp(bright)
    offsets, first, last = tracks.frame_offsets(), links.frame.min(), links.frame.max()
    beside = _BESIDE * near.spacing
    for step, back, onward in ((1, links.previous, links.following), (-1, links.following, links.previous)):
        there = np.where(onward >= 0, links.frame[onward], links.frame)
        gone = np.flatnonzero((there != links.frame + step) & (links.frame != (last if step == 1 else first)))
        for ended in _by_frame(gone, links.frame):
            t = links.frame[ended[0]] + step
            others = np.arange(offsets[t], offsets[t + 1])
            a, b = near_pairs(tracks, near.places[ended], near.places[others], beside)
            a, b = ended[a], others[b]
            old = np.where((back[b] >= 0) & (links.frame[back[b]] == links.frame[a]), back[b], -1)
            # The scatter of a change belongs to the later of its two detections.
            later = b if step == 1 else old
            took = _takes(bright[b] - bright[old], np.log1p(mass[a] / mass[old]), noise[later])
            dark = ~np.isfinite(bright[b] - bright[old])
            took |= dark & (wide[b] - wide[old] > LEVEL * roughness[later])
            took &= old >= 0
            for one, merged, before in zip(a[took], b[took], old[took], strict=True):
                marked[one] = True
                _mark_while(merged, before, onward, bright, marked)
            new = back[b] < 0
            _mark_sums(tracks, a[new], b[new], mass, near, marked)
    return marked


def _takes(rise: np.ndarray, expected: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Tell whether ln mass rises by more than noise and by what was lost, to within half of it."""
    return np.asarray((rise > LEVEL * noise) & (np.abs(rise - expected) <= 0.5 * expected))


def _mark_while(row: int, before: int, onward: np.ndarray, bright: np.ndarray, marked: np.ndarray) -> None:
    """Mark a merged detection and those that follow for as long as its mass is nearer to the new than to the old."""
    marked[row] = True
    middle = 0.5 * (bright[row] + bright[before])
    row = onward[row]
    while row >= 0 and bright[row] > middle:
        marked[row] = True
        row = onward[row]


def _mark_sums(
    tracks: Trajectories, ended: np.ndarray, new: np.ndarray, mass: np.ndarray, near: Reach, marked: np.ndarray
) -> None:
    """Mark new detections where two tracks had their common centre, if the mass is nearer to both than to one."""
    for row in np.unique(new):
        lost = ended[new == row]
        for i, one in enumerate(lost):
            for other in lost[i + 1 :]:
                both, larger = mass[one] + mass[other], max(mass[one], mass[other])
                if not abs(np.log(mass[row] / both)) <= 0.5 * np.log(both / larger):
                    continue
                apart = tracks.box.displacement(near.places[one], near.places[other])
                centre = near.places[one] + mass[other] / both * apart
                if _square(tracks, centre, near.places[row]) <= (0.5 * near.spacing) ** 2:
                    marked[[row, one, other]] = True


def _broken(tracks: Trajectories, links: TrackLinks, near: Reach, reach: int) -> np.ndarray:
    """Mark ends and beginnings that one particle would explain."""
    marked = np.zeros(len(links.frame), dtype=bool)
    ends = np.flatnonzero((links.following < 0) & (links.frame < links.frame.max()))
    starts = np.flatnonzero((links.previous < 0) & (links.frame > links.frame.min()))
    for ended in _by_frame(ends, links.frame):
        low, high = np.searchsorted(links.frame[starts], links.frame[ended[0]] + np.array([1, reach + 1]))
        a, b = near_pairs(tracks, near.places[ended], near.places[starts[low:high]], 0.5 * near.spacing)
        a, b = ended[a], starts[low:high][b]
        ordinary = near.square[a, links.frame[b] - links.frame[a]]
        one = _square(tracks, near.places[a], near.places[b]) <= ordinary
        marked[a[one]] = marked[b[one]] = True
    return marked


def _by_frame(rows: np.ndarray, frame: np.ndarray) -> list[np.ndarray]:
    """Return ascending rows frame by frame."""
    return np.split(rows, np.flatnonzero(np.diff(frame[rows])) + 1) if len(rows) else []


def _square(tracks: Trajectories, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    return np.asarray((tracks.box.displacement(start, end) ** 2).sum(axis=-1))
