"""Where and when an event could have been found: tested particle-frames and area, by frame and cell of the view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.records import Trajectories

CELLS = 3
"""Cells of the view along each axis where nothing is said."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Exposure:
    """What was tested in each frame and each cell of the view; parts of a long movie add up.

    Parameters
    ----------
    particles : array, shape (n_frames, cells, cells)
        Particles with a valid test, along x and y.
    area : array, shape (n_frames, cells, cells)
        Area they stand for, um2 (volume in um3 for 3-D tracks).
    lower, lengths : arrays, shape (2,)
        Corner and edges of the view, px.
    frame_interval : float
        In s.
    dimension : int
    """

    particles: np.ndarray
    area: np.ndarray
    lower: np.ndarray
    lengths: np.ndarray
    frame_interval: float
    dimension: int = 2

    def __add__(self, other: Exposure) -> Exposure:
        """Return the exposure of both, windows of one movie for example."""
        if self.particles.shape != other.particles.shape:
            raise InputError(
                f"exposures of shape {self.particles.shape} and {other.particles.shape}",
                expected="windows of one movie, counted in the same cells",
                action="count them with the same tracks.n_frames and cells",
            )
        return Exposure(
            particles=self.particles + other.particles, area=self.area + other.area, lower=self.lower,
            lengths=self.lengths, frame_interval=self.frame_interval, dimension=self.dimension,
        )  # fmt: skip

    @property
    def n_frames(self) -> int:
        """Length of the movie."""
        return len(self.particles)

    @property
    def first_frame(self) -> int | None:
        """First frame with a valid test, None where there is none."""
        tested = np.flatnonzero(self.particles.any(axis=(1, 2)))
        return int(tested[0]) if len(tested) else None

    def counted(self) -> Exposure:
        """Return the exposure without its first frame, in which an event may have begun before."""
        first = self.first_frame
        keep = np.ones(self.n_frames)
        keep[: self.n_frames if first is None else first + 1] = 0.0
        keep = keep[:, None, None]
        return Exposure(
            particles=self.particles * keep, area=self.area * keep, lower=self.lower, lengths=self.lengths,
            frame_interval=self.frame_interval, dimension=self.dimension,
        )  # fmt: skip

    def amounts(self, per: str) -> np.ndarray:
        """Return particles x s ("particle") or um2 x s ("area") in each frame and cell."""
        if per not in ("particle", "area"):
            raise InputError(f"per = {per!r}", expected='"particle" or "area"', action="choose one of these")
        return np.asarray((self.particles if per == "particle" else self.area) * self.frame_interval)

    def unit(self, per: str) -> str:
        """Return the unit of a rate."""
        return "1/s" if per == "particle" else f"1/(um{self.dimension} s)"

    def cells_of(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the flat cell of each point (px); points outside the view belong to the nearest cell."""
        count = self.particles.shape[1]
        places = (np.column_stack([x, y]) - self.lower) / self.lengths * count
        column, row = np.clip(places.astype(int), 0, count - 1).T
        return np.asarray(column * count + row)


def tested_rows(fields: pd.DataFrame) -> np.ndarray:
    """Return which rows have a valid test, shape (n,): a finite value in a column of p-values that decide on events.

    These are the ones that ``event_fields`` names; otherwise all columns ``..._p`` count.
    """
    named = [f"{name}_p" for name in fields.attrs.get("events", {}).get("tests", ())]
    columns = [name for name in fields.columns if name in named or (not named and name.endswith("_p"))]
    if not columns:
        raise InputError(
            "fields without p-values", expected="columns such as d2min_p and p_hop_p",
            action="compute them with event_fields, or leave fields out",
        )  # fmt: skip
    return np.asarray(np.isfinite(fields[columns].to_numpy(dtype=float)).any(axis=1))


def event_exposure(tracks: Trajectories, fields: pd.DataFrame | None = None, *, cells: int = CELLS) -> Exposure:
    """Count where and when an event could have been found.

    Parameters
    ----------
    tracks : Trajectories
    fields : pandas.DataFrame, optional
        The result of ``event_fields`` on these tracks: a particle-frame counts where it has a finite p-value. Without
        fields every detection counts.
    cells : int
        Cells of the view along x and along y: the blocks in space behind cluster-aware intervals.

    Returns
    -------
    Exposure
        The area of a cell and frame is that of the cell times the share of its detections with a valid test: the
        margin at the edge of the view and the ends of the movie, where nothing is tested, do not count.
    """
    table = tracks.table
    valid = np.ones(len(table), dtype=bool)
    if fields is not None:
        keys = ["frame", "particle"]
        if len(fields) != len(table) or (fields[keys].to_numpy() != table[keys].to_numpy()).any():
            raise InputError(
                f"fields of {len(fields)} rows for {len(table)} detections", expected="the fields of these very tracks",
                action="compute them with event_fields",
            )  # fmt: skip
        valid = tested_rows(fields)
    view = tracks.field_of_view
    empty = np.zeros((tracks.n_frames, cells, cells))
    exposure = Exposure(
        particles=empty, area=empty, lower=np.array(view.lower[:2]), lengths=view.lengths[:2],
        frame_interval=tracks.frame_interval, dimension=tracks.dimension,
    )  # fmt: skip
    x, y = view.wrap(table[list(tracks.axes)].to_numpy(dtype=float)).T[:2]
    key = table["frame"].to_numpy() * cells**2 + exposure.cells_of(x, y)
    seen, tested = (
        np.bincount(key[rows], minlength=empty.size).astype(float).reshape(empty.shape) for rows in (slice(None), valid)
    )
    share = np.divide(tested, seen, out=np.zeros_like(seen), where=seen > 0)
    return Exposure(
        particles=tested, area=share * tracks.box.volume / cells**2, lower=exposure.lower, lengths=exposure.lengths,
        frame_interval=exposure.frame_interval, dimension=exposure.dimension,
    )  # fmt: skip
