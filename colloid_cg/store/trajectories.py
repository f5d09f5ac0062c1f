"""trajectories.parquet: positions in px by frame and particle, written and read whole or a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from colloid_cg.errors import InputError
from colloid_cg.records import Box, Trajectories
from colloid_cg.store.parquet import TableWriter, metadata_of, readable, table_writer

_NEEDED = ("frame", "particle", "x", "y", "z")


class TrajectoryWriter:
    """Takes trajectories part by part, in frame order, and checks each as :class:`Trajectories` does."""

    def __init__(self, writer: TableWriter, header: Trajectories) -> None:
        self._writer, self._header = writer, header
        self._next = 0

    def append(self, table: pd.DataFrame) -> None:
        """Add the rows of later frames than those written so far.

        Raises
        ------
        InputError
            If a part does not follow the one before, or is no valid table of trajectories.
        """
        part = self._header.with_table(table).table
        if len(part) and int(part["frame"].iloc[0]) < self._next:
            raise InputError(
                f"frame {part['frame'].iloc[0]} after frame {self._next - 1}",
                expected="parts in the order of the movie, each with whole frames",
                action="sort the table by frame before it is written",
            )
        self._next = int(part["frame"].iloc[-1]) + 1 if len(part) else self._next
        self._writer.append(part)


@contextmanager
def trajectory_writer(path: Path, header: Trajectories) -> Iterator[TrajectoryWriter]:
    """Write trajectories.parquet part by part; the file appears, complete, when the block ends without an error.

    Parameters
    ----------
    path : Path
    header : Trajectories
        Calibration, field of view, number of frames and metadata; its rows are not used.
    """
    view = header.field_of_view
    metadata = {
        "pixel_size": header.pixel_size,
        "pixel_size_unit": header.length_unit,
        "frame_interval": header.frame_interval,
        "frame_interval_unit": header.time_unit,
        "exposure": header.exposure,
        "n_frames": header.n_frames,
        "field_of_view": {"lower": view.lower, "upper": view.upper, "periodic": view.periodic},
        "extra": header.metadata,
    }
    with table_writer(path, metadata) as writer:
        yield TrajectoryWriter(writer, header)


def write_trajectories(path: Path, tracks: Trajectories) -> None:
    """Write trajectories.parquet: positions in px, calibration in the metadata."""
    with trajectory_writer(path, tracks) as writer:
        writer.append(tracks.table)


@dataclass(frozen=True, eq=False)
class TrajectoryFile:
    """A trajectories.parquet of which only the rows that are asked for are read.

    Parameters
    ----------
    path : Path
    header : Trajectories
        Everything but the rows.
    n_rows : int
    first, last : int arrays, shape (n_groups,)
        First and last frame in each row group of the file.
    """

    path: Path
    header: Trajectories
    n_rows: int
    first: np.ndarray
    last: np.ndarray

    @property
    def n_frames(self) -> int:
        """Length of the movie in frames."""
        return self.header.n_frames

    def read(self, frames: tuple[int, int] | None = None, *, columns: Sequence[str] | None = None) -> Trajectories:
        """Return frames ``frames[0]`` to ``frames[1] - 1`` (None: all), which may hold no detection.

        Parameters
        ----------
        frames : (int, int), optional
        columns : sequence of str, optional
            Columns to read beside frame, particle and position.
        """
        first, last = frames or (0, self.n_frames)
        groups = np.flatnonzero((self.last >= first) & (self.first < last))
        with readable(self.path), pq.ParquetFile(self.path) as file:
            arrow = file.read_row_groups(groups.tolist(), columns=_chosen(file.schema_arrow, columns))
        return self.header.with_table(_between(arrow, first, last).to_pandas())

    def windows(
        self, frames_per_part: int, *, overlap: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[Trajectories]:
        """Yield the movie as consecutive windows of ``frames_per_part`` frames, each file row read once.

        Parameters
        ----------
        frames_per_part : int
        overlap : int
            Frames before its own that a window shows again (fewer at the beginning of the movie).
        columns : sequence of str, optional
            Columns to read beside frame, particle and position.
        """
        _check_window(frames_per_part, overlap)
        with readable(self.path), pq.ParquetFile(self.path) as file:
            wanted = _chosen(file.schema_arrow, columns)
            held = file.schema_arrow.empty_table().select(wanted)
            group = 0
            for start in range(0, self.n_frames, frames_per_part):
                first, last = max(0, start - overlap), min(start + frames_per_part, self.n_frames)
                pieces = [_between(held, first, self.n_frames)]
                while group < len(self.first) and self.first[group] < last:
                    pieces.append(file.read_row_group(group, columns=wanted))
                    group += 1
                held = pa.concat_tables(pieces)
                yield self.header.with_table(_between(held, first, last).to_pandas())

    def rows_per_frame(self) -> np.ndarray:
        """Return the number of detections in each frame, shape (n_frames,)."""
        count = np.zeros(self.n_frames, dtype=np.int64)
        with readable(self.path), pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                frame = file.read_row_group(group, columns=["frame"]).column("frame").to_numpy()
                count += np.bincount(frame, minlength=self.n_frames)
        return count


def open_trajectories(path: Path) -> TrajectoryFile:
    """Open a trajectories.parquet without reading its rows.

    Raises
    ------
    InputError
        If the file is missing, damaged, or holds no calibration.
    """
    with readable(path), pq.ParquetFile(path) as file:
        schema, groups = file.schema_arrow, file.metadata
        header = _header(path, schema.empty_table().to_pandas(), metadata_of(schema))
        place = schema.get_field_index("frame")
        bounds = [groups.row_group(k).column(place).statistics for k in range(groups.num_row_groups)]
        filled = [item for item in bounds if item is not None]
        return TrajectoryFile(
            path=path,
            header=header,
            n_rows=groups.num_rows,
            first=np.array([item.min for item in filled], dtype=np.int64),
            last=np.array([item.max for item in filled], dtype=np.int64),
        )


def read_trajectories(
    path: Path | str, *, frames: tuple[int, int] | None = None, columns: Sequence[str] | None = None
) -> Trajectories:
    """Read trajectories.parquet of a run folder, validated again.

    Parameters
    ----------
    path : Path or str
    frames : (int, int), optional
        Only frames ``frames[0]`` to ``frames[1] - 1``; the rest of the file is not read.
    columns : sequence of str, optional
        Columns to read beside frame, particle and position.
    """
    return open_trajectories(Path(path)).read(frames, columns=columns)


def iterate_trajectories(
    path: Path | str, *, frames_per_part: int, overlap: int = 0, columns: Sequence[str] | None = None
) -> Iterator[Trajectories]:
    """Yield a movie of any length as consecutive windows that fit in memory.

    Parameters
    ----------
    path : Path or str
        A trajectories.parquet.
    frames_per_part : int
        Frames of a window.
    overlap : int
        Frames before its own that each window shows again, for what compares frames.
    columns : sequence of str, optional
        Columns to read beside frame, particle and position.
    """
    _check_window(frames_per_part, overlap)
    return open_trajectories(Path(path)).windows(frames_per_part, overlap=overlap, columns=columns)


def _check_window(frames_per_part: int, overlap: int) -> None:
    if frames_per_part < 1 or overlap < 0:
        raise InputError(
            f"windows of {frames_per_part} frames with {overlap} repeated",
            expected="at least one frame and no negative overlap",
            action="correct frames_per_part or overlap",
        )


def _chosen(schema: pa.Schema, columns: Sequence[str] | None) -> list[str]:
    """Return the names to read, in the order of the file."""
    if columns is None:
        return list(schema.names)
    unknown = sorted(set(columns) - set(schema.names))
    if unknown:
        raise InputError(
            f"no column {', '.join(unknown)}", expected=f"some of {', '.join(schema.names)}", action="correct the name"
        )
    return [name for name in schema.names if name in _NEEDED or name in columns]


def _between(arrow: pa.Table, first: int, last: int) -> pa.Table:
    """Return the rows of frames ``first`` to ``last - 1`` of a table sorted by frame."""
    start, stop = np.searchsorted(arrow.column("frame").to_numpy(), [first, last])
    return arrow.slice(start, stop - start)


def _header(path: Path, table: pd.DataFrame, metadata: dict[str, Any]) -> Trajectories:
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
