"""What every score asks of its tables, and the gates with a name."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError

Gate: TypeAlias = float | Literal["5 px", "d/4"]
"""Largest distance of a match in px, or the name of one: "5 px" of the particle-tracking challenge (Chenouard et al.
2014) or "d/4", a quarter of the particle diameter, for dense fields in which 5 px reaches the next particle."""

CHALLENGE_GATE = 5.0
"""Gate of the particle-tracking challenge in px."""


def gate_in_px(gate: Gate, diameter: float | None) -> float:
    """Return the gate as a length.

    Raises
    ------
    InputError
        If the name is unknown, the diameter that "d/4" needs is missing, or the length is not positive.
    """
    if gate == "5 px":
        return CHALLENGE_GATE
    if gate == "d/4" and diameter is not None:
        gate = diameter / 4
    if isinstance(gate, str) or not 0 < float(gate) < np.inf:
        raise InputError(
            f"a gate of {gate!r} with diameter = {diameter}",
            expected="a positive length in px, '5 px', or 'd/4' together with the diameter",
            action="give gate=2.25, or gate='d/4', diameter=9",
        )
    return float(gate)


def axes_of(truth: pd.DataFrame, estimate: pd.DataFrame) -> list[str]:
    """Return the position columns both tables have: x, y and, in both or in none, z.

    Raises
    ------
    InputError
        If a column is missing, or only one table has z.
    """
    for name, table in (("truth", truth), ("estimate", estimate)):
        missing = [column for column in ("frame", "x", "y") if column not in table.columns]
        if missing:
            raise InputError(
                f"a table of the {name} without {', '.join(missing)}",
                expected="the columns frame, x, y (and particle for tracks)",
                action="rename the columns",
            )
    if ("z" in truth.columns) != ("z" in estimate.columns):
        raise InputError(
            "positions with z in one table only", expected="the same axes in both", action="drop z or add it"
        )
    return ["x", "y", "z"] if "z" in truth.columns else ["x", "y"]


def positions_of(table: pd.DataFrame, axes: list[str]) -> np.ndarray:
    """Return the positions, shape (n, d).

    Raises
    ------
    InputError
        If one is not finite.
    """
    positions = table[axes].to_numpy(dtype=float)
    if not np.isfinite(positions).all():
        raise InputError(
            "NaN or infinite positions", expected="finite positions", action="drop missed detections before scoring"
        )
    return positions


def tracks_of(table: pd.DataFrame, name: str) -> tuple[np.ndarray, int]:
    """Return the track index 0, 1, ... of each row and the number of tracks.

    Raises
    ------
    InputError
        If there is no column particle, or a particle is twice in a frame.
    """
    if "particle" not in table.columns:
        raise InputError(
            f"a table of the {name} without particle", expected="one id per detection", action="link it first"
        )
    if table.duplicated(["frame", "particle"]).any():
        raise InputError(
            f"a particle that is twice in a frame of the {name}",
            expected="at most one detection per particle and frame",
            action="remove the double rows",
        )
    codes, known = pd.factorize(table["particle"])
    return codes.astype(np.int64), len(known)
