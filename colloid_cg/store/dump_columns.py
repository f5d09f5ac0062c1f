"""Which columns of a LAMMPS dump say where an atom is, and how they become unwrapped positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.records import Box

_FORMS = (("{}u", False, True), ("{}su", True, True), ("{}", False, False), ("{}s", True, False))
"""Names of a coordinate, best first: whether it is a fraction of the box, whether it is unwrapped."""
_LONG_STEP = 0.25
"""Step between frames, in edges of the box, from which unwrapping by the shortest image deserves a warning."""


@dataclass(frozen=True)
class Columns:
    """The columns to read: positions, image counts and velocities each x, y[, z] or nothing."""

    positions: tuple[str, ...]
    scaled: bool
    unwrapped: bool
    images: tuple[str, ...]
    velocities: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of all columns to read, in the order they are kept."""
        return (*self.others, *self.positions, *self.images, *self.velocities)

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.positions)


def choose_columns(names: Sequence[str], path: Path) -> Columns:
    """Choose among the columns that ``ITEM: ATOMS`` names.

    Raises
    ------
    InputError
        If there is no id or no position, or a vector lacks a component.
    """
    known = set(names)
    if "id" not in known:
        raise _no(path, "no column id", "the column id among the atoms", names)
    found = [kind for kind in _FORMS if {kind[0].format("x"), kind[0].format("y")} <= known]
    if not found:
        raise _no(path, "no positions", "columns x y z, xu yu zu, xs ys zs or xsu ysu zsu", names)
    form, scaled, unwrapped = found[0]
    axes = "xyz" if form.format("z") in known else "xy"
    images = tuple(f"i{axis}" for axis in axes)
    velocities = tuple(f"v{axis}" for axis in axes)
    for vector in (images, velocities):
        held = known & set(vector)
        if held and held != set(vector):
            raise _no(path, f"only {', '.join(sorted(held))}", f"all of {', '.join(vector)}", names)
    return Columns(
        positions=tuple(form.format(axis) for axis in axes),
        scaled=scaled,
        unwrapped=unwrapped,
        images=() if unwrapped or images[0] not in known else images,
        velocities=velocities if velocities[0] in known else (),
        others=tuple(name for name in ("id", "type", "mass") if name in known),
    )


def _no(path: Path, found: str, expected: str, names: Sequence[str]) -> InputError:
    return InputError(
        f"{found} among the columns {', '.join(names) or '(none)'} of {path.name}",
        expected=expected,
        action="write the dump with 'dump custom ... id type xu yu zu vx vy vz'",
    )


def unwrapped_positions(
    values: np.ndarray, columns: Columns, bounds: np.ndarray, box: Box
) -> tuple[np.ndarray, list[str]]:
    """Return unwrapped positions, shape (T, N, d), and what is doubtful about them.

    Parameters
    ----------
    values : array, shape (T, N, number of columns)
        In the order of ``columns.wanted``.
    columns : Columns
    bounds : array, shape (T, d, 2)
        Limits of the box in each frame.
    box : Box
    """
    place = [columns.wanted.index(name) for name in columns.positions]
    positions = values[:, :, place]
    lower, lengths = bounds[:, None, :, 0], np.diff(bounds, axis=-1)[:, None, :, 0]
    if columns.scaled:
        positions = lower + lengths * positions
    if columns.unwrapped:
        return positions, []
    if columns.images:
        counts = values[:, :, [columns.wanted.index(name) for name in columns.images]]
        return positions + counts * lengths, []
    if not any(box.periodic):
        return positions, []
    jumps = np.cumsum(box.image(np.diff(positions, axis=0)), axis=0)
    positions = np.concatenate([positions[:1], positions[1:] - jumps])
    longest = np.abs(np.diff(positions, axis=0))[..., list(box.periodic)] / box.lengths[list(box.periodic)]
    doubts = ["positions without image counts were unwrapped by the shortest image from frame to frame"]
    if longest.size and longest.max() > _LONG_STEP:
        doubts[0] += (
            f"; the longest step is {longest.max():.2f} of the box, too long to be sure: dump xu yu zu or ix iy iz"
        )
    return positions, doubts
