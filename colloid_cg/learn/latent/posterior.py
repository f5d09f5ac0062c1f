"""What is known of the hidden variable of every detection, given all of its track."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.learn.latent.ablation import Gain, gain
from colloid_cg.learn.latent.hidden import hidden_model, rows_of
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
    rows = rows_of(bundle, model.plain, model.structure, tracks)
    found = filtered(model.law, rows)
    mean, deviation = moments(smoothed(found, rows) if future else found.predicted, found.grid)
    law, species = model.law, rows.species
    s = law.hidden(law.log_mobility(rows.structure, mean, species), species)
    spread = np.maximum(law.spread, 1e-12)[species]
    variance = (law.memory_slope[species] * deviation) ** 2
    variance += (law.structure_slope[species] ** 2 * model.structure_noise[species]).sum(axis=1)
    first = int(tracks.table["frame"].min())
    known = pd.DataFrame(
        {
            "frame": first + rows.frame * int(bundle.config["stride"]),
            "particle": rows.particle,
            "s": s,
            "s_std": np.sqrt(variance) / spread,
        }
    )
    return tracks.table[["frame", "particle"]].merge(known, on=["frame", "particle"], how="left")


def hidden_gain(bundle: ModelBundle, tracks: Trajectories) -> Gain | None:
    """Return what s gains on a block it has not seen, over the ablation without it; None without usable steps."""
    model = hidden_model(bundle)
    if model is None:
        return None
    rows = rows_of(bundle, model.plain, model.structure, tracks)
    if not len(rows):
        return None
    return gain(filtered(model.law, rows).rows - filtered(model.ablation, rows).rows, rows)
