"""Common motion of all particles from their tracks, in one pass over the frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.records import CommonMotion
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.drift.path import Path
from colloid_cg.tracking.drift.smoothing import smooth, step_weights
from colloid_cg.tracking.drift.steps import Links, fit_step

Kind = Literal["none", "translation", "rigid", "affine"]

FORGET_AFTER = 50
"""Frames after which a particle that is not seen any more counts as gone."""


def estimate_motion(
    parts: Iterable[pd.DataFrame], *, kind: Kind, minimum_particles: int, smoothing: float = 0.0
) -> CommonMotion:
    """Return the common motion since the first frame: translation, rotation and strain, whatever is to be removed.

    Memory does not grow with the number of frames, but for the curves themselves: only the positions of the last two
    frames and the influence of particles seen in the last ``FORGET_AFTER`` frames are kept.

    Parameters
    ----------
    parts : iterable of pandas.DataFrame
        Columns frame, particle, x, y (px), in the order of frames; any number of whole frames each.
    kind : "none", "translation", "rigid" or "affine"
        What is to be removed. With a median of fewer than ``minimum_particles`` per step it is estimated from all
        steps that have two particles, and left in: removing it would remove real diffusion.
    minimum_particles : int
        Steps with fewer are taken as zero.
    smoothing : float
        Standard deviation in frames of a Gaussian over the curves; 0 for none.

    Returns
    -------
    CommonMotion

    Raises
    ------
    DataError
        If there is no detection, or the frames are not in order.
    """
    motion = MotionEstimator(minimum_particles=minimum_particles)
    for part in parts:
        motion.add(part)
    return motion.result(kind=kind, smoothing=smoothing)


class MotionEstimator:
    """Common motion of the frames added so far."""

    def __init__(self, *, minimum_particles: int) -> None:
        self.minimum = max(2, minimum_particles)
        self.open_view = False
        self.n_last = 0
        self.frame = -1
        self.first: int | None = None
        self.centre = np.zeros(2)
        self.lower, self.upper = np.full(2, np.inf), np.full(2, -np.inf)
        self.path, self.thin = Path(), None  # type: Path, Path | None
        self.n_particles: list[int] = []
        # Live particles, sorted by id: when and where they were last seen, and where in the frame before that.
        self.ids = np.empty(0, dtype=np.int64)
        self.seen = np.empty(0, dtype=np.int64)
        self.last = np.empty((0, 2))
        self.before = np.empty((0, 2))

    def add(self, part: pd.DataFrame) -> None:
        """Add a table of whole frames that follow those added before."""
        if part.empty:
            return
        frame, particle = part["frame"].to_numpy(), part["particle"].to_numpy()
        order = np.lexsort((particle, frame))
        frame, particle = frame[order], particle[order].astype(np.int64)
        positions = part[["x", "y"]].to_numpy(dtype=float)[order]
        if frame[0] <= self.frame:
            raise DataError(
                f"frame {int(frame[0])} after frame {self.frame}",
                expected="whole frames in increasing order",
                action="sort the parts by frame and cut them between frames",
            )
        starts = np.flatnonzero(np.diff(frame, prepend=frame[0] - 1))
        for start, stop in zip(starts, [*starts[1:], len(frame)], strict=True):
            self._add_frame(int(frame[start]), particle[start:stop], positions[start:stop])

    def _add_frame(self, frame: int, particle: np.ndarray, positions: np.ndarray) -> None:
        if self.first is None:
            self.first = frame
            self.centre = positions.mean(axis=0)
            self.path.start()
            self.n_particles.append(0)
        else:
            for _ in range(self.frame + 1, frame):
                self._take(np.empty(0, dtype=np.int64), np.empty((0, 2)))
            self._welcome(particle)
            slot = np.searchsorted(self.ids, particle)
            linked = self.seen[slot] == frame - 1
            self._take(slot[linked], positions[linked])
        self.frame = frame
        self._welcome(particle)
        slot = np.searchsorted(self.ids, particle)
        consecutive = (self.seen[slot] == frame - 1)[:, None]
        self.before[slot] = np.where(consecutive, self.last[slot], np.nan)
        self.last[slot], self.seen[slot] = positions, frame
        self.n_last = len(slot)
        self.lower = np.minimum(self.lower, positions.min(axis=0))
        self.upper = np.maximum(self.upper, positions.max(axis=0))
        if frame % FORGET_AFTER == 0:
            self._forget()

    def _take(self, slot: np.ndarray, positions: np.ndarray) -> None:
        """Take the step to the next frame with the particles that are in both."""
        n = len(slot)
        self.n_particles.append(n)
        self.open_view |= n < self.n_last
        if n < self.minimum and self.thin is None:
            self.thin = self.path.copied()
        links = Links(
            position=self.last[slot] - self.centre,
            displacement=positions - self.last[slot],
            before=self.before[slot] - self.centre,
            lower=self.lower - self.centre,
            upper=self.upper - self.centre,
            open_view=self.open_view,
        )
        for path, minimum in ((self.path, self.minimum), (self.thin, 2)):
            if path is None:
                continue
            if n < minimum:
                path.leave(n)
            else:
                path.advance(fit_step(links, minimum_particles=minimum), slot, n)

    def _welcome(self, particle: np.ndarray) -> None:
        slot = np.searchsorted(self.ids, particle)
        known = np.zeros(len(particle), dtype=bool)
        if len(self.ids):
            known = self.ids[np.minimum(slot, len(self.ids) - 1)] == particle
        if known.all():
            return
        ids = np.concatenate([self.ids, particle[~known]])
        order = np.argsort(ids, kind="stable")
        rows = np.where(order < len(self.ids), order, -1)
        nowhere = np.full((1, 2), np.nan)
        self.ids = ids[order]
        self.seen = np.append(self.seen, -2)[rows]
        self.last, self.before = np.vstack([self.last, nowhere])[rows], np.vstack([self.before, nowhere])[rows]
        for path in self._paths():
            path.rearrange(rows)

    def _forget(self) -> None:
        gone = self.seen < self.frame - FORGET_AFTER
        if gone.any():
            self.ids, self.seen = self.ids[~gone], self.seen[~gone]
            self.last, self.before = self.last[~gone], self.before[~gone]
            for path in self._paths():
                path.settle(gone)

    def _paths(self) -> list[Path]:
        return [self.path] if self.thin is None else [self.path, self.thin]

    def result(self, *, kind: Kind, smoothing: float = 0.0) -> CommonMotion:
        """Return the common motion; ``kind`` is removed if enough particles vouch for it."""
        if self.first is None:
            raise DataError(
                "no detections to estimate the common motion from",
                expected="at least one particle in the movie",
                action="lower track.minmass, or check track.invert and track.diameter",
            )
        steps = np.array(self.n_particles[1:])
        median = float(np.median(steps)) if len(steps) else 0.0
        if median >= self.minimum:
            return self._record(self.path, kind, median, f"a median of {median:g} particles per step", smoothing)
        reason = (
            f"a median of {median:g} particles per step is fewer than track.drift_minimum_particles = "
            f"{self.minimum}: removing their common motion would remove real diffusion"
        )
        motion = self._record(self.thin or self.path, kind, median, reason, smoothing)
        return replace(motion.kept(reason), n_steps_left=len(steps))

    def _record(self, path: Path, kind: Kind, median: float, reason: str, smoothing: float) -> CommonMotion:
        values = np.array(path.parameters)
        values[:, 4] = np.unwrap(values[:, 4])
        onward = np.vstack([*path.onward, np.zeros(8)]) if path.onward else np.zeros_like(values)
        values, variance = smooth(values, np.array(path.variance), onward, smoothing)
        error = np.sqrt(np.maximum(variance, 0.0))
        first = 2 if kind in ("rigid", "affine") else 0
        bias = 0.0
        if kind != "none" and path.n_links:
            centre, square = step_weights(smoothing)
            bias = -(centre * path.taken[kind] - square * path.added[kind]) / (2.0 * path.n_links)
        return CommonMotion(
            kind=kind,
            frame=np.arange(self.first or 0, (self.first or 0) + len(values)),
            translation=values[:, first : first + 2],
            translation_error=error[:, first : first + 2],
            rotation=values[:, 4],
            rotation_error=error[:, 4],
            strain=values[:, 5:],
            strain_error=error[:, 5:],
            n_particles=np.array(self.n_particles),
            scatter=np.array(path.scatter),
            centre=self.centre,
            reason=reason,
            minimum_particles=self.minimum,
            median_particles=median,
            n_steps_left=path.n_steps_left,
            n_links_left_out=path.n_left_out,
            diffusion_bias=float(bias),
            smoothing=smoothing,
        )


def remove_common_motion(table: pd.DataFrame, config: TrackConfig) -> tuple[pd.DataFrame, CommonMotion]:
    """Estimate the common motion of linked particles and take ``config.drift`` of it off their positions.

    For a table in parts: :func:`estimate_motion` over the parts, then ``motion.remove(part)`` for each.
    """
    motion = estimate_motion(
        [table],
        kind=config.drift,
        minimum_particles=config.drift_minimum_particles,
        smoothing=config.drift_smoothing,
    )
    if config.drift == "none":
        motion = motion.kept("track.drift = 'none'")
    return motion.remove(table), motion
