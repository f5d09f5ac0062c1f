"""The section on rearrangement events."""

from __future__ import annotations

from markupsafe import Markup

from colloid_cg.reporting.checks.comparison import p_value_columns
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.figures.events import figure_event_map, figure_event_timeline, figure_p_values
from colloid_cg.reporting.numbers import percent, plain
from colloid_cg.reporting.sections.section import Picture, Section, Table, warning_line
from colloid_cg.reporting.summary import false_discovery_level

TOP_EVENTS = 20


def events_section(content: ReportContent) -> Section:
    """Show when and where rearrangements happen, the strongest of them, and whether the null model holds."""
    title = "Rearrangement events"
    if content.events is None:
        return Section(anchor="events", title=title, missing="colloid-cg events RUN")
    events, tracks = content.events.table, content.tracks
    interval = 1.0 if tracks is None else tracks.frame_interval
    n_frames = int(events["t_off"].max()) + 1 if tracks is None and len(events) else getattr(tracks, "n_frames", 1)
    pictures: list[Picture] = []
    if len(events):
        frame = content.frames[0][1] if content.frames else None
        caption = "Each event from onset to end at the height of its size."
        figure = figure_event_timeline(events, interval, n_frames)
        pictures.append(Picture(name="events_timeline", figure=figure, caption=caption, wide=True))
        figure = figure_event_map(events, frame=frame, frame_interval=interval)
        caption = "Events on the first frame shown above; circles have the radius of the event."
        pictures.append(Picture(name="events_map", figure=figure, caption=caption))
    columns = [] if content.event_fields is None else p_value_columns(list(content.event_fields.columns))[:2]
    if content.event_fields is not None and columns:
        caption = (
            "p-values of every particle and frame under the null model. A flat floor with a peak at zero is what "
            "events on top of chance look like; where the floor is not flat the null does not describe the movie."
        )
        figure = figure_p_values(content.event_fields, columns)
        pictures.append(Picture(name="events_p_values", figure=figure, caption=caption))
    return Section(
        anchor="events",
        title=title,
        text=(_events_text(content), *_event_warnings(content)),
        pictures=tuple(pictures),
        tables=_events_table(content, interval),
    )


def _events_text(content: ReportContent) -> str:
    if content.events is None:
        return ""
    count, level = len(content.events), false_discovery_level(content.events.metadata)
    text = (
        "No events were found"
        if count == 0
        else "One event was found"
        if count == 1
        else f"{count:,} events were found"
    )
    if level is not None and count:
        text += f"; on average at most {percent(level)} of the detections behind them are false"
    elif level is not None:
        text += f" at a false-discovery level of {percent(level)}"
    tests = content.events.metadata.get("n_tests")
    return f"{text} ({int(tests):,} tests)." if tests else f"{text}."


def _event_warnings(content: ReportContent) -> tuple[Markup, ...]:
    found = [] if content.events is None else content.events.metadata.get("warnings") or []
    return tuple(warning_line(str(sentence)) for sentence in found)


def _events_table(content: ReportContent, interval: float) -> tuple[Table, ...]:
    if content.events is None or not len(content.events):
        return ()
    table = content.events.table
    strongest = table.sort_values(["p_value", "score"], ascending=[True, False], kind="stable").head(TOP_EVENTS)
    rows = tuple(
        (
            str(int(row["event"])), plain(row["t_peak"] * interval, 4), f"{int(row['t_on'])}–{int(row['t_off'])}",
            plain(row["x"], 4), plain(row["y"], 4), plain(row["radius"]), str(int(row["n_particles"])),
            plain(row["score"]), plain(row["p_value"], 2), plain(row["q_value"], 2), str(row["detector"]),
        )
        for row in strongest.to_dict("records")
    )  # fmt: skip
    head = (
        "event",
        "peak (s)",
        "frames",
        "x (px)",
        "y (px)",
        "radius (px)",
        "particles",
        "score",
        "p",
        "q",
        "detector",
    )
    return (Table(head=head, rows=rows, caption=f"The {len(rows)} most significant of {len(table):,} events"),)
