"""The melts of star polymers that models are fitted to, and the long molecular-dynamics runs they are held against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.record import data_folder
from colloid_cg.records import Box, PhaseSeries

TRAIN_SHARE = 0.7
"""Share of the frames a model is fitted to; the rest is the selection block. The reference is another run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A curve of the reference: abscissa, values and, where it is known, their standard error."""

    at: np.ndarray
    values: np.ndarray
    error: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class StarMelt:
    """Centre-of-mass recording of a melt and the statistics of its reference run, in Lennard-Jones units.

    ``rdf`` is normalised by the density N/V; ``vacf`` is <v(0).v(t)>/3. ``second_msd``: of another reference run.
    """

    beads: int
    recording: PhaseSeries
    rdf: Curve
    msd: Curve
    vacf: Curve
    second_msd: Curve | None = None

    @property
    def train(self) -> PhaseSeries:
        """The block that models are fitted to."""
        return self.recording.between(0, self._end)

    @property
    def select(self) -> PhaseSeries:
        """The block on which settings are chosen."""
        return self.recording.between(self._end, self.recording.n_frames)

    @property
    def _end(self) -> int:
        return round(TRAIN_SHARE * self.recording.n_frames)


def star_11() -> StarMelt:
    """Return the melt of 11-bead stars of COLLOID_CG_DATA."""
    folder = data_folder() / "star_polymer"
    with np.load(folder / "star11_reference.npz") as first, np.load(folder / "star11_vacf_reference.npz") as second:
        return StarMelt(
            beads=11,
            recording=read_recording(folder / "star11_train.npz"),
            rdf=Curve(at=first["r"], values=first["g"]),
            msd=Curve(at=first["t_msd"], values=first["msd"]),
            vacf=Curve(at=second["t"], values=second["vacf"]),
            second_msd=Curve(at=second["tm"], values=second["msd"]),
        )


def generated_melt(folder: Path, beads: int) -> StarMelt:
    """Return a melt made by ``python -m benchmarks.star_polymer --beads N -o FOLDER``."""
    recording = read_recording(folder / f"star{beads}_train.npz")
    with np.load(folder / f"star{beads}_reference.npz") as known:
        # That program normalises by (N - 1)/V.
        density = (recording.n_particles - 1) / recording.n_particles
        return StarMelt(
            beads=beads,
            recording=recording,
            rdf=Curve(at=known["r"], values=density * known["g"], error=density * known["g_error"]),
            msd=Curve(at=known["t_msd"], values=known["msd"], error=known["msd_error"]),
            vacf=Curve(at=known["t"], values=known["vacf"], error=known["vacf_error"]),
        )


def read_recording(path: Path) -> PhaseSeries:
    """Return positions and velocities of all stars."""
    with np.load(path) as known:
        positions, velocities = known["pos"].astype(float), known["vel"].astype(float)
        n = positions.shape[1]
        return PhaseSeries(
            positions=positions,
            velocities=velocities,
            species=np.zeros(n, dtype=int),
            masses=np.full(n, float(known["mass"])),
            box=Box(lower=(0.0,) * 3, upper=tuple(known["box"].tolist()), periodic=(True,) * 3),
            frame_interval=float(known["dt"]),
            thermal_energy=float(known["kT"]),
        )
