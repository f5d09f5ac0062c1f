"""Common motion of all particles (stage drift), its standard error, and its removal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

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
    order = np.lexsort((table["frame"].to_numpy(), table["particle"].to_numpy()))
    frame = table["frame"].to_numpy()[order]
    particle = pd.factorize(table["particle"].to_numpy()[order])[0]
    positions = table[["x", "y"]].to_numpy(dtype=float)[order]
    pair = np.flatnonzero((np.diff(particle) == 0) & (np.diff(frame) == 1)) + 1
    step = positions[pair] - positions[pair - 1]
    first, last = int(frame.min()), int(frame.max())
    by_frame = np.argsort(frame[pair], kind="stable")
    offsets = np.searchsorted(frame[pair][by_frame], np.arange(first, last + 2))
    drift = np.zeros((last - first + 1, 2))
    variance = np.zeros_like(drift)
    count = np.diff(offsets)
    influence = np.zeros((int(particle.max()) + 1, 2))
    for k in range(1, len(drift)):
        rows = by_frame[offsets[k] : offsets[k + 1]]
        drift[k], variance[k] = drift[k - 1], variance[k - 1]
        if len(rows) < max(2, minimum_particles):
            continue
        mean = step[rows].mean(axis=0)
        change = (step[rows] - mean) / np.sqrt(len(rows) * (len(rows) - 1))
        before = influence[particle[pair[rows]]]
        variance[k] += (change * (2.0 * before + change)).sum(axis=0)
        influence[particle[pair[rows]]] = before + change
        drift[k] += mean
    error = np.sqrt(np.maximum(variance, 0.0))
    columns = (np.arange(first, last + 1), drift[:, 0], drift[:, 1], error[:, 0], error[:, 1], count)
    return pd.DataFrame(dict(zip(DRIFT_COLUMNS, columns, strict=True)))


def subtract_drift(table: pd.DataFrame, drift: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the drift of each frame taken off x and y: the frame of the first picture."""
    rows = table["frame"].to_numpy() - int(drift["frame"].iloc[0])
    return table.assign(x=table["x"] - drift["dx"].to_numpy()[rows], y=table["y"] - drift["dy"].to_numpy()[rows])


def remove_drift(table: pd.DataFrame, *, minimum_particles: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Take the drift off where enough particles vouch for it, and say what was done.

    The mean motion of n freely diffusing particles is itself random: taking it off lowers their mean squared
    displacement by a factor 1 - 1/n. With a median of fewer than ``minimum_particles`` particles per step the drift
    is therefore estimated and reported, but left in.

    Returns
    -------
    table : pandas.DataFrame
    report : dict
        JSON-able: removed, reason, minimum_particles, median_particles, n_steps_left, diffusion_bias, and the lists
        frame, dx, dy, se_x, se_y (px).
    """
    drift = estimate_drift(table, minimum_particles=minimum_particles)
    steps = drift["n"].to_numpy()[1:]
    median = float(np.median(steps)) if len(steps) else 0.0
    enough = median >= minimum_particles
    if enough:
        table = subtract_drift(table, drift)
        reason = f"a median of {median:g} particles per step"
    else:
        drift = estimate_drift(table)
        reason = (
            f"a median of {median:g} particles per step is fewer than track.drift_minimum_particles = "
            f"{minimum_particles}: removing their mean motion would remove real diffusion"
        )
    report: dict[str, Any] = {
        "removed": bool(enough),
        "reason": reason,
        "minimum_particles": minimum_particles,
        "median_particles": median,
        "n_steps_left": int((steps < minimum_particles).sum()) if enough else len(steps),
        "diffusion_bias": -1.0 / median if enough else 0.0,
    }
    return table, report | {name: drift[name].tolist() for name in ("frame", "dx", "dy", "se_x", "se_y")}
