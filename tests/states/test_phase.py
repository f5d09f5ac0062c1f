"""From imported trajectories to points in phase space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import DataError
from colloid_cg.records import Box, Trajectories
from colloid_cg.states import phase_series
from colloid_cg.store.simulations import read_simulation
from colloid_cg.tracking import ImportConfig, import_simulation
from tests.store.dumps import MASSES, TYPES, dump_text, motion


@pytest.fixture
def imported(tmp_path: Path) -> Trajectories:
    positions, velocities = motion()
    (tmp_path / "run.dump").write_text(
        dump_text("id type mass x y z ix iy iz vx vy vz", positions=positions, velocities=velocities)
    )
    frames = read_simulation(tmp_path / "run.dump")
    assert frames is not None
    return import_simulation(frames, ImportConfig(timestep=0.002, thermal_energy=0.7))


def test_the_motion_comes_back(imported: Trajectories) -> None:
    positions, velocities = motion()
    series = phase_series(imported)
    np.testing.assert_allclose(series.positions, positions, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(series.velocities, velocities)
    assert series.species.tolist() == [1, 0, 1, 0, 2]
    assert series.masses.tolist() == [MASSES[int(kind)] for kind in TYPES]
    assert (series.thermal_energy, series.first_frame) == (0.7, 0)
    assert series.frame_interval == pytest.approx(0.1, rel=1e-15)
    assert series.box == imported.field_of_view


def test_a_block_keeps_its_frame_numbers(imported: Trajectories) -> None:
    series = phase_series(imported.between(2, 5))
    assert (series.first_frame, series.n_frames) == (2, 3)
    np.testing.assert_array_equal(series.velocities, motion()[1][2:5])


def test_pixels_scale_positions_and_velocities_alike() -> None:
    table = pd.DataFrame({"frame": [0, 1], "particle": 5, "x": [1.0, 2.0], "y": [3.0, 4.0], "vx": 10.0, "vy": 20.0})
    view = Box(lower=(0.0, 0.0), upper=(9.0, 9.0), periodic=(False, False))
    tracks = Trajectories(table=table, pixel_size=0.5, frame_interval=0.1, field_of_view=view, n_frames=2)
    series = phase_series(tracks, masses=np.array([3.0]))
    assert series.positions.tolist() == [[[0.5, 1.5]], [[1.0, 2.0]]]
    assert series.velocities.tolist() == [[[5.0, 10.0]]] * 2
    assert series.box.upper == (4.5, 4.5)
    assert series.thermal_energy is None
    with pytest.raises(DataError, match="no masses"):
        phase_series(tracks)


def test_the_first_gap_is_named(imported: Trajectories) -> None:
    table = imported.table
    gone = (table["particle"] == 3) & table["frame"].isin([2, 4])
    with pytest.raises(DataError, match="no particle 3 in frame 2; expected all 5 particles in each of the 6 frames"):
        phase_series(imported.with_table(table[~gone]))
    with pytest.raises(DataError, match="no particle 0 in frame 3"):
        phase_series(imported.with_table(table[table["frame"] != 3]))
    with pytest.raises(DataError, match="no rows"):
        phase_series(imported.with_table(table[:0]))


def test_what_else_is_refused(imported: Trajectories) -> None:
    with pytest.raises(DataError, match=r"no velocities \(vz\)"):
        phase_series(imported.with_table(imported.table.drop(columns="vz")))
    species = imported.table["species"].to_numpy().copy()
    species[7] = 1 - species[7]
    with pytest.raises(DataError, match="particle 2 of another species in frame 1"):
        phase_series(imported.with_table(imported.table.assign(species=species)))


@pytest.mark.data
def test_the_star_polymer_melt(data: Path) -> None:
    source = data / "star_polymer" / "star11_train.npz"
    frames = read_simulation(source)
    assert frames is not None
    series = phase_series(import_simulation(frames, name=source.name))
    with np.load(source) as truth:
        np.testing.assert_array_equal(series.positions, truth["pos"])
        np.testing.assert_array_equal(series.velocities, truth["vel"])
        assert (series.frame_interval, series.thermal_energy) == (float(truth["dt"]), float(truth["kT"]))
        assert series.box.lengths.tolist() == truth["box"].tolist()
    assert set(series.masses) == {11.0}
    # Equipartition: the mean kinetic energy per axis is k_B T / 2; 1000 stars that decorrelate in about one time unit.
    assert (series.masses[:, None] * series.velocities**2).mean() == pytest.approx(1.0, abs=0.02)
    # The box is full: 1000 stars of 11 beads at .4 beads per unit of volume.
    assert series.n_particles * 11 / series.box.volume == pytest.approx(0.4, rel=1e-4)
