"""Simulations become trajectories in their own units."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colloid_cg.errors import ConfigError, InputError
from colloid_cg.records import Box, SimulatedFrames
from colloid_cg.store import read_trajectories, write_trajectories
from colloid_cg.tracking import ImportConfig, import_simulation

RNG = np.random.default_rng(8)
FRAMES = SimulatedFrames(
    kind="lammps dump",
    labels=np.array([4, 9, 11]),
    types=np.array([3, 1, 3]),
    positions=RNG.normal(size=(4, 3, 3)) * 20.0,
    velocities=RNG.normal(size=(4, 3, 3)),
    masses=np.array([2.0, 1.0, 2.0]),
    box=Box(lower=(-1.0, 0.0, 0.0), upper=(4.0, 5.0, 6.0), periodic=(True, True, True)),
    steps=np.array([1000, 1005, 1010, 1015]),
    warnings=("odd",),
    stated={"first_timestep": 1000},
)
STEP = ImportConfig(timestep=0.004)


def test_columns_units_and_masses() -> None:
    tracks = import_simulation(FRAMES, STEP, name="run.dump")
    assert list(tracks.table.columns[:5]) == ["frame", "particle", "x", "y", "z"]
    assert tracks.table["particle"].tolist() == [0, 1, 2] * 4
    assert tracks.table["species"].tolist() == [1, 0, 1] * 4
    np.testing.assert_array_equal(tracks.positions.reshape(4, 3, 3), FRAMES.positions)
    assert FRAMES.velocities is not None
    np.testing.assert_array_equal(tracks.table[["vx", "vy", "vz"]].to_numpy().reshape(4, 3, 3), FRAMES.velocities)
    assert (tracks.pixel_size, tracks.n_frames, tracks.exposure) == (1.0, 4, None)
    assert tracks.frame_interval == pytest.approx(0.02, rel=1e-15)
    assert (tracks.length_unit, tracks.time_unit) == ("reduced", "reduced")
    assert "um" not in repr(tracks)
    known = tracks.metadata["simulation"]
    assert (known["masses"], known["types"], known["thermal_energy"]) == ([1.0, 2.0], [1, 3], None)
    assert known["stated"] == {"first_timestep": 1000}


def test_round_trip(tmp_path: Path) -> None:
    tracks = import_simulation(FRAMES, STEP)
    write_trajectories(tmp_path / "trajectories.parquet", tracks)
    read = read_trajectories(tmp_path / "trajectories.parquet")
    assert read.table.equals(tracks.table)
    assert read.field_of_view == FRAMES.box
    assert read.metadata == tracks.metadata
    assert (read.axes, read.frame_interval) == (("x", "y", "z"), tracks.frame_interval)
    some = read_trajectories(tmp_path / "trajectories.parquet", frames=(1, 3), columns=["vx"])
    assert set(some.table["frame"]) == {1, 2}
    assert "vy" not in some.table


def test_stated_units_reach_the_file(tmp_path: Path) -> None:
    from colloid_cg.store.parquet import read_table

    write_trajectories(tmp_path / "t.parquet", import_simulation(replace(FRAMES, units="metal"), STEP))
    _, metadata = read_table(tmp_path / "t.parquet")
    assert (metadata["pixel_size_unit"], metadata["frame_interval_unit"]) == ("metal", "metal")


def test_masses_and_thermal_energy_from_the_settings() -> None:
    config = ImportConfig(timestep=0.004, masses=(7.0,), thermal_energy=1.5)
    known = import_simulation(FRAMES, config).metadata["simulation"]
    assert (known["masses"], known["thermal_energy"]) == ([7.0, 7.0], 1.5)
    assert import_simulation(replace(FRAMES, masses=None), STEP).metadata["simulation"]["masses"] is None


def test_masses_stand_for_species_where_there_is_one_type() -> None:
    tracks = import_simulation(replace(FRAMES, types=np.ones(3, dtype=int)), STEP)
    assert tracks.table["species"].tolist() == [1, 0, 1] * 4
    assert tracks.metadata["simulation"]["masses"] == [1.0, 2.0]


def test_times_of_the_file() -> None:
    stated = replace(FRAMES, times=np.array([0.0, 0.5, 1.0, 1.5]))
    assert import_simulation(stated).frame_interval == 0.5
    assert import_simulation(replace(FRAMES, steps=None, frame_interval=0.3)).frame_interval == 0.3


def test_walls_hold_the_particles() -> None:
    inside = replace(FRAMES, positions=np.full((4, 3, 3), 0.5))
    walls = Box(lower=FRAMES.box.lower, upper=FRAMES.box.upper, periodic=(True, False, True))
    import_simulation(replace(inside, box=walls), STEP)
    inside.positions[2, 1, 1] = 5.5
    with pytest.raises(InputError, match=r"particle 9 at y = 5\.5 in frame 2 \(time step 1010\) of run"):
        import_simulation(replace(inside, box=walls), STEP, name="run")


def changed(name: str, index: tuple[int, ...], value: float) -> SimulatedFrames:
    array = np.array(getattr(FRAMES, name), dtype=float)
    array[index] = value
    return replace(FRAMES, **{name: array})


CASES: list[tuple[SimulatedFrames, dict[str, Any], str]] = [
    (changed("velocities", (2, 1, 0), np.nan), {}, r"velocity of particle 9 in frame 2 \(time step 1010\) of run"),
    (changed("positions", (0, 2, 2), np.inf), {}, r"position of particle 11 in frame 0 \(time step 1000\) of run"),
    (changed("masses", (1,), 0.0), {}, "mass 0 of particle 9 in run"),
    (changed("masses", (2,), 3.0), {}, "masses from 2 to 3 in one species of run"),
    (
        replace(FRAMES, steps=np.array([0, 5, 10, 20])),
        {},
        "time step 20 after 10 in run; expected frames 5 steps apart",
    ),
    (replace(FRAMES, steps=np.array([0, 0, 5, 10])), {}, "time step 0 after 0 in run; expected time steps that rise"),
    (replace(FRAMES, steps=np.array([0, 5, 5, 10])), {}, "time step 5 after 5 in run"),
    (replace(FRAMES, positions=FRAMES.positions[:1]), {}, "1 frame in run"),
    (FRAMES, {"timestep": None}, "a missing time step for run"),
    (replace(FRAMES, times=np.arange(4.0)), {}, "a time step of 0.004 for run, which states its times"),
    (FRAMES, {"masses": (1.0, 2.0, 3.0)}, "import.masses with 3 numbers for the 2 species"),
    (FRAMES, {"pixel_size": "0.1 um"}, "import.pixel_size for run"),
    (FRAMES, {"frame_interval": 0.1}, "import.frame_interval for run"),
    (FRAMES, {"x": "a"}, "import.x for run"),
]


@pytest.mark.parametrize(("frames", "settings", "words"), CASES)
def test_what_is_wrong_is_named(frames: SimulatedFrames, settings: dict[str, Any], words: str) -> None:
    with pytest.raises((InputError, ConfigError), match=words):
        import_simulation(frames, ImportConfig(**({"timestep": 0.004} | settings)), name="run")


@pytest.mark.parametrize(
    "settings", [{"timestep": 0.0}, {"masses": (1.0, -1.0)}, {"masses": ()}, {"thermal_energy": 0}]
)
def test_settings_above_zero(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ImportConfig(**settings)
