"""The translation alone: tables and reports of drift in the form of trackpy."""

from __future__ import annotations

from typing import Any

import pandas as pd

from colloid_cg.tracking.drift.estimate import estimate_motion

DRIFT_COLUMNS = ("frame", "dx", "dy", "se_x", "se_y", "n")
"""Columns of :func:`estimate_drift`."""


def estimate_drift(table: pd.DataFrame, *, minimum_particles: int = 2) -> pd.DataFrame:
    """Return the drift since the first frame, from the mean displacement between consecutive frames.

    The step of frame k is the mean over the particles seen in frames k - 1 and k, and the drift D_t the sum of the
    steps, as ``trackpy.compute_drift`` without smoothing. Its standard error takes each particle as independent of
    the others, but not of itself: with delta_ik the displacement of particle i less the mean,

        Var D_t = sum_i ( sum_{k <= t} delta_ik / sqrt(n_k (n_k - 1)) )^2,

    so that the localisation error of a particle, which enters two steps with opposite signs, cancels as it does
    in D_t.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns frame, particle, x, y (px).
    minimum_particles : int
        Steps with fewer particles are taken as zero (no error is added: nothing is corrected there).

    Returns
    -------
    pandas.DataFrame
        Columns frame (every frame from the first to the last), dx, dy, se_x, se_y (px, cumulative) and n, the
        number of particles behind the last step.
    """
    motion = estimate_motion([table], kind="translation", minimum_particles=minimum_particles)
    columns = (motion.frame, *motion.translation.T, *motion.translation_error.T, motion.n_particles)
    return pd.DataFrame(dict(zip(DRIFT_COLUMNS, columns, strict=True)))


def subtract_drift(table: pd.DataFrame, drift: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the drift of each frame taken off x and y: the frame of the first picture."""
    rows = table["frame"].to_numpy() - int(drift["frame"].iloc[0])
    return table.assign(x=table["x"] - drift["dx"].to_numpy()[rows], y=table["y"] - drift["dy"].to_numpy()[rows])


def remove_drift(table: pd.DataFrame, *, minimum_particles: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Take the translation off where enough particles vouch for it, and say what was done.

    The mean motion of n freely diffusing particles is itself random: taking it off lowers their mean squared
    displacement by a factor 1 - 1/n. With a median of fewer than ``minimum_particles`` particles per step the drift
    is therefore estimated and reported, but left in.

    Returns
    -------
    table : pandas.DataFrame
    report : dict
        ``CommonMotion.as_dict()``.
    """
    motion = estimate_motion([table], kind="translation", minimum_particles=minimum_particles)
    return motion.remove(table), motion.as_dict()
