"""Found events against those of a reference: one-to-one matches, precision, recall, how well the onset is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.spatial import cKDTree

from colloid_cg.errors import InputError
from colloid_cg.events.intervals import LEVEL, mean_interval, quantile_interval, wilson_interval
from colloid_cg.records import EventTable
from colloid_cg.tracking.scores.matching import best_pairing

When = Literal["t_peak", "t_on", "span"]
MATCHED, SPLIT, FALSE = "matched", "split", "false"


@dataclass(frozen=True, kw_only=True, eq=False)
class EventMatch:
    """What was found of a reference.

    Parameters
    ----------
    n_found, n_reference : int
        Found events that are judged; reference events that recall is over.
    n_matched : int
        Found events with a partner in the reference.
    n_recalled : int
        Reference events among those of ``n_reference`` with a partner.
    n_split : int
        Found events without a partner that lie near a reference event: parts of one that was found already.
    n_false : int
        Found events with no reference event near.
    precision, recall, f1, false_share : dict
        value, low90, high90 (Wilson; ``level`` tells if it is not 90 %): n_matched / n_found, n_recalled / n_reference,
        their harmonic mean, n_false / n_found. Events are taken as independent. None of nothing. The limits of F1 are
        those of the share of matches among all different events, q, as F1 = 2 q / (1 + q), scaled to the F1 found.
    onset_error, peak_error : dict
        Frames by which matched events begin (peak) later than their partners: mean with its interval (Student), median
        with its interval (order statistics), mean absolute error, n.
    distance_um : dict
        Median distance of partners, with its interval.
    found : pandas.DataFrame
        One row per found event: ``event, judged, outcome`` ("matched", "split", "false"; empty where not judged),
        ``reference`` (event number, -1), ``distance_um, onset_error, peak_error`` (frames).
    reference : pandas.DataFrame
        One row per reference event: ``event, counted`` (recall is over these), ``found`` (event number, -1).
    settings : dict
    notes : tuple of str
    """

    n_found: int
    n_reference: int
    n_matched: int
    n_recalled: int
    n_split: int
    n_false: int
    precision: dict[str, float | None]
    recall: dict[str, float | None]
    f1: dict[str, float | None]
    false_share: dict[str, float | None]
    onset_error: dict[str, float | int | None]
    peak_error: dict[str, float | int | None]
    distance_um: dict[str, float | None]
    found: pd.DataFrame
    reference: pd.DataFrame
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary, the tables as lists of rows: found_events, reference_events."""
        plain = {name: value for name, value in vars(self).items() if name not in ("found", "reference", "notes")}
        return plain | {
            "notes": list(self.notes),
            "found_events": _rows(self.found),
            "reference_events": _rows(self.reference),
        }


def match_events(
    found: EventTable,
    reference: EventTable,
    *,
    max_distance: float,
    max_frames: float,
    pixel_size: float,
    reference_pixel_size: float | None = None,
    when: When = "t_peak",
    amplitude_recall: float | None = None,
    amplitude_false: float | None = None,
    testable: np.ndarray | None = None,
    judged: np.ndarray | None = None,
    level: float = LEVEL,
) -> EventMatch:
    """Pair found events with those of a reference, each at most once.

    As many pairs as possible are made, among these as many as possible with reference events that count for recall, and
    of those the nearest (squares of distance and time apart in units of their limits). Exact at any number of events.

    Parameters
    ----------
    found, reference : EventTable
        Of the same movie, positions of both in the same frame of reference.
    max_distance : float
        um; centres further apart are never paired.
    max_frames : float
        Nor events further apart in time.
    pixel_size : float
        um, of ``found``.
    reference_pixel_size : float, optional
        um, by default that of ``found``.
    when : "t_peak", "t_on" or "span"
        Time apart: of the peaks, of the onsets, or the gap between the spans from onset to end, 0 where they overlap.
    amplitude_recall : float, optional
        um: recall is over reference events whose column ``amplitude`` is at least this.
    amplitude_false : float, optional
        um: reference events below this are as good as none. Those between the two limits are neither missed where they
        were not found nor false where they were.
    testable : bool array, shape (reference,), optional
        Reference events where a detector could have found something: recall is over these.
    judged : bool array, shape (found,), optional
        Found events that count; by default all.
    level : float

    Returns
    -------
    EventMatch
    """
    _check_limits(max_distance, max_frames, amplitude_recall, amplitude_false)
    counted, pool = _tiers(reference, amplitude_recall, amplitude_false)
    notes = []
    if testable is not None:
        beyond = int((counted & ~testable).sum())
        counted = counted & testable
        notes += [f"{beyond} reference events lie where nothing could be tested: not counted as missed"] * bool(beyond)
    judged = np.ones(len(found), dtype=bool) if judged is None else judged
    i, j, cost, apart = _near(
        found.table, reference.table, limits=(max_distance, max_frames), when=when,
        scales=(pixel_size, reference_pixel_size or pixel_size),
    )  # fmt: skip
    usable = pool[j] & judged[i]
    i, j, cost, apart = i[usable], j[usable], cost[usable], apart[usable]
    pairs = best_pairing(i, j, _gain(i, j, cost, counted, shape=(len(found), len(reference))))
    partner, other = np.full(len(found), -1), np.full(len(reference), -1)
    partner[i[pairs]], other[j[pairs]] = j[pairs], i[pairs]
    near = np.zeros(len(found), dtype=bool)
    near[i] = True
    distance = np.full(len(found), np.nan)
    distance[i[pairs]] = apart[pairs]
    settings = {
        "max_distance_um": max_distance, "max_frames": max_frames, "when": when, "level": level,
        "amplitude_recall_um": amplitude_recall, "amplitude_false_um": amplitude_false,
    }  # fmt: skip
    return scored(
        found.table, reference.table, partner=partner, other=other, near=near, judged=judged, counted=counted,
        distance=distance, level=level, settings=settings, notes=tuple(notes),
    )  # fmt: skip


def _check_limits(distance: float, frames: float, recall: float | None, false: float | None) -> None:
    if not (distance > 0.0 and frames >= 0.0):
        raise InputError(
            f"limits of {distance:g} um and {frames:g} frames", expected="a distance above 0 and frames not below 0",
            action="give about the size of an event and its length",
        )  # fmt: skip
    if recall is not None and false is not None and false > recall:
        raise InputError(
            f"amplitude_false = {false:g} above amplitude_recall = {recall:g}", expected="amplitude_false at most that",
            action="exchange the two",
        )  # fmt: skip


def _tiers(reference: EventTable, recall: float | None, false: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return which reference events recall is over, and which can be found at all."""
    everything = np.ones(len(reference), dtype=bool)
    if recall is None and false is None:
        return everything, everything
    if "amplitude" not in reference.table.columns:
        raise InputError(
            "reference events without amplitude", expected="a column amplitude (um)",
            action="leave the limits of amplitude out, or use a reference that has them",
        )  # fmt: skip
    amplitude = reference.table["amplitude"].to_numpy(dtype=float)
    pool = everything if false is None else amplitude >= false
    return (pool if recall is None else pool & (amplitude >= recall)), pool


def _near(
    found: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    limits: tuple[float, float],
    when: When,
    scales: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return candidate pairs, their cost in 0..1, and their distance in um."""
    if when not in ("t_peak", "t_on", "span"):
        raise InputError(f"when = {when!r}", expected='"t_peak", "t_on" or "span"', action="choose one of these")
    none = np.zeros(0, dtype=np.int64)
    if not len(found) or not len(reference):
        return none, none, np.zeros(0), np.zeros(0)
    axes = [axis for axis in ("x", "y", "z") if axis in found.columns and axis in reference.columns]
    places = [
        table[axes].to_numpy(dtype=float) * scale for table, scale in zip((found, reference), scales, strict=True)
    ]
    distance, frames = limits
    trees: list[cKDTree] = []
    for table, points in zip((found, reference), places, strict=True):
        # In time the tree only narrows the choice: spans may be longer than the limit.
        time = np.zeros(len(table)) if when == "span" else table[when].to_numpy() / max(frames, 0.5) * distance
        trees.append(cKDTree(np.column_stack([points, time])))
    near = trees[0].sparse_distance_matrix(trees[1], distance * (1.0 + 1e-9), p=np.inf, output_type="ndarray")
    i, j = near["i"], near["j"]
    apart = np.linalg.norm(places[0][i] - places[1][j], axis=1)
    gap = _time_apart(found, reference, i, j, when)
    kept = (apart <= distance) & (gap <= frames)
    i, j, apart, gap = i[kept], j[kept], apart[kept], gap[kept]
    cost = 0.5 * ((apart / distance) ** 2 + (gap / max(frames, 0.5)) ** 2)
    return i.astype(np.int64), j.astype(np.int64), cost, apart


def _time_apart(found: pd.DataFrame, reference: pd.DataFrame, i: np.ndarray, j: np.ndarray, when: When) -> np.ndarray:
    if when != "span":
        return np.asarray(np.abs(found[when].to_numpy()[i] - reference[when].to_numpy()[j]))
    begins = np.maximum(found["t_on"].to_numpy()[i], reference["t_on"].to_numpy()[j])
    ends = np.minimum(found["t_off"].to_numpy()[i], reference["t_off"].to_numpy()[j])
    return np.asarray(np.maximum(begins - ends, 0))


def _gain(i: np.ndarray, j: np.ndarray, cost: np.ndarray, counted: np.ndarray, *, shape: tuple[int, int]) -> np.ndarray:
    """Return what each pair is worth: one, more where the reference counts, and a little more the nearer it is.

    In a group of events that hang together, with m that could be found at most, what counting adds is below one pair in
    sum and what nearness adds below one that counts.
    """
    if not len(i):
        return np.zeros(0)
    graph = sparse.coo_array((np.ones(len(i)), (i, shape[0] + j)), shape=(sum(shape),) * 2)
    label = sparse.csgraph.connected_components(graph, directed=False)[1]
    most = np.bincount(label[: shape[0]], minlength=label.max() + 1)[label[i]] + 1.0
    return np.asarray(1.0 + (counted[j] + (1.0 - cost) / most) / (2.0 * most))


def scored(
    found: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    partner: np.ndarray,
    other: np.ndarray,
    near: np.ndarray,
    judged: np.ndarray,
    counted: np.ndarray,
    distance: np.ndarray,
    level: float,
    settings: dict[str, Any],
    notes: tuple[str, ...] = (),
    timed: bool = True,
) -> EventMatch:
    """Return counts, shares and tables of pairs that are known; without ``timed`` partners say nothing of errors."""
    matched = (partner >= 0) & judged
    outcome = np.select([~judged, matched, near], ["", MATCHED, SPLIT], default=FALSE)
    errors = {name: np.full(len(found), np.nan) for name in ("t_on", "t_peak")}
    rows = np.flatnonzero(partner >= 0)
    for name, error in errors.items() if timed else ():
        error[rows] = found[name].to_numpy()[rows] - reference[name].to_numpy()[partner[rows]]
    counts = {
        "n_found": int(judged.sum()), "n_reference": int(counted.sum()), "n_matched": int(matched.sum()),
        "n_recalled": int((counted & (other >= 0)).sum()), "n_split": int((outcome == SPLIT).sum()),
        "n_false": int((outcome == FALSE).sum()),
    }  # fmt: skip
    names, shares = [table["event"].to_numpy() for table in (found, reference)], _shares(counts, level)
    return EventMatch(
        n_found=counts["n_found"], n_reference=counts["n_reference"], n_matched=counts["n_matched"],
        n_recalled=counts["n_recalled"], n_split=counts["n_split"], n_false=counts["n_false"],
        precision=shares["precision"], recall=shares["recall"], f1=shares["f1"], false_share=shares["false_share"],
        onset_error=_errors(errors["t_on"][matched], level),
        peak_error=_errors(errors["t_peak"][matched], level),
        distance_um=_entry(*quantile_interval(distance[matched & np.isfinite(distance)], level=level)),
        found=pd.DataFrame({
            "event": names[0], "judged": judged, "outcome": outcome,
            "reference": np.where(partner >= 0, names[1][partner] if len(reference) else -1, -1),
            "distance_um": distance, "onset_error": errors["t_on"], "peak_error": errors["t_peak"],
        }),
        reference=pd.DataFrame({
            "event": names[1], "counted": counted,
            "found": np.where(other >= 0, names[0][other] if len(found) else -1, -1),
        }),
        settings=settings, notes=notes,
    )  # fmt: skip


def _shares(counts: dict[str, int], level: float) -> dict[str, dict[str, float | None]]:
    """Return precision, recall, F1 and the share of false ones, each with its interval."""

    def share(part: int, whole: int) -> dict[str, float | None]:
        return _entry(part / whole if whole else float("nan"), *wilson_interval(part, whole, level=level))

    precision, recall = (
        share(counts["n_matched"], counts["n_found"]),
        share(counts["n_recalled"], counts["n_reference"]),
    )
    return {
        "precision": precision,
        "recall": recall,
        "f1": _f1(precision["value"], recall["value"], counts, level),
        "false_share": share(counts["n_false"], counts["n_found"]),
    }


def _f1(precision: float | None, recall: float | None, counts: dict[str, int], level: float) -> dict[str, float | None]:
    if precision is None or recall is None:
        return _entry(float("nan"), float("nan"), float("nan"))
    value = 2.0 * precision * recall / (precision + recall) if precision + recall > 0.0 else 0.0
    different = counts["n_matched"] + (counts["n_found"] - counts["n_matched"])
    different += counts["n_reference"] - counts["n_recalled"]
    # F1 = 2 q / (1 + q) is monotonic in q = F1 / (2 - F1), a share of the different events.
    low, high = wilson_interval(different * value / (2.0 - value), different, level=level)
    return _entry(value, 2.0 * low / (1.0 + low), 2.0 * high / (1.0 + high))


def _errors(values: np.ndarray, level: float) -> dict[str, float | int | None]:
    values = values[np.isfinite(values)]
    mean, median = _entry(*mean_interval(values, level=level)), _entry(*quantile_interval(values, level=level))
    return {
        "n": len(values), "mean": mean["value"], "mean_low90": mean["low90"], "mean_high90": mean["high90"],
        "median": median["value"], "median_low90": median["low90"], "median_high90": median["high90"],
        "mean_absolute": _known(float(np.abs(values).mean())) if len(values) else None,
    }  # fmt: skip


def _entry(value: float, low: float, high: float) -> dict[str, float | None]:
    return {"value": _known(value), "low90": _known(low), "high90": _known(high)}


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.to_dict("records")
    return [
        {str(name): (None if isinstance(v, float) and not np.isfinite(v) else v) for name, v in row.items()}
        for row in rows
    ]
