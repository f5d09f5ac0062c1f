"""Hidden variables and readable fields of every detection of a movie or of a rollout."""

from __future__ import annotations

from collections import deque

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.nets import single_thread
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Box, Trajectories
from colloid_cg.structure.descriptors import describe
from colloid_cg.structure.model import StructureModel
from colloid_cg.structure.sampling import FrameRows, Movie, over_window


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
        (um2; both NaN in 3-D), ``local_density`` (1/um2 or 1/um3). NaN where the edge of the view could change it; s
        also where the particle lacks a frame of the window (its first frames, a gap).

    Raises
    ------
    InputError
        If the tracks have another number of axes, or species the model has not seen.
    """
    _check(model, tracks)
    movie = Movie(tracks, neighbourhood=model.neighbourhood)
    particle, earlier = tracks.table["particle"].to_numpy(), deque[FrameRows](maxlen=model.config.window)
    hidden = np.full((len(tracks), model.latents), np.nan)
    fields = {name: np.full(len(tracks), np.nan) for name in ("psi6", "voronoi_area", "local_density")}
    with single_thread():
        for frame in range(tracks.n_frames):
            part, found = movie.describe(frame)
            earlier.appendleft(movie.rows(part, found))
            if len(earlier) == model.config.window:
                seen = over_window(list(earlier))
                rows = part.start + np.searchsorted(particle[part], seen.particle)
                hidden[rows] = _hidden(model, seen)
            for name, field in fields.items():
                field[part] = getattr(found, name)
            progress(frame + 1, tracks.n_frames)
    columns = {f"s{k}": hidden[:, k] for k in range(model.latents)} | fields
    return tracks.table[["frame", "particle"]].assign(**columns)


def encode_positions(model: StructureModel, positions: np.ndarray, species: np.ndarray, box: Box) -> np.ndarray:
    """Return the hidden variables of the particles of one configuration, for an encoder of single frames.

    Parameters
    ----------
    model : StructureModel
    positions : array, shape (n, d)
        In um, within ``box``.
    species : int array, shape (n,)
    box : Box

    Returns
    -------
    array, shape (n, k)
        NaN where the edge of the view could change it, and for species without an encoder.

    Raises
    ------
    InputError
        If the encoder looks at several frames.
    """
    if model.config.window != 1:
        raise InputError(
            f"one configuration for an encoder that looks at {model.config.window} frames",
            expected="structure.window = 1",
            action="fit it again with that setting, or encode a movie",
        )
    hidden = np.full((len(positions), model.latents), np.nan)
    with single_thread():
        found = describe(positions, species, box, neighbourhood=model.neighbourhood)
        for central in model.species:
            own = found.valid & (species == central)
            if own.any():
                hidden[own] = model.encoded(found.values[own], species=central)
    return hidden


def _hidden(model: StructureModel, rows: FrameRows) -> np.ndarray:
    hidden = np.full((len(rows.particle), model.latents), np.nan)
    for central in model.species:
        own = rows.species == central
        if own.any():
            hidden[own] = model.encoded(rows.seen[own], species=central)
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
