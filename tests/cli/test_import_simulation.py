"""``colloid-cg import`` of simulations: what it says, its exit codes, and a run folder that reads back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from colloid_cg.cli.main import app
from colloid_cg.records import PhaseSeries
from colloid_cg.states import phase_series
from colloid_cg.store import RunFolder, read_trajectories
from tests.store.dumps import dump_text, motion

SENTENCE = re.compile(r"^error: Found .+; expected .+; .+\.$", re.MULTILINE)
COLUMNS = "id type mass xu yu zu vx vy vz"


def dump(folder: Path, **changes: np.ndarray) -> Path:
    positions, velocities = motion()
    arrays = {"positions": positions, "velocities": velocities} | changes
    path = folder / "run.lammpstrj"
    path.write_text(dump_text(COLUMNS, **arrays))
    return path


def archive(folder: Path, **changes: object) -> Path:
    positions, velocities = motion()
    fields = {"pos": positions, "vel": velocities, "dt": 0.04, "box": np.full(3, 5.0), "mass": 51.0, "kT": 1.0}
    path = folder / "star.npz"
    np.savez(path, **(fields | changes))  # type: ignore[arg-type]
    return path


def imported(folder: Path) -> PhaseSeries:
    return phase_series(read_trajectories(folder / "trajectories.parquet"))


def test_a_dump(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["import", str(dump(tmp_path)), "-o", str(tmp_path / "RUN"), "--timestep", "0.01", "--json"]
    )
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)["stages"]["import"]["summary"]
    assert summary == {"tracks": 5, "rows": 30, "frames": 6}
    series = imported(tmp_path / "RUN")
    positions, velocities = motion()
    np.testing.assert_array_equal(series.positions, positions)
    np.testing.assert_array_equal(series.velocities, velocities)
    assert series.frame_interval == 0.5
    manifest = RunFolder(tmp_path / "RUN").manifest()
    assert manifest["units"]["length"] == "reduced"
    assert manifest["units"]["pixel_size_um"] is None
    assert manifest["units"]["frame_interval"] == 0.5
    assert manifest["input"]["table"] == {"format": "lammps dump", "files": ["run.lammpstrj"], "n_rows": 30}


def test_an_archive_twice_comes_from_the_cache(tmp_path: Path) -> None:
    command = ["import", str(archive(tmp_path)), "-o", str(tmp_path / "RUN"), "--json"]
    results = [CliRunner().invoke(app, command) for _ in range(2)]
    assert [result.exit_code for result in results] == [0, 0]
    assert [json.loads(result.stdout)["stages"]["import"]["cached"] for result in results] == [False, True]
    series = imported(tmp_path / "RUN")
    assert (series.frame_interval, series.thermal_energy, series.masses.tolist()) == (0.04, 1.0, [51.0] * 5)


def test_a_table_keeps_its_calibration(tmp_path: Path) -> None:
    (tmp_path / "spots.csv").write_text("frame,particle,x,y\n0,0,1,1\n1,0,2,2\n")
    command = ["import", str(tmp_path / "spots.csv"), "-o", str(tmp_path / "RUN"), "--pixel-size", "0.1 um"]
    assert CliRunner().invoke(app, [*command, "--frame-interval", "20 ms"]).exit_code == 0
    units = RunFolder(tmp_path / "RUN").manifest()["units"]
    assert (units["length"], units["table_length"], units["pixel_size_um"]) == ("um", "px", 0.1)
    assert units["frame_interval_s"] == 0.02
    wrong = CliRunner().invoke(app, [*command, "--frame-interval", "20 ms", "--timestep", "1"])
    assert wrong.exit_code == 2
    assert "import.timestep for spots.csv, a table of tracks" in " ".join(wrong.stderr.split())


def test_a_cut_off_frame_is_warned_of(tmp_path: Path) -> None:
    path = dump(tmp_path)
    path.write_text(path.read_text()[:-30])
    result = CliRunner().invoke(app, ["import", str(path), "-o", str(tmp_path / "RUN"), "--timestep", "1"])
    assert result.exit_code == 0
    assert "check: the last frame, time step 350, is cut off after 4 of 5 atoms and left out" in result.stderr
    assert imported(tmp_path / "RUN").n_frames == 5


def come_and_go(folder: Path) -> Path:
    path = dump(folder)
    before, after = path.read_text().split("\n250\n")
    path.write_text(f"{before}\n250\n" + after.replace("\n20 ", "\n30 "))
    return path


def nan_velocity(folder: Path) -> Path:
    velocities = motion()[1].copy()
    velocities[2, 1, 0] = np.nan
    return dump(folder, velocities=velocities)


def walls(folder: Path) -> Path:
    path = dump(folder)
    path.write_text(path.read_text().replace("pp pp pp", "pp pp ff"))
    return path


def triclinic(folder: Path) -> Path:
    path = dump(folder)
    path.write_text(path.read_text().replace("pp pp pp", "xy xz yz pp pp pp"))
    return path


def binary_dump(folder: Path) -> Path:
    (folder / "run.dump").write_bytes(bytes(range(200)))
    return folder / "run.dump"


def pickled(folder: Path) -> Path:
    return archive(folder, note=np.array({"a": 1}, dtype=object))


CASES: dict[str, tuple[Callable[[Path], Path], list[str], str]] = {
    "atoms come and go": (come_and_go, ["--timestep", "1"], "no atom 20 at time step 250 of run.lammpstrj"),
    "NaN velocity": (nan_velocity, ["--timestep", "1"], "velocity of particle 7 in frame 2 (time step 200) of run.lam"),
    "beyond the walls": (walls, ["--timestep", "1"], "the box is not periodic along z"),
    "triclinic": (triclinic, ["--timestep", "1"], "a triclinic box at time step 100 of run.lammpstrj"),
    "no time step": (dump, [], "pass --timestep 0.005"),
    "time step of zero": (dump, ["--timestep", "0"], "import.timestep"),
    "pixel size": (dump, ["--timestep", "1", "--pixel-size", "1 um"], "leave out import.pixel_size"),
    "binary": (binary_dump, ["--timestep", "1"], "does not begin with ITEM:"),
    "archive with its own time": (archive, ["--timestep", "1"], "which states its times"),
    "pickled": (pickled, [], "star.npz with pickled objects"),
    "wrong shape": (lambda folder: archive(folder, vel=np.zeros((6, 5, 2))), [], "vel of shape (6, 5, 2) in star.npz"),
    "missing archive": (lambda folder: folder / "none.npz", [], "none.npz"),
    "missing dump": (lambda folder: folder / "none.dump", [], "none.dump"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(tmp_path: Path, case: str) -> None:
    make, options, words = CASES[case]
    result = CliRunner().invoke(app, ["import", str(make(tmp_path)), "-o", str(tmp_path / "RUN"), *options])
    assert result.exit_code == 2, result.output
    assert SENTENCE.search(result.stderr), result.stderr
    assert words in " ".join(result.stderr.split())
    assert not (tmp_path / "RUN").exists()
