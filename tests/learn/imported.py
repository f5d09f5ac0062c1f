"""Series of positions and velocities as the trajectories that the import of a simulation makes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.records import PhaseSeries, Trajectories


def as_imported(series: PhaseSeries, *, velocities: bool = True, units: str = "reduced") -> Trajectories:
    """Return trajectories with velocities, masses by species and k_B T in the metadata."""
    frames, n, d = series.positions.shape
    table = pd.DataFrame({"frame": np.repeat(np.arange(frames), n), "particle": np.tile(np.arange(n), frames)})
    for axis, name in enumerate("xyz"[:d]):
        table[name] = series.positions[..., axis].ravel()
        if velocities:
            table[f"v{name}"] = series.velocities[..., axis].ravel()
    table["species"] = np.tile(series.species, frames)
    masses = [float(series.masses[series.species == kind][0]) for kind in range(int(series.species.max()) + 1)]
    return Trajectories(
        table=table,
        pixel_size=1.0,
        frame_interval=series.frame_interval,
        field_of_view=series.box,
        n_frames=frames,
        metadata={"simulation": {"masses": masses, "thermal_energy": series.thermal_energy, "units": units}},
    )
