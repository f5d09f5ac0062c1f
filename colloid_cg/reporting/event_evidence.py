"""What the page shows of events beside their table: pictures of the strongest, exposure, what was before them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.events import before_events, event_exposure
from colloid_cg.events.exposure import Exposure
from colloid_cg.records import CommonMotion, EventTable, FrameStack, Trajectories

GALLERY = 6
"""Events in the gallery."""
_REACH = 3.0
_FARTHEST = 5.0
"""Half width of its pictures in mean spacings: the least, and the most where an event is large."""


_FEWEST_AROUND, _OUTLYING = 6, 3.0
"""Particles around an event from which their affine motion is told; medians by which one may miss it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """The surroundings of an event in one frame.

    Parameters
    ----------
    frame : int
    places : pandas.DataFrame
        ``particle, x, y``: offsets from the centre of the event in um, as the camera saw them.
    picture : array, shape (h, w), or None
        Part of the frame.
    corner : tuple of float
        Left and upper edge of the picture, um from the centre.
    """

    frame: int
    places: pd.DataFrame
    picture: np.ndarray | None = None
    corner: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class EventView:
    """An event before its onset, at its peak and after its end; common motion that was removed stays removed.

    Parameters
    ----------
    row : dict
        Its row of the event table.
    moments : tuple of Moment
        Three of them.
    arrows : pandas.DataFrame
        ``particle, x, y`` as in the first moment and the displacement ``dx, dy`` to the last one, um, less the affine
        motion of the particles around that are not of the event (the displacement itself where these are too few).
    half, spacing, pixel_size : float
        Half width of the view, mean spacing and edge of a pixel, um.
    """

    row: dict[str, Any]
    moments: tuple[Moment, ...]
    arrows: pd.DataFrame
    half: float
    spacing: float
    pixel_size: float


@dataclass(frozen=True, kw_only=True, eq=False)
class EventEvidence:
    """What the section on events is drawn from beside the table.

    Parameters
    ----------
    views : sequence of EventView
        The strongest events, those without suspected tracking errors first.
    no_pictures : str
        Why the views have no pictures of the movie; empty if they have.
    exposure : Exposure or None
        Where and when an event could have been found.
    before : dict of DataFrame
        Variable -> its values before events (:func:`colloid_cg.events.before_events`).
    lead : int
        Frames before the onset at which these were taken.
    """

    views: Sequence[EventView] = ()
    no_pictures: str = ""
    exposure: Exposure | None = None
    before: dict[str, pd.DataFrame] = field(default_factory=dict)
    lead: int = 1


def flags_of(events: EventTable) -> pd.Series:
    """Return the tracking errors suspected of each event, joined by "|"; empty texts in a table without flags."""
    table = events.table
    if "flags" not in table.columns:
        return pd.Series("", index=table.index)
    return table["flags"].fillna("").astype(str)


def strongest(events: EventTable, count: int) -> pd.DataFrame:
    """Return the rows of the most significant events, those without suspected tracking errors first."""
    table: pd.DataFrame = events.table.assign(flagged=(flags_of(events) != "").to_numpy())
    by = ["flagged", "p_value", "amplitude" if "amplitude" in table.columns else "score"]
    table = table.sort_values(by, ascending=[True, True, False], kind="stable").drop(columns="flagged")
    return table.head(count)


def moments_of(row: dict[str, Any], frames: tuple[int, int]) -> tuple[int, int, int]:
    """Return the frames before, at the peak of and after an event, within ``frames`` (first and last one)."""
    before, peak, after = (int(np.clip(frame, *frames)) for frame in (row["t_on"] - 1, row["t_peak"], row["t_off"] + 1))
    return before, peak, after


def frames_to_show(events: EventTable, frames: tuple[int, int], *, count: int = GALLERY) -> list[int]:
    """Return the frames that the gallery needs, increasing, none twice."""
    rows = strongest(events, count).to_dict("records")
    return sorted({frame for row in rows for frame in moments_of({str(k): v for k, v in row.items()}, frames)})


def event_views(
    events: EventTable,
    tracks: Trajectories,
    video: FrameStack | None = None,
    *,
    frames: tuple[int, int] | None = None,
    count: int = GALLERY,
) -> tuple[EventView, ...]:
    """Return the strongest events with their surroundings before, at the peak and after.

    Parameters
    ----------
    events : EventTable
    tracks : Trajectories
        With at least the rows of :func:`frames_to_show`.
    video : FrameStack, optional
        The movie the tracks are of; each frame that is needed is read once, in their order.
    frames : tuple of int, optional
        First and last frame of the movie, by default those of ``tracks``.
    count : int
    """
    if not len(events) or not len(tracks):
        return ()
    seen = tracks.table["frame"]
    frames = frames or (int(seen.min()), int(seen.max()))
    motion, spacing = CommonMotion.parse(tracks.metadata.get("drift")), _spacing(events, tracks)
    views = [
        _view({str(name): value for name, value in row.items()}, tracks, motion, frames, spacing)
        for row in strongest(events, count).to_dict("records")
    ]
    return tuple(views) if video is None else _pictured(views, motion, video)


def _spacing(events: EventTable, tracks: Trajectories) -> float:
    """Return the mean spacing in um that the detector used, else that of these frames."""
    stated = events.metadata.get("mean_spacing_um")
    if stated:
        return float(stated)
    per_frame = len(tracks) / tracks.table["frame"].nunique()
    return float((tracks.box.volume / per_frame) ** (1.0 / tracks.dimension))


def _view(
    row: dict[str, Any], tracks: Trajectories, motion: CommonMotion, frames: tuple[int, int], spacing: float
) -> EventView:
    shown = moments_of(row, frames)
    half = float(np.clip(1.2 * row["radius"] * tracks.pixel_size, _REACH * spacing, _FARTHEST * spacing))
    margin = half + spacing

    def around(frame: int, camera: int, reach: float) -> pd.DataFrame:
        offsets = _offsets(row, tracks, frame, layer=spacing)
        flat = _seen(row, offsets[["x", "y"]].to_numpy(), motion, camera) * tracks.pixel_size
        near = np.flatnonzero((np.abs(flat) <= reach).all(axis=1))
        return offsets.assign(x=flat[:, 0], y=flat[:, 1]).iloc[near].reset_index(drop=True)

    moments = tuple(Moment(frame=frame, places=around(frame, frame, margin)) for frame in shown)
    later = around(shown[2], shown[0], np.inf)
    arrows = moments[0].places.merge(later, on="particle", suffixes=("", "_after"))
    others = ~arrows["particle"].isin(row["particles"]).to_numpy()
    moved = _nonaffine(arrows[["x", "y"]].to_numpy(), arrows[["x_after", "y_after"]].to_numpy(), others)
    arrows = arrows.assign(dx=moved[:, 0], dy=moved[:, 1])
    return EventView(
        row=row, moments=moments, arrows=arrows[["particle", "x", "y", "dx", "dy"]],
        half=half, spacing=spacing, pixel_size=tracks.pixel_size,
    )  # fmt: skip


def _nonaffine(before: np.ndarray, after: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return displacements, shape (n, 2), less the affine map that fits those of ``others`` best (least squares).

    A second fit leaves out those that the first one misses by more than three times the median.
    """
    moved = after - before
    terms = np.column_stack([np.ones(len(before)), before])
    common, used = np.zeros((3, 2)), others
    for _ in range(2):
        if used.sum() < _FEWEST_AROUND:
            break
        common, *_ = np.linalg.lstsq(terms[used], moved[used], rcond=None)
        missed = np.hypot(*(moved - terms @ common).T)
        used = others & (missed <= _OUTLYING * np.median(missed[others]))
    return np.asarray(moved - terms @ common)


def _offsets(row: dict[str, Any], tracks: Trajectories, frame: int, *, layer: float) -> pd.DataFrame:
    """Return the particles of a frame and their offsets (px) from the centre of an event.

    Of particles in space only those within ``layer`` (um) above and below are kept.
    """
    here, scale = tracks.at(frame), tracks.pixel_size
    axes = [axis for axis in tracks.axes if axis in row]
    offset = np.zeros((len(here), tracks.dimension))
    offset[:, : len(axes)] = here[axes].to_numpy(dtype=float) - np.array([row[axis] for axis in axes], dtype=float)
    offset = tracks.box.shortest(offset * scale) / scale
    places = pd.DataFrame({"particle": here["particle"].to_numpy(), "x": offset[:, 0], "y": offset[:, 1]})
    return places.iloc[np.flatnonzero((np.abs(offset[:, 2:]) * scale <= layer).all(axis=1))]


def _seen(row: dict[str, Any], offsets: np.ndarray, motion: CommonMotion, frame: int) -> np.ndarray:
    """Return offsets from the centre of an event (px) as the camera saw them in a frame."""
    centre = np.array([[row["x"], row["y"]]], dtype=float)
    return np.asarray(_on_camera(centre + offsets, motion, frame) - _on_camera(centre, motion, frame))


def _on_camera(positions: np.ndarray, motion: CommonMotion, frame: int) -> np.ndarray:
    known = motion.removed and frame in motion.frame
    return motion.restored(positions, frame) if known else np.array(positions, dtype=float)


def _pictured(views: Sequence[EventView], motion: CommonMotion, video: FrameStack) -> tuple[EventView, ...]:
    """Return the views with their parts of the frames: no frame is held longer than it takes to cut these out."""
    parts: dict[tuple[int, int], tuple[np.ndarray, tuple[float, float]]] = {}
    for frame in sorted({moment.frame for view in views for moment in view.moments}):
        picture = video[frame]
        for number, view in enumerate(views):
            if frame in [moment.frame for moment in view.moments]:
                parts[number, frame] = _cut(picture, view, motion, frame)
    return tuple(
        replace(
            view,
            moments=tuple(
                replace(moment, picture=part if part.size else None, corner=corner)
                for moment in view.moments
                for part, corner in (parts[number, moment.frame],)
            ),
        )
        for number, view in enumerate(views)
    )


def _cut(
    picture: np.ndarray, view: EventView, motion: CommonMotion, frame: int
) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the pixels of a view, and the edges of the first one in um from the centre."""
    ((x, y),) = _on_camera(np.array([[view.row["x"], view.row["y"]]], dtype=float), motion, frame)
    half = view.half / view.pixel_size
    height, width = picture.shape
    left, right = (int(np.clip(edge, 0, width)) for edge in (np.floor(x - half), np.ceil(x + half) + 1))
    top, bottom = (int(np.clip(edge, 0, height)) for edge in (np.floor(y - half), np.ceil(y + half) + 1))
    corner = ((left - 0.5 - x) * view.pixel_size, (top - 0.5 - y) * view.pixel_size)
    return picture[top:bottom, left:right].copy(), corner


def lead_of(events: EventTable) -> int:
    """Return how many frames before the onset a variable is surely free of the event: D2min and p_hop look back."""
    scales = events.metadata.get("fields") or {}
    lag, average = int(scales.get("lag_frames") or 1), int(scales.get("averaged_frames") or 1)
    return max(int(scales.get("half_window_frames") or 1), (lag + 1) // 2 + average)


def hidden_names(columns: Iterable[str]) -> list[str]:
    """Return the names of structural variables among those of columns: s0, s1, .."""
    return [name for name in columns if name[:1] == "s" and name[1:].isdigit()]


def surveyed(
    events: EventTable, windows: Iterable[tuple[Trajectories, pd.DataFrame]], *, lead: int
) -> tuple[Exposure | None, dict[str, pd.DataFrame]]:
    """Return where events could be found, and variables before them, window by window of the movie.

    Parameters
    ----------
    events : EventTable
    windows : iterable of (Trajectories, DataFrame)
        Consecutive parts of the movie, and what is known of their detections: p-values, ``shear_strain``, s0, ..
        Rows of other detections than theirs leave everything out.
    lead : int
        See :func:`lead_of`.
    """
    tests = ((events.metadata.get("settings") or {}).get("tests")) or (events.metadata.get("fields") or {}).get("tests")
    exposure: Exposure | None = None
    before: dict[str, list[pd.DataFrame]] = {}
    for tracks, fields in windows:
        keys = ["frame", "particle"]
        if len(fields) != len(tracks) or (fields[keys].to_numpy() != tracks.table[keys].to_numpy()).any():
            return None, {}
        told = fields.copy(deep=False)
        told.attrs = {"events": {"tests": tests or ()}}
        part = event_exposure(tracks, told)
        exposure = part if exposure is None else exposure + part
        names = [*hidden_names(map(str, fields.columns)), *(n for n in ("shear_strain",) if n in fields.columns)]
        for name in names:
            found = before_events(events, tracks, fields[name].to_numpy(dtype=float), lead=lead)
            if len(found):  # columns of an empty table have no type
                before.setdefault(name, []).append(found)
    return exposure, {name: pd.concat(parts, ignore_index=True) for name, parts in before.items()}
