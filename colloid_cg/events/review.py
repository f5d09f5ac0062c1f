"""A human review of events as a reference: what was confirmed, rejected, left open, and what had been missed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.events.intervals import LEVEL
from colloid_cg.events.matching import EventMatch, match_events, scored
from colloid_cg.records import EventTable

CONFIRMED, REJECTED, UNSURE, MISSED = "confirmed", "rejected", "unsure", "missed"
LABELS = (CONFIRMED, REJECTED, UNSURE, MISSED)


def read_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Return a review with its columns checked.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per event that was looked at. ``event``: number or ``id`` of the event table, empty for events that were
        added; ``label``: confirmed, rejected, unsure or missed; ``frame, x, y`` of added ones: frame of the peak, and
        centre in px.

    Raises
    ------
    InputError
        If a column or a place is missing, a label is unknown, or an event is labelled twice.
    """
    missing = [name for name in ("event", "label") if name not in table.columns]
    if missing:
        raise InputError(
            f"a review without {' and '.join(missing)}", expected="columns event, label, and frame, x, y of added ones",
            action="name the columns so",
        )  # fmt: skip
    label = table["label"].astype(str).str.strip().str.lower()
    unknown = sorted(set(label) - set(LABELS))
    if unknown:
        raise InputError(
            f"the label {unknown[0]!r}", expected=", ".join(LABELS), action="correct the column label of the review"
        )
    review = table.assign(label=label, event=table["event"].map(_name))
    for name in ("frame", "x", "y"):
        values = (
            pd.to_numeric(table[name], errors="coerce") if name in table.columns else pd.Series(np.nan, table.index)
        )
        review[name] = values.astype(float)
    added = review[review["label"] == MISSED]
    if added[["frame", "x", "y"]].isna().to_numpy().any():
        raise InputError(
            "a missed event without frame, x and y", expected="the frame of its peak and its centre in px",
            action="complete the row or leave it out",
        )  # fmt: skip
    named = review.loc[review["event"] != "", "event"]
    if named.duplicated().any():
        raise InputError(
            f"event {named[named.duplicated()].iloc[0]} labelled twice", expected="one row per event",
            action="keep the label that holds",
        )  # fmt: skip
    return review.reset_index(drop=True)


def _name(value: object) -> str:
    """Return an event's number or id as text: 3, 3.0 and "3" are one event, nothing is an added one."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    text = str(value).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text


def match_review(
    found: EventTable,
    review: pd.DataFrame,
    *,
    max_distance: float,
    max_frames: float,
    pixel_size: float,
    level: float = LEVEL,
) -> EventMatch:
    """Score found events by a review of them.

    Confirmed events are true, rejected ones false; unsure ones and those nobody looked at are not judged. Missed events
    that were added count against recall, unless a found event that nobody labelled lies near: that one is then right.

    Parameters
    ----------
    found : EventTable
        The events that were reviewed: the labels go by number (``event``) or by ``id``.
    review : pandas.DataFrame
        See :func:`read_labels`.
    max_distance, max_frames, pixel_size, level
        See :func:`~colloid_cg.events.matching.match_events`.

    Raises
    ------
    InputError
        If the review names events that the table does not hold: it is of other events.
    """
    review = read_labels(review)
    label = _labels_of(found, review)
    added = review[review["label"] == MISSED]
    unlabelled, confirmed = np.flatnonzero(label == ""), np.flatnonzero(label == CONFIRMED)
    first = int(found.table["event"].max()) + 1 if len(found) else 0
    missed = _as_events(added, first=first)
    pairs = match_events(
        EventTable(table=found.table.iloc[unlabelled]), missed, max_distance=max_distance, max_frames=max_frames,
        pixel_size=pixel_size,
    )  # fmt: skip
    partner, other = np.full(len(found), -1), np.full(len(confirmed) + len(missed), -1)
    partner[confirmed], other[: len(confirmed)] = np.arange(len(confirmed)), confirmed
    right = np.flatnonzero(pairs.found["reference"].to_numpy() >= 0)
    rows = pairs.found["reference"].to_numpy()[right] - first
    partner[unlabelled[right]], other[len(confirmed) + rows] = len(confirmed) + rows, unlabelled[right]
    counts = {name: int((review["label"] == name).sum()) for name in LABELS}
    return scored(
        found.table, pd.concat([found.table.iloc[confirmed][["event"]], missed.table[["event"]]], ignore_index=True),
        partner=partner, other=other, near=np.zeros(len(found), dtype=bool),
        judged=(partner >= 0) | (label == REJECTED), counted=np.ones(len(other), dtype=bool),
        distance=np.full(len(found), np.nan), level=level, timed=False,
        settings={"max_distance_um": max_distance, "max_frames": max_frames, "level": level, "labels": counts},
        notes=_notes(counts, len(unlabelled) - len(right)),
    )  # fmt: skip


def _notes(counts: dict[str, int], unseen: int) -> tuple[str, ...]:
    notes = []
    if counts[UNSURE]:
        notes.append(f"{counts[UNSURE]} events left unsure are not judged")
    if unseen:
        notes.append(f"{unseen} events without a label are not judged: precision is that of those looked at")
    if not counts[MISSED]:
        notes.append("no missed event was added: recall is 1 unless someone looked for them")
    return tuple(notes)


def _as_events(added: pd.DataFrame, *, first: int) -> EventTable:
    """Return added events as a table, numbered from ``first``."""
    frame = added["frame"].round().astype(int).to_numpy()
    order = np.argsort(frame, kind="stable")
    table = pd.DataFrame(
        {
            "event": first + np.arange(len(added)), "t_on": frame[order], "t_peak": frame[order], "t_off": frame[order],
            "x": added["x"].to_numpy()[order], "y": added["y"].to_numpy()[order], "radius": np.nan, "n_particles": 0,
            "particles": [[] for _ in range(len(added))], "score": np.nan, "p_value": np.nan, "q_value": np.nan,
            "detector": "review", "source": "review",
        }
    )  # fmt: skip
    return EventTable(table=table) if len(table) else EventTable.empty()


def _labels_of(found: EventTable, review: pd.DataFrame) -> np.ndarray:
    names = [found.table["event"].map(_name)]
    if "id" in found.table.columns:
        names.append(found.table["id"].map(_name))
    label = np.full(len(found), "", dtype=object)
    given = review[(review["label"] != MISSED)]
    known: set[str] = set()
    for column in names:
        rows = column.map(dict(zip(given["event"], given["label"], strict=True)))
        label = np.where(rows.notna().to_numpy(), rows.fillna("").to_numpy(), label)
        known |= set(column)
    strangers = sorted(set(given["event"]) - known)
    if strangers:
        raise InputError(
            f"a review of event {strangers[0] or '(no number)'}, which is not among the {len(found)} found",
            expected="numbers or ids of the events of this run",
            action="match against the run folder that was reviewed, or review these events",
        )
    return np.asarray(label, dtype=object)
