"""Parts of the reading of hidden variables against closed forms: each number, its interval, its p-value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import digamma

from colloid_cg.assessment.reading import (
    against_ceiling,
    area_under_curve,
    average_precision,
    compare_areas,
    compare_slopes,
    d2min_ahead,
    displacements,
    displacements_of_runs,
    in_events,
    in_partings,
    information_terms,
    mutual_information,
    oracle_areas,
    p_hop_ahead,
    pearson,
    permutation_p_value,
    persistence,
    precision_recall_curve,
    raster_of,
    rate_against,
    resampling,
    roc_curve,
    space_time_blocks,
    spearman,
)
from colloid_cg.assessment.reading.association import normal_scores
from colloid_cg.assessment.reading.handmade import recent_mean
from colloid_cg.assessment.reading.ranking import pairs_won, resampled_areas, resampled_precisions
from colloid_cg.assessment.reading.resampling import Resampling
from colloid_cg.errors import InputError
from colloid_cg.neighbors import within
from colloid_cg.observables import d2min
from colloid_cg.records import Box, Trajectories

OPEN = Box(lower=(0.0, 0.0), upper=(20.0, 20.0), periodic=(False, False))


def drawn_evenly(n: int, blocks: int, seed: int = 0, resamples: int = 200) -> Resampling:
    return resampling(np.arange(n) * blocks // n, resamples=resamples, rng=np.random.default_rng(seed))


def gaussian_pair(n: int, correlation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, correlation * x + np.sqrt(1 - correlation**2) * rng.normal(size=n)


# -- association


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_mutual_information_of_gaussians(correlation):
    x, y = gaussian_pair(4000, correlation, seed=1)
    found = mutual_information(x, y, drawn_evenly(4000, 40), rng=np.random.default_rng(2))
    # The standard error of the estimator is about .012 nats here (spread of the terms over sqrt(n)).
    assert found["value"] == pytest.approx(-0.5 * np.log(1 - correlation**2), abs=0.04)
    assert found["low90"] < found["value"] < found["high90"]


def test_information_terms_are_the_published_ones():
    x, y = gaussian_pair(40, 0.5, seed=7)
    terms = information_terms(x, y, neighbours=3)
    for row in range(40):
        dx, dy = np.abs(x - x[row]), np.abs(y - y[row])
        reach = np.sort(np.maximum(dx, dy))[3]
        # Strictly nearer than the third neighbour, the row itself not counted.
        counts = [int((d < reach).sum()) - 1 for d in (dx, dy)]
        wanted = digamma(3) + digamma(40) - sum(digamma(count + 1) for count in counts)
        assert terms[row] == pytest.approx(wanted, abs=1e-12)


def test_mutual_information_ignores_monotone_maps_and_sees_what_correlation_does_not():
    x, y = gaussian_pair(2000, 0.7, seed=3)
    drawn = drawn_evenly(2000, 20)
    plain = mutual_information(x, y, drawn, rng=np.random.default_rng(0))["value"]
    mapped = mutual_information(np.exp(x), y**3, drawn, rng=np.random.default_rng(0))["value"]
    assert mapped == pytest.approx(plain, abs=1e-12)
    bent = x**2 + 0.3 * np.random.default_rng(5).normal(size=2000)
    assert abs(spearman(x, bent, drawn)["value"]) < 0.1
    assert mutual_information(x, bent, drawn, rng=np.random.default_rng(0))["value"] > 0.5


def test_information_of_a_coin_is_at_most_its_entropy():
    # x tells which of two halves y is in: I = ln 2.
    rng = np.random.default_rng(4)
    coin = rng.random(4000) < 0.5
    scores = normal_scores(coin.astype(float), rng)
    y = rng.normal(size=4000) + 100.0 * coin
    assert information_terms(scores, normal_scores(y, rng)).mean() == pytest.approx(np.log(2), abs=0.05)


def test_correlations_are_those_of_scipy_and_their_intervals_know_of_blocks():
    x, y = gaussian_pair(500, 0.5, seed=6)
    drawn = drawn_evenly(500, 50)
    assert pearson(x, y, drawn)["value"] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert spearman(x, y, drawn)["value"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    # Every row nine times in the same block: nothing new is known.
    many = Resampling(index=np.repeat(drawn.index, 9), weights=drawn.weights)
    assert pearson(np.repeat(x, 9), np.repeat(y, 9), many) == pytest.approx(pearson(x, y, drawn), abs=1e-12)


# -- ranking


def test_area_of_two_shifted_gaussians():
    rng = np.random.default_rng(0)
    distance, n = 1.2, 20_000
    scores = np.concatenate([rng.normal(size=n), distance + rng.normal(size=n)])
    positive = np.arange(2 * n) >= n
    assert area_under_curve(scores, positive) == pytest.approx(stats.norm.cdf(distance / np.sqrt(2)), abs=0.008)
    curve = roc_curve(scores, positive)
    wanted = stats.norm.cdf(distance - stats.norm.isf(curve["false_positive_rate"]))
    np.testing.assert_allclose(curve["true_positive_rate"], wanted, atol=0.015)


def test_resampled_areas_are_those_of_the_repeated_rows():
    rng = np.random.default_rng(1)
    scores, positive = np.round(rng.normal(size=120), 1), rng.random(120) < 0.3
    drawn = drawn_evenly(120, 8, resamples=20)
    samples = resampled_areas(pairs_won(scores, positive, drawn), positive, drawn)
    precisions = resampled_precisions(scores, positive, drawn)
    for weights, area, precision in zip(drawn.weights, samples, precisions, strict=True):
        rows = np.repeat(np.arange(120), weights[drawn.index].astype(int))
        assert area == pytest.approx(area_under_curve(scores[rows], positive[rows]), abs=1e-12)
        assert precision == pytest.approx(average_precision(scores[rows], positive[rows]), abs=1e-12)


def test_average_precision_with_ties_by_hand():
    # Thresholds 3, 2, 1: recall 1/3, 2/3, 1; precision 1, 2/3, 3/5.
    scores, positive = np.array([3, 2, 2, 1, 1.0]), np.array([True, True, False, False, True])
    assert average_precision(scores, positive) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    curve = precision_recall_curve(scores, positive)
    np.testing.assert_allclose(curve["precision"][[10, 50, 90]], [1.0, 2 / 3, 3 / 5])
    rng = np.random.default_rng(0)
    assert average_precision(rng.random(20_000), rng.random(20_000) < 0.1) == pytest.approx(0.1, abs=0.01)


def test_paired_bootstrap_covers_the_difference_of_two_areas():
    # Two variables with a common part; each observation five times in its block, as overlapping windows give them.
    distances, hits, repeats, blocks = (1.0, 0.5), 0, 200, 40
    wanted = np.subtract(*(stats.norm.cdf(d / np.sqrt(2)) for d in distances))
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        positive, common = rng.random(400) < 0.25, rng.normal(size=400)
        scores = {str(d): np.repeat(d * positive + 0.6 * common + 0.8 * rng.normal(size=400), 5) for d in distances}
        drawn = drawn_evenly(2000, blocks, seed=seed)
        areas = compare_areas(scores, np.repeat(positive, 5), drawn)
        row = areas["1.0"] - areas["0.5"]
        found = drawn.entry(row[0], row[1:])
        hits += found["low90"] <= wanted <= found["high90"]
    # 90 %, binomial 3 standard errors of 2.1 %; blocks cost some per cent. Rows as blocks would cover 54 %.
    assert 0.82 <= hits / repeats <= 0.965


def test_blocks_hold_what_is_near_in_space_and_time():
    rng = np.random.default_rng(0)
    frames, places = rng.integers(0, 40, 3000), rng.uniform(0, 20, (3000, 2))
    index = space_time_blocks(frames, places, OPEN, frames_per_block=10, side=4.9)
    assert index.max() + 1 == 4 * 4 * 4
    for block in range(index.max() + 1):
        assert np.ptp(frames[index == block]) < 10
        assert (np.ptp(places[index == block], axis=0) <= 5.0).all()


def test_too_few_blocks_give_no_interval():
    x, y = gaussian_pair(100, 0.5, seed=0)
    assert pearson(x, y, drawn_evenly(100, 3))["low90"] is None


# -- permutation


def smooth_frames(rng: np.random.Generator, places: np.ndarray, length: float) -> np.ndarray:
    """A random field with correlations over ``length``."""
    waves = rng.normal(size=(40, 2)) / length
    return np.cos(places @ waves.T + rng.uniform(0, 2 * np.pi, 40)).sum(axis=1)


def test_p_value_is_uniform_where_smooth_fields_have_nothing_to_do_with_each_other():
    # Three frames of frozen particles: neighbours and frames repeat each other.
    values = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        places = rng.uniform(0, 20, (300, 2))
        s, other = (smooth_frames(rng, places, 1.5) for _ in range(2))
        frames = np.repeat(np.arange(3), 300)
        positive = np.tile(other > np.quantile(other, 0.9), 3)
        raster = raster_of(frames, np.tile(places, (3, 1)), OPEN, time_block=np.zeros(900, dtype=int))
        ranks = stats.rankdata(np.tile(s, 3))
        values.append(permutation_p_value(ranks, positive, raster, permutations=99, rng=rng))
    assert stats.kstest(values, "uniform").pvalue > 0.01
    assert np.mean(np.array(values) <= 0.1) <= 0.175  # three standard errors above .1


def test_shifts_stay_within_frames_and_a_true_tie_is_found():
    rng = np.random.default_rng(0)
    frames, places = np.repeat(np.arange(4), 200), np.tile(rng.uniform(0, 20, (200, 2)), (4, 1))
    raster = raster_of(frames, places, OPEN, time_block=frames // 2)
    source = raster.shifted(rng, np.arange(800))
    assert (frames[source] == frames).all()
    # Both frames of a block of time are shifted alike, by one vector round the edges.
    assert (source[:200] == source[200:400] - 200).all()
    assert not (source[:200] == source[400:600] - 400).all()
    apart = (places[source] - places)[:200] % 20.0
    middle = np.median(apart, axis=0)
    near = np.abs((apart - middle + 10.0) % 20.0 - 10.0)
    assert np.median(near) < 0.6  # of a mean spacing of 1.4
    s = rng.normal(size=800)
    positive = rng.random(800) < 1 / (1 + np.exp(3 - 2 * s))
    assert permutation_p_value(stats.rankdata(s), positive, raster, permutations=199, rng=rng) == 1 / 200


# -- rates


def test_rate_law_with_a_known_slope():
    rng = np.random.default_rng(2)
    s = rng.normal(size=40_000)
    rate = 0.3 * np.exp(0.8 * s)
    positive = rng.random(40_000) < -np.expm1(-rate * 0.5)
    found = rate_against(s, positive, drawn_evenly(40_000, 80), duration=0.5, bins=8)
    error = (found["slope"]["high90"] - found["slope"]["low90"]) / 3.29
    assert 0.01 < error < 0.03
    assert abs(found["slope"]["value"] - 0.8) < 3 * error
    assert found["log_rate"]["value"] == pytest.approx(np.log(0.3), abs=0.06)
    assert found["linearity_p"] > 0.01
    # The outer bins are wide: the mean of an exponential is more than that at the mean.
    np.testing.assert_allclose(found["rate"][1:-1], 0.3 * np.exp(0.8 * found["s"][1:-1]), rtol=0.1)


def test_a_bent_rate_law_is_noticed():
    rng = np.random.default_rng(3)
    s = rng.normal(size=20_000)
    positive = rng.random(20_000) < -np.expm1(-0.1 * np.exp(0.3 * s**2 / 2 + 0.4 * s))
    found = rate_against(s, positive, drawn_evenly(20_000, 50), duration=1.0, bins=6)
    assert found["linearity_p"] < 0.001
    assert found["curvature"]["low90"] < 0.3 < found["curvature"]["high90"]


def test_slopes_of_several_runs():
    def run(slope: float) -> dict[str, dict[str, float]]:
        return {"slope": {"value": slope, "low90": slope - 0.1645, "high90": slope + 0.1645}}  # error .1

    same = compare_slopes({"a": run(0.5), "b": run(0.6), "c": run(0.55)})
    assert same["same_p"] > 0.5
    assert same["mean"]["value"] == pytest.approx(0.55)
    assert same["mean"]["high90"] - 0.55 == pytest.approx(1.645 * 0.1 / np.sqrt(3), rel=1e-3)
    other = compare_slopes({"a": run(0.0), "b": run(1.0), "c": run(2.0)}, {"a": 1.0, "b": 2.0, "c": 3.0})
    assert other["same_p"] < 1e-6
    assert other["against_control"]["value"] == pytest.approx(1.0)


# -- persistence


def walkers(n: int, steps: int, memory: float, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """s, frames and particles of n AR(1) processes of unit variance, seen with noise."""
    rng = np.random.default_rng(seed)
    s = np.empty((steps, n))
    s[0] = rng.normal(size=n)
    for t in range(1, steps):
        s[t] = memory * s[t - 1] + np.sqrt(1 - memory**2) * rng.normal(size=n)
    seen = s + noise * rng.normal(size=s.shape)
    return seen.ravel(), np.repeat(np.arange(steps), n), np.tile(np.arange(n), steps)


def test_persistence_of_an_autoregression_behind_noise():
    s, frames, particles = walkers(200, 200, memory=0.9, noise=0.7, seed=0)
    drawn = resampling(particles, resamples=200, rng=np.random.default_rng(0))
    found = persistence(s, frames, particles, drawn, lags=np.unique(np.geomspace(1, 60, 20).astype(int)), interval=0.1)
    true = -0.1 / np.log(0.9)
    assert found["time"]["low90"] < true < found["time"]["high90"]
    assert found["time"]["value"] == pytest.approx(true, rel=0.06)
    assert found["noise_share"]["value"] == pytest.approx(0.49 / 1.49, abs=0.02)
    np.testing.assert_allclose(found["correlation"], 0.9 ** (found["lag"] / 0.1), atol=0.05)


def test_what_never_decays_is_longer_than_what_was_looked_at():
    rng = np.random.default_rng(1)
    fixed = np.tile(rng.normal(size=100), 30)
    frames, particles = np.repeat(np.arange(30), 100), np.tile(np.arange(100), 30)
    drawn = resampling(particles, resamples=50, rng=rng)
    found = persistence(fixed, frames, particles, drawn, lags=np.arange(1, 11), interval=2.0)
    assert found["time"] is None
    assert found["longer_than"] == 20.0


def test_what_is_forgotten_at_once_is_not_called_lasting():
    alternating = (
        np.tile(np.where(np.arange(100) % 2, 1.0, -1.0), (40, 1)) * np.where(np.arange(40) % 2, 1, -1)[:, None]
    )
    frames, particles = np.repeat(np.arange(40), 100), np.tile(np.arange(100), 40)
    drawn = resampling(particles, resamples=50, rng=np.random.default_rng(0))
    found = persistence(alternating.ravel(), frames, particles, drawn, lags=np.arange(1, 11), interval=2.0)
    assert found["longer_than"] is None
    assert 0.0 < found["time"]["value"] < 2.0


# -- the ceiling of one run


def test_oracle_of_pure_noise_knows_nothing():
    outcomes = np.random.default_rng(0).normal(size=(20, 1000))
    # A mean over all runs, the scored one included, would give .62 here.
    assert oracle_areas(outcomes, drawn_evenly(1000, 25))[0] == pytest.approx(0.5, abs=0.02)


def test_oracle_reaches_a_known_propensity():
    rng = np.random.default_rng(1)
    propensity = rng.normal(size=2000)
    outcomes = propensity + rng.normal(size=(60, 2000))
    scores = {"truth": propensity, "half": propensity + rng.normal(size=2000), "nothing": rng.normal(size=2000)}
    found = against_ceiling(scores, outcomes, drawn_evenly(2000, 25))
    efficiency = {name: entry["efficiency"] for name, entry in found["variables"].items()}
    assert efficiency["truth"]["value"] == pytest.approx(1.0, abs=0.02)
    assert 0.5 < efficiency["half"]["value"] < 0.9
    assert efficiency["nothing"]["low90"] < 0.0 < efficiency["nothing"]["high90"]
    assert found["oracle"]["value"] < found["variables"]["truth"]["auc"]["value"] + 1e-3
    with pytest.raises(InputError, match="single run"):
        oracle_areas(outcomes[:1], drawn_evenly(2000, 25))


# -- futures


def grid_tracks(frames: int, moves: dict[int, tuple[int, float]], *, shake: float = 0.02) -> Trajectories:
    """A shaken square lattice; ``moves``: particle -> frame from which it is displaced along x, and how far."""
    rng = np.random.default_rng(0)
    sites = np.stack(np.meshgrid(np.arange(12.0), np.arange(12.0)), axis=-1).reshape(-1, 2) + 1.0
    places = sites + shake * rng.normal(size=(frames, 144, 2))
    for particle, (since, by) in moves.items():
        places[since:, particle, 0] += by
    table = pd.DataFrame({"frame": np.repeat(np.arange(frames), 144), "particle": np.tile(np.arange(144), frames)})
    table[["x", "y"]] = places.reshape(-1, 2)
    view = Box(lower=(0.0, 0.0), upper=(13.0, 13.0), periodic=(False, False))
    return Trajectories(table=table, pixel_size=0.5, frame_interval=0.1, field_of_view=view, n_frames=frames)


def row(tracks: Trajectories, frame: int, particle: int) -> int:
    return int(np.flatnonzero((tracks.table["frame"] == frame) & (tracks.table["particle"] == particle))[0])


def test_d2min_ahead_is_d2min_of_the_pair_of_frames():
    tracks = grid_tracks(8, {65: (4, 0.6)})
    found = d2min_ahead(tracks, np.array([2, 3]), 3, cutoff=0.9)
    frame = tracks.table["frame"].to_numpy()
    before, after = tracks.positions[frame == 2], tracks.positions[frame == 5]
    wanted = d2min(before, after, within(before, 0.9, tracks.box))
    inner = tracks.box.edge_distance(before) >= 0.9
    np.testing.assert_allclose(found[frame == 2][inner], wanted[inner])
    assert np.isnan(found[frame == 2][~inner]).all()
    assert np.isnan(found[~np.isin(frame, [2, 3])]).all()
    assert np.nanargmax(found) in (row(tracks, 2, 65), row(tracks, 3, 65))


def test_hops_and_displacements_look_ahead_only():
    tracks = grid_tracks(20, {65: (10, 2.0)}, shake=0.0)
    hops, moved = p_hop_ahead(tracks.positions, tracks, 4), displacements(tracks.positions, tracks, 4)
    own = {frame: row(tracks, frame, 65) for frame in range(16)}
    assert hops[own[8]] == pytest.approx(1.0)  # (2 px x .5 um)^2
    assert moved[own[8]] == pytest.approx(1.0)
    # h = 2: the whole window of four frames around the hop lies in [8, 12], and in [7, 11] still, not in [10, 14].
    assert hops[own[10]] == pytest.approx(0.0)
    assert moved[own[10]] == pytest.approx(0.0)
    assert moved[own[5]] == pytest.approx(0.0)
    assert np.isnan(moved[row(tracks, 17, 65)])


def test_who_takes_part_in_events():
    tracks = grid_tracks(12, {})
    events = pd.DataFrame({"t_peak": [5], "particles": [[3, 4]]})
    found = in_events(tracks, events, 2)
    rows = tracks.table[found]
    assert set(zip(rows["frame"], rows["particle"], strict=True)) == {(3, 3), (4, 3), (3, 4), (4, 4)}
    partings = pd.DataFrame({"i": [3], "j": [4], "t_peak": [5]})
    np.testing.assert_array_equal(in_partings(tracks, partings, 2), found)
    assert not in_events(tracks, events.iloc[:0], 2).any()


def test_recent_mean_by_hand():
    tracks = grid_tracks(6, {})
    keep = ~((tracks.table["frame"] == 3) & (tracks.table["particle"] == 7))
    gappy = tracks.with_table(tracks.table[keep])
    values = np.random.default_rng(0).normal(size=len(gappy))
    values[5] = np.nan
    found = recent_mean(values, gappy, 2)
    frame, particle = gappy.table["frame"].to_numpy(), gappy.table["particle"].to_numpy()
    for number in range(0, len(gappy), 17):
        own = (particle == particle[number]) & (frame <= frame[number]) & (frame >= frame[number] - 2)
        assert found[number] == pytest.approx(np.nanmean(values[own]))


def test_runs_must_start_from_one_configuration():
    first, second = grid_tracks(4, {65: (2, 1.0)}), grid_tracks(4, {30: (2, 1.0)})
    particles, moved = displacements_of_runs([first, second], 3)
    assert moved.shape == (2, 144)
    assert list(particles[moved.argmax(axis=1)]) == [65, 30]
    with pytest.raises(InputError, match="differ in frame 2"):
        displacements_of_runs([first, second], 1, start=2)
