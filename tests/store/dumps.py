"""Dumps written by hand, line by line, from arrays whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LOWER, UPPER = np.array([0.0, -1.0, 2.0]), np.array([4.0, 5.0, 10.0])
LENGTHS = UPPER - LOWER
LABELS = np.array([3, 7, 12, 20, 21])
TYPES = np.array([2, 1, 2, 1, 5])
MASSES = {1: 1.0, 2: 2.5, 5: 4.0}


def motion(n_frames: int = 6, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Unwrapped positions that leave the box, and velocities, both (frames, 5, 3)."""
    rng = np.random.default_rng(seed)
    start = LOWER + LENGTHS * rng.random((len(LABELS), 3))
    velocities = rng.normal(size=(n_frames, len(LABELS), 3))
    drift = np.array([0.6, -0.5, 0.9])
    positions = start + drift * np.arange(n_frames)[:, None, None] + 0.1 * rng.normal(size=velocities.shape)
    return positions, velocities


def value(name: str, row: int, x: np.ndarray, v: np.ndarray) -> str:
    """Return one number of an atom line, as its column is defined in the manual of LAMMPS."""
    image = np.floor((x - LOWER) / LENGTHS).astype(int)
    wrapped = x - image * LENGTHS
    axis = "xyz".find(name.strip("iuvs")) if name not in ("id", "type", "mass", "element") else -1
    plain = {"id": str(LABELS[row]), "type": str(TYPES[row]), "mass": repr(MASSES[int(TYPES[row])]), "element": "Si"}
    if axis < 0:
        return plain[name]
    forms = {
        "": wrapped,
        "u": x,
        "s": (wrapped - LOWER) / LENGTHS,
        "su": (x - LOWER) / LENGTHS,
    }
    if name[0] == "v":
        return repr(float(v[axis]))
    if name[0] == "i":
        return str(image[axis])
    return repr(float(forms[name[1:]][axis]))


def dump_text(
    columns: str,
    *,
    positions: np.ndarray,
    velocities: np.ndarray,
    steps: Sequence[int] | None = None,
    bounds: str = "pp pp pp",
    head: str = "",
    seed: int = 0,
) -> str:
    """Return a dump with the atoms of each frame in another order."""
    rng = np.random.default_rng(seed)
    lines: list[str] = []
    for t, (frame, motion_) in enumerate(zip(positions, velocities, strict=True)):
        step = 100 + 50 * t if steps is None else steps[t]
        lines += [*head.splitlines(), "ITEM: TIMESTEP", str(step), "ITEM: NUMBER OF ATOMS", str(len(frame))]
        lines += [f"ITEM: BOX BOUNDS {bounds}"]
        lines += [f"{low!r} {high!r}" for low, high in zip(LOWER.tolist(), UPPER.tolist(), strict=True)]
        lines += [f"ITEM: ATOMS {columns} "]
        lines += [
            " ".join(value(name, row, frame[row], motion_[row]) for name in columns.split()) + " "
            for row in rng.permutation(len(frame))
        ]
    return "\n".join(lines) + "\n"
