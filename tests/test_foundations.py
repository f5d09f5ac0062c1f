"""Errors, units, settings, seeds and records."""

from __future__ import annotations

import pickle
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colloid_cg.errors import ConfigError, DataError, InputError
from colloid_cg.records import Box, EventTable, FrameStack, Trajectories
from colloid_cg.seeding import generator
from colloid_cg.settings import Settings
from colloid_cg.states import from_trajectories, split_by_time
from colloid_cg.units import micrometres, seconds


class Example(Settings):
    table: ClassVar[str] = "track"
    diameter: int = 9
    minmass: float | None = None


def make_tracks(frames: list[int], particles: list[int], n_frames: int = 20) -> Trajectories:
    n = len(frames)
    table = pd.DataFrame({"frame": frames, "particle": particles, "x": np.arange(n) + 0.5, "y": np.zeros(n)})
    view = Box(lower=(-0.5, -0.5), upper=(99.5, 99.5), periodic=(False, False))
    return Trajectories(table=table, pixel_size=0.5, frame_interval=0.1, field_of_view=view, n_frames=n_frames)


@pytest.mark.parametrize(
    ("text", "value"), [("108 nm", 0.108), ("0.108 um", 0.108), ("0.108 µm", 0.108), (0.2, 0.2), ("0.3", 0.3)]
)
def test_lengths(text: str | float, value: float) -> None:
    assert micrometres(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["10 kg", "ten", "-3 um", 0.0, float("nan"), "", "5 ms"])
def test_no_length(text: str | float) -> None:
    with pytest.raises(ConfigError, match=r"0\.108 um"):
        micrometres(text)


def test_times() -> None:
    assert seconds("10 ms") == pytest.approx(0.01, rel=1e-12)


def test_an_unknown_setting_names_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match=r"'track.diametr'.*did you mean 'track.diameter'"):
        Example.parse({"diametr": 11})


def test_a_wrong_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"track\.diameter = 'large'"):
        Example(diameter="large")  # type: ignore[arg-type]


def test_settings_are_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        Example().diameter = 3  # type: ignore[misc]


def test_errors_survive_a_process_boundary() -> None:
    error = InputError("a", expected="b", action="c")
    assert str(pickle.loads(pickle.dumps(error))) == "Found a; expected b; c."


def test_streams_differ_by_name_and_repeat() -> None:
    first, again, other = (generator(1, name).random() for name in ("fit", "fit", "simulate"))
    assert first == again
    assert first != other


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=2), st.integers(-3, 3), st.integers(-3, 3))
def test_periodic_distance_does_not_know_images(start: list[float], i: int, j: int) -> None:
    box = Box(lower=(0.0, -1.0), upper=(7.0, 4.0), periodic=(True, True))
    a = np.array([start])
    b = a + np.array([[1.25, -0.75]])
    image = b + np.array([[7.0 * i, 5.0 * j]])
    np.testing.assert_allclose(box.displacement(a, image), [[1.25, -0.75]], atol=1e-12)
    assert (box.wrap(image) >= np.array(box.lower) - 1e-12).all()
    assert (box.wrap(image) <= np.array(box.upper) + 1e-12).all()


def test_open_axes_are_left_alone() -> None:
    box = Box(lower=(0.0, 0.0), upper=(10.0, 10.0), periodic=(True, False))
    np.testing.assert_allclose(box.displacement(np.array([[1.0, 1.0]]), np.array([[9.0, 9.0]])), [[-2.0, 8.0]])
    np.testing.assert_allclose(box.edge_distance(np.array([[1.0, 3.0]])), [3.0])


def test_a_gap_breaks_the_link() -> None:
    series = from_trajectories(make_tracks([0, 1, 3, 0, 1], [0, 0, 0, 1, 1]))
    rows = {
        (int(p), round(float(t), 6)): k
        for k, (p, t) in enumerate(zip(series.particle, np.repeat(series.times, np.diff(series.offsets)), strict=True))
    }
    assert series.following[rows[0, 0.0]] == rows[0, 0.1]
    assert series.following[rows[0, 0.1]] == -1
    assert series.previous[rows[0, 0.3]] == -1
    assert series.n_frames == 4


def test_blocks_are_disjoint_and_complete() -> None:
    tracks = make_tracks(list(range(20)), [0] * 20)
    train, select, test = split_by_time(tracks, (0.5, 0.25, 0.25))
    assert [len(part) for part in (train, select, test)] == [10, 5, 5]
    joined = pd.concat([part.table for part in (train, select, test)])
    assert joined["frame"].tolist() == list(range(20))


def test_too_short_a_movie_cannot_be_split() -> None:
    with pytest.raises(DataError, match="longer movie"):
        split_by_time(make_tracks([0, 1, 2], [0, 0, 0], n_frames=3))


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (0.5, 0.5)])
def test_wrong_fractions(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="adding up to 1"):
        split_by_time(make_tracks(list(range(20)), [0] * 20), fractions)


def test_a_particle_twice_in_a_frame_is_refused() -> None:
    with pytest.raises(InputError, match="particle 3 twice in frame 1"):
        make_tracks([0, 1, 1], [3, 3, 3])


def test_nan_positions_are_refused() -> None:
    table = pd.DataFrame({"frame": [0], "particle": [0], "x": [np.nan], "y": [0.0]})
    with pytest.raises(InputError, match="NaN"):
        make_tracks([0], [0]).with_table(table)


def test_frames_of_another_size_and_nan_pixels_are_refused() -> None:
    class Reader:
        def read(self, index: int) -> np.ndarray:
            return [np.zeros((4, 5)), np.zeros((4, 6)), np.full((4, 5), np.nan)][index]

    stack = FrameStack(reader=Reader(), n_frames=3, height=4, width=5, dtype=np.dtype(float), source="movie")
    assert stack[0].shape == (4, 5)
    with pytest.raises(InputError, match="frame 1 of shape"):
        stack[1]
    with pytest.raises(InputError, match="NaN"):
        stack[2]


def test_an_empty_event_table_has_its_columns() -> None:
    assert len(EventTable.empty()) == 0
    assert {"event", "q_value", "particles"} <= set(EventTable.empty().table.columns)
