"""Pair correlation of events: Poisson placement, clusters, triggering, edges, uneven rates."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.errors import DataError, InputError
from colloid_cg.events.correlation import event_correlation
from tests.events.tables import event_table, fields_where, still, thomas

DISTANCES, LAGS = np.array([0.0, 1.0, 2.0, 4.0]), np.array([0, 5, 20])
TRACKS = still(101)


def correlation(events, seed, **options):
    chosen = {"distances": DISTANCES, "lags": LAGS, "draws": 99} | options
    return event_correlation(events, TRACKS, rng=np.random.default_rng(seed), **chosen)


def test_pairs_are_counted_in_their_bins():
    # 0-1: 0.5 um, 3 frames; 0-2: 3 um, 5 frames; 1-2: 2.5 um, 2 frames; 3 far away
    events = event_table([10, 13, 15, 90], [10, 15, 40, 95], [10, 10, 10, 95])
    table = correlation(events, 0).table.set_index(["r_low", "lag_low"])
    assert table.loc[(0.0, 0), "pairs"] == 1
    assert table.loc[(2.0, 5), "pairs"] == 1
    assert table.loc[(2.0, 0), "pairs"] == 1
    assert table["pairs"].sum() == 3


@pytest.mark.parametrize("null", ["random", "permuted"])
def test_random_events_are_called_random(null):
    rng = np.random.default_rng(1)
    low = 0
    for k in range(60):
        # Particles sit at the middles of squares of 10 px, and so do the events.
        events = event_table(rng.integers(0, 101, 40), *(10 * rng.integers(0, 10, (2, 40)) + 5))
        low += correlation(events, k, null=null, draws=39).p_value <= 0.1
    assert low <= 13


def test_clusters_are_found_with_the_right_bins():
    events = thomas(np.random.default_rng(2), 120, offspring=4.0, width=0.02, frames=101, edge=100.0)
    found = correlation(events, 3)
    assert found.p_value <= 0.02
    table = found.table.set_index(["r_low", "lag_low"])
    # Offspring lie within .02 x 100 px x .1 um = .2 um and 2 frames of their parent.
    assert table.loc[(0.0, 0), "ratio"] > 5
    assert table.loc[(0.0, 0), "ratio"] > table.loc[(0.0, 0), "high"]
    assert table.loc[(0.0, 0), "p_more"] <= 0.01
    assert table.loc[(2.0, 5), "p_more"] > 0.01
    assert (table["ratio"].drop((0.0, 0)) < 0.2 * table.loc[(0.0, 0), "ratio"]).all()


def test_expected_pairs_know_the_edges_of_what_could_be_tested():
    """Only a corner of one quarter is tested: pairs there are far closer than over the whole view."""
    x, y = TRACKS.table["x"].to_numpy(), TRACKS.table["y"].to_numpy()
    fields = fields_where(TRACKS, (x < 30) & (y < 30))
    rng = np.random.default_rng(4)
    events = event_table(rng.integers(0, 101, 40), *(10 * rng.integers(0, 3, (2, 40)) + 5))
    blind = correlation(events, 5)
    told = event_correlation(
        events, TRACKS, fields, distances=DISTANCES, lags=LAGS, draws=99, rng=np.random.default_rng(5)
    )
    assert blind.p_value <= 0.02
    assert told.p_value > 0.05
    assert told.table["expected"].sum() == pytest.approx(told.table["pairs"].sum(), rel=0.25)


def test_a_weak_spot_is_no_triggering_but_a_follower_is():
    rng = np.random.default_rng(6)
    # Half the events in a small place, at any time.
    spot = np.where(np.arange(60) < 30, 10.0, 100.0)
    weak = event_table(rng.integers(0, 101, 60), rng.uniform(0, 1, 60) * spot, rng.uniform(0, 1, 60) * spot)
    assert correlation(weak, 7).p_value <= 0.02
    assert correlation(weak, 7, null="permuted").p_value > 0.05
    t, x, y = rng.integers(0, 95, 30), *rng.uniform(5, 95, (2, 30))
    pairs = event_table(np.concatenate([t, t + 2]), np.concatenate([x, x + 4]), np.concatenate([y, y]))
    assert correlation(pairs, 8, null="permuted").p_value <= 0.02


def test_what_cannot_be_told_is_refused():
    with pytest.raises(DataError):
        correlation(event_table([1], [1], [1]), 0)
    with pytest.raises(InputError):
        correlation(event_table([1, 2], [1, 2], [1, 2]), 0, null="shuffled")
    same = [correlation(event_table([1, 2, 9], [1, 2, 60], [1, 2, 60]), 3).table for _ in range(2)]
    assert same[0].equals(same[1])
