"""What is known of the hidden variable of every detection, given all of its track."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.learn.latent.ablation import Gain, gain
from colloid_cg.learn.latent.model import hidden_model
from colloid_cg.learn.latent.prepare import rows_of, structure_of
from colloid_cg.learn.latent.rows import filtered, moments, smoothed
from colloid_cg.records import ModelBundle, Trajectories


def hidden_fields(bundle: ModelBundle, tracks: Trajectories, *, future: bool = True) -> pd.DataFrame | None:
    """Return the hidden variable of every detection with its uncertainty.

    Parameters
    ----------
    bundle : ModelBundle
    tracks : Trajectories
        The movie, another one, or a rollout.
    future : bool
        Use all of the track (smoother); False: only what came before the step that begins there, so that s can be
        held against what happens next.

    Returns
    -------
    pandas.DataFrame or None
        Columns ``frame, particle, s, s_std``: mean and standard deviation of s (noise of localisation in the structure
        included), NaN where the edge of the view hides
        the neighbourhood or the track is not linked to the next frame. None without a hidden variable.
    """
    model = hidden_model(bundle)
    if model is None:
        return None
    structure = structure_of(model.structure, tracks)
    rows = rows_of(bundle, model.plain, tracks, structure)
    found = filtered(model.law, rows)
    mean, deviation = moments(smoothed(found) if future else found.predicted, found.grid)
    law, species, known = model.living, rows.species, model.reliability
    s = law.hidden(law.log_mobility(known.estimate(structure[rows.detection], species), mean, species), species)
    spread = np.maximum(law.spread, 1e-12)[species]
    variance = (law.memory_slope[species] * deviation) ** 2
    variance += (law.structure_slope[species] ** 2 * (1.0 - known.share)[species]).sum(axis=1)
    values = np.full((len(tracks), 2), np.nan)
    values[rows.detection] = np.stack([s, np.sqrt(variance) / spread], axis=1)
    return tracks.table[["frame", "particle"]].assign(
        s=values[:, 0], s_std=np.where(np.isfinite(values[:, 0]), values[:, 1], np.nan)
    )


def frames_to_forget(bundle: ModelBundle) -> int:
    """Return after how many frames of the movie the memory variable has forgotten all but 1 in 20, 0 without one."""
    model = hidden_model(bundle)
    return 0 if model is None else int(np.ceil(3.0 * model.law.persistence * int(bundle.config["stride"])))


def hidden_gain(bundle: ModelBundle, tracks: Trajectories) -> Gain | None:
    """Return what s gains on a block it has not seen, over the ablation without it; None without usable steps."""
    model = hidden_model(bundle)
    if model is None:
        return None
    rows = rows_of(bundle, model.plain, tracks, structure_of(model.structure, tracks))
    if not len(rows):
        return None
    return gain(filtered(model.law, rows).rows - filtered(model.ablation, rows).rows, rows)
