"""Tracks joined across long gaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import InputError
from colloid_cg.tracking import link
from colloid_cg.tracking.linking import TrackSummary, close_gaps, find_joins, joined_ids, link_reported
from colloid_cg.tracking.linking.closing import Joins
from tests.tracking.linked_worlds import free_particles, scored, settings, successors


def blinking(seed: int, *, n: int = 300, n_frames: int = 120) -> pd.DataFrame:
    """Free particles that vanish now and then for 4 to 10 frames, with some false detections."""
    rng = np.random.default_rng(seed)
    table = free_particles(seed, n=n, edge=420, n_frames=n_frames, step=1.0, missed=0.02, false=0.01)
    hidden = np.zeros((n_frames, n + 1), dtype=bool)
    for particle in range(n):
        for start in np.flatnonzero(rng.random(n_frames) < 0.006):
            hidden[start : start + rng.integers(4, 11), particle] = True
    return table[~hidden[table["frame"], table["truth"]]].reset_index(drop=True)


def summary_of(table: pd.DataFrame, cuts: list[int]) -> TrackSummary:
    """Summary of a linked table taken in in parts."""
    summary = TrackSummary()
    for first, last in pairwise([0, *cuts, int(table["frame"].max()) + 1]):
        summary.add(table[table["frame"].between(first, last - 1)])
    return summary


def test_long_gaps_are_closed_rightly_and_as_surely_as_stated() -> None:
    table = blinking(1)
    config = settings(4.5, memory=2, gap_growth=0.5, close_gaps=10)
    linked, report = link_reported(table, config)
    links = scored(linked)
    closed = links[links["gap"] > 2]
    frame = table["frame"].to_numpy()
    true = successors(table, "truth")
    gap = frame[true["after"]] - frame[true["before"]] - 1
    possible = int(((gap > 2) & (gap <= 10)).sum())
    assert possible > 150
    assert closed["right"].sum() > 0.9 * possible
    assert closed["right"].mean() > 0.9
    # 179 gaps: the frequency is known to .02, the stated mean is within twice that
    assert closed["confidence"].mean() == pytest.approx(closed["right"].mean(), abs=0.04)
    assert closed["gap"].max() <= 10
    without = link_reported(table, config.model_copy(update={"close_gaps": 0}))[1]
    assert report.n_tracks == without.n_tracks - report.n_joined


def test_nothing_is_joined_where_particles_never_come_back() -> None:
    # every particle is seen for 30 frames only and never again; new ones appear elsewhere
    table = free_particles(2, n=800, edge=600, n_frames=100, step=1.0)
    begin = np.random.default_rng(2).integers(0, 70, 800)[table["truth"]]
    table = table[(table["frame"] >= begin) & (table["frame"] < begin + 30)].reset_index(drop=True)
    linked = link(table, settings(4.5, close_gaps=10))
    wrong = scored(linked)["right"].eq(False) & (scored(linked)["gap"] > 0)
    assert wrong.sum() < 0.03 * 800


def test_the_summary_is_the_same_however_the_movie_is_cut_and_survives_storage() -> None:
    linked = link(blinking(3, n=80, n_frames=40), settings(4.5, memory=2, gap_growth=0.5))
    whole = summary_of(linked, [])
    for cuts in ([1], [7, 8, 20], list(range(1, 40))):
        parts = summary_of(linked, cuts)
        assert all(whole.table()[name].equals(parts.table()[name]) for name in whole.table())
    stored = TrackSummary.from_table(whole.table())
    config = settings(4.5, memory=2, close_gaps=10)
    assert np.array_equal(close_gaps(stored, config), close_gaps(whole, config))
    track = linked[linked["particle"] == 5]
    assert whole.length[5] == len(track)
    assert whole.first_frame[5] == track["frame"].iloc[0]
    assert whole.last[5].tolist() == track[["x", "y"]].iloc[-1].tolist()
    steps = track[["frame", "x", "y"]].diff()
    squared = (steps["x"] ** 2 + steps["y"] ** 2)[steps["frame"] == 1]
    assert whole.squared[5] == pytest.approx(squared.sum())
    assert whole.steps[5] == len(squared)


def test_chains_of_joins_get_one_id_in_order_of_first_appearance() -> None:
    joins = Joins(end=np.array([3, 0, 1]), start=np.array([4, 3, 2]), probability=np.ones(3))
    assert joined_ids(6, joins).tolist() == [0, 1, 1, 0, 0, 2]


def test_joins_of_few_are_the_most_probable_ones() -> None:
    # two tracks end side by side and two begin 4 frames later: straight on, not crossed
    rng = np.random.default_rng(4)
    rows = []
    for particle in range(40):
        at = np.array([30.0 * particle, 0.0]) if particle > 1 else np.array([-300.0 + 6.0 * particle, 0.0])
        steps = np.cumsum(rng.normal(0, 0.5, (40, 2)), axis=0)
        shown = [t for t in range(40) if particle > 1 or not 18 <= t < 22]
        rows += [(t, 2 * particle + (t >= 22 and particle < 2), *(at + steps[t])) for t in shown]
    table = pd.DataFrame(rows, columns=["frame", "particle", "x", "y"]).sort_values(["frame", "particle"])
    table["particle"] = pd.factorize(table["particle"])[0]
    summary = summary_of(table, [])
    joins = find_joins(summary, settings(5.0, close_gaps=6))
    assert sorted(zip(joins.end.tolist(), joins.start.tolist(), strict=True)) == [(0, 40), (1, 41)]
    assert (joins.probability > 0.5).all()
    assert len(find_joins(summary, settings(5.0, close_gaps=3)).end) == 0


def test_ids_below_zero_are_refused() -> None:
    with pytest.raises(InputError, match="ids from 0 on"):
        TrackSummary().add(pd.DataFrame({"frame": [0], "particle": [-1], "x": [0.0], "y": [0.0]}))
