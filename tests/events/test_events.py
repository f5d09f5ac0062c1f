"""Event detection: calibrated on noise, silent on affine motion, finds what was planted, real jammed shear."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from colloid_cg.errors import InputError
from colloid_cg.events import EventConfig, detect_events, event_fields
from colloid_cg.neighbors import within
from colloid_cg.observables import d2min
from colloid_cg.records import Box, Trajectories
from tests.events.movies import SPACING, cluster_jump, crystal


@pytest.mark.parametrize("affine", [0.0, 0.01])
def test_p_values_are_uniform_on_a_noisy_crystal_moved_affinely_or_not(affine):
    fields = [event_fields(crystal(seed, affine=affine, size=24, n_frames=40), EventConfig(lag=1)) for seed in range(5)]
    for field in ("d2min", "p_hop"):
        p = np.concatenate([table[f"{field}_p"].dropna() for table in fields])
        assert len(p) > 50_000
        for level in (0.9, 0.5, 0.1, 0.01, 0.001):
            # Windows overlap and neighbours share particles, so the effective number is several times smaller.
            error = np.sqrt(level * (1 - level) / (len(p) / 8))
            assert (p < level).mean() == pytest.approx(level, abs=4 * error)
        assert all(table.attrs["events"][field]["null_fit"] for table in fields)


def test_variance_is_that_of_the_noise():
    fields = event_fields(crystal(1, size=24), EventConfig(lag=1))
    # Displacement noise 2 sigma^2, sigma = .05 um, of both species.
    assert fields.attrs["events"]["d2min"]["variance_um2"] == pytest.approx([2 * 0.05**2] * 2, rel=0.04)
    assert fields.attrs["events"]["d2min"]["dispersion"] < 0.12


@pytest.mark.parametrize("affine", [0.0, 0.01])
def test_noise_only_movies_have_no_events(affine):
    tables = [
        detect_events(crystal(seed, affine=affine, size=16), EventConfig(lag=1, half_window=2)) for seed in range(8)
    ]
    # At level .05 each movie has a chance of at most .05 to show any event: three of eight have 6 in 1000.
    assert sum(len(table) > 0 for table in tables) <= 2
    assert all(table.metadata["n_tests"] > 3000 for table in tables)


def test_species_have_their_own_variance():
    """Noise 1 : 3 between species: with one variance for all, thousands of false alarms."""
    tracks = crystal(3, size=24, n_frames=40, species_noise=(0.25, 0.75))
    fields = event_fields(tracks, EventConfig(lag=1))
    assert fields.attrs["events"]["d2min"]["variance_um2"] == pytest.approx([2 * 0.025**2, 2 * 0.075**2], rel=0.05)
    for field in ("d2min", "p_hop"):
        assert fields.attrs["events"][field]["dispersion"] < 0.25
        assert (fields[f"{field}_p"] < 0.001).mean() < 0.002
    assert len(detect_events(tracks, EventConfig(lag=1), fields=fields)) <= 1
    # Control: with one variance for both, the spread between tests has to take it up.
    mixed = event_fields(tracks.with_table(tracks.table.assign(species=0)), EventConfig(lag=1))
    found = mixed.attrs["events"]["p_hop"]
    assert max(found["dispersion"], found["spread_between_particles"]) > 0.4


def test_particles_that_always_move_more_have_their_own_level():
    """The same two kinds, unknown: over 200 frames the movie itself tells who is who."""
    tracks = crystal(3, size=16, n_frames=200, species_noise=(0.25, 0.75))
    fields = event_fields(tracks.with_table(tracks.table.assign(species=0)), EventConfig(lag=1))
    p = fields["p_hop_p"].dropna()
    for level in (0.1, 0.01, 0.001):
        assert 0.5 * level < (p < level).mean() < 1.6 * level
    assert fields.attrs["events"]["p_hop"]["spread_between_particles"] > 0.8
    # Control: one law for all. Of a p_hop of half window 5 one in a thousand exceeds four times the median.
    value = fields["p_hop"].dropna()
    assert (value > 4 * value.median()).mean() > 0.05


def test_stated_errors_of_single_detections_enter_the_null():
    """One detection in ten is four times as uncertain and says so; kept silent, it passes for rearrangement."""
    rng = np.random.default_rng(4)
    tracks = crystal(4, size=20, n_frames=40, noise=0.3)
    poor = rng.uniform(size=len(tracks)) < 0.1
    table = tracks.table.copy()
    table[["x", "y"]] += np.where(poor, np.sqrt(15.0) * 0.3, 0.0)[:, None] * rng.normal(size=(len(table), 2))
    told = table.assign(sigma_x=np.where(poor, 1.2, 0.3), sigma_y=np.where(poor, 1.2, 0.3))
    stated, silent = (event_fields(tracks.with_table(each), EventConfig(lag=1)) for each in (told, table))
    assert (stated["d2min_p"] < 0.001).mean() < 0.003
    assert (silent["d2min_p"] < 0.001).mean() > 3 * (stated["d2min_p"] < 0.001).mean()
    assert stated.attrs["events"]["d2min"]["stated_noise_variance_um2"][0] == pytest.approx(2 * 0.03**2, rel=0.01)
    assert any("no localisation errors" in text for text in silent.attrs["events"]["d2min"]["warnings"])


@pytest.mark.parametrize("seed", range(4))
def test_planted_rearrangement_is_found_where_and_when_it_happened(seed):
    size = 20
    jump = cluster_jump(size, length=4.0, seed=seed)
    tracks = crystal(seed, size=size, planted=jump, jump_at=15, affine=0.003)
    events = detect_events(tracks, EventConfig(lag=1))
    event = events.table.loc[events.table["p_value"].idxmin()]
    # Others are chance: they must look like it.
    assert (events.table["p_value"].drop(event.name) > 1e-7).all()
    assert len(events) <= 3
    assert [event[name] for name in ("t_on", "t_peak", "t_off")] == [15, 15, 15]
    assert event["id"] == f"15-{event['peak_particle']}"
    assert event["peak_particle"] in jump
    # Seven displaced at random by .4 um: D2min per bond of the best is of the order of its square.
    assert 0.3 < event["amplitude"] < 0.8
    there = tracks.at(15).set_index("particle").loc[list(jump), ["x", "y"]].mean()
    assert np.hypot(event["x"] - there["x"], event["y"] - there["y"]) < SPACING
    assert set(jump) <= set(event["particles"])
    # Neighbours of displaced particles have a changed surrounding too, others not.
    assert event["n_particles"] <= 45
    assert event["q_value"] <= 0.05
    assert event["score"] > 8


def test_recall_grows_with_the_size_of_the_jump():
    found = []
    for length in (0.3, 1.5, 4.0):
        hits = 0
        for seed in range(4):
            tracks = crystal(seed, size=16, n_frames=20, planted=cluster_jump(16, length=length, seed=seed), jump_at=10)
            hits += len(detect_events(tracks, EventConfig(lag=1))) > 0
        found.append(hits)
    assert found[0] == 0
    assert found[2] == 4
    assert found[0] <= found[1] <= found[2]


@pytest.mark.parametrize("lag", [1, 4])
def test_d2min_is_written_at_the_middle_frame_and_equals_the_plain_function(lag):
    tracks = crystal(5, n_frames=12)
    fields = event_fields(tracks, EventConfig(lag=lag, cutoff=1.6))
    first = 3
    before, after = (tracks.positions[(tracks.table["frame"] == frame).to_numpy()] for frame in (first, first + lag))
    expected = d2min(before, after, within(before, 1.6, tracks.box))
    found = fields.loc[fields["frame"] == first + (lag + 1) // 2, "d2min"].to_numpy()
    inside = np.isfinite(found)
    assert 150 < inside.sum() < 400
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-12)
    # Where it is missing, the neighbourhood reaches beyond the view or is too small.
    near = tracks.box.edge_distance(before) < 1.6
    assert not inside[near].any()


def test_missing_detections_give_nan_and_never_a_wrong_neighbourhood():
    tracks = crystal(6, n_frames=12)
    victim, frame = 210, 6
    gone = tracks.with_table(tracks.table[~((tracks.table["particle"] == victim) & (tracks.table["frame"] == frame))])
    config = EventConfig(lag=1, cutoff=1.3, min_share=0.9, half_window=2)
    whole, holed = (event_fields(t, config).set_index(["frame", "particle"]) for t in (tracks, gone))
    assert np.isnan(holed.loc[(frame + 1, victim), "d2min"])
    assert holed.loc[(frame - 2, victim), "d2min"] == whole.loc[(frame - 2, victim), "d2min"]
    for neighbor in (victim - 1, victim + 1):
        # One of six neighbours is missing after the step: share 5/6 is below .9.
        assert np.isnan(holed.loc[(frame, neighbor), "d2min"])
        assert np.isfinite(holed.loc[(frame + 2, neighbor), "d2min"])
    lenient = event_fields(gone, EventConfig(lag=1, cutoff=1.3, min_share=0.8)).set_index(["frame", "particle"])
    assert np.isfinite(lenient.loc[(frame, victim + 1), "d2min"])
    window = holed["p_hop"].unstack()[victim]
    assert window.loc[5:8].isna().all()
    assert np.isfinite(window.loc[[4, 9]]).all()


def test_liquid_has_few_events_and_a_fitting_null():
    rng = np.random.default_rng(7)
    n_frames, n_particles = 80, 250
    start = rng.uniform(0, 100, (n_particles, 2))
    path = (
        start
        + np.cumsum(rng.normal(0, 0.4, (n_frames, n_particles, 2)), axis=0)
        + rng.normal(0, 0.1, (n_frames, n_particles, 2))
    )
    table = pd.DataFrame(path.reshape(-1, 2), columns=["x", "y"]).assign(
        frame=np.repeat(np.arange(n_frames), n_particles), particle=np.tile(np.arange(n_particles), n_frames)
    )
    seen = table[(table[["x", "y"]] > 0).all(axis=1) & (table[["x", "y"]] < 100).all(axis=1)]
    view = Box(lower=(0.0, 0.0), upper=(100.0, 100.0), periodic=(False, False))
    tracks = Trajectories(table=seen, pixel_size=0.1, frame_interval=0.1, field_of_view=view, n_frames=n_frames)
    events = detect_events(tracks)
    assert len(events) == 0
    assert events.metadata["fields"]["averaged_frames"] == 5
    assert events.metadata["null_fit"]
    (variance,) = events.metadata["fields"]["d2min"]["variance_um2"]
    # Between means over w frames that adjoin a walk of variance q per step goes q (2 w^2 + 1) / (3 w).
    assert variance == pytest.approx(0.01 * (0.16 * 51 / 15 + 2 * 0.01 / 5), rel=0.06)


def test_same_input_same_output_and_fields_are_reused():
    tracks = crystal(8, planted=cluster_jump(20, length=4.0, seed=1))
    config = EventConfig(lag=1)
    fields = event_fields(tracks, config)
    first, second = detect_events(tracks, config, fields=fields), detect_events(tracks, config)
    pd.testing.assert_frame_equal(first.table, second.table)
    assert first.metadata == second.metadata
    assert set(first.table["source"]) == {"experiment"}
    rollout = detect_events(replace(tracks, metadata={"source": "rollout"}), config, fields=fields)
    assert set(rollout.table["source"]) == {"rollout"}
    with pytest.raises(InputError, match="fields of"):
        detect_events(tracks, config, fields=fields.iloc[1:])


def test_two_events_are_kept_apart_in_space_and_in_time():
    jump = {170: np.array([4.0, 0.0]), 171: np.array([-4.0, 1.0]), 172: np.array([0.0, 4.0])}
    tracks = crystal(9, size=24, n_frames=40, planted=jump, jump_at=10)
    later = tracks.table.copy()
    for particle, vector in {400: (4.0, 0.0), 401: (-4.0, 1.0), 402: (0.0, 4.0)}.items():
        moved = (later["particle"] == particle) & (later["frame"] >= 10)
        later.loc[moved, ["x", "y"]] += list(vector)
    for particle, vector in {170: (-4.0, 0.0), 171: (4.0, -1.0), 172: (0.0, -4.0)}.items():
        moved = (later["particle"] == particle) & (later["frame"] >= 30)
        later.loc[moved, ["x", "y"]] += list(vector)
    events = detect_events(tracks.with_table(later), EventConfig(lag=1)).table
    assert len(events) == 3
    assert events["event"].tolist() == [0, 1, 2]
    assert (events["t_peak"] - [10, 10, 30]).abs().max() <= 1


def test_too_short_or_noiseless_movies_are_answered_honestly():
    short = crystal(10, n_frames=2).between(0, 1)
    events = detect_events(short)
    assert len(events) == 0
    assert not events.metadata["null_fit"]
    assert any("too few" in text for text in events.metadata["warnings"])
    still = detect_events(crystal(11, noise=0.0, affine=0.01))
    assert len(still) == 0


def test_delaunay_neighbours_work_too():
    tracks = crystal(12, planted=cluster_jump(20, length=4.0, seed=2))
    events = detect_events(tracks, EventConfig(lag=1, neighbors="delaunay"))
    assert len(events) == 1
    assert abs(events.table["t_peak"].iloc[0] - 15) <= 1


def jammed(data) -> Trajectories:
    files = sorted((data / "jammed_shear").glob("*_ParticleData.dlm"))
    table = pd.concat(
        pd.DataFrame(np.loadtxt(file, delimiter=",")[:, :4], columns=["particle", "x", "y", "r"]).assign(frame=step)
        for step, file in enumerate(files)
    )
    table["species"] = (table["r"] > 25).astype(int)
    low, high = table[["x", "y"]].min() - 30, table[["x", "y"]].max() + 30
    view = Box(lower=tuple(low), upper=tuple(high), periodic=(False, False))
    return Trajectories(
        table=table.drop(columns="r"), pixel_size=1.0, frame_interval=1.0, field_of_view=view, n_frames=len(files)
    )


@pytest.mark.data
def test_jammed_shear_total_map_and_d2min_of_every_step(data):
    tracks = jammed(data)
    steps = [tracks.positions[(tracks.table["frame"] == step).to_numpy()] for step in range(14)]
    design = np.column_stack([steps[0], np.ones(826)])
    total = np.linalg.lstsq(design, steps[-1], rcond=None)[0][:2].T
    np.testing.assert_array_equal(np.round(np.diag(total), 3), [1.039, 0.960])
    values = [d2min(a, b, within(a, 130.0, tracks.box)) for a, b in pairwise(steps)]
    medians, largest = [np.median(v) for v in values], [v.max() for v in values]
    assert round(min(medians), 1) == 1.1
    assert round(max(medians), 1) == 1.7
    assert round(min(largest)) == 17
    assert round(max(largest)) == 1034


@pytest.mark.data
def test_jammed_shear_events_are_the_strongest_rearrangements(data):
    tracks = jammed(data)
    config = EventConfig(cutoff=130.0)
    fields = event_fields(tracks, config)
    events = detect_events(tracks, config, fields=fields)
    assert 3 <= len(events) <= 40
    strongest = events.table.loc[events.table["d2min_excess"].idxmax()]
    peak = fields.loc[fields["d2min"].idxmax()]
    assert strongest["t_on"] <= peak["frame"] <= strongest["t_off"]
    assert int(peak["particle"]) in strongest["particles"]
    # Granular steps are not thermal: the spread of mobility is reported, not hidden.
    assert fields.attrs["events"]["d2min"]["dispersion"] > 0.3
    assert events.metadata["warnings"]
    assert stats.spearmanr(fields["d2min"], -fields["d2min_p"], nan_policy="omit").statistic > 0.95
