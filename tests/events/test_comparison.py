"""Events of experiment and model: known ratios are covered, the same world agrees, the detector is the same."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import InputError
from colloid_cg.events import EventConfig
from colloid_cg.events.comparison import BAD, GOOD, UNDECIDED, Observed, compare_events, observe, pinned, rollout_views
from colloid_cg.events.distributions import before_events, case_control, distribution, event_sizes
from colloid_cg.events.exposure import event_exposure
from colloid_cg.records import Box, Ledger, Rollout, Trajectories
from tests.events.movies import cluster_jump, crystal
from tests.events.tables import INTERVAL, event_table, still

TRACKS = still(101)
EXPOSURE = event_exposure(TRACKS)


def seen(rng: np.random.Generator, mean: float, *, size: float = 6.0, s: float = 0.0, length: int = 1) -> Observed:
    """A series with Poisson events of Poisson sizes whose particles had s above others by ``s`` before."""
    n = rng.poisson(mean)
    t_on = rng.integers(1, 101, n)
    events = event_table(t_on, *rng.uniform(0, 100, (2, n)), n_particles=1 + rng.poisson(size - 1, n), length=length)
    shift = pd.DataFrame({"event": np.arange(n), "t_on": t_on, "difference": rng.normal(s, 1.0, n)})
    return Observed(events=events, exposure=EXPOSURE, sizes=event_sizes(events, TRACKS), before={"s0": shift})


def test_known_ratios_are_covered():
    rng = np.random.default_rng(1)
    covered = dict.fromkeys(("rate", "size", "duration", "s0"), 0)
    trials = 60
    for _ in range(trials):
        model = [seen(rng, 60, size=9.0, s=0.9, length=2) for _ in range(3)]
        found = compare_events(seen(rng, 90, size=6.0, s=0.5), model, rng=rng)
        truth = {"rate": 60 / 90, "size": 1.5, "duration": 5 / 3}
        for name, value in truth.items():
            entry = found[name]["ratio"]
            covered[name] += entry["low90"] - 1e-9 <= value <= entry["high90"] + 1e-9
        apart = found["coupling"]["s0"]["difference"]
        covered["s0"] += apart["low90"] <= 0.4 <= apart["high90"]
    assert covered["duration"] == trials  # every event is as long as the others
    for name in ("rate", "size", "s0"):
        assert 0.83 <= covered[name] / trials <= 0.99, (name, covered)
    assert found["rate"]["experiment"]["value"] == pytest.approx(
        found["rate"]["experiment"]["n_events"] / (100 * 100 * INTERVAL)
    )
    assert found["events"]["model"] == found["rate"]["model"]["n_events"]
    json.dumps(found, allow_nan=False)


def test_verdicts_and_sentences():
    rng = np.random.default_rng(2)
    same = compare_events(seen(rng, 900), [seen(rng, 900) for _ in range(2)], rng=rng)
    assert same["verdict"] == GOOD
    assert same["coupling"]["s0"]["ratio"]["value"] is None  # no coupling: nothing to divide by
    more = compare_events(seen(rng, 40), [seen(rng, 200)], rng=rng)
    assert more["verdict"] == BAD
    assert more["rate"]["ratio"]["low90"] > 3
    assert "times as many events" in more["sentences"][0]
    few = compare_events(seen(rng, 4), [seen(rng, 4)], rng=rng)
    assert few["verdict"] == "look"


def test_no_events_are_an_upper_limit_and_not_a_verdict():
    rng = np.random.default_rng(3)
    none = compare_events(seen(rng, 0.0), [seen(rng, 0.0)], rng=rng)
    assert none["verdict"] == UNDECIDED
    assert none["rate"]["ratio"] == {"value": None, "low90": None, "high90": None}
    assert none["rate"]["model"]["high90"] == pytest.approx(-np.log(0.05) / (100 * 100 * INTERVAL))
    assert none["sentences"][0].startswith("No event began")
    assert len(none["sentences"]) == 1
    early = Observed(
        events=event_table([0], [5], [5]), exposure=EXPOSURE, sizes=event_sizes(event_table([0], [5], [5]), TRACKS),
        before={},
    )  # fmt: skip
    assert "1 in the experiment and 0 in the model" in compare_events(early, [seen(rng, 0.0)], rng=rng)["sentences"][1]
    only = compare_events(seen(rng, 0.0), [seen(rng, 30.0)], rng=rng)
    assert only["verdict"] == BAD
    assert only["rate"]["ratio"]["low90"] > 1.5
    assert only["size"]["ratio"]["value"] is None
    assert "the experiment has none" in only["sentences"][0]
    missing = compare_events(seen(rng, 30.0), [seen(rng, 0.0)], rng=rng)
    assert missing["rate"]["ratio"]["value"] == 0.0
    assert missing["verdict"] == BAD


def rollout_of(worlds: list[Trajectories], *, sigma: float) -> Rollout:
    """The worlds as replicas; positions are rounded so that only ``observed`` holds the noise."""
    observed = np.stack([world.positions.reshape(world.n_frames, -1, 2) for world in worlds])
    energy = np.zeros(observed.shape[:2])
    view = worlds[0].box
    return Rollout(
        positions=np.round(observed), observed=observed, species=np.zeros(observed.shape[2], dtype=int),
        box=Box(lower=view.lower, upper=view.upper, periodic=(True, True)), frame_interval=worlds[0].frame_interval,
        ledger=Ledger(energy=energy, work=energy, bath_entropy=energy), metadata={"localisation_error_um": sigma},
    )  # fmt: skip


def test_views_of_a_rollout_are_what_a_camera_would_give():
    worlds = [crystal(seed, n_frames=12) for seed in (1, 2)]
    views = rollout_views(rollout_of(worlds, sigma=0.05), pixel_size=0.1, frames=8)
    assert [view.n_frames for view in views] == [8, 8]
    assert views[1].positions == pytest.approx(worlds[1].between(0, 8).positions)
    assert views[0].table["sigma_x"].to_numpy() == pytest.approx(0.5)
    assert np.isnan(rollout_views(rollout_of(worlds, sigma=0.0), pixel_size=0.1)[0].table["sigma_x"]).all()


def test_the_same_detector_on_the_same_world_gives_the_same_events():
    jumps = cluster_jump(20, length=7.0, seed=2)
    world = [crystal(seed, noise=0.3, planted=dict(jumps), jump_at=12) for seed in (1, 2, 3)]
    quiet = [crystal(seed, noise=0.3) for seed in (4, 5)]
    config = pinned(EventConfig(), world[0])
    assert pinned(config, crystal(1, size=10)) == config

    def hidden(tracks: Trajectories) -> pd.DataFrame:
        s0 = np.where(tracks.table["particle"].isin(list(jumps)), 2.0, 0.0)
        return tracks.table[["frame", "particle"]].assign(s0=s0)

    experiment = observe(world[0], config, hidden=hidden)
    assert len(experiment.events) >= 1
    views = rollout_views(rollout_of(world[1:], sigma=0.03), pixel_size=0.1)
    model = [observe(view, config, hidden=hidden) for view in views]
    found = compare_events(experiment, model, rng=np.random.default_rng(0))
    ratio = found["rate"]["ratio"]
    assert ratio["low90"] < 1 < ratio["high90"]
    # Each event holds the seven that jumped and some fifty that have one for a neighbour: s0 is above that of others.
    for side in ("experiment", "model"):
        assert 0.15 < found["coupling"]["s0"][side]["value"] <= 2.0
    nothing = [observe(view, config) for view in rollout_views(rollout_of(quiet, sigma=0.03), pixel_size=0.1)]
    silent = compare_events(experiment, nothing, rng=np.random.default_rng(0))
    assert silent["events"]["model"] == 0
    assert silent["rate"]["ratio"]["value"] == 0.0
    variances = found["null_variance_um2"]
    assert variances["model"] == pytest.approx(variances["experiment"], rel=0.25)
    loud = [observe(view, config) for view in (crystal(6, noise=0.6), crystal(7, noise=0.6))]
    told = compare_events(experiment, loud, rng=np.random.default_rng(0))["sentences"]
    assert any("rattle" in line for line in told)


def test_values_before_events_by_hand():
    tracks = still(6, side=3)
    table = tracks.table.assign(species=tracks.table["particle"] % 2)
    tracks = tracks.with_table(table)
    frame, particle = table["frame"].to_numpy(), table["particle"].to_numpy()
    values = np.where(frame == 2, particle.astype(float), -99.0)
    values[(frame == 2) & (particle == 8)] = np.nan
    events = event_table([3, 0], [5, 5], [5, 5], particles=[[0, 1, 8], [4]])
    before = before_events(events, tracks, values)
    # Species 0: 0 against 2, 4, 6; species 1: 1 against 3, 5, 7. The event in frame 0 has nothing before it.
    assert before["event"].tolist() == [0]
    row = before.iloc[0]
    assert (row["case"], row["control"], row["difference"]) == (0.5, 4.5, -4.0)
    assert row["n_particles"] == 2
    assert before_events(events, tracks, values, species=False)["control"].iloc[0] == np.mean([2, 3, 4, 5, 6, 7])
    assert before_events(events, tracks, values, lead=2)["case"].iloc[0] == -99.0
    with pytest.raises(InputError):
        before_events(events, tracks, values[1:])


def test_case_control_interval_covers_and_needs_several_groups():
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(150):
        t_on = rng.integers(0, 100, 60)
        block = rng.normal(0, 0.5, 10)[t_on // 10]  # events near in time share their cause
        table = pd.DataFrame({"t_on": t_on, "difference": 1.0 + block + rng.normal(0, 1, 60)})
        found = case_control(table, rng=rng)
        hits += found.low <= 1.0 <= found.high
    assert 0.83 <= hits / 150 <= 0.97
    few = case_control(pd.DataFrame({"t_on": [1, 2], "difference": [1.0, 2.0]}), rng=rng)
    assert few.value == 1.5
    assert np.isnan(few.low)


def test_distribution_is_the_share_of_at_least_so_much():
    table = distribution(np.array([3.0, 5.0, 3.0, 9.0, np.nan]))
    assert table["value"].tolist() == [3.0, 5.0, 9.0]
    assert table["share"].tolist() == [1.0, 0.5, 0.25]
    assert table["events"].tolist() == [4, 2, 1]
    assert (table["low"] <= table["share"]).all()
    assert (table["high"] >= table["share"]).all()
    assert len(distribution(np.zeros(0))) == 0
    sizes = event_sizes(event_table([4], [1], [1], length=2, amplitude=0.3), TRACKS)
    assert sizes["duration"].tolist() == [5 * INTERVAL]
    assert sizes["amplitude"].tolist() == [0.3]
