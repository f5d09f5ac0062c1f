"""Files of particle simulations: which of the readers takes one."""

from __future__ import annotations

from pathlib import Path

from colloid_cg.errors import InputError
from colloid_cg.records import SimulatedFrames
from colloid_cg.store.centres import read_centres
from colloid_cg.store.lammps_dump import is_dump, read_dump

DUMPS = (".lammpstrj", ".dump", ".lammpsdump")
"""Usual suffixes of text dumps, with or without .gz; a file of any name that begins like a dump is one."""


def read_simulation(path: Path) -> SimulatedFrames | None:
    """Return the frames of a LAMMPS text dump or of an archive of trajectories, None for another kind of file.

    Raises
    ------
    InputError
        If it is one of these but cannot be used, or does not exist.
    """
    name = path.name.lower().removesuffix(".gz")
    if not path.exists() and name.endswith((*DUMPS, ".npz")):
        raise InputError(f"no file {path}", expected="a dump or an archive of trajectories", action="check the path")
    if name.endswith(".npz"):
        return read_centres(path)
    if is_dump(path):
        return read_dump(path)
    if name.endswith(DUMPS):
        raise InputError(
            f"{path.name}, which does not begin with ITEM:",
            expected="a text dump of LAMMPS ('dump custom'), plain or compressed with gzip",
            action="write the dump as text, not in binary",
        )
    return None
