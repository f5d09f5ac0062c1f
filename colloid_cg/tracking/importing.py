"""Trajectories that another program made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from colloid_cg.errors import ConfigError, InputError
from colloid_cg.records import Box, Trajectories
from colloid_cg.settings import Settings
from colloid_cg.tracking.linking import mark_gaps, renumbered
from colloid_cg.units import micrometres, seconds


class ImportConfig(Settings):
    """How to read a foreign table; ``None`` for a column means: look for the usual names.

    The last three concern files of simulations alone, which take none of the others.

    Attributes
    ----------
    frame, particle, x, y, size, mass, species, sigma_x, sigma_y : str or None
        Names of the columns.
    units : "px" or "um" or None
        Unit of positions, sizes and sigmas; ``None`` takes px.
    pixel_size, frame_interval, exposure : str, float or None
        With unit, or in um and s.
    field_of_view : (width, height) or None
        Size of the frame in px; ``None`` takes the region the positions cover.
    n_frames : int or None
        Length of the movie; ``None`` ends it with the last detection.
    timestep : float or None
        Time step of the simulation that wrote a LAMMPS dump, in the units of the dump.
    masses : sequence of float or None
        Mass of a particle of each species, or one for all; ``None`` takes what the file says.
    thermal_energy : float or None
        k_B T in the units of the file; ``None`` takes what the file says.
    """

    table: ClassVar[str] = "import"

    frame: str | None = None
    particle: str | None = None
    x: str | None = None
    y: str | None = None
    size: str | None = None
    mass: str | None = None
    species: str | None = None
    sigma_x: str | None = None
    sigma_y: str | None = None
    units: Literal["px", "um"] | None = None
    pixel_size: str | float | None = None
    frame_interval: str | float | None = None
    exposure: str | float | None = None
    field_of_view: tuple[float, float] | None = None
    n_frames: int | None = Field(default=None, ge=1)
    timestep: float | None = Field(default=None, gt=0)
    masses: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(default=None, min_length=1)
    thermal_energy: float | None = Field(default=None, gt=0)


USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "frame": ("frame", "t", "frame_number", "image", "slice"),
    "particle": ("particle", "track_id", "trackid", "track", "trajectory", "id", "particle_id"),
    "x": ("x", "position_x", "x_px", "x_um", "xc"),
    "y": ("y", "position_y", "y_px", "y_um", "yc"),
    "size": ("size", "radius", "r"),
    "mass": ("mass", "total_intensity_ch1", "total_intensity", "intensity"),
    "species": ("species",),
    "sigma_x": ("sigma_x", "ep_x", "ep"),
    "sigma_y": ("sigma_y", "ep_y", "ep"),
}
"""Names looked for, lower case: trackpy, TrackMate (POSITION_X, FRAME, TRACK_ID) and plain tables."""

SIMULATION_SETTINGS = ("timestep", "masses", "thermal_energy")
"""Settings that have a meaning for files of simulations alone."""

_SPARSEST = 100
_REQUIRED = ("frame", "particle", "x", "y")
_LENGTHS = ("x", "y", "size", "sigma_x", "sigma_y")


def import_table(source: pd.DataFrame, config: ImportConfig | None = None, *, name: str = "the table") -> Trajectories:
    """Return the trajectories in a table of trackpy, TrackMate or of plain columns frame, particle, x, y.

    Particle ids become 0, 1, ... in order of first appearance; gaps are marked; rows without a track are dropped
    (TrackMate leaves TRACK_ID empty there) and counted in ``metadata["import"]``. Rows of text below the header, as
    TrackMate writes them, are dropped.

    Parameters
    ----------
    source : pandas.DataFrame
    config : ImportConfig, optional
    name : str
        Name of the file, for messages.

    Raises
    ------
    InputError
        If a column is missing, a value is not a number, or pixel size or frame interval are unknown.
    """
    config = config or ImportConfig()
    _refuse_simulation_settings(config, name)
    columns = _columns(source, config, name)
    table = _numbers(source, columns, name)
    rows = len(table)
    table = table[table["particle"].notna()].reset_index(drop=True)
    pixel_size, frame_interval = _calibration(config, name)
    if config.units == "um":
        lengths = [key for key in _LENGTHS if key in table.columns]
        table[lengths] = table[lengths] / pixel_size
    table = _whole_frames(table, name)
    table = mark_gaps(renumbered(table.sort_values(["frame", "particle"], kind="stable").reset_index(drop=True)))
    n_frames = config.n_frames if config.n_frames is not None else int(table["frame"].max()) + 1
    return Trajectories(
        table=table,
        pixel_size=pixel_size,
        frame_interval=frame_interval,
        exposure=None if config.exposure is None else seconds(config.exposure),
        field_of_view=_view(table, config.field_of_view),
        n_frames=n_frames,
        metadata={
            "source": name,
            "engine": "import",
            "settings": config.as_dict(),
            "import": {"columns": columns, "rows_without_track": rows - len(table)},
            "drift": {"removed": False, "reason": "imported tracks are left as they are"},
        },
    )


def _refuse_simulation_settings(config: ImportConfig, name: str) -> None:
    for key in SIMULATION_SETTINGS:
        if getattr(config, key) is not None:
            raise ConfigError(
                f"import.{key} for {name}, a table of tracks",
                expected=f"{key} with a LAMMPS dump or an .npz archive alone",
                action=f"leave import.{key} out; the time between frames of a table is --frame-interval",
            )


def _columns(source: pd.DataFrame, config: ImportConfig, name: str) -> dict[str, str]:
    by_lower = {str(column).strip().lower(): str(column) for column in source.columns}
    chosen: dict[str, str] = {}
    for key, usual in USUAL_NAMES.items():
        given = getattr(config, key)
        if given is not None and given not in source.columns:
            raise _missing([key], f"import.{key} = {given!r}", source.columns, name)
        found = given or next((by_lower[candidate] for candidate in usual if candidate in by_lower), None)
        if found is not None:
            chosen[key] = found
    missing = [key for key in _REQUIRED if key not in chosen]
    if missing:
        raise _missing(missing, f"no column for {', '.join(missing)}", source.columns, name)
    return chosen


def _missing(keys: Sequence[str], found: str, columns: Any, name: str) -> InputError:
    known = ", ".join(str(column) for column in columns)
    return InputError(
        f"{found} in {name}",
        expected=f"one of its columns: {known}",
        action=f"set {', '.join(f'import.{key}' for key in keys)} to the name of the column",
    )


def _numbers(source: pd.DataFrame, columns: dict[str, str], name: str) -> pd.DataFrame:
    plain = source.reset_index(drop=True)
    if not pd.api.types.is_numeric_dtype(plain[columns["particle"]]):
        plain = plain.assign(**{columns["particle"]: _named_particles(plain[columns["particle"]])})
    table = pd.DataFrame({key: pd.to_numeric(plain[column], errors="coerce") for key, column in columns.items()})
    # TrackMate repeats long names and units in the three rows below the header: no number in any column there.
    header = table[list(_REQUIRED)].isna().all(axis=1) & (table.index < 4)
    table = table[~header].reset_index(drop=True)
    for key in ("frame", "x", "y"):
        bad = ~np.isfinite(table[key].to_numpy(dtype=float))
        if bad.any():
            raise InputError(
                f"no number in column {columns[key]!r}, row {int(np.flatnonzero(bad)[0]) + 1} of {name}",
                expected="a frame and a position in each row",
                action="drop those rows: a missed detection is a missing row",
            )
    for key in ("particle", "sigma_x", "sigma_y", "size"):
        values = table[key].to_numpy(dtype=float) if key in table else np.empty(0)
        if np.isinf(values).any() or (key != "particle" and (values < 0).any()):
            raise InputError(
                f"{values[np.isinf(values) | (values < 0)][0]:g} in column {columns[key]!r} of {name}",
                expected="finite numbers, and none below zero among sizes and errors",
                action="correct or drop those rows",
            )
    return table


def _named_particles(names: pd.Series) -> pd.Series:
    """Return numbers for particles that are called by name; names that are numbers stay what they are."""
    numbers = pd.to_numeric(names, errors="coerce")
    if numbers.notna().any():
        return pd.Series(numbers)
    return pd.Series(pd.factorize(names)[0], index=names.index).where(names.notna()).astype(float)


def _whole_frames(table: pd.DataFrame, name: str) -> pd.DataFrame:
    if table.empty:
        raise InputError(f"no row with a track in {name}", expected="linked particles", action="link them first")
    frame = table["frame"].to_numpy(dtype=float)
    if (frame != np.round(frame)).any() or frame.min() < 0:
        raise InputError(
            f"frame {frame[(frame != np.round(frame)) | (frame < 0)][0]:g} in {name}",
            expected="frame numbers 0, 1, 2, ...",
            action="set import.frame to the column of frame numbers (not of times)",
        )
    if frame.max() > _SPARSEST * len(np.unique(frame)) + _SPARSEST:
        raise InputError(
            f"frame numbers up to {frame.max():g} but only {len(np.unique(frame))} different ones in {name}",
            expected="frame numbers that count 0, 1, 2, ...",
            action="divide them by their spacing, or set import.frame to the column of frame numbers",
        )
    return table.assign(frame=frame.astype("int64"))


def _calibration(config: ImportConfig, name: str) -> tuple[float, float]:
    for key, words, example in (
        ("pixel_size", "pixel size", "0.108 um"),
        ("frame_interval", "frame interval", "10 ms"),
    ):
        if getattr(config, key) is None:
            raise InputError(
                f"a missing {words} for {name}",
                expected=f"the {words} of the recording",
                action=f"pass --{key.replace('_', '-')} '{example}' or set import.{key}",
            )
    return micrometres(config.pixel_size or 0.0), seconds(config.frame_interval or 0.0)


def _view(table: pd.DataFrame, size: tuple[float, float] | None) -> Box:
    if size is not None:
        return Box(lower=(-0.5, -0.5), upper=(size[0] - 0.5, size[1] - 0.5), periodic=(False, False))
    positions = table[["x", "y"]].to_numpy(dtype=float)
    lower, upper = np.floor(positions.min(axis=0)) - 0.5, np.ceil(positions.max(axis=0)) + 0.5
    return Box(
        lower=(float(lower[0]), float(lower[1])), upper=(float(upper[0]), float(upper[1])), periodic=(False, False)
    )
