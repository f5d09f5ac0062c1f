"""Recorded frames as states of a model: the same pairs for every model with this cutoff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import Thermal
from colloid_cg.dynamics.metriplectic.model import BodyForce, MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import NeighbourList, Pairs, neighbour_list
from colloid_cg.dynamics.metriplectic.state import Account, PhaseState, configuration
from colloid_cg.errors import DataError
from colloid_cg.records import PhaseSeries


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """Positions and velocities of T frames with the pairs of each; the thermal variables are not among them.

    Parameters
    ----------
    positions, velocities : tensors, shape (T, n, d)
    species : int tensor, shape (n,)
    masses : tensor, shape (n_species,)
    neighbours : tuple of NeighbourList
        One per frame, without a skin.
    interval : float
        Time between frames.
    impulse_variance : float
        Mean square of m (v' - v) from frame to frame, per component.
    start : float
        Time of the first frame, zero being that of frame 0 of the recording: body forces may depend on it.
    """

    positions: torch.Tensor
    velocities: torch.Tensor
    species: torch.Tensor
    masses: torch.Tensor
    neighbours: tuple[NeighbourList, ...]
    interval: float
    impulse_variance: float
    start: float = 0.0

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.positions)

    @property
    def n_particles(self) -> int:
        """Number of particles n."""
        return int(self.positions.shape[1])

    def body_force(self, body: BodyForce, frames: list[int]) -> torch.Tensor:
        """Return the force on every particle in these frames, one frame after the other, shape (n len(frames), d)."""
        return torch.cat([body.at(self.positions[frame], self.start + frame * self.interval) for frame in frames])

    def state(self, model: MetriplecticModel, frames: list[int]) -> PhaseState:
        """Return several frames side by side as one state of n len(frames) particles, at entropy zero.

        Particles of different frames are no pairs. Gradients flow to the functions of the model.
        """
        positions = self.positions[frames].flatten(0, 1)
        neighbours = self._beside(frames, positions)
        species = self.species.repeat(len(frames))
        found = configuration(model, positions, species, neighbours, 0.0)
        zero = torch.zeros_like(positions[:, 0])
        nothing = positions.new_zeros(())
        return PhaseState(
            positions=positions, velocities=self.velocities[frames].flatten(0, 1), species=species, internal=zero,
            reference=zero, entropy=zero, time=0.0,
            thermal=Thermal(energy=zero, temperature=zero + 1.0, curvature=zero + 1.0, pressure=None),
            account=Account(work=nothing, bath=nothing, absorbed=nothing), **found,
        )  # fmt: skip

    def _beside(self, frames: list[int], positions: torch.Tensor) -> NeighbourList:
        lists = [self.neighbours[frame] for frame in frames]
        offsets = [number * self.n_particles for number in range(len(frames))]
        pairs = Pairs(
            first=torch.cat([each.pairs.first + offset for each, offset in zip(lists, offsets, strict=True)]),
            second=torch.cat([each.pairs.second + offset for each, offset in zip(lists, offsets, strict=True)]),
            image=torch.cat([each.pairs.image for each in lists], dim=1),
            n_particles=self.n_particles * len(frames),
        )
        return NeighbourList(
            cell=lists[0].cell, cutoff=lists[0].cutoff, skin=0.0, pairs=pairs, origin=positions, time=0.0
        )


def observed(
    series: PhaseSeries, cutoff: float, *, dtype: torch.dtype = torch.float64, device: str | torch.device = "cpu"
) -> Observed:
    """Return the frames of a recording with all pairs closer than ``cutoff``.

    Raises
    ------
    DataError
        If the box is sheared, positions jump across its faces, or particles of one species differ in mass.
    InputError
        If the cutoff exceeds half of a periodic edge.
    """
    if series.box.shear_rate:
        raise DataError(
            "a recording in a sheared box", expected="one without Lees-Edwards shear", action="learn from another run"
        )
    cell = Cell(box=series.box)
    cell.check(cutoff)
    _require_unwrapped(series)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    positions = tensor(series.positions)
    impulses = series.masses[None, :, None] * np.diff(series.velocities, axis=0)
    return Observed(
        positions=positions,
        velocities=tensor(series.velocities),
        species=torch.tensor(series.species, dtype=torch.long, device=device),
        masses=tensor(_masses_of_species(series)),
        neighbours=tuple(neighbour_list(cell, frame, cutoff=cutoff, skin=0.0) for frame in positions),
        interval=series.frame_interval,
        impulse_variance=float(np.mean(impulses**2)),
        start=series.first_frame * series.frame_interval,
    )


def _require_unwrapped(series: PhaseSeries) -> None:
    """Refuse jumps of more than half a periodic edge: the work of a body force is that along the real path."""
    half = np.where(series.box.periodic, 0.5 * series.box.lengths, np.inf)
    jumps = (np.abs(np.diff(series.positions, axis=0)) > half).any(axis=2)
    if jumps.any():
        frame, particle = np.argwhere(jumps)[0]
        raise DataError(
            f"particle {particle} more than half of the box away after frame {series.first_frame + frame}",
            expected="unwrapped positions, which do not jump where a particle crosses a face",
            action="unwrap them, and cut both blocks from one recording",
        )


def _masses_of_species(series: PhaseSeries) -> np.ndarray:
    found = [np.unique(series.masses[series.species == kind]) for kind in range(int(series.species.max()) + 1)]
    for kind, masses in enumerate(found):
        if len(masses) != 1:
            raise DataError(
                f"{len(masses)} different masses in species {kind}",
                expected="one mass per species",
                action="number the species so that each has one mass and occurs",
            )
    return np.array([masses[0] for masses in found])
