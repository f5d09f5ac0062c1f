"""The native linker: agreement with trackpy, streaming, gaps, prediction, bad input."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import ConfigError, DataError, InputError
from colloid_cg.tracking import TrackConfig, link
from colloid_cg.tracking.linking import Linker, link_reported
from colloid_cg.tracking.trackpy_engine import link_points
from colloid_cg.video import open_video
from tests.tracking.linked_worlds import free_particles, recall, scored, settings, successors


def by_trackpy(table: pd.DataFrame, search_range: float, memory: int) -> pd.DataFrame:
    """The table, sorted by frame, with trackpy's particles."""
    ordered = table.sort_values("frame", kind="stable").reset_index(drop=True)
    ids = link_points(ordered, search_range=search_range, memory=memory, adaptive_stop=None, adaptive_step=0.95)
    return ordered.assign(particle=ids)


def run(linker: Linker, table: pd.DataFrame, frames: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    """Particles and confidences of some frames, one after the other."""
    parts = [linker.add(frame, table.loc[table["frame"] == frame, ["x", "y"]].to_numpy()) for frame in frames]
    return np.concatenate([part.particle for part in parts]), np.concatenate([part.confidence for part in parts])


@pytest.mark.parametrize("memory", [0, 3])
@pytest.mark.parametrize(("step", "search_range"), [(0.8, 3.0), (2.0, 6.0), (3.0, 7.0)])
def test_links_and_tracks_are_those_of_trackpy(step: float, search_range: float, memory: int) -> None:
    table = free_particles(1, n=300, edge=300, n_frames=15, step=step, missed=0.1, false=0.05)
    native = link(table, settings(search_range, memory=memory))
    reference = by_trackpy(table, search_range, memory)
    assert native["particle"].nunique() == reference["particle"].nunique()
    assert successors(native, "particle").equals(successors(reference, "particle"))


def test_empty_frames_count_as_in_trackpy() -> None:
    table = free_particles(2, n=100, edge=300, n_frames=20, step=1.0)
    table = table[~table["frame"].isin([5, 6, 11, 12, 13])]
    for memory in (1, 2, 3):
        native, reference = link(table, settings(5.0, memory=memory)), by_trackpy(table, 5.0, memory)
        assert successors(native, "particle").equals(successors(reference, "particle"))


@pytest.mark.data
def test_links_of_the_water_movie_are_those_of_trackpy(data: Path) -> None:
    # dark spheres found with trackpy's published settings in the first frames
    from colloid_cg.tracking import locate

    stack = open_video(data / "bulk_water" / "bulk_water_green.tif", pixel_size="0.35 um", frame_interval="42 ms")
    config = settings(
        5.0, engine="trackpy", precision="trackpy", diameter=11, invert=True, minmass=20.0, separation=12.0
    )
    found = locate(stack, config, stop=12)
    native, reference = link(found, settings(5.0, memory=3)), by_trackpy(found, 5.0, 3)
    assert len(native) > 5000
    assert native["particle"].nunique() == reference["particle"].nunique()
    assert successors(native, "particle").equals(successors(reference, "particle"))


def test_equal_distances_are_decided_the_same_way_every_time() -> None:
    x, y = np.meshgrid(np.arange(12.0), np.arange(12.0))
    grid = np.column_stack([x.ravel(), y.ravel()])
    moved = grid + np.array([0.5, 0.0])
    linker = Linker(settings(1.0))
    linker.add(0, grid)
    links = linker.add(1, moved)
    assert len(set(links.particle)) == len(grid)
    again = Linker(settings(1.0))
    again.add(0, grid)
    assert np.array_equal(again.add(1, moved).particle, links.particle)
    # a row of 12 half a step further: 12 or 11 links of cost 1/4, never the cross links of the next row
    kept = links.particle < len(grid)
    assert kept.sum() >= 11 * 12
    assert (grid[kept, 1] == grid[links.particle[kept], 1]).all()


@pytest.mark.parametrize("prediction", ["none", "drift", "velocity", "affine"])
def test_a_linker_goes_on_from_its_state_byte_for_byte(prediction: str) -> None:
    table = free_particles(3, n=200, edge=200, n_frames=24, step=1.5, missed=0.15, false=0.05)
    config = settings(5.0, memory=2, gap_growth=0.5, prediction=prediction)
    particle, confidence = run(Linker(config), table, range(24))
    for cut in (1, 2, 9, 17):
        first = Linker(config)
        begun = run(first, table, range(cut))
        second = Linker.restored(config, {name: values.copy() for name, values in first.state().items()})
        rest = run(second, table, range(cut, 24))
        run(first, table, range(cut, 24))  # a state is a copy: going on does not change it
        assert np.concatenate([begun[0], rest[0]]).tobytes() == particle.tobytes()
        assert np.concatenate([begun[1], rest[1]]).tobytes() == confidence.tobytes()
        ends = first.state(), second.state()
        assert all(ends[0][name].tobytes() == ends[1][name].tobytes() for name in ends[0] | ends[1])


def test_the_state_does_not_grow_with_the_movie() -> None:
    table = free_particles(4, n=100, edge=150, n_frames=120, step=1.5, missed=0.15, false=0.05)
    linker = Linker(settings(5.0, memory=3, gap_growth=0.5))
    sizes = []
    for frame in range(120):
        run(linker, table, [frame])
        sizes.append(sum(values.nbytes for values in linker.state().values()))
    assert max(sizes[60:]) < 1.3 * max(sizes[10:40])


def test_the_search_range_grows_with_the_gap() -> None:
    start = np.array([[10.0, 10.0], [40.0, 40.0]])
    moved = start + np.array([[5.0, 0.0], [0.0, 0.0]])
    for growth, expected in ((0.0, [2, 1]), (0.5, [0, 1]), (1.0, [0, 1])):
        linker = Linker(settings(3.0, memory=3, gap_growth=growth))
        linker.add(0, start)
        linker.add(1, start[1:])
        linker.add(2, start[1:])
        assert linker.add(3, moved).particle.tolist() == expected


def test_a_particle_missed_before_does_not_take_the_detection_of_one_that_was_not() -> None:
    # steps of about 1 px per axis; the track at 0 was missed for two frames, the one at 4 was not; a detection between
    rng = np.random.default_rng(5)
    others = np.column_stack([np.arange(60) * 40.0 + 100.0, np.full(60, 200.0)])
    linker = Linker(settings(4.0, memory=3, gap_growth=0.5))
    pair = np.array([[0.0, 0.0], [4.0, 0.0]])
    for frame in range(10):
        shown = pair if frame < 8 else pair[1:]
        linker.add(frame, np.vstack([shown, others + rng.normal(0, 0.7, others.shape)]))
    links = linker.add(10, np.vstack([[[1.9, 0.0]], others]))
    assert links.particle[0] == 1


def test_more_true_links_with_a_growing_range_where_many_are_missed() -> None:
    table = free_particles(6, n=400, edge=400, n_frames=25, step=2.0, missed=0.2, false=0.05)
    fixed = link(table, settings(7.0, memory=3))
    growing = link(table, settings(7.0, memory=3, gap_growth=0.5))
    assert recall(growing) > recall(fixed) + 0.005
    assert scored(growing)["right"].mean() > scored(fixed)["right"].mean() - 0.005


@pytest.mark.parametrize("shaking", [False, True])
def test_prediction_follows_a_stage_that_drifts_or_shakes_farther_than_half_the_spacing(shaking: bool) -> None:
    table = free_particles(7, n=400, edge=400, n_frames=14, step=0.7)
    frame = table["frame"].to_numpy()
    offset = 4.5 * (np.where(frame % 2, 1.0, -1.0) if shaking else frame)
    moving = table.assign(x=table["x"] + offset)
    assert recall(link(moving, settings(6.0))) < 0.97
    # 9 px back and forth is beyond the search range: only the motion of the same step can tell
    assert recall(link(moving, settings(10.0 if shaking else 6.0, prediction="drift"))) > 0.985


def test_a_sample_at_rest_is_linked_alike_with_and_without_prediction() -> None:
    table = free_particles(8, n=300, edge=300, n_frames=10, step=1.0)
    still, drifting = link(table, settings(4.0)), link(table, settings(4.0, prediction="drift"))
    assert abs(recall(still) - recall(drifting)) < 0.003


def test_prediction_by_velocity_follows_particles_that_fly() -> None:
    table = free_particles(9, n=1500, edge=400, n_frames=1, step=0.0)
    velocity = np.random.default_rng(9).uniform(-6, 6, (1500, 2))[table["truth"]]
    frames = []
    for frame in range(12):
        flown = 0.05 * frame**2  # slowly at first: a velocity must be seen before it can be used
        frames.append(
            table.assign(frame=frame, x=table["x"] + flown * velocity[:, 0], y=table["y"] + flown * velocity[:, 1])
        )
    flying = pd.concat(frames, ignore_index=True)
    plain, predicted = recall(link(flying, settings(9.0))), recall(link(flying, settings(9.0, prediction="velocity")))
    assert plain < 0.97
    assert predicted > 0.99


def jammed(data: Path) -> pd.DataFrame:
    """Discs of the shear experiment, rows shuffled within each of the 14 frames."""
    rng = np.random.default_rng(0)
    tables = []
    for frame, path in enumerate(sorted((data / "jammed_shear").glob("*ParticleData.dlm"))):
        rows = rng.permutation(np.loadtxt(path, delimiter=","))
        tables.append(pd.DataFrame({"frame": frame, "truth": rows[:, 0].astype(int), "x": rows[:, 1], "y": rows[:, 2]}))
    return pd.concat(tables, ignore_index=True)


@pytest.mark.data
def test_the_ids_of_sheared_discs_are_recovered(data: Path) -> None:
    table = jammed(data)
    for prediction in ("none", "drift", "affine"):
        linked, report = link_reported(table, settings(50.0, prediction=prediction))
        assert recall(linked) == 1.0
        assert report.n_tracks == 826
        assert report.warning is not None


@pytest.mark.data
def test_prediction_by_strain_links_shear_that_a_drift_does_not(data: Path) -> None:
    table = jammed(data)
    coarse = table[table["frame"] % 6 == 0].assign(frame=lambda rows: rows["frame"] // 6)
    assert recall(link(coarse, settings(15.0, prediction="drift"))) < 0.6
    assert recall(link(coarse, settings(15.0, prediction="affine"))) > 0.98


def test_a_search_range_beyond_the_spacing_is_warned_of_and_links_thousands_in_one_group() -> None:
    table = free_particles(10, n=3000, edge=300, n_frames=3, step=0.4)
    linked, report = link_reported(table, settings(15.0))
    assert report.spacing == pytest.approx(0.5 * 300 / np.sqrt(3000), rel=0.1)
    assert report.warning is not None
    assert "track.search_range = 15 px is more than half" in report.warning
    assert recall(linked) > 0.97
    assert link_reported(table, settings(1.2))[1].warning is None


def test_three_dimensions() -> None:
    table = free_particles(11, n=300, edge=60, n_frames=8, step=0.6, missed=0.05, dimension=3)
    linked = link(table, settings(3.0, memory=1))
    assert recall(linked) > 0.97
    assert recall(linked) > recall(link(table.drop(columns="z"), settings(3.0, memory=1))) + 0.1


def test_empty_frames_and_single_particles() -> None:
    linker = Linker(settings(2.0, memory=1))
    assert len(linker.add(0, np.empty((0, 2))).particle) == 0
    assert linker.add(1, np.array([[5.0, 5.0]])).particle.tolist() == [0]
    assert len(linker.add(2, np.empty((0, 2))).particle) == 0
    links = linker.add(3, np.array([[5.5, 5.0]]))
    assert links.particle.tolist() == [0]
    assert 0.0 < links.confidence[0] < 1.0
    assert linker.add(6, np.array([[5.5, 5.0]])).particle.tolist() == [1]
    assert linker.n_tracks == 2


def test_bad_input_is_refused() -> None:
    linker = Linker(settings(2.0))
    linker.add(3, np.zeros((1, 2)))
    with pytest.raises(InputError, match="frame 3 after frame 3"):
        linker.add(3, np.zeros((1, 2)))
    with pytest.raises(InputError, match="two or three coordinates"):
        linker.add(4, np.zeros(5))
    with pytest.raises(DataError, match="not finite"):
        linker.add(4, np.array([[np.nan, 1.0]]))
    with pytest.raises(ConfigError, match=r"track\.search_range"):
        Linker(TrackConfig())
