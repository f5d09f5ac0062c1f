"""The pictures of the section on events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from colloid_cg.events import distribution, event_rate, rate_over_time
from colloid_cg.records import CommonMotion, EventTable
from colloid_cg.reporting.checks.comparison import p_value_columns
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.event_evidence import EventEvidence, hidden_names
from colloid_cg.reporting.figures.event_gallery import figure_event_gallery
from colloid_cg.reporting.figures.event_statistics import (
    figure_before_events,
    figure_event_rate,
    figure_event_sizes,
)
from colloid_cg.reporting.figures.events import figure_event_map, figure_event_timeline, figure_p_values
from colloid_cg.reporting.numbers import plain
from colloid_cg.reporting.sections.recording import diameter_of
from colloid_cg.reporting.sections.section import Picture
from colloid_cg.reporting.units import units_of

VARIABLES = {"shear_strain": "local shear strain"}
_BINS, _PER_BIN = (4, 20), 5
_MOST_VARIABLES = 2


def event_pictures(content: ReportContent, events: EventTable, evidence: EventEvidence) -> tuple[Picture, ...]:
    """Return what there is to see of events, the strongest of them first."""
    pictures: list[Picture] = []
    if len(events):
        pictures += [*_gallery(content, evidence), _timeline(content, events), _map(content, events)]
        pictures += [*_rate(content, events, evidence), _sizes(content, events), *_before(content, events)]
    columns = [] if content.event_fields is None else p_value_columns(list(content.event_fields.columns))[:2]
    if content.event_fields is not None and columns:
        caption = (
            "p-values of every particle and frame under the null model. A flat floor with a peak at zero is what "
            "events on top of chance look like; where the floor is not flat the null does not describe the movie."
        )
        figure = figure_p_values(content.event_fields, columns)
        pictures.append(Picture(name="events_p_values", figure=figure, caption=caption))
    return tuple(pictures)


def _gallery(content: ReportContent, evidence: EventEvidence) -> tuple[Picture, ...]:
    views = evidence.views
    if not views:
        return ()
    units, diameter = units_of(content), diameter_of(content)
    unit = " µm" if units.length == "um" else ""
    figure = figure_event_gallery(
        views,
        [_title(view.row, unit) for view in views],
        diameter=None if diameter is None else min(diameter * views[0].pixel_size, 0.9 * views[0].spacing),
        unit=unit,
    )
    drawn = "one grey scale for the three pictures of an event"
    if all(moment.picture is None for view in views for moment in view.moments):
        drawn = f"drawn from positions alone: {evidence.no_pictures or 'the movie is not at hand'}"
    caption = (
        "The most significant events, those without a suspected tracking error first: the last frame before the onset, "
        f"the peak, the first frame after the end; {drawn}. Orange: particles of the event. Arrows are displacements "
        "from before to after, less the affine motion of the particles around, to scale where no factor is given; "
        "particles without one are not seen in both frames."
    )
    return (Picture(name="events_gallery", figure=figure, caption=caption, wide=True),)


def _title(row: Mapping[str, Any], unit: str) -> str:
    count = int(row["n_particles"])
    parts = [
        f"Event {row.get('id', row['event'])}: q = {plain(row['q_value'], 2)}",
        f"{count} particle{'' if count == 1 else 's'}",
    ]
    amplitude = row.get("amplitude")
    if amplitude is not None and np.isfinite(amplitude):
        parts.append(f"amplitude {plain(float(amplitude), 2)}{unit}")
    if row.get("flags"):
        parts.append(str(row["flags"]).replace("_", " ").replace("|", ", "))
    return ", ".join(parts)


def _timeline(content: ReportContent, events: EventTable) -> Picture:
    interval = 1.0 if content.tracks is None else content.tracks.frame_interval
    n_frames = int(events.table["t_off"].max()) + 1 if content.tracks is None else content.tracks.n_frames
    figure = figure_event_timeline(events.table, interval, n_frames)
    caption = "Each event from onset to end at the height of its size."
    return Picture(name="events_timeline", figure=figure, caption=caption, wide=True)


def _map(content: ReportContent, events: EventTable) -> Picture:
    interval = 1.0 if content.tracks is None else content.tracks.frame_interval
    index, frame = content.frames[0] if content.frames else (0, None)
    table = events.table
    motion = CommonMotion.parse(None if content.tracks is None else content.tracks.metadata.get("drift"))
    if frame is not None and motion.removed and index in motion.frame:
        seen = motion.restored(table[["x", "y"]].to_numpy(dtype=float), index)
        table = table.assign(x=seen[:, 0], y=seen[:, 1])
    figure = figure_event_map(table, frame=frame, frame_interval=interval)
    where = "on the first frame shown above" if frame is not None else "in the field of view"
    caption = f"Events {where}; circles have the radius of the event."
    return Picture(name="events_map", figure=figure, caption=caption)


def _rate(content: ReportContent, events: EventTable, evidence: EventEvidence) -> tuple[Picture, ...]:
    if evidence.exposure is None:
        return ()
    whole = event_rate(events, evidence.exposure)
    if not whole.n_events:
        return ()
    bins = int(np.clip(whole.n_events // _PER_BIN, *_BINS))
    table = rate_over_time(events, evidence.exposure, bins=bins)
    units = units_of(content)
    label = "events per particle and " + ("second" if units.time == "s" else "unit of time")
    figure = figure_event_rate(table, whole.value, label=label, of_time=units.of_time)
    caption = (
        "Events that begin, over the time for which particles were tested. The band holds 90 %; it is wider than that "
        "of independent events where events come in groups."
    )
    return (Picture(name="events_rate", figure=figure, caption=caption),)


def _sizes(content: ReportContent, events: EventTable) -> Picture:
    panels = [("particles in the event", distribution(events.table["n_particles"].to_numpy(dtype=float)))]
    caption = "Share of events of at least a size"
    if "amplitude" in events.table.columns:
        label = "amplitude" + units_of(content).of_length
        panels.append((label, distribution(events.table["amplitude"].to_numpy(dtype=float))))
        caption += "; amplitude is the root of D2min per bond at its largest, less what the null makes of it"
    caption += ". Bands hold 90 %, events taken as independent. Small events are missed more often than large ones."
    return Picture(name="events_sizes", figure=figure_event_sizes(panels), caption=caption)


def _before(content: ReportContent, events: EventTable) -> tuple[Picture, ...]:
    """Compare the particle at the peak of each event with all particles, where a variable of both is known."""
    sources = {"shear_strain": ("strain_before", content.event_fields)}
    hidden = [] if content.fields is None else hidden_names(map(str, content.fields.columns))[:_MOST_VARIABLES]
    sources = {name: (f"{name}_before", content.fields) for name in hidden} | sources
    panels = [
        (
            VARIABLES.get(name, f"structural variable {name}"),
            fields[name].to_numpy(dtype=float),
            events.table[column].to_numpy(dtype=float),
        )
        for name, (column, fields) in sources.items()
        if fields is not None and name in fields.columns and column in events.table.columns
    ]
    if not panels:
        return ()
    caption = (
        "The particle at the peak of each event before it moved (red), over all particles and frames that are read for "
        "this page (grey)."
    )
    figure = figure_before_events(panels)
    return (Picture(name="events_before", figure=figure, caption=caption, wide=len(panels) > 2),)
