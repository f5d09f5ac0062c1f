"""What is known of the hidden variable of every detection, given all of its track."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.learn.latent.ablation import Gain, gain
from colloid_cg.learn.latent.living import Followed, followed
from colloid_cg.learn.latent.model import HiddenModel, hidden_model
from colloid_cg.learn.latent.prepare import leading, rows_of, structure_of
from colloid_cg.learn.latent.rows import filtered, moments, smoothed
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.states import from_trajectories


def hidden_fields(bundle: ModelBundle, tracks: Trajectories, *, future: bool = True) -> pd.DataFrame | None:
    """Return the hidden variable of every detection with its uncertainty.

    Parameters
    ----------
    bundle : ModelBundle
    tracks : Trajectories
        The movie, another one, or a rollout.
    future : bool
        Use all of the track (smoother); False: only the frames before it and, of memory, the steps that end there, so
        that s can be held against what happens next.

    Returns
    -------
    pandas.DataFrame or None
        Columns ``frame, particle, s, s_std``: mean and standard deviation of s, errors of structure included. NaN where
        nothing is known of the neighbourhood yet (the edge of the view, the first frame of a track or after a gap), the
        particle is not linked to the next frame, its species has no hidden variable, or the fit, with a stride, does
        not use the frame. None without a hidden variable.
    """
    model = hidden_model(bundle)
    if model is None:
        return None
    known = _followed(model, tracks)
    rows = rows_of(bundle, model.plain, tracks, known)
    found = filtered(model.law, rows)
    mean, deviation = moments(smoothed(found) if future else found.predicted, found.grid)
    law, species, at = model.law, rows.species, rows.detection
    phi, variance = (known.now, known.now_variance) if future else (known.before, known.before_variance)
    s = law.hidden(law.log_mobility(phi[at], mean, species), species)
    spread = np.where(law.spread > 0.0, law.spread, np.nan)[species]
    square = (law.memory_slope[species] * deviation) ** 2 + (law.structure_slope[species] ** 2 * variance[at]).sum(
        axis=1
    )
    values = np.full((len(tracks), 2), np.nan)
    values[at] = np.stack([np.where(np.isfinite(spread), s, np.nan), np.sqrt(square) / spread], axis=1)
    return tracks.table[["frame", "particle"]].assign(s=values[:, 0], s_std=values[:, 1])


def _followed(model: HiddenModel, tracks: Trajectories) -> Followed:
    return followed(structure_of(model.structure, tracks), from_trajectories(tracks), model.reliability)


def frames_to_forget(bundle: ModelBundle) -> int:
    """Return after how many frames of the movie the memory variable has forgotten all but 1 in 20, 0 without one."""
    model = hidden_model(bundle)
    return 0 if model is None else int(np.ceil(3.0 * model.law.persistence * int(bundle.config["stride"])))


def hidden_gain(bundle: ModelBundle, tracks: Trajectories) -> Gain | None:
    """Return what s gains on a block it has not seen, over the ablation without it; None without usable steps."""
    model = hidden_model(bundle)
    if model is None:
        return None
    tracks = leading(tracks, int(bundle.config["fit"]["maximum_detections"]))
    rows = rows_of(bundle, model.plain, tracks, _followed(model, tracks))
    if not len(rows):
        return None
    full, without = (filtered(law, rows, keep=False).rows for law in (model.law, model.ablation))
    return gain(full - without, rows)
