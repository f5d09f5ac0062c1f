"""Hidden variables and readable fields of every detection of a movie or of a rollout."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.nets import single_thread
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Trajectories
from colloid_cg.structure.descriptors import describe
from colloid_cg.structure.model import StructureModel


def encode(model: StructureModel, tracks: Trajectories, *, progress: Progress = silent) -> pd.DataFrame:
    """Return the hidden variables and the readable fields of every detection.

    Parameters
    ----------
    model : StructureModel
    tracks : Trajectories
        The movie the model was fitted to, another one, or a rollout.
    progress : callable

    Returns
    -------
    pandas.DataFrame
        One row per detection in the order of ``tracks.table``: ``frame, particle, s0, s1, ..., psi6, voronoi_area``
        (um2; both NaN in 3-D), ``local_density`` (1/um2 or 1/um3). NaN where the edge of the view could change it.

    Raises
    ------
    InputError
        If the tracks have another number of axes, or species the model has not seen.
    """
    _check(model, tracks)
    neighbourhood, positions, box = model.neighbourhood, tracks.camera_positions, tracks.box
    species, offsets = tracks.table["species"].to_numpy(), tracks.frame_offsets()
    hidden = np.full((len(tracks), model.config.latents), np.nan)
    fields = {name: np.full(len(tracks), np.nan) for name in ("psi6", "voronoi_area", "local_density")}
    with single_thread():
        for frame in range(tracks.n_frames):
            part = slice(offsets[frame], offsets[frame + 1])
            if part.start < part.stop:
                found = describe(positions[part], species[part], box, neighbourhood=neighbourhood)
                hidden[part] = _hidden(model, found.values, found.valid, species[part])
                for name, field in fields.items():
                    field[part] = getattr(found, name)
            progress(frame + 1, tracks.n_frames)
    columns = {f"s{k}": hidden[:, k] for k in range(model.config.latents)} | fields
    return tracks.table[["frame", "particle"]].assign(**columns)


def _hidden(model: StructureModel, values: np.ndarray, valid: np.ndarray, species: np.ndarray) -> np.ndarray:
    hidden = np.full((len(values), model.config.latents), np.nan)
    for central in model.species:
        rows = valid & (species == central)
        if rows.any():
            hidden[rows] = model.encoded(values[rows], species=central)
    return hidden


def _check(model: StructureModel, tracks: Trajectories) -> None:
    neighbourhood = model.neighbourhood
    if tracks.dimension != neighbourhood.dimension:
        raise InputError(
            f"tracks with {tracks.dimension} axes for a structure model of {neighbourhood.dimension}",
            expected="the same number of axes",
            action="fit the structure model to data of this kind",
        )
    highest = int(tracks.table["species"].max()) if len(tracks) else 0
    if highest >= neighbourhood.n_species:
        raise InputError(
            f"species {highest} in the tracks",
            expected=f"species 0 to {neighbourhood.n_species - 1}, those the structure model was fitted to",
            action="number the species alike, or fit again",
        )
