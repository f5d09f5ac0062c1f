"""The tracks that may still go on: what the next frame is compared with."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

_MEMORY_OF_VELOCITY = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class LiveTracks:
    """Tracks that may go on, every field an array with one row per track.

    Parameters
    ----------
    particle, last_frame : int64, shape (m,)
    last : float64, shape (m, d)
        Last position in px.
    carried : float64, shape (m, d)
        The same, moved on with the motion predicted for the frames since then.
    velocity : float64, shape (m, d)
        Recent velocity in px per frame; NaN where the track has one detection.
    fresh : float64, shape (m,)
        Probability that the last detection belonged to nothing seen before: it may be a false one. 0 in the first
        frame, where nothing was seen before.
    absent : float64, shape (m,)
        Probability that the particle was in none of the frames in which its track was not continued, rather than
        linked to another track; 1 for a track that was continued in the last frame.
    lively : float64, shape (m,)
        Probability that the last step was of the second kind (see :mod:`.step_model`).
    shadow : bool, shape (m,)
        An earlier end of a track that was continued, perhaps wrongly: its particle may yet be seen. It is part of
        the probabilities and is never linked.
    """

    particle: np.ndarray
    last_frame: np.ndarray
    last: np.ndarray
    carried: np.ndarray
    velocity: np.ndarray
    fresh: np.ndarray
    absent: np.ndarray
    lively: np.ndarray
    shadow: np.ndarray

    @classmethod
    def begun(cls, particle: np.ndarray, positions: np.ndarray, *, frame: int) -> LiveTracks:
        """Return tracks of one detection each; positions of shape (n, d)."""
        return cls(
            particle=particle,
            last_frame=np.full(len(particle), frame, dtype=np.int64),
            last=positions,
            carried=positions,
            velocity=np.full(positions.shape, np.nan),
            fresh=np.zeros(len(particle)),
            absent=np.ones(len(particle)),
            lively=np.zeros(len(particle)),
            shadow=np.zeros(len(particle), dtype=bool),
        )

    def __len__(self) -> int:
        return len(self.particle)

    def select(self, rows: np.ndarray) -> LiveTracks:
        """Return the tracks of an index array."""
        return LiveTracks(**{name: getattr(self, name).take(rows, axis=0) for name in self.names()})

    def joined(self, other: LiveTracks) -> LiveTracks:
        """Return these tracks, then others."""
        return LiveTracks(
            **{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in self.names()}
        )

    def followed_by(self, tracks: LiveTracks, detections: np.ndarray) -> LiveTracks:
        """Return these tracks of one detection each with the past of the tracks they continue.

        Parameters
        ----------
        tracks : LiveTracks
        detections : int array, shape (len(tracks),)
            Row of ``self`` that continues each of them.
        """
        velocity = self.velocity.copy()
        elapsed = self.last_frame.take(detections) - tracks.last_frame
        step = (self.last.take(detections, axis=0) - tracks.last) / elapsed[:, np.newaxis]
        blend = _MEMORY_OF_VELOCITY * tracks.velocity + (1.0 - _MEMORY_OF_VELOCITY) * step
        velocity[detections] = np.where(np.isnan(tracks.velocity), step, blend)
        return replace(self, velocity=velocity)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the fields."""
        return _NAMES


_NAMES = tuple(item.name for item in fields(LiveTracks))
