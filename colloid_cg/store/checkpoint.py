"""Named arrays in one file: the state of a pass, from which it goes on after a kill."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from colloid_cg.store.atomic import atomic_path


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays atomically; nothing is pickled."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Return what :func:`write_arrays` wrote, or None where there is no such file or a damaged one."""
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        return None


@dataclass(frozen=True)
class Kept:
    """Named sets of arrays in a folder, one file each: where a fit that was stopped goes on from."""

    folder: Path

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays kept under a name, or None."""
        return read_arrays(self.folder / f"{name}.npz")

    def save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Keep arrays under a name, written whole or not at all."""
        write_arrays(self.folder / f"{name}.npz", arrays)
