"""Rates of events: exposure by hand, exact intervals, coverage on Poisson and on clustered events."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from colloid_cg.errors import InputError
from colloid_cg.events.exposure import event_exposure
from colloid_cg.events.intervals import (
    binomial_interval,
    poisson_interval,
    quantile_interval,
    ratio_interval,
    wilson_interval,
)
from colloid_cg.events.rates import event_rate, rate_above, rate_over_time
from tests.events.tables import INTERVAL, PIXEL, event_table, fields_where, still, thomas


def test_exposure_counts_only_what_was_tested():
    lost = np.zeros((8, 100), dtype=bool)
    lost[:, 7] = True  # one particle never there
    lost[5:, 20:30] = True  # ten leave after frame 4
    tracks = still(8, lost=lost)
    frame = tracks.table["frame"].to_numpy()
    x = tracks.table["x"].to_numpy()
    valid = (frame >= 1) & (frame <= 6) & (x > 10) & (x < 90)  # ends of the movie and a margin of a column are untested
    exposure = event_exposure(tracks, fields_where(tracks, valid), cells=2)
    by_hand = sum(1 for f, p in zip(frame[valid], x[valid], strict=True) if f >= 1)
    assert exposure.particles.sum() == by_hand == valid.sum()
    assert exposure.first_frame == 1
    assert event_exposure(tracks).particles.sum() == len(tracks)
    # In frame 3 one of 25 particles of a quarter is missing and the column at the edge untested: 20 of 25, 19 of 24.
    area = 100 * PIXEL * 100 * PIXEL / 4
    shares = np.sort(exposure.area[3].ravel() / area)
    assert shares == pytest.approx(sorted([20 / 25, 20 / 25, 20 / 25, 19 / 24]))
    counted = exposure.counted()
    assert counted.particles[:2].sum() == 0
    assert counted.particles[2:].sum() == exposure.particles[2:].sum()


def test_rate_is_events_over_exposure_and_events_under_way_at_the_start_are_left_out():
    tracks = still(11)
    events = event_table([0, 3, 7, 10], [50.0] * 4, [50.0] * 4)
    rate = event_rate(events, event_exposure(tracks))
    assert (rate.n_events, rate.n_left_out) == (3, 1)
    assert rate.exposure == pytest.approx(10 * 100 * INTERVAL)
    assert rate.value == pytest.approx(3 / 500)
    assert rate.unit == "1/s"
    area = event_rate(events, event_exposure(tracks), per="area")
    assert area.value == pytest.approx(3 / (10 * INTERVAL * 10.0 * 10.0))
    assert area.unit == "1/(um2 s)"
    with pytest.raises(InputError):
        event_rate(events, event_exposure(tracks), per="frame")


def test_windows_of_a_movie_add_up():
    tracks = still(12)
    whole = event_exposure(tracks)
    parts = [tracks.between(0, 5), tracks.between(5, 12)]
    both = event_exposure(parts[0]) + event_exposure(parts[1])
    assert (both.particles == whole.particles).all()
    assert both.area == pytest.approx(whole.area)


def test_no_event_gives_an_upper_limit_and_no_test_gives_nothing():
    tracks = still(11)
    rate = event_rate(event_table([], [], []), event_exposure(tracks))
    assert (rate.value, rate.low, rate.poisson_low) == (0.0, 0.0, 0.0)
    assert rate.high == pytest.approx(-np.log(0.05) / rate.exposure)
    untested = event_exposure(tracks, fields_where(tracks, np.zeros(len(tracks), dtype=bool)))
    nothing = event_rate(event_table([], [], []), untested)
    assert nothing.exposure == 0
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_poisson_interval_is_garwoods_and_covers_its_mean():
    low, high = poisson_interval(10, 2.0, level=0.95)
    assert (low, high) == pytest.approx((4.795389 / 2, 18.390356 / 2), rel=1e-6)  # tables of Garwood 1936
    for mean in (0.7, 3.0, 11.0):
        k = np.arange(60)
        inside = [a <= mean <= b for a, b in (poisson_interval(n, 1.0) for n in k)]
        assert stats.poisson.pmf(k, mean)[inside].sum() >= 0.9


def test_intervals_of_shares_medians_and_ratios_against_known_ones():
    assert binomial_interval(3, 10, level=0.95) == pytest.approx((0.0667395, 0.6524529), abs=1e-6)
    found = stats.binomtest(3, 10).proportion_ci(0.9, method="wilson")
    assert wilson_interval(3, 10) == pytest.approx((found.low, found.high))
    assert wilson_interval(0, 5)[0] == 0.0
    assert np.isnan(wilson_interval(0, 0)).all()
    for n in (8, 25):
        _, low, high = quantile_interval(np.arange(n, dtype=float))
        # The median lies between order statistics a < b with probability P(a < B <= b), B binomial(n, 1/2).
        inside = stats.binom.cdf(high, n, 0.5) - stats.binom.cdf(low, n, 0.5)
        assert inside >= 0.9
        assert stats.binom.cdf(high - 1, n, 0.5) - stats.binom.cdf(low, n, 0.5) < 0.95
    low, high = ratio_interval((0, 7), (1.0, 1.0))
    assert low == 0.0
    assert high < 1.0
    assert ratio_interval((7, 0), (1.0, 1.0))[1] == np.inf
    assert np.isnan(ratio_interval((0, 0), (1.0, 1.0))).all()


def test_ratio_of_rates_is_covered():
    rng = np.random.default_rng(3)
    first, second = rng.poisson(12, 800), rng.poisson(8 * 2, 800)  # rates 12 and 8, exposures 1 and 2
    ends = np.array([ratio_interval((a, b), (1.0, 2.0)) for a, b in zip(first, second, strict=True)])
    covered = np.mean((ends[:, 0] <= 1.5) & (ends[:, 1] >= 1.5))
    assert 0.88 < covered < 0.97


def test_clustered_events_are_covered_where_poisson_intervals_are_not():
    rng = np.random.default_rng(1)
    exposure = event_exposure(still(101))
    mean, trials = 60.0, 250
    covered = {"wide": 0, "poisson": 0}
    for _ in range(trials):
        rate = event_rate(thomas(rng, mean, offspring=5.0, width=0.02, frames=101, edge=100.0), exposure)
        truth = mean / rate.exposure
        covered["wide"] += rate.low <= truth <= rate.high
        covered["poisson"] += rate.poisson_low <= truth <= rate.poisson_high
    assert 0.85 <= covered["wide"] / trials <= 0.97
    assert covered["poisson"] / trials < 0.7


def test_independent_events_are_hardly_widened():
    rng = np.random.default_rng(2)
    exposure, covered, width = event_exposure(still(101)), 0, []
    for _ in range(200):
        n = rng.poisson(50)
        events = event_table(rng.integers(1, 101, n), *rng.uniform(0, 100, (2, n)))
        rate = event_rate(events, exposure)
        covered += rate.low * rate.exposure <= 50 <= rate.high * rate.exposure
        width.append((rate.high - rate.low) / (rate.poisson_high - rate.poisson_low))
    assert 0.87 <= covered / 200 <= 0.97
    assert np.median(width) < 1.15


def test_rate_over_time_follows_a_change_and_knows_where_nothing_was_tested():
    tracks = still(101)
    frame = tracks.table["frame"].to_numpy()
    exposure = event_exposure(tracks, fields_where(tracks, frame < 80))
    rng = np.random.default_rng(4)
    begins = np.concatenate([rng.integers(1, 40, 20), rng.integers(40, 80, 80)])
    table = rate_over_time(event_table(begins, *rng.uniform(0, 100, (2, 100))), exposure, bins=5)
    assert table["events"].sum() == 100
    assert table["exposure"].sum() == pytest.approx(79 * 100 * INTERVAL)
    assert table["end"].iloc[-1] == pytest.approx(101 * INTERVAL)
    assert table["high"][0] < table["low"][2]
    assert np.isnan(table["rate"].iloc[-1])


def test_rate_above_a_size_falls_to_the_share_of_such_events():
    rng = np.random.default_rng(5)
    size = rng.integers(3, 9, 200)
    events = event_table(rng.integers(1, 101, 200), *rng.uniform(0, 100, (2, 200)), n_particles=size)
    table = rate_above(events, event_exposure(still(101)), thresholds=np.array([3, 6, 20]))
    assert table["events"].tolist() == [200, (size >= 6).sum(), 0]
    assert table["low"].iloc[2] == 0.0
    assert table["high"].iloc[2] > 0.0
    with pytest.raises(InputError, match="amplitude"):
        rate_above(events, event_exposure(still(5)), "amplitude")
