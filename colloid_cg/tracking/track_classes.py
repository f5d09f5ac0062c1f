"""One size class for each track: a particle does not change its size."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.records import FLAG_EDGE, FLAG_POOR_FIT
from colloid_cg.tracking.size_classes import classes_of_tracks

_DOUBTFUL = 1e-6  # of the weight of a position known to 1 px: counts where nothing better is known of a track


class TrackClasses:
    """Votes of the detections of each track for its class; a few numbers per track are kept.

    The log evidence for one class against another grows as the square of the signal over the noise, as does
    1 / (sigma_x^2 + sigma_y^2), which is the weight of a vote: the evidence itself is not kept with detections.
    Detections at the edge, poor fits and those without error only decide where there are no others.
    """

    def __init__(self) -> None:
        self._votes = np.zeros((1024, 1))

    def add(self, part: pd.DataFrame) -> None:
        """Count the detections of a part (particle, species, sigma_x, sigma_y, flags)."""
        if part.empty or not {"species", "sigma_x", "sigma_y", "flags"} <= set(part.columns):
            return
        particle, species = part["particle"].to_numpy(), part["species"].to_numpy()
        rows, columns = max(int(particle.max()) + 1, 1), int(species.max()) + 1
        rows = len(self._votes) if rows <= len(self._votes) else max(rows, 2 * len(self._votes))
        more = ((0, rows - len(self._votes)), (0, max(columns - self._votes.shape[1], 0)))
        self._votes = np.pad(self._votes, more)
        # row by row in time, so that sums are the same to the last bit however the movie is cut into parts
        np.add.at(self._votes, (particle, species), _weights(part))

    def of_tracks(self, joined: np.ndarray) -> np.ndarray | None:
        """Return the class of each track, None if there is one class.

        Parameters
        ----------
        joined : int array, shape (n_linked,)
            Track that each id of the linker belongs to.
        """
        if self._votes.shape[1] == 1:
            return None
        own = classes_of_tracks(self._votes[: len(joined)], joined)
        species = np.zeros(len(joined), dtype="int32")
        species[joined] = own
        return species


def _weights(part: pd.DataFrame) -> np.ndarray:
    variance = part["sigma_x"].to_numpy() ** 2 + part["sigma_y"].to_numpy() ** 2
    sound = (variance > 0) & ((part["flags"].to_numpy() & (FLAG_EDGE | FLAG_POOR_FIT)) == 0)
    return np.asarray(np.where(sound, 1.0 / np.where(sound, variance, 1.0), _DOUBTFUL))
