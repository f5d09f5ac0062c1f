"""Archives of centre-of-mass trajectories (.npz)."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.records import Box, SimulatedFrames

_FIELDS = ("pos", "dt", "box")
_KNOWN = ("pos", "vel", "dt", "box", "mass", "kT", "species")


def read_centres(path: Path) -> SimulatedFrames:
    """Read an archive of trajectories in a periodic box with a corner at the origin.

    Its fields are ``pos`` (T, N, d), unwrapped (wrapped ones are unwrapped, with a warning), ``dt``, the time between
    frames, ``box``, the edges (d,), and if known ``vel`` (T, N, d), ``mass`` and ``species`` (one for all or one for
    each particle) and ``kT``. Numbers under other names are kept as metadata. Pickled objects are refused.

    Raises
    ------
    InputError
        If it is no such archive, lacks a field, or shapes do not agree.
    """
    fields = _loaded(path)
    missing = [name for name in _FIELDS if name not in fields]
    if missing:
        raise _unlike(path, f"no {', '.join(missing)} among {', '.join(fields) or 'no fields'}", "pos, dt and box")
    positions = fields["pos"]
    if positions.ndim != 3 or positions.shape[2] not in (2, 3):
        raise _unlike(path, f"pos of shape {positions.shape}", "shape (frames, particles, 2 or 3)")
    n, d = positions.shape[1:]
    shapes = {"vel": (positions.shape,), "dt": ((),), "box": ((d,), ()), "mass": ((), (n,)), "kT": ((),)}
    for name, allowed in (shapes | {"species": ((), (n,))}).items():
        if name in fields and fields[name].shape not in allowed:
            raise _unlike(path, f"{name} of shape {fields[name].shape}", f"shape {' or '.join(map(str, allowed))}")
    for name in ("dt", "box", "mass", "kT"):
        if name in fields and not ((fields[name] > 0) & np.isfinite(fields[name])).all():
            raise _unlike(path, f"{name} = {fields[name].tolist()}", "finite numbers above zero")
    species = np.broadcast_to(fields.get("species", np.zeros(())), (n,))
    if (species != np.round(species)).any():
        raise _unlike(path, f"species of type {species.dtype}", "whole numbers")
    edges = np.broadcast_to(fields["box"], (d,))
    box = Box(lower=(0.0,) * d, upper=tuple(float(edge) for edge in edges), periodic=(True,) * d)
    positions, warnings = _unwrapped(positions.astype(float), box)
    return SimulatedFrames(
        kind="npz",
        labels=np.arange(n),
        types=species.astype("int64"),
        positions=positions,
        velocities=fields["vel"].astype(float) if "vel" in fields else None,
        masses=np.broadcast_to(fields["mass"], (n,)).astype(float) if "mass" in fields else None,
        box=box,
        frame_interval=float(fields["dt"]),
        thermal_energy=float(fields["kT"]) if "kT" in fields else None,
        stated={name: value.item() for name, value in fields.items() if name not in _KNOWN and value.shape == ()},
        warnings=warnings,
    )


def _unwrapped(positions: np.ndarray, box: Box) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return positions that do not jump, and what was done: all in one cell and jumping across it, they are wrapped."""
    inside = positions.size and (np.ptp(positions, axis=(0, 1)) <= box.lengths).all()
    steps = np.diff(positions, axis=0)
    if not inside or not (np.abs(steps) > 0.5 * box.lengths).any():
        return positions, ()
    jumps = np.cumsum(box.image(steps), axis=0)
    return np.concatenate([positions[:1], positions[1:] - jumps]), (
        "all positions lie in one cell and jump across it: they were unwrapped by the shortest image from frame to "
        "frame; save them unwrapped if particles move by half of it between frames",
    )


def _loaded(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            fields = {name: np.asarray(archive[name]) for name in archive.files}
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        AttributeError,
        TypeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        pickled = "pickle" in str(error).lower()
        found = f"{path.name} with pickled objects" if pickled else f"{path.name}, which cannot be read ({error})"
        raise InputError(
            found,
            expected="an archive of plain arrays" if pickled else "a complete .npz archive",
            action="save numbers alone, with numpy.savez(...) and no object arrays" if pickled else "save it again",
        ) from error
    for name, value in fields.items():
        if value.dtype.kind not in "fiub" and name in _KNOWN:
            raise _unlike(path, f"{name} of type {value.dtype}", "real numbers")
    return fields


def _unlike(path: Path, found: str, expected: str) -> InputError:
    return InputError(
        f"{found} in {path.name}",
        expected=expected,
        action="save pos, vel, dt, box, mass and kT with numpy.savez (see docs/run_folder.md)",
    )
