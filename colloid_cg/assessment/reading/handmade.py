"""What an analyst would try without a hidden variable: readable fields, their time averages, and the recent past."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.assessment.reading.futures import carried, d2min_ahead, displacements
from colloid_cg.records import Trajectories

READABLE = ("local_density", "psi6", "voronoi_area")


def handmade_variables(
    tracks: Trajectories,
    fields: pd.DataFrame,
    positions: np.ndarray,
    frames: np.ndarray,
    lag: int,
    *,
    cutoff: float,
) -> dict[str, np.ndarray]:
    """Return every hand-made variable of the detections in ``frames``, each of shape (n,), NaN elsewhere.

    ``local_density``, ``psi6``, ``voronoi_area`` as far as ``fields`` has them; ``mean_...``: their averages over the
    ``lag`` frames up to the present one; ``past_displacement``, ``past_d2min``: motion over the last ``lag`` frames.
    """
    known = [name for name in READABLE if name in fields and np.isfinite(fields[name].to_numpy()).any()]
    found = {name: fields[name].to_numpy(dtype=float) for name in known}
    found |= {f"mean_{name}": recent_mean(found[name], tracks, lag) for name in known}
    found["past_displacement"] = carried(displacements(positions, tracks, lag), tracks, lag)
    found["past_d2min"] = carried(d2min_ahead(tracks, np.asarray(frames) - lag, lag, cutoff=cutoff), tracks, lag)
    return found


def recent_mean(values: np.ndarray, tracks: Trajectories, lag: int) -> np.ndarray:
    """Return the mean of the known values of each particle in the frames f - lag to f, shape (n,)."""
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    order = np.lexsort((frame, particle))
    # Tracks lie end to end on one axis, more than a lag apart.
    key = np.unique(particle, return_inverse=True)[1][order] * (int(np.ptp(frame)) + lag + 2) + frame[order]
    known = np.isfinite(values[order])
    total = np.append(0.0, np.cumsum(np.where(known, values[order], 0.0)))
    count = np.append(0, np.cumsum(known))
    first = np.searchsorted(key, key - lag)
    last = np.arange(1, len(key) + 1)
    mean = np.full(len(key), np.nan)
    number = count[last] - count[first]
    np.divide(total[last] - total[first], number, out=mean, where=number > 0)
    found = np.empty(len(key))
    found[order] = mean
    return found
