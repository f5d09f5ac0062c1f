"""External fields as the user's tables: centres of wells, prescribed particles, a background flow on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from colloid_cg.dynamics import GridFlow
from colloid_cg.errors import InputError

COLUMNS = {
    "traps": ("x", "y"),
    "prescribed": ("frame", "particle", "x", "y", "species"),
    "flow": ("frame", "x", "y", "u_x", "u_y"),
}
"""Columns each table must have: positions in px, velocities in um/s; traps may have ``particle`` too."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldTables:
    """Tables named in the ``[fit]`` section, as read; None where there is none."""

    traps: pd.DataFrame | None = None
    prescribed: pd.DataFrame | None = None
    flow: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        for name, columns in COLUMNS.items():
            table = getattr(self, name)
            if table is not None:
                _check(name, table, columns)


def _check(name: str, table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise _refused(name, f"no column {' or '.join(missing)} in it (found {', '.join(map(str, table.columns))})")
    used = [*columns, "particle"] if name == "traps" and "particle" in table.columns else list(columns)
    values = table[used].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    if not len(values) or not np.isfinite(values).all():
        raise _refused(name, "no rows" if not len(values) else "entries that are no finite numbers")
    whole = [column for column in ("frame", "particle", "species") if column in used]
    if (table[whole].astype(float) % 1 != 0).any().any():
        raise _refused(name, f"{' or '.join(whole)} that is no whole number")
    keys = {"traps": ["particle"] if "particle" in used else ["x", "y"], "prescribed": ["frame", "particle"]}
    if table.duplicated(keys.get(name, ["frame", "x", "y"])).any():
        raise _refused(name, f"two rows with the same {' and '.join(keys.get(name, ['frame', 'x', 'y']))}")


def _refused(name: str, found: str) -> InputError:
    return InputError(
        f"the table fit.{name} with {found}",
        expected=f"columns {', '.join(COLUMNS[name])}, one number each",
        action=f"correct the file that fit.{name} names",
    )


def grid_flow(table: pd.DataFrame, *, pixel_size: float) -> GridFlow:
    """Return the flow of a table (x, y in px, velocities in um/s) in um.

    Raises
    ------
    InputError
        If the nodes are not the full regular grid in every frame.
    """
    ordered = table.sort_values(["frame", "x", "y"], kind="stable")
    frames, x, y = (np.unique(ordered[name].to_numpy(dtype=float)) for name in ("frame", "x", "y"))
    if len(ordered) != len(frames) * len(x) * len(y) or len(x) < 2 or len(y) < 2:
        raise _refused("flow", f"{len(ordered)} rows for {len(frames)} frames of {len(x)} x {len(y)} nodes")
    for name, nodes in (("x", x), ("y", y)):
        if not np.allclose(np.diff(nodes), np.diff(nodes)[0], rtol=1e-3):
            raise _refused("flow", f"unequal distances of the nodes along {name}")
    values = ordered[["u_x", "u_y"]].to_numpy(dtype=float).reshape(len(frames), len(x), len(y), 2)
    return GridFlow(frames=frames, x=x * pixel_size, y=y * pixel_size, values=values)
