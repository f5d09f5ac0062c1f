"""What must be known of every track to join its ends with others: memory grows with the tracks, not with the frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numba import njit

from colloid_cg.errors import InputError

_FIRST_CAPACITY = 1024
_MEMORY_OF_VELOCITY = 0.5
_AXES = ("x", "y", "z")


class TrackSummary:
    """First and last position, recent velocity and step lengths of every track.

    Parameters
    ----------
    dimension : int
        2 or 3.
    """

    def __init__(self, dimension: int = 2) -> None:
        self.dimension = dimension
        self.n_tracks = 0
        self._whole = np.empty((0, 4), dtype=np.int64)
        self._real = np.empty((0, 3 * dimension + 1))

    def add(self, table: pd.DataFrame) -> None:
        """Take in the next frames.

        Parameters
        ----------
        table : pandas.DataFrame
            Columns frame, particle (0, 1, ... in order of first appearance), x, y [, z] in px, sorted by frame;
            later than everything taken in before.
        """
        axes = list(_AXES[: self.dimension])
        particle = table["particle"].to_numpy(dtype=np.int64)
        if len(particle) == 0:
            return
        if particle.min() < 0:
            raise InputError(
                f"particle {int(particle.min())}", expected="ids from 0 on", action="renumber the particles"
            )
        self._reserve(int(particle.max()) + 1)
        frame = table["frame"].to_numpy(dtype=np.int64)
        _take_in(frame, particle, table[axes].to_numpy(dtype=np.float64), self._whole, self._real)

    def _reserve(self, n_tracks: int) -> None:
        if n_tracks > len(self._whole):
            more = max(2 * len(self._whole), n_tracks, _FIRST_CAPACITY) - len(self._whole)
            self._whole = np.vstack([self._whole, np.zeros((more, 4), dtype=np.int64)])
            self._real = np.vstack([self._real, np.zeros((more, self._real.shape[1]))])
        self.n_tracks = max(self.n_tracks, n_tracks)

    @property
    def first_frame(self) -> np.ndarray:
        """Frame of the first detection, shape (n_tracks,)."""
        return self._whole[: self.n_tracks, 0]

    @property
    def last_frame(self) -> np.ndarray:
        """Frame of the last detection, shape (n_tracks,)."""
        return self._whole[: self.n_tracks, 1]

    @property
    def length(self) -> np.ndarray:
        """Number of detections, shape (n_tracks,)."""
        return self._whole[: self.n_tracks, 2]

    @property
    def steps(self) -> np.ndarray:
        """Number of steps without a gap, shape (n_tracks,)."""
        return self._whole[: self.n_tracks, 3]

    @property
    def first(self) -> np.ndarray:
        """First position in px, shape (n_tracks, d)."""
        return self._real[: self.n_tracks, : self.dimension]

    @property
    def last(self) -> np.ndarray:
        """Last position in px, shape (n_tracks, d)."""
        return self._real[: self.n_tracks, self.dimension : 2 * self.dimension]

    @property
    def velocity(self) -> np.ndarray:
        """Recent velocity in px per frame, shape (n_tracks, d); 0 for a track of one detection."""
        return self._real[: self.n_tracks, 2 * self.dimension : 3 * self.dimension]

    @property
    def squared(self) -> np.ndarray:
        """Sum of the squared lengths of the steps without a gap in px^2, shape (n_tracks,)."""
        return self._real[: self.n_tracks, 3 * self.dimension]

    @property
    def step_variance(self) -> float:
        """Mean variance of a step per axis in px^2; NaN where there is no step."""
        n = int(self.steps.sum())
        return float(self.squared.sum()) / (self.dimension * n) if n else np.nan

    def table(self) -> pd.DataFrame:
        """Return one row per track, to store; :meth:`from_table` reads it."""
        axes = _AXES[: self.dimension]
        names = [f"{kind}_{axis}" for kind in ("first", "last", "velocity") for axis in axes]
        whole = dict(zip(("first_frame", "last_frame", "length", "steps"), self._whole[: self.n_tracks].T, strict=True))
        real = dict(zip((*names, "squared"), self._real[: self.n_tracks].T, strict=True))
        return pd.DataFrame({"particle": np.arange(self.n_tracks)} | whole | real)

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> TrackSummary:
        """Return the summary that :meth:`table` gave."""
        summary = cls(3 if "first_z" in table.columns else 2)
        summary.n_tracks = len(table)
        summary._whole = table[["first_frame", "last_frame", "length", "steps"]].to_numpy(dtype=np.int64, copy=True)
        names = [name for name in table.columns if name.startswith(("first_", "last_", "velocity_"))]
        reals = [name for name in names if not name.endswith("_frame")]
        summary._real = table[[*reals, "squared"]].to_numpy(dtype=np.float64, copy=True)
        return summary


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _take_in(
    frame: np.ndarray, particle: np.ndarray, positions: np.ndarray, whole: np.ndarray, real: np.ndarray
) -> None:
    # row by row in time, so that sums are the same to the last bit however the movie is cut into parts
    d = positions.shape[1]
    for row in range(len(frame)):
        k = particle[row]
        if whole[k, 2] == 0:
            whole[k, 0] = frame[row]
            for axis in range(d):
                real[k, axis] = positions[row, axis]
        else:
            elapsed = frame[row] - whole[k, 1]
            length = 0.0
            for axis in range(d):
                step = positions[row, axis] - real[k, d + axis]
                length += step * step
                before = real[k, 2 * d + axis] if whole[k, 2] > 1 else step / elapsed
                blend = _MEMORY_OF_VELOCITY * before + (1.0 - _MEMORY_OF_VELOCITY) * step / elapsed
                real[k, 2 * d + axis] = blend
            if elapsed == 1:
                whole[k, 3] += 1
                real[k, 3 * d] += length
        whole[k, 1] = frame[row]
        whole[k, 2] += 1
        for axis in range(d):
            real[k, d + axis] = positions[row, axis]
