"""Q-values of events, the way from detections to events, and their times and places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from colloid_cg.errors import DataError
from colloid_cg.events import EventConfig, detect_events, event_fields, scales_of
from colloid_cg.events.calibrate import null_law, particle_levels
from colloid_cg.events.candidates import event_q_values, peak_of, significance_cutoff
from colloid_cg.events.config import Scales
from colloid_cg.events.deformation import deformation
from colloid_cg.neighbors import within
from colloid_cg.observables import nonaffine_motion
from colloid_cg.records import FLAG_POOR_FIT, Box
from tests.events.movies import cluster_jump, crystal

USED = Scales(lag=3, average=1, half_window=3, edge_margin=0.0, cutoff=2.0, gap_space=3.0, gap_frames=2, spacing=1.0)
OPEN = Box(lower=(0.0, 0.0), upper=(100.0, 100.0), periodic=(False, False))


def test_cutoff_is_that_of_benjamini_and_hochberg():
    rng = np.random.default_rng(1)
    p = np.concatenate([rng.uniform(size=900), rng.uniform(size=100) ** 6])
    q = stats.false_discovery_control(p)
    assert significance_cutoff(p[p < 0.5], len(p), 0.05, "bh") == p[q <= 0.05].max()
    strict = stats.false_discovery_control(p, method="by")
    assert significance_cutoff(p[p < 0.5], len(p), 0.05, "by") == p[strict <= 0.05].max()
    assert significance_cutoff(np.array([0.01]), 100, 0.05, "bh") == 0.0


def test_false_share_of_events_is_held_however_many_detections_a_true_event_has():
    """True events of forty detections each would, test by test, buy room for forty times as many false ones."""
    rng = np.random.default_rng(2)
    shares, by_tests = [], []
    for _ in range(400):
        n_null, n_true, each = 20_000, 10, 40
        null = rng.uniform(size=n_null)
        peaks = np.concatenate([null[null < 0.01], np.full(n_true, 1e-9)])
        false = np.arange(len(peaks)) < (null < 0.01).sum()
        found = event_q_values(peaks, n_null + n_true * each, "bh") <= 0.1
        shares.append((found & false).sum() / max(found.sum(), 1))
        cutoff = significance_cutoff(np.concatenate([null, np.full(n_true * each, 1e-9)]), n_null + 400, 0.1, "bh")
        by_tests.append((null <= cutoff).sum() / ((null <= cutoff).sum() + n_true))
    assert np.mean(shares) == pytest.approx(0.1, abs=0.02)
    assert np.mean(by_tests) > 0.7


def table(rows: list[tuple[int, int, float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["frame", "particle", "x", "y", "p"]).assign(excess=1.0)


def test_rows_are_led_to_the_local_maximum_and_far_ones_stay_apart():
    rows = table([
        (5, 0, 10.0, 10.0, 1e-9), (5, 1, 12.0, 10.0, 1e-5), (6, 2, 14.5, 10.0, 1e-4),  # a hill, in two steps
        (5, 3, 30.0, 10.0, 1e-8), (5, 4, 31.0, 10.0, 1e-8),  # a tie: the first particle leads
        (9, 0, 10.0, 10.0, 1e-7),  # the same particle, too late
        (7, 5, 10.0, 13.5, 1e-6),  # too far
    ])  # fmt: skip
    assert peak_of(rows, OPEN, ("x", "y"), 1.0, USED).tolist() == [0, 0, 0, 3, 3, 5, 6]


def test_peaks_reach_across_periodic_faces_and_follow_a_hop():
    box = replace(OPEN, periodic=(True, True))
    rows = table(
        [(0, 0, 99.5, 50.0, 1e-9), (0, 1, 0.5, 50.0, 1e-5), (4, 7, 20.0, 20.0, 1e-9), (5, 7, 60.0, 20.0, 1e-3)]
    )
    assert peak_of(rows, box, ("x", "y"), 1.0, USED).tolist() == [0, 0, 2, 2]
    assert peak_of(rows, OPEN, ("x", "y"), 1.0, USED).tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize("dimension", [2, 3])
def test_weights_of_the_null_are_those_of_the_projector(dimension):
    rng = np.random.default_rng(dimension)
    places = rng.uniform(0, 4, (60, dimension))
    box = Box(lower=(0.0,) * dimension, upper=(4.0,) * dimension, periodic=(False,) * dimension)
    graph = within(places, 1.6, box)
    classes, variance = rng.integers(0, 3, 60), rng.uniform(size=60)
    motion = nonaffine_motion(places, places, graph, classes=classes, n_classes=3, variance=variance)
    centre, neighbour, bonds = graph.directed()
    for i in np.flatnonzero(motion.count >= dimension + 2)[:20]:
        near, b = neighbour[centre == i], bonds[centre == i]
        projector = np.eye(len(b)) - b @ np.linalg.inv(b.T @ b) @ b.T
        expected = [np.diag(projector)[classes[near] == k].sum() for k in range(3)]
        np.testing.assert_allclose(motion.weight[i], expected, atol=1e-9)
        assert motion.noise[i] == pytest.approx(np.diag(projector) @ variance[near], rel=1e-9)
        assert motion.shared[i] == pytest.approx(projector.sum(), rel=1e-9)


def test_null_of_unequal_variances_has_the_mean_and_the_tail_of_a_simulation():
    tracks = crystal(7, size=14, n_frames=2)
    config = EventConfig(lag=1)
    used = scales_of(np.diff(tracks.frame_offsets()), tracks.box, config)
    motion = deformation(tracks, config, used)
    rows = np.flatnonzero(np.isfinite(motion.total))[:6]
    variance = np.array([1.0, 6.0])
    law = null_law(motion, rows, variance, dimension=2)
    places = tracks.positions[tracks.table["frame"].to_numpy() == 0]
    graph = within(places, used.cutoff, tracks.box)
    rng = np.random.default_rng(0)
    kind = motion.classes[: len(places)]
    drawn = []
    for _ in range(4000):
        moved = places + 1e-6 * rng.normal(size=places.shape) * np.sqrt(variance[kind])[:, None]
        drawn.append(1e12 * nonaffine_motion(places, moved, graph, classes=kind, n_classes=2, variance=0 * kind).total)
    simulated = np.array(drawn)[:, rows - len(places)]
    np.testing.assert_allclose(simulated.mean(axis=0), law.mean, rtol=0.05)


def test_levels_of_particles_are_found_and_chance_is_not():
    rng = np.random.default_rng(5)
    particle, frame = np.tile(np.arange(200), 400), np.repeat(np.arange(400), 200)
    own = 0.6 * rng.normal(size=200)
    chance = np.log(rng.exponential(size=len(frame)))
    assert particle_levels(chance, particle, frame, lag=3).spread == 0.0
    found = particle_levels(chance + own[particle], particle, frame, lag=3)
    assert found.spread == pytest.approx(own.std(), rel=0.15)
    estimate = found.log_level[:200]
    assert np.std(estimate - (own - np.median(own))) < 0.15
    short = particle_levels((chance + own[particle])[: 200 * 8], particle[: 200 * 8], frame[: 200 * 8], lag=3)
    assert not short.log_level.any()


def test_either_frame_may_be_the_reference_and_the_sum_is_the_sum():
    tracks = crystal(9, n_frames=12)
    before, after, summed = (
        event_fields(tracks, EventConfig(lag=2, cutoff=1.6, **options))
        for options in ({}, {"reference": "after"}, {"normalise": "sum"})
    )
    back = tracks.with_table(tracks.table.assign(frame=11 - tracks.table["frame"]))
    mirrored = event_fields(back, EventConfig(lag=2, cutoff=1.6)).assign(frame=lambda t: 11 - t["frame"])
    both = after.merge(mirrored, on=["frame", "particle"], suffixes=("", "_mirrored")).dropna(subset="d2min")
    assert len(both) > 1500
    np.testing.assert_allclose(both["d2min"], both["d2min_mirrored"], rtol=1e-10)
    assert not np.allclose(after["d2min"].dropna()[:500], before["d2min"].dropna()[:500])
    ratio = (summed["d2min"] / before["d2min"]).dropna()
    np.testing.assert_allclose(ratio, np.round(ratio), rtol=1e-12)
    np.testing.assert_allclose(summed["d2min_p"].dropna(), before["d2min_p"].dropna(), rtol=1e-9)


@pytest.mark.parametrize("lag", [1, 2, 5])
@pytest.mark.parametrize("length", [2.5, 5.0])
def test_onset_and_end_of_a_sudden_event_do_not_depend_on_the_lag(lag, length):
    tracks = crystal(3, size=16, n_frames=40, noise=0.3, planted=cluster_jump(16, length=length, seed=1), jump_at=20)
    events = detect_events(tracks, EventConfig(lag=lag)).table
    event = events.loc[events["p_value"].idxmin()]
    assert abs(event["t_on"] - 20) <= 1
    assert abs(event["t_peak"] - 20) <= 1
    assert abs(event["t_off"] - 20) <= 1


def test_the_edge_is_flagged_and_a_lag_beyond_the_movie_refused():
    tracks = crystal(2, n_frames=12)
    fields = event_fields(tracks, EventConfig(lag=1, cutoff=1.6))
    near = tracks.edge_distance < 1.6 + 0.5 * fields.attrs["events"]["mean_spacing_um"]
    inner = fields["frame"].between(1, 11)
    assert (fields["edge"] == near)[inner].mean() > 0.97
    assert fields.loc[fields["edge"], "d2min"].isna().all()
    with pytest.raises(DataError, match="a lag of 12 frames"):
        detect_events(tracks, EventConfig(lag=12))
    with pytest.raises(DataError, match="averages of 7"):
        detect_events(tracks, EventConfig(average=7))
    assert event_fields(tracks, EventConfig(lag=11))["d2min"].notna().any()
    assert event_fields(tracks, EventConfig(average=6))["d2min"].notna().any()


def test_values_before_an_event_are_those_before_its_interval():
    tracks = crystal(3, size=16, n_frames=40, planted=cluster_jump(16, length=4.0, seed=1), jump_at=20)
    hidden = tracks.table[["frame", "particle"]].assign(s0=lambda t: np.where(t["frame"] < 20, 1.0, -1.0))
    events = detect_events(tracks, EventConfig(lag=5), hidden=hidden).table
    assert events.loc[events["p_value"].idxmin(), "s0_before"] == 1.0


def test_a_poor_fit_counts_as_missed_unless_the_particle_always_has_one():
    tracks = crystal(3, size=14, n_frames=30, noise=0.3)
    table = tracks.table.copy()
    inner = tracks.at(0)["particle"][(tracks.edge_distance[: len(tracks.at(0))] > 3.5)].to_numpy()
    once, always = int(inner[0]), int(inner[-1])
    wrong = (table["particle"] == once) & (table["frame"] == 15)
    table.loc[wrong, ["x", "y"]] += 4.0
    silent = detect_events(tracks.with_table(table), EventConfig(lag=1))
    assert (silent.table["t_peak"] - 15).abs().min() <= 1
    poor = wrong | (table["particle"] == always)
    told = tracks.with_table(table.assign(flags=np.where(poor, FLAG_POOR_FIT, 0)))
    assert not len(detect_events(told, EventConfig(lag=1)))
    fields = event_fields(told, EventConfig(lag=1)).set_index(["particle", "frame"])
    assert fields.loc[once, "d2min"].loc[[15, 16]].isna().all()
    assert fields.loc[once, "d2min"].loc[[14, 17]].notna().all()
    assert np.isnan(fields.loc[(once, 15), "p_hop"])
    assert fields.loc[always, "d2min"].notna().sum() > 20
