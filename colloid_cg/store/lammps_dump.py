"""Text dumps of LAMMPS (``dump custom``), plain or compressed with gzip."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.records import REDUCED, Box, SimulatedFrames
from colloid_cg.store.dump_columns import Columns, choose_columns, unwrapped_positions

_ITEM = "ITEM:"
_FIXED = frozenset("fp")
"""Boundaries whose box does not follow the particles (LAMMPS: p periodic, f fixed, s and m shrink-wrapped)."""


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """One frame as the file has it: numbers by column, rows in any order."""

    step: int
    time: float | None
    units: str
    bounds: np.ndarray
    boundaries: tuple[str, ...]
    columns: Columns
    rows: pd.DataFrame


@dataclass
class _Open:
    """A dump that is being read, and what became of its end."""

    path: Path
    stream: TextIO
    cut_off: str | None = None

    def line(self) -> str:
        """Return the next line; an archive that breaks off ends there, like any file."""
        try:
            return self.stream.readline()
        except EOFError:
            self.cut_off = "the compressed file breaks off; what follows its last complete frame is lost"
            return ""


def is_dump(path: Path) -> bool:
    """Tell whether a file is a text dump, by how it begins."""
    if not path.is_file():
        return False
    try:
        with _text(path) as stream:
            return stream.readline(64).startswith(_ITEM)
    except (OSError, EOFError, zlib.error):
        return False


def read_dump(path: Path) -> SimulatedFrames:
    """Read a dump: atoms in any order, the same ones in each frame.

    Positions may be ``xu``, ``xsu``, ``x`` or ``xs`` (the latter two with or without ``ix``). Without image counts
    they are unwrapped by the shortest image from frame to frame. A last frame that is cut off is left out, with a
    warning.

    Raises
    ------
    InputError
        If the box is triclinic or changes, atoms come and go, or a frame is damaged.
    """
    try:
        with _text(path) as stream:
            source = _Open(path, stream)
            frames = list(_same_atoms(_frames(source), path))
    except (OSError, zlib.error) as error:
        raise InputError(
            f"{path.name}, which cannot be read ({error})",
            expected="a text dump, plain or compressed with gzip",
            action="copy the file again",
        ) from error
    if not frames:
        raise InputError(
            f"no complete frame in {path.name}", expected="a text dump with frames", action="write the dump again"
        )
    return _assembled(frames, path, source.cut_off)


def _text(path: Path) -> TextIO:
    with path.open("rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
    opener = gzip.open if compressed else open
    return io.TextIOWrapper(opener(path, "rb"), encoding="utf-8", errors="replace")


def _frames(source: _Open) -> Iterator[_Frame]:
    """Yield the complete frames."""
    while True:
        line = source.line()
        while line.isspace():
            line = source.line()
        if not line:
            return
        header: dict[str, list[str]] = {}
        while line.startswith(_ITEM) and not line.startswith(f"{_ITEM} ATOMS"):
            title, values = line[len(_ITEM) :].strip(), []
            line = source.line()
            while line and not line.startswith(_ITEM):
                values.append(line)
                line = source.line()
            header[title] = values
        if not line.endswith("\n") or not {"TIMESTEP", "NUMBER OF ATOMS"} <= set(header):
            if line.endswith("\n"):
                raise _damaged(
                    source.path, f"the line {line.strip()[:40]!r}", "a frame that begins with ITEM: TIMESTEP"
                )
            source.cut_off = "the last frame is cut off in its header and left out"
            return
        frame = _frame(source, header, line)
        if frame is None:
            return
        yield frame


def _frame(source: _Open, header: dict[str, list[str]], title: str) -> _Frame | None:
    """Return a frame, or None if the file ends within it."""
    step = int(_number(source.path, header["TIMESTEP"], "the number of a time step"))
    count = int(_number(source.path, header["NUMBER OF ATOMS"], f"a number of atoms at time step {step}"))
    bounds, boundaries = _box(source.path, header, step)
    names = title.split()[2:]
    columns = choose_columns(names, source.path)
    lines = _atom_lines(source, count)
    if len(lines) < count:
        source.cut_off = (
            f"the last frame, time step {step}, is cut off after {len(lines)} of {count} atoms and left out"
        )
        return None
    early = next((k for k, line in enumerate(lines) if line.startswith(_ITEM)), None)
    if early is not None:
        raise _damaged(source.path, f"{early} of {count} atoms at time step {step}", "all of them in each frame")
    return _Frame(
        step=step,
        time=float(_number(source.path, header["TIME"], "a time")) if "TIME" in header else None,
        units=" ".join(" ".join(header.get("UNITS", [])).split()),
        bounds=bounds,
        boundaries=boundaries,
        columns=columns,
        rows=_rows(source.path, lines, names, columns, step),
    )


def _atom_lines(source: _Open, count: int) -> list[str]:
    """Return the lines of the atoms, fewer where the file ends: a line without its end may lack digits."""
    lines: list[str] = []
    with suppress(EOFError):
        lines.extend(islice(source.stream, count))
    return lines[:-1] if lines and not lines[-1].endswith("\n") else lines


def _rows(path: Path, lines: list[str], names: list[str], columns: Columns, step: int) -> pd.DataFrame:
    """Return the wanted columns as numbers, sorted by id."""
    try:
        rows = pd.read_csv(
            io.StringIO("".join(lines)),
            sep=r"\s+",
            header=None,
            names=names,
            index_col=False,
            usecols=list(columns.wanted),
            dtype=float,
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise _damaged(
            path, f"{str(error)[:60]!r} at time step {step}", f"numbers in {', '.join(columns.wanted)}"
        ) from error
    for k in np.flatnonzero(rows.isna().any(axis=1).to_numpy()):
        if len(lines[k].split()) != len(names):
            raise _damaged(path, f"the line {lines[k].strip()[:60]!r} at time step {step}", f"{len(names)} values")
    for name in ("id", "type"):
        if name in rows and not (rows[name] == np.round(rows[name])).all():
            raise _damaged(path, f"an atom whose {name} is no whole number at time step {step}", "whole numbers")
    return rows.assign(id=rows["id"].astype("int64"))[list(columns.wanted)].sort_values("id", ignore_index=True)


def _number(path: Path, values: list[str], what: str) -> float:
    try:
        (value,) = values
        return float(value)
    except ValueError as error:
        raise _damaged(path, f"{' '.join(''.join(values).split())[:40]!r} as {what}", "one number") from error


def _box(path: Path, header: dict[str, list[str]], step: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the limits of the box, shape (3, 2), and its boundaries, e.g. ("pp", "pp", "ff")."""
    title = next((key for key in header if key.startswith("BOX BOUNDS")), None)
    words = [] if title is None else title.split()[2:]
    if "xy" in words or "abc" in words:
        raise InputError(
            f"a triclinic box at time step {step} of {path.name}",
            expected="a box with right angles",
            action="simulate in an orthogonal box: tilted ones are not supported",
        )
    if title is None or len(words) != 3:
        raise InputError(
            f"no boundaries of the box at time step {step} of {path.name}",
            expected="a line such as 'ITEM: BOX BOUNDS pp pp pp'",
            action="write the dump with a newer LAMMPS, or add the three words to those lines",
        )
    try:
        bounds = np.array([line.split() for line in header[title]], dtype=float).reshape(3, 2)
    except ValueError as error:
        raise _damaged(
            path, f"the box {''.join(header[title]).split()} at time step {step}", "3 x 2 numbers"
        ) from error
    return bounds, tuple(words)


def _same_atoms(frames: Iterator[_Frame], path: Path) -> Iterator[_Frame]:
    """Pass frames on that have the columns, the atoms and the box of the first one."""
    first: _Frame | None = None
    for frame in frames:
        first = first or frame
        _compare(first, frame, path)
        yield frame


def _compare(first: _Frame, frame: _Frame, path: Path) -> None:
    where = f"at time step {frame.step} of {path.name}"
    if frame.columns != first.columns:
        raise _damaged(path, f"other columns {where}", f"{', '.join(first.columns.wanted)} in each frame")
    found, wanted = frame.rows["id"].to_numpy(), first.rows["id"].to_numpy()
    if (np.diff(found) == 0).any():
        raise _damaged(path, f"atom {found[1:][np.diff(found) == 0][0]} twice {where}", "each atom once in a frame")
    if not np.array_equal(found, wanted):
        gone, come = np.setdiff1d(wanted, found), np.setdiff1d(found, wanted)
        what = f"no atom {gone[0]}" if len(gone) else f"a new atom {come[0]}"
        raise InputError(
            f"{what} {where}",
            expected=f"the {len(wanted)} atoms of the first frame in each frame",
            action="dump a group that no atom enters or leaves (in a simulation where none is lost)",
        )
    for name in ("type", "mass"):
        if name in frame.rows and not np.array_equal(frame.rows[name], first.rows[name]):
            changed = found[np.flatnonzero(frame.rows[name] != first.rows[name])[0]]
            raise InputError(
                f"another {name} of atom {changed} {where}", expected=f"a {name} that stays", action="dump fixed kinds"
            )
    for axis, boundary in enumerate(frame.boundaries):
        if set(boundary) <= _FIXED and not np.allclose(frame.bounds[axis], first.bounds[axis], rtol=1e-9, atol=0.0):
            raise InputError(
                f"another box {where}: {frame.bounds[axis].tolist()} along {'xyz'[axis]}",
                expected=f"the box of the first frame, {first.bounds[axis].tolist()}",
                action="dump a run at constant volume",
            )


def _assembled(frames: list[_Frame], path: Path, cut_off: str | None) -> SimulatedFrames:
    first = frames[0]
    d = first.columns.dimension
    bounds = np.stack([frame.bounds for frame in frames])
    lower, upper = bounds[:, :d, 0].min(axis=0), bounds[:, :d, 1].max(axis=0)
    box = Box(
        lower=tuple(map(float, lower)),
        upper=tuple(map(float, upper)),
        periodic=tuple(word == "pp" for word in first.boundaries[:d]),
    )
    positions, warnings = unwrapped_positions(
        np.stack([frame.rows.to_numpy(dtype=float) for frame in frames]), first.columns, bounds[:, :d], box
    )
    velocities = np.stack([frame.rows[list(first.columns.velocities)].to_numpy() for frame in frames])
    kinds = first.rows["type"].to_numpy() if "type" in first.rows else np.ones(len(first.rows))
    times = [frame.time for frame in frames if frame.time is not None]
    return SimulatedFrames(
        kind="lammps dump",
        labels=first.rows["id"].to_numpy(),
        types=kinds.astype("int64"),
        positions=positions,
        velocities=velocities if first.columns.velocities else None,
        masses=first.rows["mass"].to_numpy() if "mass" in first.rows else None,
        box=box,
        steps=np.array([frame.step for frame in frames], dtype=np.int64),
        times=np.array(times) if len(times) == len(frames) else None,
        units=REDUCED if first.units in ("", "lj") else first.units,
        warnings=(*warnings, *([cut_off] if cut_off else [])),
        stated={"first_timestep": first.step},
    )


def _damaged(path: Path, found: str, expected: str) -> InputError:
    return InputError(f"{found} in {path.name}", expected=expected, action="write the dump again, or repair that frame")
