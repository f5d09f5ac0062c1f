"""Matching of events: hand-made tables, every assignment tried, tiers of truth, reviews, scale."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import InputError
from colloid_cg.events.matching import match_events
from colloid_cg.events.review import match_review
from tests.events.tables import event_table

LIMITS = {"max_distance": 1.0, "max_frames": 3, "pixel_size": 0.1}


def test_a_hand_made_table():
    reference = event_table([10, 20, 30, 40], [10, 50, 90, 90], [10, 50, 90, 10], length=1)
    #          near 0, late by 2; exactly 1; far from 2; a second part of 0; out of time for 3
    found = event_table([12, 20, 30, 11, 44], [14, 50, 75, 13, 90], [10, 50, 90, 12, 10], length=1)
    match = match_events(found, reference, **LIMITS)
    assert (match.n_found, match.n_reference, match.n_matched, match.n_recalled) == (5, 4, 2, 2)
    by_event = match.found.set_index("event")
    # EventTable sorts by onset and keeps the numbers.
    assert by_event["outcome"].to_dict() == {0: "split", 1: "matched", 2: "false", 3: "matched", 4: "false"}
    assert by_event["reference"].to_dict() == {0: -1, 1: 1, 2: -1, 3: 0, 4: -1}
    assert match.reference["found"].tolist() == [3, 1, -1, -1]
    assert match.precision["value"] == pytest.approx(2 / 5)
    assert match.recall["value"] == pytest.approx(2 / 4)
    assert match.f1["value"] == pytest.approx(2 * 0.4 * 0.5 / 0.9)
    assert match.f1["low90"] < match.f1["value"] < match.f1["high90"]
    assert match.false_share["value"] == pytest.approx(2 / 5)
    assert by_event["distance_um"][3] == pytest.approx(0.1 * np.hypot(3, 2))
    assert by_event["onset_error"][3] == 1
    assert match.onset_error["mean"] == pytest.approx(0.5)
    assert match.onset_error["mean_absolute"] == pytest.approx(0.5)
    assert match.onset_error["n"] == 2


def best_by_trying(cost: np.ndarray) -> tuple[int, float]:
    """Most pairs, and of those the least cost, over all assignments; infinite cost: no pair."""
    n, m = cost.shape
    best = (0, 0.0)
    for k in range(1, min(n, m) + 1):
        for rows in itertools.combinations(range(n), k):
            for columns in itertools.permutations(range(m), k):
                total = sum(cost[i, j] for i, j in zip(rows, columns, strict=True))
                if np.isfinite(total) and (k > best[0] or total < best[1]):
                    best = (k, total)
    return best


@pytest.mark.parametrize("seed", range(8))
def test_pairs_are_as_many_and_as_near_as_any_assignment(seed):
    rng = np.random.default_rng(seed)
    found, reference = (event_table(rng.integers(0, 8, n), *rng.uniform(0, 22, (2, n))) for n in (5, 6))
    match = match_events(found, reference, **LIMITS)
    a, b = found.table, reference.table
    apart = 0.1 * np.hypot(*(a[axis].to_numpy()[:, None] - b[axis].to_numpy() for axis in "xy"))
    gap = np.abs(a["t_peak"].to_numpy()[:, None] - b["t_peak"].to_numpy())
    cost = np.where((apart <= 1.0) & (gap <= 3), 0.5 * (apart**2 + (gap / 3) ** 2), np.inf)
    most, least = best_by_trying(cost)
    rows = {event: k for k, event in enumerate(a["event"])}
    columns = {event: k for k, event in enumerate(b["event"])}
    made = [
        (rows[e], columns[r]) for e, r in zip(match.found["event"], match.found["reference"], strict=True) if r >= 0
    ]
    assert most > 1
    assert len(made) == most
    assert sum(cost[pair] for pair in made) == pytest.approx(least)


def test_swapping_the_tables_exchanges_precision_and_recall():
    rng = np.random.default_rng(1)
    one, two = (event_table(rng.integers(0, 30, n), *rng.uniform(0, 60, (2, n))) for n in (40, 55))
    forth, back = match_events(one, two, **LIMITS), match_events(two, one, **LIMITS)
    assert forth.precision == back.recall
    assert forth.recall == back.precision
    assert forth.f1 == back.f1
    assert forth.onset_error["mean"] == pytest.approx(-back.onset_error["mean"])


def test_tiers_of_truth():
    # Amplitudes: well above, between, below. Each has a detection on it; a second large one is missed.
    reference = event_table([5, 15, 25, 35], [10, 30, 50, 70], [10] * 4, amplitude=[0.5, 0.2, 0.02, 0.6])
    found = event_table([5, 15, 25], [10, 30, 50], [10] * 3)
    plain = match_events(found, reference, **LIMITS)
    assert (plain.n_matched, plain.n_false, plain.n_reference) == (3, 0, 4)
    tiers = match_events(found, reference, **LIMITS, amplitude_recall=0.3, amplitude_false=0.1)
    assert tiers.found["outcome"].tolist() == ["matched", "matched", "false"]
    assert tiers.reference["counted"].tolist() == [True, False, False, True]
    assert (tiers.n_reference, tiers.n_recalled) == (2, 1)
    assert tiers.recall["value"] == pytest.approx(0.5)
    with pytest.raises(InputError, match="amplitude"):
        match_events(found, event_table([5], [10], [10]), **LIMITS, amplitude_recall=0.3)
    with pytest.raises(InputError, match="exchange"):
        match_events(found, reference, **LIMITS, amplitude_recall=0.1, amplitude_false=0.3)


def test_a_detection_between_a_large_and_a_nearer_small_event_counts_for_recall():
    reference = event_table([5, 5], [13, 16], [10, 10], amplitude=[0.2, 0.5])
    found = event_table([5], [10], [10])
    assert match_events(found, reference, **LIMITS).found["reference"].tolist() == [0]
    tiers = match_events(found, reference, **LIMITS, amplitude_recall=0.3, amplitude_false=0.1)
    assert tiers.found["reference"].tolist() == [1]
    assert tiers.recall["value"] == 1.0


def test_spans_that_overlap_are_together_in_time():
    reference = event_table([0], [10], [10], length=20)  # 0 to 40, peak at 20
    found = event_table([36], [10], [10], length=1)
    assert match_events(found, reference, **LIMITS).n_matched == 0
    assert match_events(found, reference, **LIMITS, when="span").n_matched == 1
    late = event_table([44], [10], [10], length=1)
    assert match_events(late, reference, **LIMITS, when="span").n_matched == 0


def test_reference_events_that_could_not_be_tested_are_not_missed():
    reference = event_table([5, 15], [10, 30], [10, 10])
    match = match_events(event_table([5], [10], [10]), reference, **LIMITS, testable=np.array([True, False]))
    assert match.recall["value"] == 1.0
    assert "nothing could be tested" in match.notes[0]


def test_nothing_gives_no_number_and_pixels_may_differ():
    empty, some = event_table([], [], []), event_table([5], [10], [10])
    match = match_events(empty, some, **LIMITS)
    assert (match.precision["value"], match.recall["value"], match.f1["value"]) == (None, 0.0, None)
    assert match_events(some, empty, **LIMITS).precision["value"] == 0.0
    assert match_events(empty, empty, **LIMITS).as_dict()["onset_error"]["mean"] is None
    coarse = event_table([5], [5], [5])
    assert match_events(some, coarse, **LIMITS).n_matched == 1  # 0.71 um apart
    assert match_events(some, coarse, **LIMITS, reference_pixel_size=0.2).distance_um["value"] == pytest.approx(0.0)


def test_a_hundred_thousand_events_are_matched():
    rng = np.random.default_rng(2)
    n = 100_000
    t, x, y = rng.integers(0, 10_000, n), *rng.uniform(0, 2000, (2, n))
    reference = event_table(t, x, y)
    found = event_table(t + rng.integers(-1, 2, n), x + rng.normal(0, 1, n), y + rng.normal(0, 1, n))
    kept = np.flatnonzero(rng.uniform(size=n) < 0.9)
    found = type(found)(table=found.table.iloc[kept])
    match = match_events(found, reference, **LIMITS)
    assert match.precision["value"] > 0.999
    assert match.recall["value"] == pytest.approx(len(kept) / n, abs=1e-3)


def review(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["event", "label", "frame", "x", "y"])


def test_a_review_scores_what_was_looked_at():
    found = event_table([5, 15, 25, 35, 45], [10, 30, 50, 70, 90], [10] * 5)
    labels = review(
        (0, "confirmed", None, None, None), (1, "confirmed", None, None, None), (2, "rejected", None, None, None),
        (3, "unsure", None, None, None), (None, "missed", 60, 20, 20), (None, "missed", 45, 92, 10),
    )  # fmt: skip
    match = match_review(found, labels, **LIMITS)
    # 0, 1 right; 2 false; 3 open; 4 was not labelled but lies on the second event added.
    assert match.found["outcome"].tolist() == ["matched", "matched", "false", "", "matched"]
    assert match.precision["value"] == pytest.approx(3 / 4)
    assert match.recall["value"] == pytest.approx(3 / 4)
    assert match.onset_error["n"] == 0
    assert any("unsure" in note for note in match.notes)


def test_a_rejected_event_beside_a_confirmed_one_stays_false():
    found = event_table([5, 5], [10, 11], [10, 10], id=["a5", "b5"])
    match = match_review(found, review(("b5", "confirmed", None, None, None), ("a5", "rejected", 0, 0, 0)), **LIMITS)
    assert match.found["outcome"].tolist() == ["false", "matched"]
    assert match.precision["value"] == 0.5


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((0, "maybe", None, None, None), "maybe"),
        ((9, "confirmed", None, None, None), "event 9"),
        ((None, "missed", 3, None, 1), "frame, x and y"),
        ((None, "confirmed", 3, 1, 1), "no number"),
    ],
)
def test_a_review_that_does_not_fit_is_refused(row, words):
    with pytest.raises(InputError, match=words):
        match_review(event_table([5], [10], [10]), review(row), **LIMITS)


def test_a_review_with_a_label_twice_is_refused():
    with pytest.raises(InputError, match="twice"):
        match_review(
            event_table([5], [1], [1]), review((0, "confirmed", 0, 0, 0), ("0", "rejected", 0, 0, 0)), **LIMITS
        )


def test_two_pairs_are_better_than_one_near_pair_whatever_counts_for_recall():
    # The first detection lies on event 0 and just within reach of event 1; the second just reaches event 0 alone.
    reference = event_table([5, 8], [10, 19.9], [10, 10], amplitude=[0.2, 0.2])
    found = event_table([5, 2], [10, 0.1], [10, 10])
    match = match_events(found, reference, **LIMITS, amplitude_recall=0.3, amplitude_false=0.1)
    assert match.found.set_index("event")["reference"].to_dict() == {0: 1, 1: 0}
