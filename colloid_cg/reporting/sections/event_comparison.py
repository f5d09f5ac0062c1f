"""Events of experiment and model side by side, for the section that compares them."""

from __future__ import annotations

from typing import Any

from colloid_cg.reporting.figures.event_comparison import figure_event_ratios
from colloid_cg.reporting.numbers import plain, with_interval
from colloid_cg.reporting.sections.section import Picture, Table

QUANTITIES = {
    "rate": "rate per particle",
    "rate_per_area": "rate per area",
    "size": "particles per event",
    "duration": "duration",
    "amplitude": "amplitude",
}
COMPARED = "compared"


def compared_quantities(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what was compared, in words of the page."""
    named = {word: found[name] for name, word in QUANTITIES.items() if found.get(name)}
    coupled = {f"{name} before events, over others": entry for name, entry in (found.get("coupling") or {}).items()}
    return named | coupled


def events_text(found: dict[str, Any]) -> tuple[str, ...]:
    """Return what the comparison of events says, or why there is none; nothing where it was never asked."""
    if not found:
        return ()
    if found.get("status") != COMPARED:
        return (f"Rearrangement events: {found.get('status')}.",)
    told = found.get("events") or {}
    return (
        f"The detector of the events of the movie was run anew on {found.get('frames')} frames of the test block and "
        f"of each of {found.get('replicas')} rollouts as the camera would have seen them, with the same lengths and "
        f"times: {told.get('experiment')} events in the experiment, {told.get('model')} in all rollouts together.",
        *found.get("sentences", ()),
    )


def events_picture(found: dict[str, Any]) -> tuple[Picture, ...]:
    """Return the ratios with their intervals, where there are any."""
    ratios = {
        word: entry["ratio"]
        for word, entry in compared_quantities(found).items()
        if entry["ratio"]["low90"] is not None or entry["ratio"]["high90"] is not None
    }
    if not ratios:
        return ()
    caption = "Events of the model over those of the experiment, with 90 % intervals. Grey: within a factor of 1.5."
    return (Picture(name="comparison_events", figure=figure_event_ratios(ratios), caption=caption),)


def events_tables(found: dict[str, Any]) -> tuple[Table, ...]:
    """Return the table of both sides with their intervals."""
    if found.get("status") != COMPARED:
        return ()
    rows = tuple(
        (
            word,
            *(_cell(entry[side], entry["unit"]) for side in ("experiment", "model")),
            _cell(entry["ratio"], ""),
            str(entry["verdict"]),
        )
        for word, entry in compared_quantities(found).items()
    )
    head = ("rearrangement events", "experiment", "model", "model / experiment", "verdict")
    caption = (
        "Events found by the same detector. Intervals of rates allow for events that come in groups; those of means "
        "come from resamples of tenths of each series. Ratios of a variable only where the experiment shows one."
    )
    return (Table(head=head, rows=rows, caption=caption),)


def _cell(entry: dict[str, Any], unit: str) -> str:
    value, low, high = entry.get("value"), entry.get("low90"), entry.get("high90")
    if value is None:
        return "–" if low is None else f"above {plain(low)}"
    if value == 0.0 and high is not None:
        return f"0 (below {plain(high)}{' ' + unit if unit else ''})"
    return with_interval(value, low, high, "" if unit == "particles" else unit)
