"""Events of a run larger than the memory: p-values window by window, events from the small ones of all windows."""

from __future__ import annotations

from typing import Any

import pandas as pd

from colloid_cg.events import EventConfig, candidates, event_fields, events_of, scales_of, tested
from colloid_cg.events.jumps import field_jumps
from colloid_cg.pipeline.blocks import spans, trajectory_file
from colloid_cg.pipeline.stage import Job, out_of_date
from colloid_cg.records import EventTable
from colloid_cg.store import read_frames, table_writer

MARGIN = 50
"""Frames by which a window reaches over its borders, so that intervals and windows at a border are complete."""
ROWS = 10
"""Memory that a detection takes while events are looked for, over that of its row in the trajectories."""


def events_in_windows(job: Job, config: EventConfig, *, structure: str, part: str) -> EventTable:
    """Return the events of a run, and write the fields of every detection.

    Each window has its own null law; the lengths and times, the number of tests and the q-values are those of the
    whole movie.

    Parameters
    ----------
    job : Job
    structure, part : str
        Tables of the structural variables (read where they are up to date) and of the fields (written), in the folder.
    """
    file, windows = trajectory_file(job), list(spans(job, share=ROWS))
    used = scales_of(file.rows_per_frame(), file.header.box, config)
    margin = 0 if len(windows) == 1 else max(MARGIN, 2 * (used.lag + 2 * used.average), 2 * used.half_window)
    hidden = (job.folder.path / structure).is_file() and not out_of_date(structure, job.folder)
    found: list[pd.DataFrame] = []
    laws: list[dict[str, Any]] = []
    n_tests = 0
    with job.progress("events") as progress, table_writer(job.folder.path / part) as writer:
        progress(0, len(windows))
        for done, (first, last) in enumerate(windows, start=1):
            frames = (max(0, first - margin), min(file.n_frames, last + margin))
            tracks = file.read(frames)
            fields = event_fields(tracks, config, used=used)
            laws.append(dict(fields.attrs["events"]))
            before = _structural(read_frames(job.folder.path / structure, frames)) if hidden else None
            small = candidates(tracks, fields, config, used, before)
            if before is not None:
                jumps = field_jumps(before, half_window=used.half_window)
                fields = fields.merge(jumps, on=["frame", "particle"], how="left").set_axis(fields.index)
            own = fields[fields["frame"].between(first, last - 1)]
            found.append(small[small["frame"].between(first, last - 1)])
            n_tests += tested(own, config)
            writer.append(own)
            progress(done, len(windows))
    events = events_of(pd.concat(found, ignore_index=True), n_tests, file.header, config, used, laws[0])
    return EventTable(table=events.table, metadata=_of_all_windows(events.metadata, laws, windows))


def _structural(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that identify a detection and s0, s1, .."""
    return table[[name for name in table.columns if name in ("frame", "particle") or _is_variable(name)]]


def _is_variable(name: str) -> bool:
    return name[:1] == "s" and name[1:].isdigit()


def _of_all_windows(
    metadata: dict[str, Any], laws: list[dict[str, Any]], windows: list[tuple[int, int]]
) -> dict[str, Any]:
    """Return the metadata with the null laws of every window."""
    if len(laws) == 1:
        return metadata
    told = dict.fromkeys(
        f"{name}: {text}" for law in laws for name in ("d2min", "p_hop") for text in law[name].get("warnings", ())
    )
    return {
        **metadata,
        "null_fit": all(law[name].get("null_fit", False) for law in laws for name in ("d2min", "p_hop")),
        "warnings": list(told),
        "windows": [{"frames": list(frames), "fields": law} for frames, law in zip(windows, laws, strict=True)],
    }
