"""Parquet tables with our metadata beside pandas' own; the same table gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from colloid_cg.errors import InputError
from colloid_cg.records import EventTable
from colloid_cg.store.atomic import atomic_path

_KEY = b"colloid_cg"
ROWS_PER_GROUP = 1 << 18
"""Rows of a row group, whatever the parts a table is written in: what a reader of a few frames has to hold."""


class TableWriter:
    """Takes a table part by part and writes it in row groups of one size, so that the parts leave no trace.

    Parameters
    ----------
    path : Path
        File to write (a temporary name: see :func:`table_writer`).
    metadata : dict
        JSON-able.
    """

    def __init__(self, path: Path, metadata: dict[str, Any]) -> None:
        self._path, self._metadata = path, metadata
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def append(self, table: pd.DataFrame) -> None:
        """Add rows; the first part, which may be empty, decides the columns and their types."""
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        if self._writer is None:
            extra = {_KEY: json.dumps(self._metadata, sort_keys=True).encode()}
            schema = arrow.schema.with_metadata({**(arrow.schema.metadata or {}), **extra})
            self._writer = pq.ParquetWriter(self._path, schema, compression="zstd", **_encodings(schema))
        self._waiting.append(arrow.cast(self._writer.schema))
        self._rows += len(arrow)
        if self._rows >= ROWS_PER_GROUP:
            self._write(self._rows // ROWS_PER_GROUP * ROWS_PER_GROUP)

    def close(self, *, complete: bool) -> None:
        """Write what is left if the table is complete, and close the file in any case."""
        if self._writer is None:
            return
        try:
            if complete:
                self._write(self._rows)
        finally:
            self._writer.close()

    def _write(self, rows: int) -> None:
        # One contiguous piece per column: page borders would otherwise follow the parts.
        held = pa.concat_tables(self._waiting).combine_chunks()
        if self._writer is not None and rows:
            self._writer.write_table(held.slice(0, rows), row_group_size=ROWS_PER_GROUP)
        self._waiting, self._rows = [held.slice(rows)], self._rows - rows


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """Return how columns are packed: measured numbers never repeat, counters differ by little from row to row."""
    packing = {"double": "BYTE_STREAM_SPLIT", "int64": "DELTA_BINARY_PACKED"}
    kinds = {name: str(schema.field(name).type) for name in schema.names}
    return {
        "use_dictionary": [name for name, kind in kinds.items() if kind not in packing],
        "column_encoding": {name: packing[kind] for name, kind in kinds.items() if kind in packing},
    }


@contextmanager
def table_writer(path: Path, metadata: dict[str, Any] | None = None) -> Iterator[TableWriter]:
    """Write a table part by part; the file appears, complete, when the block ends without an error."""
    with atomic_path(path) as temporary:
        writer = TableWriter(temporary, metadata or {})
        try:
            yield writer
        except BaseException:
            writer.close(complete=False)
            raise
        writer.close(complete=True)


def write_table(path: Path, table: pd.DataFrame, metadata: dict[str, Any] | None = None) -> None:
    """Write a table atomically with JSON-able metadata under the key ``colloid_cg``."""
    with table_writer(path, metadata) as writer:
        writer.append(table)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in one sentence why a parquet file cannot be read.

    Raises
    ------
    InputError
        If the file is missing or no parquet file.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"no file {path}", expected="a parquet table", action="check the path") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path} that cannot be read ({error})",
            expected="a complete parquet file",
            action="restore the file, or run the stage that makes it again",
        ) from error


def metadata_of(schema: pa.Schema) -> dict[str, Any]:
    """Return the metadata :func:`write_table` put beside a table."""
    content: dict[str, Any] = json.loads((schema.metadata or {}).get(_KEY, b"{}"))
    return content


def read_table(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a table and the metadata :func:`write_table` put beside it.

    Raises
    ------
    InputError
        If the file is missing or no parquet file.
    """
    with readable(path):
        arrow = pq.read_table(path)
    return arrow.to_pandas(), metadata_of(arrow.schema)


def read_frames(path: Path, frames: tuple[int, int]) -> pd.DataFrame:
    """Return the rows of frames ``frames[0]`` to ``frames[1] - 1`` of a table with a column ``frame``."""
    with readable(path):
        arrow = pq.read_table(path, filters=[("frame", ">=", frames[0]), ("frame", "<", frames[1])])
    table: pd.DataFrame = arrow.to_pandas()
    return table


def read_columns(path: Path, columns: Sequence[str] | None, *, keep: Sequence[str] = ()) -> pd.DataFrame:
    """Return those of the named columns that a table has, and those of ``keep``; None stands for all."""
    with readable(path), pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        chosen = names if columns is None else [name for name in names if name in columns or name in keep]
        table: pd.DataFrame = file.read(columns=chosen).to_pandas()
    return table


def write_events(path: Path, events: EventTable) -> None:
    """Write events.parquet."""
    write_table(path, events.table, events.metadata)


def read_events(path: Path) -> EventTable:
    """Read events.parquet, validated again."""
    table, metadata = read_table(path)
    return EventTable(table=table, metadata=metadata)
