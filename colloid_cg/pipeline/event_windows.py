"""Events of a run larger than the memory: found in windows that overlap, each event kept once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.events import EventConfig
from colloid_cg.records import EventTable

MARGIN = 50
"""Frames by which a window reaches over its borders, so that an event at a border is seen as a whole."""


def events_margin(config: EventConfig) -> int:
    """Return by how many frames a window has to reach over its borders."""
    return max(MARGIN, 2 * (config.lag or 0), 4 * (config.half_window or 0))


def peaking(events: EventTable, first: int, last: int) -> EventTable:
    """Return the events that peak in frames ``first`` to ``last - 1``: each belongs to one window only."""
    inside = events.table["t_peak"].between(first, last - 1)
    return EventTable(table=events.table[inside], metadata=events.metadata)


def joined(found: list[EventTable], windows: list[tuple[int, int]]) -> EventTable:
    """Return the events of all windows, numbered anew; counts of tests added up, null laws listed by window."""
    if len(found) == 1:
        return found[0]
    tables = [events.table for events in found if len(events)]
    metadata = _joined_metadata([events.metadata for events in found], windows)
    if not tables:
        return EventTable.empty(metadata)
    table = pd.concat(tables, ignore_index=True).sort_values(["t_on", "x", "y"], kind="stable")
    return EventTable(table=table.assign(event=np.arange(len(table))), metadata=metadata)


def _joined_metadata(parts: list[dict[str, Any]], windows: list[tuple[int, int]]) -> dict[str, Any]:
    warnings = dict.fromkeys(warning for part in parts for warning in part.get("warnings", ()))
    return {
        **parts[0],
        "n_tests": sum(part["n_tests"] for part in parts),
        "n_significant": sum(part["n_significant"] for part in parts),
        "null_fit": all(part["null_fit"] for part in parts),
        "warnings": list(warnings),
        "windows": [
            {"frames": list(frames), "fields": part["fields"], "n_tests": part["n_tests"]}
            for frames, part in zip(windows, parts, strict=True)
        ],
    }
