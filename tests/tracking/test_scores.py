"""Scores against cases by hand, all assignments tried one by one, and planted errors."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment

import colloid_cg as cg
from colloid_cg.errors import InputError
from colloid_cg.records import Box
from colloid_cg.tracking import links_by_step, match_detections, score_links_of_rows
from colloid_cg.tracking.scores.matching import best_pairing

VIEW = Box(lower=(-0.5, -0.5), upper=(99.5, 99.5), periodic=(False, False))


def table_of(*tracks):
    """Tracks as (first frame, list of x) with y = 0; None is a missing point."""
    rows = [
        (start + k, particle, x, 0.0)
        for particle, (start, values) in enumerate(tracks)
        for k, x in enumerate(values)
        if x is not None
    ]
    return pd.DataFrame(rows, columns=["frame", "particle", "x", "y"])


def random_tracks(rng, n_tracks, *, n_frames=6, size=12.0):
    rows = []
    for particle in range(n_tracks):
        start, stop = np.sort(rng.choice(n_frames + 1, 2, replace=False))
        place = rng.uniform(0, size, 2) + rng.normal(0, 0.8, (n_frames, 2)).cumsum(axis=0)
        rows += [(t, particle, *place[t]) for t in range(start, stop) if rng.random() > 0.15 or t == start]
    return pd.DataFrame(rows, columns=["frame", "particle", "x", "y"])


def noisy(truth, rng):
    """The true tracks with noise, some points lost, some identities exchanged, some false points added."""
    table = truth[rng.random(len(truth)) > 0.2].copy()
    table[["x", "y"]] += rng.normal(0, 0.5, (len(table), 2))
    cut = rng.integers(1, 5)
    later = table["frame"] >= cut
    names = rng.permutation(int(truth["particle"].max()) + 3)
    table.loc[later, "particle"] = names[table.loc[later, "particle"]]
    return table.drop_duplicates(["frame", "particle"]).reset_index(drop=True)


def by_definition(truth, estimate, gate):
    """Every one-to-one pairing of true with estimated or empty tracks, tried one by one."""
    frames = range(-1, 20)
    real, found = (
        [
            {int(row.frame): np.array([row.x, row.y]) for row in group.itertuples()}
            for _, group in table.groupby("particle")
        ]
        for table in (truth, estimate)
    )

    def distance(a, b):
        total = 0.0
        for t in frames:
            if t in a and t in b:
                total += min(float(np.linalg.norm(a[t] - b[t])), gate)
            elif t in a or t in b:
                total += gate
        return total

    empty = [{}] * len(real)
    # Empty tracks first: of two pairings that cost the same, min() keeps the one with an empty track.
    candidates = [*empty, *found]
    cost = [[distance(a, b) for b in candidates] for a in real]
    best = min(
        permutations(range(len(candidates)), len(real)),
        key=lambda order: round(sum(row[k] for row, k in zip(cost, order, strict=True)), 9),
    )
    paired = [(a, k - len(empty)) for a, k in zip(real, best, strict=True) if k >= len(empty)]
    total = sum(distance(a, candidates[k]) for a, k in zip(real, best, strict=True))
    nothing = sum(distance(a, {}) for a in real)
    spurious = sum(distance({}, b) for k, b in enumerate(found) if k not in {k for _, k in paired})
    errors = [float(np.linalg.norm(a[t] - found[k][t])) for a, k in paired for t in a if t in found[k]]
    errors = [error for error in errors if error < gate]
    n, m = len(truth), len(estimate)
    return {
        "alpha": 1 - total / nothing,
        "beta": (nothing - total) / (nothing + spurious),
        "jsc": len(errors) / (n + m - len(errors)),
        "jsc_theta": len(paired) / (len(real) + len(found) - len(paired)),
        "rmse": np.sqrt(np.mean(np.square(errors))) if errors else np.nan,
    }


@pytest.mark.parametrize("seed", range(40))
def test_track_scores_equal_all_assignments_tried_one_by_one(seed):
    rng = np.random.default_rng(seed)
    truth = random_tracks(rng, 4)
    estimate = noisy(truth, rng)
    gate = float(rng.uniform(1.0, 5.0))
    found = cg.score_tracks(truth, estimate, gate=gate).as_dict()
    for name, value in by_definition(truth, estimate, gate).items():
        assert found[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name


def test_track_scores_by_hand():
    truth = table_of((0, [0.0, 0.0, 0.0, 0.0]), (0, [50.0, 50.0]))
    estimate = table_of((0, [3.0, 0.0, 0.0, 90.0]), (1, [20.0, 20.0, 20.0]))
    scores = cg.score_tracks(truth, estimate, gate="5 px")
    # First pair: 3 + 0 + 0 + 5; second true track alone: 2 x 5; of 30 for nothing found. Spurious: 3 points x 5.
    assert scores.alpha == pytest.approx(12 / 30)
    assert scores.beta == pytest.approx(12 / 45)
    assert (scores.matched, scores.missed, scores.spurious) == (3, 3, 4)
    assert scores.jsc == pytest.approx(3 / 10)
    assert scores.jsc_theta == pytest.approx(1 / 3)
    assert scores.rmse == pytest.approx(np.sqrt(3.0))
    assert (scores.min_distance, scores.max_distance) == (0.0, 3.0)
    assert scores.sd_distance == pytest.approx(np.sqrt(2.0))


def test_perfect_empty_and_exchanged_tracks():
    rng = np.random.default_rng(1)
    truth = random_tracks(rng, 30, size=200.0)
    perfect = cg.score_tracks(truth, truth.assign(particle=99 - truth["particle"]), gate="5 px")
    assert (perfect.alpha, perfect.beta, perfect.jsc, perfect.jsc_theta, perfect.rmse) == (1.0, 1.0, 1.0, 1.0, 0.0)
    empty = cg.score_tracks(truth, truth.iloc[:0], gate="5 px")
    assert (empty.alpha, empty.beta, empty.jsc, empty.jsc_theta) == (0.0, 0.0, 0.0, 0.0)
    assert np.isnan(empty.rmse)
    nothing = cg.score_tracks(truth.iloc[:0], truth, gate="5 px")
    assert np.isnan(nothing.alpha)
    assert nothing.beta == nothing.jsc == 0.0
    # Two particles far apart that exchange their names after 6 of 10 frames: each pair keeps its longer part.
    pair = table_of((0, [0.0] * 10), (0, [50.0] * 10))
    exchanged = pair.assign(particle=np.where(pair["frame"] >= 6, 1 - pair["particle"], pair["particle"]))
    scores = cg.score_tracks(pair, exchanged, gate="5 px")
    assert (scores.alpha, scores.beta) == (pytest.approx(0.6), pytest.approx(0.6))
    assert (scores.jsc, scores.jsc_theta) == (pytest.approx(12 / 28), 1.0)


def test_a_match_is_closer_than_the_gate_and_gates_have_names():
    truth = table_of((0, [0.0, 0.0, 0.0]))
    at_gate = truth.assign(x=[0.0, 0.0, 2.25])
    assert cg.score_tracks(truth, at_gate, gate="d/4", diameter=9).matched == 2
    assert cg.score_tracks(truth, at_gate, gate=2.2501).matched == 3
    assert cg.score_tracks(truth, at_gate, gate="5 px").gate == 5.0
    for gate in ("d/4", "d/3", 0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="gate"):
            cg.score_tracks(truth, at_gate, gate=gate)
    with pytest.raises(InputError, match="twice in a frame"):
        cg.score_tracks(truth, pd.concat([truth, truth]), gate=1.0)
    with pytest.raises(InputError, match="without frame, x, y"):
        cg.score_detections(truth, pd.DataFrame({"a": [1]}), gate=1.0)


def test_best_pairing_is_exact_for_chains_of_any_length():
    rng = np.random.default_rng(2)
    for n in (5, 60):
        dense = np.where(rng.random((n, n)) < 3 / n, rng.uniform(-0.2, 1.0, (n, n)), 0.0)
        row, column = np.nonzero(dense)
        chosen = best_pairing(row, column, dense[row, column])
        assert len(set(row[chosen])) == len(set(column[chosen])) == len(chosen)
        kept = np.maximum(dense, 0.0)
        best = kept[linear_sum_assignment(kept, maximize=True)].sum()
        assert dense[row, column][chosen].sum() == pytest.approx(best, rel=1e-12)
    # One chain of 20000 links in which the greedy choice is wrong everywhere.
    n = 10_000
    row = np.r_[np.arange(n), np.arange(n)]
    column = np.r_[np.arange(n), np.arange(n) + 1]
    chosen = best_pairing(row, column, np.r_[np.full(n, 1.0), np.full(n, 1.0001)])
    assert len(chosen) == n
    assert (chosen >= n).all()


def test_track_scores_are_fast_enough_for_a_movie():
    """5000 tracks x 100 frames in a dense field, names exchanged so often that all tracks hang together."""
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(np.arange(71), np.arange(71)), axis=-1).reshape(-1, 2)[:5000] * 9.0
    frame, particle = np.divmod(np.arange(500_000), 5000)
    place = grid[particle] + rng.normal(0, 0.7, (500_000, 2))
    truth = pd.DataFrame({"frame": frame, "particle": particle, "x": place[:, 0], "y": place[:, 1]})
    names = particle.copy()
    for cut in range(10, 100, 10):
        near = np.arange(5000)
        swap = rng.permutation(2499)[:500] * 2
        near[swap], near[swap + 1] = swap + 1, swap
        names = np.where(frame >= cut, near[names], names)
    estimate = truth.assign(particle=names)
    scores = cg.score_tracks(truth, estimate, gate="d/4", diameter=9)
    assert scores.jsc_theta > 0.99
    assert 0.5 < scores.alpha < 0.95
    links = score_links_of_rows(frame, particle, names)
    assert links.n_switches == 9 * 1000
    assert links.recall == links.precision == 1 - 9000 / (99 * 5000)


def test_detection_scores_of_planted_errors():
    rng = np.random.default_rng(4)
    place = rng.uniform(2, 97, (200, 200, 2))
    frame = np.repeat(np.arange(200), 200)
    truth = pd.DataFrame({"frame": frame, "x": place[..., 0].ravel(), "y": place[..., 1].ravel()})
    sigma = rng.uniform(0.02, 0.08, len(truth))
    estimate = truth.assign(sigma_x=sigma, sigma_y=2 * sigma)
    lock = 0.05 * np.sin(2 * np.pi * truth["x"])
    estimate["x"] += rng.normal(size=len(truth)) * sigma * 1.25 + lock + 0.01
    estimate["y"] += rng.normal(size=len(truth)) * sigma * 2.5
    lost = rng.random(len(truth)) < 0.1
    false = pd.DataFrame({"frame": np.arange(200), "x": 500.0, "y": 500.0})
    scores = cg.score_detections(truth, pd.concat([estimate[~lost], false], ignore_index=True), gate=1.0)
    assert scores.missed == pytest.approx(lost.sum(), abs=20)
    assert scores.spurious == pytest.approx(200, abs=20)
    assert scores.recall == pytest.approx(scores.matched / 40_000)
    assert scores.precision == pytest.approx(scores.matched / (scores.matched + scores.spurious))
    assert scores.bias[0] == pytest.approx(0.01, abs=0.003)
    # A sine of amplitude a has the mean square a^2/2, bins of a tenth keep sinc^2(.1) of it, and y has none.
    expected = 0.05 * np.sqrt(0.5 * np.sinc(0.1) ** 2 / 2)
    assert scores.phase_bias == pytest.approx(expected, rel=0.05)
    np.testing.assert_allclose(scores.phase_bias_y, 0.0, atol=0.01)
    assert scores.phase_bias_x[0] == pytest.approx(-0.05 * np.sin(2 * np.pi * 0.05) * np.sinc(0.1), abs=0.03)


def test_stated_against_true_errors():
    rng = np.random.default_rng(5)
    x, y = (part.ravel() for part in np.meshgrid(np.arange(300) * 4.0, np.arange(100) * 4.0))
    truth = pd.DataFrame({"frame": 0, "x": x, "y": y}) + rng.uniform(0, 1, (len(x), 3)) * [0, 1, 1]
    sigma = rng.uniform(0.05, 0.2, len(truth))
    estimate = truth + pd.DataFrame({"frame": 0, "x": rng.normal(0, sigma), "y": rng.normal(0, sigma)})
    honest = cg.score_detections(truth, estimate.assign(sigma_x=sigma, sigma_y=sigma), gate=2.0)
    assert honest.recall == honest.precision == honest.jaccard == 1.0
    for value, expected in (
        (honest.stated_over_true, 1.0),
        (honest.z_sd, 1.0),
        (honest.z_robust, 1.0),
        (honest.z_within_1, 0.6827),
        (honest.z_within_2, 0.95),
    ):
        assert value == pytest.approx(expected, abs=0.015)
    assert abs(honest.z_kurtosis) < 0.1
    assert honest.phase_bias < 0.01
    half = estimate.assign(sigma_x=sigma / 2, sigma_y=sigma / 2)
    half.loc[::3, "sigma_x"] = np.nan
    bold = cg.score_detections(truth, half, gate=2.0)
    assert bold.stated_over_true == pytest.approx(0.5, abs=0.01)
    assert bold.z_sd == pytest.approx(2.0, abs=0.03)
    assert bold.unstated == 10_000
    silent = cg.score_detections(truth, estimate, gate=2.0)
    assert np.isnan(silent.stated_over_true)
    assert silent.unstated == silent.matched


def test_nothing_counts_within_the_border():
    truth = pd.DataFrame({"frame": 0, "x": [50.0, 3.0, 9.8, 20.0], "y": 50.0})
    estimate = pd.DataFrame({"frame": 0, "x": [50.1, 10.2, 60.0, 2.0, 96.0], "y": 50.0})
    scores = cg.score_detections(truth, estimate, gate=1.5, border=10.5, view=VIEW)
    # 9.8 lies in the border: its partner at 10.2 is neither right nor wrong; 20 is missed, 60 is false.
    assert (scores.matched, scores.missed, scores.spurious) == (1, 1, 1)
    whole = cg.score_detections(truth, estimate, gate=1.5)
    assert (whole.matched, whole.missed, whole.spurious) == (3, 1, 2)
    with pytest.raises(InputError, match="without a view"):
        cg.score_detections(truth, estimate, gate=1.5, border=3.0)


def test_matches_are_one_to_one_and_best_in_sum():
    truth = pd.DataFrame({"frame": [0, 0, 1], "x": [0.0, 3.0, 0.0], "y": 0.0})
    estimate = pd.DataFrame({"frame": [0, 0, 1, 1], "x": [2.0, 4.5, 2.0, 0.5], "y": 0.0})
    # The nearest true point of 2.0 is 3.0; 2 + 1.5 in two pairs is better than 1 and two lonely points (1 + 4).
    np.testing.assert_array_equal(match_detections(truth, estimate, gate=4.0), [0, 1, -1, 2])


def test_links_by_hand():
    frame = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    truth = np.array([0, 1, 0, 1, 0, -1, 0, 1])
    found = np.array([5, 6, 5, 6, 5, 6, 6, 5])
    scores = score_links_of_rows(frame, truth, found)
    # True: 0-0-0-0 and 1-1, and 1 .. 1 over a gap. Found: 5: 0-0-0-1; 6: 1-1-false-0.
    assert (scores.n_true, scores.n_found, scores.n_correct) == (4, 6, 3)
    assert (scores.n_true_gaps, scores.n_found_gaps, scores.n_correct_gaps) == (1, 0, 0)
    assert (scores.recall, scores.precision) == (0.75, 0.5)
    assert scores.n_switches == 1
    assert (scores.n_true_tracks, scores.n_found_tracks) == (2, 2)
    steps = links_by_step(frame, truth, found)
    assert steps["frame"].tolist() == [0, 1, 2]
    assert steps["recall"].tolist() == [1.0, 1.0, 0.0]
    assert steps["precision"].tolist() == [1.0, 0.5, 0.0]
    bridged = score_links_of_rows(frame, truth, np.where(truth < 0, 9, truth))
    assert (bridged.recall, bridged.precision, bridged.recall_gaps, bridged.precision_gaps) == (1.0, 1.0, 1.0, 1.0)


def test_links_of_tables_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(6)
    truth = random_tracks(rng, 25, size=100.0)
    estimate = noisy(truth, rng)
    scores = cg.score_links(truth, estimate, gate=3.0)
    assert 0.3 < scores.recall < 0.95
    shuffled = cg.score_links(truth.sample(frac=1, random_state=1), estimate.sample(frac=1, random_state=2), gate=3.0)
    assert shuffled == scores
    known = match_detections(truth, estimate, gate=3.0)
    expected = score_links_of_rows(
        estimate["frame"].to_numpy(),
        np.where(known >= 0, truth["particle"].to_numpy()[known], -1),
        estimate["particle"].to_numpy(),
    )
    assert expected == scores
    assert cg.score_links(truth, truth, gate=3.0).recall == 1.0
