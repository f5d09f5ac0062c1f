"""The tracks that may still go on: what the next frame is compared with."""

from __future__ import annotations

from dataclasses import dataclass, fields

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
    young : bool, shape (m,)
        Whether the track has one detection and began after the first frame: perhaps a false one.
    """

    particle: np.ndarray
    last_frame: np.ndarray
    last: np.ndarray
    carried: np.ndarray
    velocity: np.ndarray
    young: np.ndarray

    @classmethod
    def begun(cls, particle: np.ndarray, positions: np.ndarray, *, frame: int, young: bool) -> LiveTracks:
        """Return tracks of one detection each; positions of shape (n, d)."""
        return cls(
            particle=particle,
            last_frame=np.full(len(particle), frame, dtype=np.int64),
            last=positions,
            carried=positions,
            velocity=np.full(positions.shape, np.nan),
            young=np.full(len(particle), young),
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
        velocity, young = self.velocity.copy(), self.young.copy()
        elapsed = self.last_frame.take(detections) - tracks.last_frame
        step = (self.last.take(detections, axis=0) - tracks.last) / elapsed[:, np.newaxis]
        blend = _MEMORY_OF_VELOCITY * tracks.velocity + (1.0 - _MEMORY_OF_VELOCITY) * step
        velocity[detections] = np.where(np.isnan(tracks.velocity), step, blend)
        young[detections] = False
        return LiveTracks(
            particle=self.particle,
            last_frame=self.last_frame,
            last=self.last,
            carried=self.carried,
            velocity=velocity,
            young=young,
        )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the fields."""
        return _NAMES


_NAMES = tuple(item.name for item in fields(LiveTracks))
