"""What really happened in a digital twin: positions, identities and the physics behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import ConfigError
from colloid_cg.twin.settings import TwinConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class TwinTruth:
    """A simulated sample, before any camera.

    Positions are in um with the centre of pixel (0, 0) at the origin, unwrapped: a particle that leaves the
    periodic cell goes on, and :meth:`in_image` moves it back.

    Parameters
    ----------
    instants : array, shape (frames, n, 2)
        At the frame times, when exposures begin.
    means : array, shape (frames, parts, n, 2)
        Averaged over each part of the exposure.
    species : int array, shape (n,)
    cell : array, shape (2, 2), or None
        Lower corner and edge lengths of the periodic cell, um; None if the sample is not periodic.
    config : TwinConfig
        With every None replaced.
    parameters : dict
        JSON-able: the physics that a measurement should find.
    pair_force : pandas.DataFrame or None
        Columns r (um), force (k_B T/um), species_a, species_b.
    prescribed : bool array, shape (n,), or None
        Particles on a given path; None where the case knows none.
    velocities : array, shape (frames, n, 2), or None
        At the frame times, um/s, of a case with inertia.
    partings : pandas.DataFrame or None
        Pairs that part for good (see :mod:`colloid_cg.twin.rearrangements`), empty where nothing can; None where
        the case defines no rearrangement.
    diameters : array, shape (n,), or None
        um; where there are ``partings``.
    tables : dict
        Further tables, by the name of their file.
    """

    instants: np.ndarray
    means: np.ndarray
    species: np.ndarray
    cell: np.ndarray | None
    config: TwinConfig
    parameters: dict[str, Any]
    pair_force: pd.DataFrame | None = None
    prescribed: np.ndarray | None = None
    velocities: np.ndarray | None = None
    partings: pd.DataFrame | None = None
    diameters: np.ndarray | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.instants.shape[0])

    def in_image(self, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the image coordinates of every particle in one frame, drift included.

        Returns
        -------
        start : array, shape (n, 2)
            At the frame time, px.
        parts : array, shape (parts, n, 2)
            Averaged over each part of the exposure, px.
        turns : int array, shape (n, 2)
            How often the particle has been moved back by the length of the cell; a new value is a new identity.
        """
        pixel = self.config.pixel_size
        drift = np.asarray(self.config.camera.drift)
        count = self.means.shape[1]
        middle = self.config.camera.exposure * (np.arange(count) + 0.5) / count
        start = self.instants[frame] / pixel + drift * frame
        parts = self.means[frame] / pixel + (frame + middle)[:, None, None] * drift
        if self.cell is None:
            return start, parts, np.zeros(start.shape, dtype=np.int64)
        lower, lengths = self.cell / pixel
        turns = np.floor((parts.mean(axis=0) - lower) / lengths).astype(np.int64)
        return start - turns * lengths, parts - turns * lengths, turns

    def missing(self, frame: int, *, rng: np.random.Generator) -> np.ndarray:
        """Return which particles drop out of one frame or are never shown, shape (n,)."""
        missing = rng.random(len(self.species)) < self.config.camera.drop_out
        if self.prescribed is not None and not self.config.show_driven:
            missing |= self.prescribed
        return np.asarray(missing)


def per_species(value: float | tuple[float, ...], species: np.ndarray, *, name: str) -> np.ndarray:
    """Return the value of each particle from one for all or one per species.

    Raises
    ------
    ConfigError
        If there are fewer values than species.
    """
    if not isinstance(value, tuple):
        return np.full(len(species), float(value))
    needed = int(species.max(initial=0)) + 1
    if len(value) < needed:
        raise ConfigError(
            f"{len(value)} values for twin.camera.{name}",
            expected=f"one value, or one for each of {needed} species",
            action=f"correct twin.camera.{name}",
        )
    return np.asarray(np.asarray(value, dtype=float)[species])


def truth_table(truth: TwinTruth, *, visible: list[np.ndarray]) -> pd.DataFrame:
    """Return one row for each particle in view in each frame.

    Columns: ``frame, particle, x, y`` (px, averaged over the exposure: what a perfect localisation returns),
    ``species, x_start, y_start`` (px, at the frame time), ``visible`` (False where the particle dropped out or is
    not shown); ``prescribed`` and ``vx, vy`` (um/s, at the frame time) where the case has them.
    A particle is in view if its exposure average lies on the sensor, from -0.5 to width - 0.5. One that leaves
    through a face of the periodic cell and comes in at the opposite one gets a new number.
    """
    return numbered_rows(truth, visible=visible).drop(columns=IMAGE)


IMAGE = ["original", "turn_x", "turn_y"]
"""Row of the particle in the arrays of the truth, and how often the cell has moved it back."""


def numbered_rows(truth: TwinTruth, *, visible: list[np.ndarray]) -> pd.DataFrame:
    """Return :func:`truth_table` with the columns of IMAGE, of which each combination has its own particle number."""
    limits = np.array([truth.config.width, truth.config.height]) - 0.5
    parts: list[pd.DataFrame] = []
    for frame in range(truth.n_frames):
        start, exposed, turns = truth.in_image(frame)
        mean = exposed.mean(axis=0)
        seen = np.flatnonzero(((mean >= -0.5) & (mean < limits)).all(axis=1))
        columns = {
            "frame": frame,
            "original": seen,
            "turn_x": turns[seen, 0],
            "turn_y": turns[seen, 1],
            "x": mean[seen, 0],
            "y": mean[seen, 1],
            "species": truth.species[seen],
            "x_start": start[seen, 0],
            "y_start": start[seen, 1],
            "visible": visible[frame][seen],
        }
        if truth.prescribed is not None:
            columns["prescribed"] = truth.prescribed[seen]
        if truth.velocities is not None:
            columns["vx"], columns["vy"] = truth.velocities[frame, seen].T
        parts.append(pd.DataFrame(columns))
    table = pd.concat(parts, ignore_index=True)
    table.insert(1, "particle", table.groupby(IMAGE, sort=False).ngroup())
    return table
