"""From imported trajectories with velocities to points in phase space."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.records import PhaseSeries, Trajectories


def phase_series(tracks: Trajectories, *, masses: np.ndarray | None = None) -> PhaseSeries:
    """Return positions and velocities of trajectories that were imported from a simulation.

    Positions stay as imported (unwrapped). Lengths are those of the pixel, times those of the frame interval: um and
    s, or the units that ``metadata["simulation"]`` names; masses and k_B T come from there.

    Parameters
    ----------
    tracks : Trajectories
        Every particle in every frame from the first to the last detection, with columns ``vx, vy[, vz]``.
    masses : array, shape (N,), optional
        In the order of the particle ids, instead of those in the metadata.

    Raises
    ------
    DataError
        If velocities or masses are not known, or a particle is missing in a frame.
    """
    names = [f"v{axis}" for axis in tracks.axes]
    missing = [name for name in names if name not in tracks.table.columns]
    if missing:
        raise DataError(
            f"no velocities ({', '.join(missing)}) in the trajectories",
            expected=f"columns {', '.join(names)}",
            action="import a simulation that wrote velocities: those of a video are hidden by the localisation error",
        )
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    labels = np.unique(particle)
    first, last = (int(frame[0]), int(frame[-1])) if len(frame) else (0, -1)
    n_frames, n = last - first + 1, len(labels)
    _require_complete(frame, particle, labels, first, n_frames)
    species = tracks.table["species"].to_numpy().reshape(n_frames, n)
    if (species != species[0]).any():
        t, k = np.argwhere(species != species[0])[0]
        raise DataError(
            f"particle {labels[k]} of another species in frame {first + t}",
            expected="a species that stays",
            action="correct the column species",
        )
    known = tracks.metadata.get("simulation", {})
    velocities = tracks.table[names].to_numpy(dtype=float) * tracks.pixel_size
    return PhaseSeries(
        positions=tracks.positions.reshape(n_frames, n, tracks.dimension),
        velocities=velocities.reshape(n_frames, n, tracks.dimension),
        species=species[0],
        masses=_masses(known, species[0]) if masses is None else np.asarray(masses, dtype=float),
        box=tracks.box,
        frame_interval=tracks.frame_interval,
        thermal_energy=known.get("thermal_energy"),
        first_frame=first,
    )


def _require_complete(frame: np.ndarray, particle: np.ndarray, labels: np.ndarray, first: int, n_frames: int) -> None:
    """Refuse gaps. Rows are sorted by frame and particle, no pair twice."""
    if len(frame) == 0:
        raise DataError("no rows", expected="particles in every frame", action="import the simulation again")
    if len(frame) == n_frames * len(labels):
        return
    present = np.zeros((n_frames, len(labels)), dtype=bool)
    present[frame - first, np.searchsorted(labels, particle)] = True
    t, k = np.argwhere(~present)[0]
    raise DataError(
        f"no particle {labels[k]} in frame {first + t}",
        expected=f"all {len(labels)} particles in each of the {n_frames} frames",
        action="use frames in which no particle comes or goes",
    )


def _masses(known: dict[str, Any], species: np.ndarray) -> np.ndarray:
    by_species = known.get("masses")
    if by_species is None or len(by_species) <= species.max():
        raise DataError(
            "no masses with the trajectories",
            expected="the mass of each species",
            action="import again with import.masses, one number or one for each type",
        )
    return np.take(np.asarray(by_species, dtype=float), species)
