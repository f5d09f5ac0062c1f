"""Parquet tables with our metadata beside pandas' own; the same table gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from colloid_cg.errors import InputError
from colloid_cg.records import Box, EventTable, Trajectories
from colloid_cg.store.atomic import atomic_path

_KEY = b"colloid_cg"


def write_table(path: Path, table: pd.DataFrame, metadata: dict[str, Any] | None = None) -> None:
    """Write a table atomically with JSON-able metadata under the key ``colloid_cg``."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    extra = {_KEY: json.dumps(metadata or {}, sort_keys=True).encode()}
    with atomic_path(path) as temporary:
        pq.write_table(
            arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), **extra}), temporary, compression="zstd"
        )


def read_table(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a table and the metadata :func:`write_table` put beside it.

    Raises
    ------
    InputError
        If the file is missing or no parquet file.
    """
    try:
        arrow = pq.read_table(path)
    except FileNotFoundError as error:
        raise InputError(f"no file {path}", expected="a parquet table", action="check the path") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path} that cannot be read ({error})",
            expected="a complete parquet file",
            action="restore the file, or run the stage that makes it again",
        ) from error
    metadata = json.loads((arrow.schema.metadata or {}).get(_KEY, b"{}"))
    return arrow.to_pandas(), metadata


def write_trajectories(path: Path, tracks: Trajectories) -> None:
    """Write trajectories.parquet: positions in px, calibration in the metadata."""
    view = tracks.field_of_view
    metadata = {
        "pixel_size": tracks.pixel_size,
        "pixel_size_unit": "um",
        "frame_interval": tracks.frame_interval,
        "frame_interval_unit": "s",
        "exposure": tracks.exposure,
        "n_frames": tracks.n_frames,
        "field_of_view": {"lower": view.lower, "upper": view.upper, "periodic": view.periodic},
        "extra": tracks.metadata,
    }
    write_table(path, tracks.table, metadata)


def read_trajectories(path: Path) -> Trajectories:
    """Read what :func:`write_trajectories` wrote, validated again."""
    table, metadata = read_table(path)
    if "pixel_size" not in metadata:
        raise InputError(
            f"{path} without calibration",
            expected="a trajectories.parquet of a run folder",
            action="bring foreign tables in with 'colloid-cg import'",
        )
    view = metadata["field_of_view"]
    return Trajectories(
        table=table,
        pixel_size=metadata["pixel_size"],
        frame_interval=metadata["frame_interval"],
        exposure=metadata["exposure"],
        n_frames=metadata["n_frames"],
        metadata=metadata["extra"],
        field_of_view=Box(lower=tuple(view["lower"]), upper=tuple(view["upper"]), periodic=tuple(view["periodic"])),
    )


def write_events(path: Path, events: EventTable) -> None:
    """Write events.parquet."""
    write_table(path, events.table, events.metadata)


def read_events(path: Path) -> EventTable:
    """Read events.parquet, validated again."""
    table, metadata = read_table(path)
    return EventTable(table=table, metadata=metadata)
