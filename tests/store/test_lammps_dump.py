"""Text dumps of LAMMPS give back the motion they were written from, and damaged ones are refused by name."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from colloid_cg.errors import InputError
from colloid_cg.store.simulations import read_simulation
from tests.store.dumps import LABELS, LOWER, MASSES, TYPES, UPPER, dump_text, motion

FORMS = ["xu yu zu", "x y z ix iy iz", "xs ys zs ix iy iz", "xsu ysu zsu", "x y z", "xs ys zs"]


def write(folder: Path, text: str, name: str = "run.lammpstrj") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("form", FORMS)
def test_every_way_of_stating_a_position(tmp_path: Path, form: str) -> None:
    positions, velocities = motion()
    text = dump_text(f"element vx vy vz type {form} id mass", positions=positions, velocities=velocities)
    frames = read_simulation(write(tmp_path, text))
    assert frames is not None
    # without image counts the first frame stays in the box: whole edges are unknown, displacements are not
    offset = 0.0 if "u" in form or "ix" in form else positions[0] - frames.positions[0]
    np.testing.assert_allclose(frames.positions + offset, positions, rtol=0, atol=1e-12)
    np.testing.assert_allclose(offset / (UPPER - LOWER), np.round(offset / (UPPER - LOWER)), atol=1e-12)
    np.testing.assert_array_equal(frames.velocities, velocities)
    assert frames.labels.tolist() == LABELS.tolist()
    assert frames.types.tolist() == TYPES.tolist()
    assert frames.masses is not None
    assert frames.masses.tolist() == [MASSES[int(kind)] for kind in TYPES]
    assert frames.box.lower == tuple(LOWER)
    assert frames.box.upper == tuple(UPPER)
    assert frames.box.periodic == (True, True, True)
    assert frames.steps is not None
    assert frames.steps.tolist() == [100, 150, 200, 250, 300, 350]
    assert bool(frames.warnings) == (form in ("x y z", "xs ys zs"))


def test_positions_leave_the_box() -> None:
    positions, _ = motion()
    assert (positions > UPPER).any()
    assert (positions < LOWER).any()


def test_compressed_without_velocities_and_of_any_name(tmp_path: Path) -> None:
    positions, velocities = motion()
    text = dump_text("id xu yu zu", positions=positions, velocities=velocities, head="ITEM: UNITS\nlj\nITEM: TIME\n2.5")
    (tmp_path / "melt.out.gz").write_bytes(gzip.compress(text.encode()))
    frames = read_simulation(tmp_path / "melt.out.gz")
    assert frames is not None
    np.testing.assert_array_equal(frames.positions, positions)
    assert frames.velocities is None
    assert frames.masses is None
    assert frames.types.tolist() == [1] * len(LABELS)
    assert frames.units == "reduced"
    assert frames.times is not None
    assert frames.times.tolist() == [2.5] * 6


def test_two_dimensions_fixed_faces_and_units(tmp_path: Path) -> None:
    positions, velocities = motion(n_frames=2)
    text = dump_text(
        "id x y vx vy", positions=positions, velocities=velocities, bounds="pp ff ss", head="ITEM: UNITS\nmetal"
    )
    frames = read_simulation(write(tmp_path, text))
    assert frames is not None
    assert frames.positions.shape == (2, len(LABELS), 2)
    assert frames.box.periodic == (True, False)
    assert frames.units == "metal"


def test_a_long_step_is_doubted(tmp_path: Path) -> None:
    positions, velocities = motion(n_frames=3)
    positions[2] = positions[1] + 0.4 * (UPPER - LOWER)
    frames = read_simulation(write(tmp_path, dump_text("id x y z", positions=positions, velocities=velocities)))
    assert frames is not None
    assert "the longest step is 0.40 of the box" in frames.warnings[0]
    np.testing.assert_allclose(np.diff(frames.positions, axis=0), np.diff(positions, axis=0), atol=1e-12)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_last_frame_that_is_cut_off_is_left_out_wherever_the_cut_is(tmp_path: Path, compressed: bool) -> None:
    positions, velocities = motion(n_frames=3)
    text = dump_text("id type xu yu zu vx vy vz", positions=positions, velocities=velocities)
    begins = text.rindex("ITEM: TIMESTEP")
    for end in range(begins + 1, len(text), 7):
        path = tmp_path / "run.dump"
        path.write_bytes(gzip.compress(text[:end].encode()) if compressed else text[:end].encode())
        frames = read_simulation(path)
        assert frames is not None
        np.testing.assert_array_equal(frames.positions, positions[:2])
        (warning,) = frames.warnings
        assert warning.startswith("the last frame")
        assert warning.endswith("left out")
    assert frames.warnings[0].startswith("the last frame, time step 200, is cut off after 4 of 5 atoms")


def test_an_archive_that_breaks_off(tmp_path: Path) -> None:
    positions, velocities = motion(n_frames=12)
    packed = gzip.compress(dump_text("id xu yu zu", positions=positions, velocities=velocities).encode())
    counts = []
    for end in range(len(packed) // 2, len(packed) - 9, 7):  # within headers and among atoms
        (tmp_path / "run.dump.gz").write_bytes(packed[:end])
        frames = read_simulation(tmp_path / "run.dump.gz")
        assert frames is not None
        counts.append(len(frames.positions))
        np.testing.assert_array_equal(frames.positions, positions[: counts[-1]])
        assert len(frames.warnings) == 1
    assert len(set(counts)) > 3


def test_a_shrink_wrapped_box_is_the_largest(tmp_path: Path) -> None:
    positions, velocities = motion(n_frames=2)
    text = dump_text("id xu yu zu", positions=positions, velocities=velocities, bounds="pp pp ss")
    text = text[: text.rindex("2.0 10.0")] + "1.5 9.0" + text[text.rindex("2.0 10.0") + 8 :]
    frames = read_simulation(write(tmp_path, text))
    assert frames is not None
    assert (frames.box.lower[2], frames.box.upper[2]) == (1.5, 10.0)


FRAME = "ITEM: TIMESTEP\n{}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 4\n0 4\n0 4\nITEM: ATOMS id x y z\n"
GOOD = FRAME.format(0) + "1 0.5 0.5 0.5\n2 1 1 1\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("pp pp pp\n0 4", "xy xz yz pp pp pp\n0 4 0"), "a triclinic box at time step 0"),
        (GOOD.replace("pp pp pp", "abc origin pp pp pp"), "a triclinic box"),
        (GOOD.replace(" pp pp pp", ""), "no boundaries of the box at time step 0"),
        (GOOD + FRAME.format(5) + "1 0 0 0\n3 1 1 1\n", "no atom 2 at time step 5 of run.lammpstrj"),
        (
            GOOD + FRAME.format(5).replace("\n2\n", "\n3\n") + "1 0 0 0\n2 1 1 1\n4 1 1 1\n",
            "a new atom 4 at time step 5",
        ),
        (GOOD + FRAME.format(5) + "1 0 0 0\n1 1 1 1\n", "atom 1 twice at time step 5"),
        (GOOD + FRAME.format(5) + "1 0 0 0\n" + FRAME.format(9) + "1 0 0 0\n2 1 1 1\n", "1 of 2 atoms at time step 5"),
        (GOOD + FRAME.format(5) + "1 0 0\n2 1 1 1\n", "the line '1 0 0' at time step 5"),
        (GOOD + FRAME.format(5) + "1 0 0 zero\n2 1 1 1\n", "at time step 5"),
        (GOOD + FRAME.format(5) + "1.5 0 0 0\n2 1 1 1\n", "id is no whole number at time step 5"),
        (GOOD + FRAME.format(5).replace("0 4\nITEM", "0 5\nITEM") + "1 0 0 0\n2 1 1 1\n", "another box at time step 5"),
        (GOOD + FRAME.format("5x") + "1 0 0 0\n2 1 1 1\n", "'5x' as the number of a time step"),
        (GOOD + "garbage\n" + GOOD, "the line 'garbage'"),
        (GOOD.replace("id x y z", "x y z id2"), "no column id"),
        (GOOD.replace("id x y z", "id a b c"), "no positions"),
        (GOOD.replace("id x y z", "id x y vx"), "only vx"),
        (
            GOOD + FRAME.format(5).replace("id x y z", "id xu yu zu") + "1 0 0 0\n2 1 1 1\n",
            "other columns at time step 5",
        ),
        (GOOD[:-5], "no complete frame"),
        ("\n\n" + GOOD, "does not begin with ITEM:"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_simulation(write(tmp_path, text))
    assert words in str(error.value)
    assert "run.lammpstrj" in str(error.value)


def test_a_type_or_mass_that_changes(tmp_path: Path) -> None:
    positions, velocities = motion(n_frames=2)
    text = dump_text("id type xu yu zu", positions=positions, velocities=velocities)
    head, tail = text[: text.rindex("ITEM: TIMESTEP")], text[text.rindex("ITEM: TIMESTEP") :]
    with pytest.raises(InputError, match="another type of atom 12 at time step 150"):
        read_simulation(write(tmp_path, head + tail.replace("\n12 2 ", "\n12 1 ")))


def test_other_files_are_left_to_others(tmp_path: Path) -> None:
    assert read_simulation(write(tmp_path, "frame,particle,x,y\n0,0,1,1\n", "tracks.csv")) is None
    assert read_simulation(tmp_path / "missing.csv") is None
    assert read_simulation(tmp_path) is None
    with pytest.raises(InputError, match="no file"):
        read_simulation(tmp_path / "missing.lammpstrj.gz")
