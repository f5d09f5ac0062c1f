"""Whether tracks of one population fall into two sizes: D and forces of a fit would be averages over both."""

from __future__ import annotations

import numpy as np

from colloid_cg.records import FLAG_EDGE, FLAG_POOR_FIT, Trajectories
from colloid_cg.tracking.width_mixture import choose_mixture

LEAST_DETECTIONS = 10
LEAST_TRACKS = 20
LEAST_SHARE = 0.1
LEAST_RATIO = 1.05
"""Of the larger to the smaller width: light and focus that differ over the field make less."""


def track_sizes(tracks: Trajectories) -> dict[str, list[float]] | None:
    """Return the two widths that the tracks fall into, though tracking took all particles for one population.

    The width of one detection is blurred by its noise; the mean over a track of n detections is known sqrt(n) times
    better, so that populations part which overlap frame by frame. Detections at the edge and poor fits are left out.

    Parameters
    ----------
    tracks : Trajectories
        With ``size`` (px) and a single species.

    Returns
    -------
    dict or None
        ``sizes`` (px, smaller first) and ``shares`` of the tracks. None where there is one population, where tracking
        has told several already, or with fewer than 20 tracks of 10 detections.
    """
    table = tracks.table
    if "size" not in table.columns or table["species"].nunique() != 1:
        return None
    sound = table["size"].notna() & ((table["flags"] & (FLAG_EDGE | FLAG_POOR_FIT)) == 0)
    found = table[sound].groupby("particle")["size"].agg(["mean", "std", "size"])
    found = found[found["size"] >= LEAST_DETECTIONS]
    if len(found) < LEAST_TRACKS or not (found["std"] > 0).all():
        return None
    mixture = choose_mixture(found["mean"].to_numpy(), (found["std"] / np.sqrt(found["size"])).to_numpy(), most=2)
    means, shares = mixture.means, mixture.shares
    if len(means) < 2 or shares.min() < LEAST_SHARE or means[1] < LEAST_RATIO * means[0]:
        return None
    return {"sizes": means.tolist(), "shares": shares.tolist()}
