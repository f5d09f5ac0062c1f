"""Read tables of particle positions that other programs wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow

from colloid_cg.errors import InputError

FRAME_FILES = "*_ParticleData.dlm"
"""One file per frame without a header: id, x, y, r, force (silkehenkes/RigidLibrary)."""
PICKLING = (".h5", ".hdf5", ".pkl", ".pickle")
"""Kinds of file that are refused because reading them can execute code from outside."""
FRAME_COLUMNS = ("particle", "x", "y", "r", "force")


def read_foreign_table(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a table of positions as it stands.

    Parameters
    ----------
    path : Path
        A .csv, .txt or .tsv file with a header (comma, semicolon, tab or blanks between the columns), a .parquet file,
        or a folder of ``*_ParticleData.dlm`` files, one per frame
        in name order.

    Returns
    -------
    table : pandas.DataFrame
        Columns as in the file. For a folder: frame, particle, x, y, size (the radius r), force, species (0 for
        the smaller, 1 for the larger radius class).
    info : dict
        JSON-able: format, files, n_rows, and for a folder the radius of each class.

    Raises
    ------
    InputError
        If the path does not exist, is empty, of an unknown kind, or cannot be read.
    """
    if not path.exists():
        raise InputError(f"no file {path}", expected="a table of positions", action="check the path")
    if path.is_dir():
        return _read_folder(path)
    readers: dict[str, tuple[str, Callable[[Path], pd.DataFrame]]] = {
        ".csv": ("csv", _read_text),
        ".txt": ("csv", _read_text),
        ".tsv": ("csv", _read_text),
        ".parquet": ("parquet", pd.read_parquet),
    }
    if path.suffix.lower() in PICKLING:
        raise InputError(
            f"{path.name}, of a format that can carry pickled code",
            expected="a table that cannot execute anything",
            action="save it in Python with 'table.to_parquet(...)' and import that file",
        )
    if path.suffix.lower() not in readers:
        raise InputError(
            f"a file of kind {path.suffix or 'without suffix'} ({path.name})",
            expected=f"one of {', '.join(readers)}, or a folder of {FRAME_FILES}",
            action="export the table as .csv",
        )
    kind, reader = readers[path.suffix.lower()]
    try:
        table = reader(path)
    except (ValueError, OSError, KeyError, pyarrow.ArrowException) as error:
        raise InputError(
            f"{path.name}, which cannot be read as {kind} ({error})",
            expected="a complete table",
            action="check that the file was written to the end, or export it again",
        ) from error
    if table.empty:
        raise InputError(f"no rows in {path.name}", expected="a table of positions", action="export the table again")
    return table, {"format": kind, "files": [path.name], "n_rows": len(table)}


def _read_text(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        header = stream.readline()
    if not header.strip():
        raise ValueError("the file is empty")
    separators = [mark for mark in (",", ";", "\t") if mark in header]
    separator = max(separators, key=header.count) if separators else r"\s+"
    return pd.read_csv(path, sep=separator, encoding="utf-8-sig", low_memory=False)


def _read_folder(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    files = sorted(folder.glob(FRAME_FILES))
    if not files:
        raise InputError(
            f"no {FRAME_FILES} in the folder {folder}",
            expected="one such file per frame",
            action="give the folder that holds them, or one table",
        )
    table = pd.concat([_read_frame(file, index) for index, file in enumerate(files)], ignore_index=True)
    border = _class_border(table["size"].to_numpy())
    # The radius of a particle is measured anew in each frame: its median over the frames decides.
    median = table.groupby("particle")["size"].transform("median")
    table = table.assign(species=(median > border).astype("int64"))
    radii = [float(value) for value in table.groupby("species")["size"].median()]
    info = {"format": "dlm", "files": [file.name for file in files], "n_rows": len(table), "species_radius": radii}
    return table, info


def _read_frame(file: Path, index: int) -> pd.DataFrame:
    try:
        values = np.loadtxt(file, delimiter=",", ndmin=2)
    except ValueError as error:
        raise InputError(
            f"{file.name}, which is no table of numbers ({error})",
            expected=f"columns {', '.join(FRAME_COLUMNS)}",
            action="check that the file was written to the end",
        ) from error
    if values.shape[1] != len(FRAME_COLUMNS) or not len(values):
        raise InputError(
            f"{values.shape[0]} rows of {values.shape[1]} columns in {file.name}",
            expected=f"columns {', '.join(FRAME_COLUMNS)}",
            action="check that the file was written to the end",
        )
    frame = pd.DataFrame(values, columns=["particle", "x", "y", "size", "force"])
    return frame.assign(frame=index, particle=frame["particle"].astype("int64"))[
        ["frame", "particle", "x", "y", "size", "force"]
    ]


def _class_border(radii: np.ndarray) -> float:
    """Return the radius that splits two classes best: least variance within them (Otsu 1979)."""
    ordered = np.sort(radii)
    if ordered[0] == ordered[-1]:
        return float(ordered[-1])
    count = np.arange(1, len(ordered))
    total, part = ordered.sum(), np.cumsum(ordered)[:-1]
    between = count * (len(ordered) - count) * (part / count - (total - part) / (len(ordered) - count)) ** 2
    split = int(np.argmax(np.where(np.diff(ordered) > 0, between, -1.0)))
    return float(0.5 * (ordered[split] + ordered[split + 1]))
