"""The section on rearrangement events."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from colloid_cg.events import case_control, event_rate
from colloid_cg.records import EventTable
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.event_evidence import EventEvidence, flags_of, strongest
from colloid_cg.reporting.numbers import percent, plain, with_interval
from colloid_cg.reporting.sections.event_pictures import VARIABLES, event_pictures
from colloid_cg.reporting.sections.section import Section, Table, warning_line
from colloid_cg.reporting.summary import false_discovery_level
from colloid_cg.reporting.units import Units, units_of
from colloid_cg.seeding import generator

TOP_EVENTS = 20
SUSPICIONS = {
    "swap": "exchanged identities",
    "merge": "merged particles",
    "missing_link": "broken links",
    "mass_jump": "jumps of brightness",
    "out_of_focus": "particles out of focus",
}
"""Words of the page for suspected tracking errors."""
MEANING = (
    "The q-value of an event says: of the events at least as significant, at most this share is expected to be false"
)


def events_section(content: ReportContent) -> Section:
    """Show when and where rearrangements happen, the strongest of them, and whether the null model holds."""
    title = "Rearrangement events"
    if content.events is None:
        return Section(anchor="events", title=title, missing="colloid-cg events RUN")
    events, evidence = content.events, content.event_evidence or EventEvidence()
    return Section(
        anchor="events",
        title=title,
        text=(
            *_found(events), *_flagged(events), *_rate(events, evidence, units_of(content)),
            *_before(events, evidence), *_event_warnings(events),
        ),
        pictures=event_pictures(content, events, evidence),
        tables=_events_table(content, events),
    )  # fmt: skip


def _found(events: EventTable) -> tuple[str, ...]:
    count, level = len(events), false_discovery_level(events.metadata)
    text = {0: "No events were found", 1: "One event was found"}.get(count, f"{count:,} events were found")
    tests = events.metadata.get("n_tests")
    if tests:
        text += f" in {int(tests):,} tests, one of each particle in each frame where enough of its neighbours are seen"
    if not count:
        return (f"{text}." if level is None else f"{text}, at a false-discovery level of {percent(level)}.",)
    if events.table["q_value"].notna().any():
        text += f". {MEANING}"
    return (f"{text}." if level is None else f"{text}. All of them have q of at most {percent(level)}.",)


def _flagged(events: EventTable) -> tuple[str, ...]:
    if "flags" not in events.table.columns or not len(events):
        return ()
    flags = flags_of(events)
    some = int((flags != "").sum())
    if not some:
        return ("None of them carries a mark of a suspected tracking error.",)
    counts = flags[flags != ""].str.split("|").explode().value_counts(sort=False)
    kinds = ", ".join(
        f"{SUSPICIONS.get(str(name), str(name))} ({count:,})"
        for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    )
    return (
        f"{some:,} of {len(events):,} ({percent(some / len(events))}) carry a mark of a suspected tracking error near "
        f"their particles: {kinds}. A mark is no proof; the q-value knows nothing of it.",
    )


def _rate(events: EventTable, evidence: EventEvidence, units: Units) -> tuple[str, ...]:
    if not len(events):
        return ()
    if evidence.exposure is None:
        return ("How often they happen is not told: where events could have been found (fields.parquet) is not known.",)
    rate = event_rate(events, evidence.exposure)
    if not rate.n_events:
        return ()
    per = "per particle and second" if units.time == "s" else "per particle and unit of time"
    left = f"; {rate.n_left_out:,} under way when the tests begin are left out" if rate.n_left_out else ""
    grouped = (
        "allows for events that come in groups" if rate.dispersion is not None else "is that of independent events"
    )
    value = with_interval(rate.value, rate.low, rate.high)
    return (f"Their rate, {per}, is {value}; the interval {grouped}{left}.",)


def _before(events: EventTable, evidence: EventEvidence) -> tuple[str, ...]:
    """Say how the particles of events differ from others before; nothing of variables that are not known."""
    found = []
    for name, table in evidence.before.items():
        if not len(table):
            continue
        estimate = case_control(table, rng=generator(0, "report", name))
        value, low, high = estimate.value, estimate.low, estimate.high
        interval = (low, high) if low < high else (None, None)
        found.append(f"{with_interval(value, *interval)} in {VARIABLES.get(name, name)}")
    if not found:
        return ()
    return (
        f"{evidence.lead} frames before the onset, the particles of events differ from the others of their species by "
        + "; ".join(found) + ".",
    )  # fmt: skip


def _event_warnings(events: EventTable) -> tuple[Markup, ...]:
    return tuple(warning_line(str(sentence)) for sentence in events.metadata.get("warnings") or [])


def _events_table(content: ReportContent, events: EventTable) -> tuple[Table, ...]:
    if not len(events):
        return ()
    interval = 1.0 if content.tracks is None else content.tracks.frame_interval
    units, several = units_of(content), events.table["detector"].nunique() > 1
    length = "px" if units.of_length == Units().of_length else units.length
    top = strongest(events, TOP_EVENTS)
    flags = flags_of(events)
    rows = tuple(
        (
            str(row.get("id", row["event"])), plain(row["t_peak"] * interval, 4), f"{row['t_on']}–{row['t_off']}",
            plain(row["x"], 4), plain(row["y"], 4), plain(row["radius"]), str(row["n_particles"]),
            *([plain(_number(row["amplitude"]))] if "amplitude" in row else []),
            plain(row["p_value"], 2), plain(row["q_value"], 2),
            *([flags[index].replace("_", " ").replace("|", ", ")] if "flags" in row else []),
            *([str(row["detector"])] if several else []),
        )
        for index, row in zip(top.index, top.to_dict("records"), strict=True)
    )  # fmt: skip
    head = (
        "event", "peak" + units.of_time, "frames", f"x ({length})", f"y ({length})", f"radius ({length})", "particles",
        *(["amplitude" + units.of_length] if "amplitude" in top.columns else []), "p", "q",
        *(["suspected"] if "flags" in top.columns else []), *(["detector"] if several else []),
    )  # fmt: skip
    order = ", those without a mark of tracking errors first" if (flags != "").any() else ""
    of = f"The {len(rows)} most significant of {len(events):,} events{order}" if len(rows) > 1 else "The event"
    return (Table(head=head, rows=rows, caption=of),)


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
