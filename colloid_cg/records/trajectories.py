"""Trajectories: one row per detection, in pixels, with the localisation error beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError, InputError
from colloid_cg.records.box import Box
from colloid_cg.records.motion import CommonMotion

COLUMNS = ("frame", "particle", "x", "y", "z", "sigma_x", "sigma_y", "mass", "size", "flags", "species")
"""Columns of trajectories.parquet, in order; z only for three-dimensional data; further columns may follow."""

MICROMETRE = "um"

FLAG_EDGE = 1
"""Bit of ``flags``: the detection is closer to the edge of the frame than its own radius."""
FLAG_AFTER_GAP = 2
"""Bit of ``flags``: the particle was not detected in the frame before; a gap is explicit, never interpolated."""

FLAG_REFOUND = 4
"""Bit of ``flags``: found only on a second look, where a track had a gap."""
FLAG_POOR_FIT = 8
"""Bit of ``flags``: the fit did not converge, or its residuals exceed what the noise allows; do not trust sigma."""

_DEFAULTS: dict[str, tuple[float | int, str]] = {
    "sigma_x": (np.nan, "float64"),
    "sigma_y": (np.nan, "float64"),
    "mass": (np.nan, "float64"),
    "size": (np.nan, "float64"),
    "flags": (0, "int32"),
    "species": (0, "int32"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectories:
    """A validated table of detections with particle ids.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``frame, particle, x, y [, z], sigma_x, sigma_y, mass, size, flags, species``; positions,
        sigmas (standard localisation errors; NaN where unknown) and size in px. Missing optional columns
        are filled, rows sorted by frame and particle. Works in trackpy unchanged.
    pixel_size : float
        Edge of a pixel in um. Imported simulations keep their own unit of length: 1 of it.
    frame_interval : float
        Time between frames in s, or in the unit of time of the simulation.
    exposure : float or None
        Exposure time in s, None if unknown.
    field_of_view : Box
        Visible region in px (pixel centres at integers: from -0.5 to width - 0.5).
    n_frames : int
        Length of the movie, frames without particles included.
    metadata : dict
        Free, JSON-able (drift per frame, engine, source).

    Raises
    ------
    InputError
        If a required column is missing, a value is not finite, or a particle appears twice in a frame.
    """

    table: pd.DataFrame
    pixel_size: float
    frame_interval: float
    field_of_view: Box
    n_frames: int
    exposure: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", _validated(self.table, self.n_frames))
        for name in ("pixel_size", "frame_interval"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(
                    f"{name} = {getattr(self, name)!r}",
                    expected="a positive number",
                    action=f"give {name} with its unit",
                )

    def __repr__(self) -> str:
        """Return counts and scales in two lines, for a notebook."""
        exposure = "exposure unknown" if self.exposure is None else f"exposed for {self.exposure:.4g} s"
        counts = f"{len(self):,} detections of {self.n_particles:,} particles in {self.n_frames:,} frames"
        scales = f"{self.pixel_size:.4g} um per px, a frame every {self.frame_interval:.4g} s, {exposure}"
        if self.length_unit != MICROMETRE:
            scales = f"a frame every {self.frame_interval:.4g}, {self.length_unit} units"
        return f"<Trajectories: {counts}\n {scales}>"

    def __len__(self) -> int:
        return len(self.table)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the position columns, ("x", "y") or ("x", "y", "z")."""
        return ("x", "y", "z") if "z" in self.table.columns else ("x", "y")

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.axes)

    @property
    def length_unit(self) -> str:
        """Unit of ``pixel_size``: "um", or the name of the units of the simulation the trajectories come from."""
        return str((self.metadata.get("simulation") or {}).get("units", MICROMETRE))

    @property
    def time_unit(self) -> str:
        """Unit of ``frame_interval``: "s", or the name of the units of the simulation."""
        return str((self.metadata.get("simulation") or {}).get("units", "s"))

    @property
    def n_particles(self) -> int:
        """Number of different particle ids."""
        return int(self.table["particle"].nunique())

    @property
    def positions(self) -> np.ndarray:
        """Positions in um, shape (n, d), in the order of the table."""
        return self.table[list(self.axes)].to_numpy(dtype=float) * self.pixel_size

    @property
    def camera_positions(self) -> np.ndarray:
        """Positions in um where the camera saw them, shape (n, d): a common motion that was removed is put back.

        The edges of the field of view only mean something here.
        """
        positions = self.positions
        positions[:, :2] = self._restored(CommonMotion.parse(self.metadata.get("drift"))) * self.pixel_size
        return positions

    def as_seen(self) -> Trajectories:
        """Return the tracks where the camera saw them: a common motion that was removed is put back.

        Positions that someone reads off the video (wells, driven particles, a flow) only mean something here.
        """
        motion = CommonMotion.parse(self.metadata.get("drift"))
        if not motion.removed:
            return self
        seen = self._restored(motion)
        left = motion.kept(f"put back: fields are given in the frame of the camera ({motion.reason})")
        return self.with_table(
            self.table.assign(x=seen[:, 0], y=seen[:, 1]), metadata=dict(self.metadata) | {"drift": left.as_dict()}
        )

    def _restored(self, motion: CommonMotion) -> np.ndarray:
        """Return x and y in px with a common motion put back, shape (n, 2)."""
        return motion.restored(self.table[["x", "y"]].to_numpy(dtype=float), self.table["frame"].to_numpy())

    @property
    def edge_distance(self) -> np.ndarray:
        """Distance of every detection to the nearest open edge of the field of view in um, shape (n,)."""
        return self.box.edge_distance(self.camera_positions)

    @property
    def box(self) -> Box:
        """Field of view in um."""
        return self.field_of_view.scaled(self.pixel_size)

    def frame_offsets(self) -> np.ndarray:
        """Return where each frame begins in the table, shape (n_frames + 1,)."""
        return np.searchsorted(self.table["frame"].to_numpy(), np.arange(self.n_frames + 1))

    def at(self, frame: int) -> pd.DataFrame:
        """Return the rows of one frame."""
        start, stop = np.searchsorted(self.table["frame"].to_numpy(), [frame, frame + 1])
        return self.table.iloc[start:stop]

    def between(self, first: int, last: int) -> Trajectories:
        """Return frames ``first`` to ``last - 1`` (frame numbers kept), e.g. a training block."""
        start, stop = np.searchsorted(self.table["frame"].to_numpy(), [first, last])
        part = self.table.iloc[start:stop]
        if part.empty:
            raise DataError(
                f"no detections in frames {first} to {last - 1}",
                expected="at least one particle in the block",
                action="use a longer movie or other fractions",
            )
        return replace(self, table=part)

    def with_table(self, table: pd.DataFrame, **changes: Any) -> Trajectories:
        """Return a copy with another table (validated again) and, if given, other fields."""
        return replace(self, table=table, **changes)


def _strictly_ordered(table: pd.DataFrame) -> bool:
    """Tell whether rows are sorted by frame and particle, no pair twice: sorting costs more than looking."""
    frame, particle = table["frame"].to_numpy(), table["particle"].to_numpy()
    later = frame[1:] > frame[:-1]
    return bool((later | ((frame[1:] == frame[:-1]) & (particle[1:] > particle[:-1]))).all())


def _validated(table: pd.DataFrame, n_frames: int) -> pd.DataFrame:
    missing = [name for name in ("frame", "particle", "x", "y") if name not in table.columns]
    if missing:
        raise InputError(
            f"a table without {', '.join(missing)}",
            expected="columns frame, particle, x, y",
            action="rename the columns or give the names with the import settings",
        )
    filled = {name: table[name] if name in table.columns else value for name, (value, _) in _DEFAULTS.items()}
    table = table.assign(**filled)
    ordered = [name for name in COLUMNS if name in table.columns]
    ordered += [name for name in table.columns if name not in COLUMNS]
    types = {name: "float64" for name in ("x", "y", "z") if name in table.columns}
    types |= {name: kind for name, (_, kind) in _DEFAULTS.items()} | {"frame": "int64", "particle": "int64"}
    positions = table[[name for name in ("x", "y", "z") if name in table.columns]].to_numpy(dtype=float)
    keys = table[["frame", "particle"]].to_numpy(dtype=float)
    if not np.isfinite(positions).all() or not np.isfinite(keys).all():
        raise InputError(
            "NaN or infinite values among frame, particle and positions",
            expected="finite numbers",
            action="drop those rows: a missed detection is a missing row",
        )
    table = table[ordered].astype(types)
    if not _strictly_ordered(table):
        table = table.sort_values(["frame", "particle"], kind="stable")
    table = table.reset_index(drop=True)
    table.columns.name = None
    if not _strictly_ordered(table):
        row = table[table.duplicated(["frame", "particle"])].iloc[0]
        raise InputError(
            f"particle {int(row['particle'])} twice in frame {int(row['frame'])}",
            expected="one row per particle and frame",
            action="link again or renumber the particles",
        )
    if len(table) and not 0 <= table["frame"].iloc[0] <= table["frame"].iloc[-1] < n_frames:
        raise InputError(
            f"frames {table['frame'].iloc[0]} to {table['frame'].iloc[-1]} in a movie of {n_frames} frames",
            expected=f"frame numbers from 0 to {n_frames - 1}",
            action="correct n_frames or renumber the frames",
        )
    return table
