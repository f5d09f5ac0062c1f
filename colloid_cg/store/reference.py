"""Archives (.npz) of curves measured elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.records import ReferenceCurves
from colloid_cg.store.checkpoint import read_arrays

_X = {"rdf": ("r",), "msd": ("t_msd", "tm", "t"), "vacf": ("t_vacf", "t")}
_Y = {"rdf": "g", "msd": "msd", "vacf": "vacf"}


def read_reference(path: Path) -> ReferenceCurves:
    """Read r and g, t_msd (or tm, t) and msd, t_vacf (or t) and vacf; further arrays are left alone.

    Raises
    ------
    InputError
        If there is no such archive, it holds none of the curves, or one without its x.
    """
    arrays = read_arrays(path)
    if arrays is None:
        raise InputError(
            f"no readable archive {path}", expected="an .npz file of plain arrays", action="correct assess.reference"
        )
    found = {name: _points(path, arrays, name) for name, y in _Y.items() if y in arrays}
    if not found:
        raise InputError(
            f"no g, msd or vacf among {', '.join(arrays) or 'no arrays'} in {path.name}",
            expected="at least one of them with r or t",
            action="save them with numpy.savez(...) under these names",
        )
    return ReferenceCurves(source=path.name, **found)


def _points(path: Path, arrays: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    y = arrays[_Y[name]]
    for x in _X[name]:
        if x in arrays and arrays[x].shape == y.shape:
            return arrays[x], y
    raise InputError(
        f"{_Y[name]} of shape {y.shape} without its x in {path.name}",
        expected=f"an array {' or '.join(_X[name])} of the same shape",
        action="save it beside the curve",
    )
