"""Table of rearrangement events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError

EVENT_COLUMNS: dict[str, str] = {
    "event": "int64",
    "t_on": "int64",
    "t_peak": "int64",
    "t_off": "int64",
    "x": "float64",
    "y": "float64",
    "radius": "float64",
    "n_particles": "int64",
    "particles": "object",
    "score": "float64",
    "p_value": "float64",
    "q_value": "float64",
    "detector": "str",
    "source": "str",
}
"""Columns of events.parquet: times in frames, x, y and radius in px, particles a list of ids."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EventTable:
    """Validated events, sorted by onset; ``metadata`` holds the detector's settings and the number of tests made."""

    table: pd.DataFrame
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [name for name in EVENT_COLUMNS if name not in self.table.columns]
        if missing:
            raise InputError(
                f"an event table without {', '.join(missing)}",
                expected=f"columns {', '.join(EVENT_COLUMNS)}",
                action="build it with detect_events or import it with these columns",
            )
        order = [*EVENT_COLUMNS, *(name for name in self.table.columns if name not in EVENT_COLUMNS)]
        table = self.table[order].astype({name: kind for name, kind in EVENT_COLUMNS.items() if kind != "object"})
        table = table.sort_values(["t_on", "event"], kind="stable").reset_index(drop=True)
        if len(table) and not ((table["t_on"] <= table["t_peak"]) & (table["t_peak"] <= table["t_off"])).all():
            raise InputError(
                "events with t_on > t_peak or t_peak > t_off",
                expected="t_on <= t_peak <= t_off",
                action="check the event grouping",
            )
        probabilities = table[["p_value", "q_value"]].to_numpy(dtype=float)
        if len(table) and not ((np.isnan(probabilities)) | ((probabilities >= 0) & (probabilities <= 1))).all():
            raise InputError("p or q values outside 0..1", expected="probabilities", action="check the null model")
        if table["event"].duplicated().any():
            raise InputError("an event number twice", expected="unique event numbers", action="renumber the events")
        object.__setattr__(self, "table", table)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        """Return number, times and certainty in two lines, for a notebook."""
        if not len(self):
            return "<EventTable: no events>"
        table = self.table
        word = "event" if len(self) == 1 else "events"
        text = f"{len(self)} {word}, peaks in frames {table['t_peak'].min()} to {table['t_peak'].max()}"
        largest = table["q_value"].max()
        text += f"\n q up to {largest:.2g}" if np.isfinite(largest) else "\n without q-values"
        if "flags" in table.columns:
            text += f", tracking errors suspected in {int((table['flags'] != '').sum())}"
        return f"<EventTable: {text}>"

    @classmethod
    def empty(cls, metadata: dict[str, Any] | None = None) -> EventTable:
        """Return a table without events."""
        table = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in EVENT_COLUMNS.items()})
        return cls(table=table, metadata=metadata or {})
