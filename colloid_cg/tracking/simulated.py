"""Trajectories of a particle simulation, with velocities, in the units of their file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import ConfigError, InputError
from colloid_cg.records import SimulatedFrames, Trajectories
from colloid_cg.tracking.importing import SIMULATION_SETTINGS, ImportConfig

_MASS_CLASSES = 16
"""Different masses that may stand for species where a file names none."""


def import_simulation(
    frames: SimulatedFrames, config: ImportConfig | None = None, *, name: str = "the file"
) -> Trajectories:
    """Return the trajectories in a file of a particle simulation.

    Lengths and times stay what they are in the file: the pixel is 1 and stands for its unit of length, the frame
    interval is in its unit of time, and ``metadata["simulation"]`` names the units. Columns ``vx, vy[, vz]`` hold the
    velocities in the same units. Particle ids become 0, 1, ... in the order of the ids of the file, types become
    species 0, 1, ... in their order.

    Raises
    ------
    InputError
        If a value is not finite, a particle is outside the box, time steps are not equally spaced, or there are fewer
        than two frames.
    ConfigError
        If a setting has no meaning for such a file.
    """
    config = config or ImportConfig()
    _refuse_table_settings(config, name)
    if len(frames.positions) < 2:
        raise InputError(
            f"{len(frames.positions)} frame in {name}", expected="at least two frames", action="write more frames"
        )
    _require_finite(frames, name)
    _require_inside(frames, name)
    species, masses = _species(frames, config, name)
    n_frames, n = frames.positions.shape[:2]
    columns: dict[str, Any] = {
        "frame": np.repeat(np.arange(n_frames), n),
        "particle": np.tile(np.arange(n), n_frames),
        "species": np.tile(species, n_frames),
    }
    for prefix, vectors in (("", frames.positions), ("v", frames.velocities)):
        if vectors is not None:
            columns |= {f"{prefix}{axis}": vectors[:, :, k].ravel() for k, axis in enumerate("xyz"[: vectors.shape[2]])}
    return Trajectories(
        table=pd.DataFrame(columns),
        pixel_size=1.0,
        frame_interval=_frame_interval(frames, config, name),
        field_of_view=frames.box,
        n_frames=n_frames,
        metadata={
            "source": name,
            "engine": "import",
            "settings": config.as_dict(),
            "simulation": {
                "format": frames.kind,
                "units": frames.units,
                "masses": masses,
                "thermal_energy": config.thermal_energy or frames.thermal_energy,
                "types": [int(kind) for kind in np.unique(frames.types)],
                "velocities": frames.velocities is not None,
                "stated": frames.stated,
                "warnings": list(frames.warnings),
            },
            "drift": {"removed": False, "reason": "imported tracks are left as they are"},
        },
    )


def _refuse_table_settings(config: ImportConfig, name: str) -> None:
    for key in ImportConfig.model_fields:
        if key not in SIMULATION_SETTINGS and getattr(config, key) is not None:
            raise ConfigError(
                f"import.{key} for {name}, a file of a simulation",
                expected=f"no settings but {', '.join(SIMULATION_SETTINGS)}: lengths and times stay in its own units",
                action=f"leave out import.{key} (--{key.replace('_', '-')})",
            )


def _require_finite(frames: SimulatedFrames, name: str) -> None:
    for what, vectors in (("position", frames.positions), ("velocity", frames.velocities)):
        bad = np.empty((0, 0)) if vectors is None else ~np.isfinite(vectors).all(axis=2)
        if bad.any():
            frame, particle = np.argwhere(bad)[0]
            raise InputError(
                f"NaN or infinite {what} of particle {frames.labels[particle]} in {_frame(frames, frame)} of {name}",
                expected="finite numbers",
                action="find out why the simulation broke down, and import the frames before that",
            )


def _require_inside(frames: SimulatedFrames, name: str) -> None:
    """Refuse particles beyond the faces of a box along axes that are not periodic."""
    lower, upper = np.asarray(frames.box.lower), np.asarray(frames.box.upper)
    beyond = ((frames.positions < lower) | (frames.positions > upper)) & ~np.asarray(frames.box.periodic)
    if beyond.any():
        frame, particle, axis = np.argwhere(beyond)[0]
        raise InputError(
            f"particle {frames.labels[particle]} at {'xyz'[axis]} = {frames.positions[frame, particle, axis]:g} in "
            f"{_frame(frames, frame)} of {name}",
            expected=f"positions from {lower[axis]:g} to {upper[axis]:g}: the box is not periodic along {'xyz'[axis]}",
            action="correct the box, or use periodic faces or walls that hold the particles",
        )


def _frame(frames: SimulatedFrames, frame: int) -> str:
    return f"frame {frame}" if frames.steps is None else f"frame {frame} (time step {frames.steps[frame]})"


def _frame_interval(frames: SimulatedFrames, config: ImportConfig, name: str) -> float:
    """Return the time between frames: what the file states, or the difference of its step numbers times the step."""
    if frames.steps is not None:
        change = np.diff(frames.steps)
        odd = np.flatnonzero((change != change[0]) | (change <= 0))
        if len(odd):
            first = int(odd[0])
            raise InputError(
                f"time step {frames.steps[first + 1]} after {frames.steps[first]} in {name}",
                expected=f"frames {change[0]} steps apart" if change[0] > 0 else "time steps that rise",
                action="write the dump at one interval, in one run or appended without repeated frames",
            )
    stated = frames.frame_interval
    if stated is None and frames.times is not None:
        stated = float((frames.times[-1] - frames.times[0]) / (len(frames.times) - 1))
    if stated is not None and config.timestep is not None:
        raise ConfigError(
            f"a time step of {config.timestep:g} for {name}, which states its times (frames {stated:g} apart)",
            expected="one or the other",
            action="leave out --timestep",
        )
    if stated is not None:
        return stated
    if config.timestep is None or frames.steps is None:
        raise InputError(
            f"a missing time step for {name}",
            expected="the time step of the simulation, in the units of the file",
            action="pass --timestep 0.005 or set import.timestep",
        )
    return float(frames.steps[1] - frames.steps[0]) * config.timestep


def _species(frames: SimulatedFrames, config: ImportConfig, name: str) -> tuple[np.ndarray, list[float] | None]:
    """Return the species of each particle, shape (N,), and the mass of each species where it is known."""
    kinds = np.unique(frames.types)
    species = np.searchsorted(kinds, frames.types)
    if frames.masses is not None and not (np.isfinite(frames.masses) & (frames.masses > 0)).all():
        wrong = np.flatnonzero(~(np.isfinite(frames.masses) & (frames.masses > 0)))[0]
        raise InputError(
            f"mass {frames.masses[wrong]:g} of particle {frames.labels[wrong]} in {name}",
            expected="masses above zero",
            action="correct the masses in the simulation or in the file",
        )
    if frames.masses is not None and len(kinds) == 1 and len(np.unique(frames.masses)) <= _MASS_CLASSES:
        species = np.searchsorted(np.unique(frames.masses), frames.masses)
    n_species = int(species.max()) + 1
    if config.masses is not None:
        if len(config.masses) not in (1, n_species):
            raise ConfigError(
                f"import.masses with {len(config.masses)} numbers for the {n_species} species of {name}",
                expected=f"one number, or {n_species}",
                action="give one mass for each type, in the order of the types",
            )
        return species, [float(value) for value in np.broadcast_to(config.masses, n_species)]
    if frames.masses is None:
        return species, None
    masses = [np.unique(frames.masses[species == kind]) for kind in range(n_species)]
    mixed = [kind for kind, values in enumerate(masses) if len(values) > 1]
    if mixed:
        values = masses[mixed[0]]
        raise InputError(
            f"masses from {values[0]:g} to {values[-1]:g} in one species of {name}",
            expected="one mass for each species",
            action="give particles of other mass another type",
        )
    return species, [float(values[0]) for values in masses]
