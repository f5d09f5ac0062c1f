"""Local rotation, strain and cage-relative displacement of every detection."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.events.config import EventConfig, scales
from colloid_cg.events.neighborhoods import frame_pairs
from colloid_cg.observables import (
    cage_relative_displacement,
    deformation_gradient,
    local_rotation,
    max_shear_strain,
    volumetric_strain,
)
from colloid_cg.records import Trajectories

_ROTATIONS = {2: ("rotation",), 3: ("rotation_x", "rotation_y", "rotation_z")}


def motion_fields(tracks: Trajectories, config: EventConfig | None = None) -> pd.DataFrame:
    """Return how the neighbourhood of every detection turned and deformed, and how far it left its cage.

    Parameters
    ----------
    tracks : Trajectories
    config : EventConfig, optional
        Lag and neighbours, as for D2min.

    Returns
    -------
    pandas.DataFrame
        One row per detection in the order of ``tracks.table``: ``frame, particle``; ``rotation`` (rad; in 3-D
        ``rotation_x, rotation_y, rotation_z``, the rotation vector); ``shear_strain`` (``max_shear_strain``);
        ``volume_strain`` (``volumetric_strain``); ``cage_x, cage_y [, cage_z]`` the cage-relative displacement in um
        and ``cage_neighbors``, the n of its noise floor. All between the frames f - (lag + 1) // 2 and
        f - (lag + 1) // 2 + lag around frame f with the neighbours of the earlier one, as D2min.
        NaN where the particle or too many of its neighbours are missing in one of the frames, and where the
        neighbourhood reaches beyond the edge of the view. ``attrs["motion"]`` holds lag and cutoff.
    """
    config = config or EventConfig()
    used = scales(tracks, config)
    names = (*_ROTATIONS[tracks.dimension], "shear_strain", "volume_strain")
    names += (*(f"cage_{axis}" for axis in tracks.axes), "cage_neighbors")
    values = np.full((len(tracks), len(names)), np.nan)
    positions, box = tracks.positions, tracks.box
    for pair in frame_pairs(tracks, config, used):
        before, after = positions[pair.start], positions[pair.end]
        fit = deformation_gradient(before, after, pair.graph, box=box)
        strain = np.column_stack([local_rotation(fit), max_shear_strain(fit), volumetric_strain(fit)])
        cage = cage_relative_displacement(before, after, pair.graph, box=box)
        count = np.bincount(pair.graph.pairs.ravel(), minlength=len(before))
        filed = pair.sound & (pair.middle >= 0)
        values[pair.middle[filed]] = np.column_stack([strain, cage, count])[filed]
    table = tracks.table[["frame", "particle"]].assign(**dict(zip(names, values.T, strict=True)))
    table.attrs["motion"] = {
        "lag_frames": used.lag,
        "neighbors": config.neighbors,
        "cutoff_um": used.cutoff if config.neighbors == "cutoff" else None,
    }
    return table
