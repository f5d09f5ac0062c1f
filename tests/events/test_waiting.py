"""Waiting times: hand-made tracks, renewal processes with censoring, Kaplan-Meier by hand."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.events.waiting import fit_exponential, region_pairs, survival, waiting_times
from tests.events.tables import INTERVAL, event_table, fields_where, still


def test_waits_of_a_hand_made_movie():
    lost = np.zeros((21, 4), dtype=bool)
    lost[8:11, 1] = True
    tracks = still(21, side=2, lost=lost)
    events = event_table([0, 4, 10, 15], [5] * 4, [5] * 4, particles=[[2], [0, 1], [0], [1, 0]])
    waits = waiting_times(events, tracks)
    rows = [(w.particle, w.kind, w.start, round(w.time / INTERVAL), w.observed) for w in waits.itertuples(index=False)]
    assert rows == [
        (0, "persistence", 0, 4, True), (0, "exchange", 4, 6, True), (0, "exchange", 10, 5, True),
        (0, "exchange", 15, 5, False),
        (1, "persistence", 0, 4, True), (1, "exchange", 4, 3, False),  # lost after frame 7
        (1, "persistence", 11, 4, True), (1, "exchange", 15, 5, False),
        (2, "persistence", 0, 20, False),  # its event was under way in the first frame
        (3, "persistence", 0, 20, False),
    ]  # fmt: skip
    frame = tracks.table["frame"].to_numpy()
    tested = waiting_times(events, tracks, fields_where(tracks, (frame >= 2) & (frame <= 18)))
    first = tested[(tested["particle"] == 0)].iloc[0]
    assert (first["start"], first["time"]) == (2, 2 * INTERVAL)


def test_events_within_reach_belong_to_the_region():
    tracks = still(21, side=4)  # 1 um apart
    events = event_table([6], [15], [5])
    near = waiting_times(events, tracks, reach=1.2)
    hit = sorted(near.loc[near["observed"], "particle"])
    assert hit == [0, 1, 2, 5]


def renewal(rng: np.random.Generator, n: int, shape: float, scale: float, frames: int) -> list[np.ndarray]:
    """Event times of n particles, stationary at the start: a renewal process that began long before."""
    found = []
    for _ in range(n):
        steps = scale * rng.weibull(shape, size=int(20 * frames / scale) + 60)
        times = np.cumsum(steps) - 10 * frames
        found.append(times[(times > 0) & (times < frames)])
    return found


def waits_of(rng: np.random.Generator, shape: float, frames: int = 400, scale: float = 120.0):
    times = renewal(rng, 100, shape, scale, frames - 1)
    own = [(int(np.ceil(t)), k) for k, part in enumerate(times) for t in part]
    begins, who = np.array([t for t, _ in own]), [[k] for _, k in own]
    return waiting_times(event_table(begins, np.zeros(len(own)), np.zeros(len(own)), particles=who), still(frames))


def test_a_poisson_process_is_exponential_and_its_rate_is_covered():
    rng = np.random.default_rng(1)
    covered, rejected, trials = 0, 0, 60
    for _ in range(trials):
        waits = waits_of(rng, 1.0)
        fit = fit_exponential(waits["time"].to_numpy(), waits["observed"].to_numpy())
        covered += fit.low <= 1 / (120.0 * INTERVAL) <= fit.high
        rejected += fit.p_value < 0.1
    assert 48 <= covered <= 60
    assert rejected <= 13
    # Without the waits that were cut short the rate would be far too high.
    seen = waits[waits["observed"]]
    assert seen["observed"].sum() / seen["time"].sum() > 1.2 * fit.high


@pytest.mark.parametrize("shape", [0.5, 2.0])
def test_other_renewal_processes_are_told_apart(shape):
    waits = waits_of(np.random.default_rng(2), shape)
    exchange = waits[waits["kind"] == "exchange"]
    fit = fit_exponential(exchange["time"].to_numpy(), exchange["observed"].to_numpy())
    assert fit.p_value < 1e-3
    assert (fit.shape_high < 1) if shape < 1 else (fit.shape_low > 1)
    assert fit.shape == pytest.approx(shape, rel=0.35)
    mean = waits[waits["observed"]].groupby("kind")["time"].mean()
    if shape < 1:  # intermittent: who waits, waits long (persistence above exchange)
        assert mean["persistence"] > 1.2 * mean["exchange"]


def test_kaplan_meier_by_hand_and_against_the_law():
    curve = survival(np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([True, True, False, False, True]))
    assert curve["time"].tolist() == [0.0, 1.0, 2.0, 4.0]
    assert curve["survival"].to_numpy() == pytest.approx([1.0, 0.8, 0.8 * 3 / 4, 0.0])
    assert curve["at_risk"].tolist() == [5, 5, 4, 1]
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        wait, cut = rng.exponential(1.0, 80), rng.exponential(1.5, 80)
        curve = survival(np.minimum(wait, cut), wait <= cut)
        row = curve.iloc[np.searchsorted(curve["time"], np.log(2.0), side="right") - 1]
        inside += row["low"] <= 0.5 <= row["high"]
    assert 168 <= inside <= 194
    assert len(survival(np.zeros(0), np.zeros(0, dtype=bool))) == 0


def test_shared_events_widen_the_interval_when_regions_are_resampled():
    rng = np.random.default_rng(4)
    wait = np.repeat(rng.exponential(1.0, 30), 20)
    group = np.repeat(np.arange(30), 20)
    alone = fit_exponential(wait, np.ones(600, dtype=bool))
    wide = fit_exponential(wait, np.ones(600, dtype=bool), groups=group, rng=np.random.default_rng(5))
    assert wide.high - wide.low > 2.5 * (alone.high - alone.low)
    curves = [survival(wait, np.ones(600, dtype=bool), groups=g, rng=np.random.default_rng(6)) for g in (None, group)]
    widths = [(curve["high"] - curve["low"]).iloc[len(curve) // 2] for curve in curves]
    assert widths[1] > 2.5 * widths[0]


def test_no_wait_gives_no_number():
    fit = fit_exponential(np.zeros(0), np.zeros(0, dtype=bool))
    assert np.isnan(fit.rate)
    censored = fit_exponential(np.array([5.0, 5.0]), np.array([False, False]))
    assert (censored.rate, censored.low) == (0.0, 0.0)
    assert censored.high == pytest.approx(-np.log(0.05) / 10)


def test_next_event_of_a_region():
    events = event_table([3, 5, 5, 9], [10, 12, 80, 11], [10, 10, 80, 12])
    pairs = region_pairs(events, reach=1.0, pixel_size=0.1)
    assert pairs["next"].tolist() == [1, 3, -1, -1]
    assert pairs["frames"].tolist()[:2] == [2, 4]
