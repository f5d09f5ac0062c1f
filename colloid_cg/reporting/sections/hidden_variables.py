"""The section on what hidden variables mean, predict, and how long they last."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.figures.hidden_variables import (
    figure_area_against_lag,
    figure_hidden_map,
    figure_persistence,
    figure_ranking,
    figure_rates,
    word,
)
from colloid_cg.reporting.hidden_words import (
    dynamics_sentences,
    main_part,
    meaning,
    persistence_sentence,
    prediction_sentence,
    rate_sentence,
)
from colloid_cg.reporting.numbers import short, with_interval
from colloid_cg.reporting.sections.recording import on_the_camera
from colloid_cg.reporting.sections.section import Picture, Section, Table, warning_line
from colloid_cg.reporting.units import units_of

TITLE = "Hidden variables"


def hidden_variables_section(content: ReportContent) -> Section:
    """Answer what s means, whether it predicts rearrangements, at which rates, and how long it lasts."""
    reading, dynamics = content.reading, dynamics_sentences(content.model)
    if reading is None:
        if dynamics:
            return Section(anchor="hidden", title=TITLE, text=tuple(dynamics), tables=_gains(content))
        first = "" if content.fields is not None else "colloid-cg structure RUN, then "
        return Section(anchor="hidden", title=TITLE, missing=f"{first}colloid-cg assess RUN")
    units, warnings = units_of(content), tuple(warning_line(line) for line in reading["warnings"])
    if not reading["species"]:
        return Section(anchor="hidden", title=TITLE, text=(*warnings, *dynamics))
    time = units.time if units.time == "s" else "units of time"
    text: list[str] = []
    for kind in reading["species"]:
        name = shown_variable(reading, kind)
        sentences = [
            meaning(reading, kind, name),
            prediction_sentence(reading, kind, time),
            rate_sentence(reading, kind, name),
            persistence_sentence(reading, kind, name, time),
        ]
        several = f"Species {kind}. " if len(reading["species"]) > 1 else ""
        text += [f"{several}{sentences[0]}", *sentences[1:]]
    return Section(
        anchor="hidden", title=TITLE, text=(*text, *dynamics, *warnings),
        pictures=tuple(_pictures(content, reading)), tables=(*_gains(content), *_tables(reading)),
    )  # fmt: skip


def shown_variable(reading: dict[str, Any], kind: str) -> str:
    """Return the hidden variable that figures show: the one chosen on the selection block, else the first."""
    part = main_part(reading, kind)
    return str(((part or {}).get("chosen") or {}).get("hidden", reading["variables"][0]))


def _pictures(content: ReportContent, reading: dict[str, Any]) -> list[Picture]:
    units, kinds = units_of(content), list(reading["species"])
    name = shown_variable(reading, kinds[0])
    pictures = _map(content, reading, name)
    parts = {kind: part for kind in kinds if (part := main_part(reading, kind)) and "roc" in part}
    if parts:
        caption = (
            "Test block, seen by no fit. The best hand-made variable was chosen on the selection block; the ridge was "
            "shown rearrangements of the training block. What thermal noise decides, nothing of this can know."
        )
        pictures.append(Picture(name="hidden_ranking", figure=figure_ranking(parts), caption=caption, wide=True))
    lags = {
        kind: [part for part in reading["species"][kind]["prediction"] if part["label"] == reading["label"]
               and "auc" in part]
        for kind in kinds
    }  # fmt: skip
    lags = {kind: own for kind, own in lags.items() if own}
    if lags:
        caption = "Area under the curve against how far ahead is looked; 90 % intervals from blocks of space and time."
        figure = figure_area_against_lag(lags, units.of_time)
        pictures.append(Picture(name="hidden_lags", figure=figure, caption=caption, wide=len(lags) > 1))
    rates = {kind: own["rates"][name] for kind, own in reading["species"].items() if name in (own.get("rates") or {})}
    if rates:
        per = " (1/s)" if units.time == "s" else ""
        caption = "Rate of rearrangement in bins of the variable, and the exponential fitted to all rows."
        pictures.append(Picture(name="hidden_rates", figure=figure_rates(rates, name, per), caption=caption))
    lasting = {kind: own["persistence"][name] for kind, own in reading["species"].items()}
    caption = "Autocorrelation over that at lag zero, which is extrapolated from the first lags: noise is only there."
    figure = figure_persistence(lasting, name, units.of_time)
    pictures.append(Picture(name="hidden_persistence", figure=figure, caption=caption))
    return pictures


def _map(content: ReportContent, reading: dict[str, Any], name: str) -> list[Picture]:
    found = reading.get("map")
    if not found or content.tracks is None or content.tracks.dimension != 2 or name not in found:
        return []
    index = int(found["frame"])
    columns = {key: found[key] for key in ("particle", name, "d2min", "rearranges")}
    here = pd.DataFrame(columns).merge(on_the_camera(content, index), on="particle", how="inner")
    if here.empty:
        return []
    here[[name, "d2min"]] = here[[name, "d2min"]].astype(float)
    frame: np.ndarray | None = next((image for number, image in content.frames if number == index), None)
    units = units_of(content)
    seconds = f"{short(reading['lag_seconds'])} {units.time if units.time == 's' else 'units of time'}"
    unit = " (µm²)" if units.time == "s" else ""
    figure = figure_hidden_map(here, name, frame=frame, index=index, seconds=seconds, unit=unit)
    caption = (
        "The frame of the test block with most rearrangements (circles: D²min above the level that the earlier frames "
        f"set). Empty circles: the edge of the view hides what {name} needs."
    )
    return [Picture(name="hidden_map", figure=figure, caption=caption, wide=True)]


_GAINS = {
    "full": "structure and memory",
    "memory": "memory alone, without structure",
    "predicted": "s predicted from the past, as a given variable",
    "shuffled": "the same, shuffled among particles of a frame and refitted",
}


def _gains(content: ReportContent) -> tuple[Table, ...]:
    """Return what the laws gain over the ablation without s, where the dynamics was fitted with a hidden variable."""
    hidden = (content.model.diagnostics if content.model else {}).get("hidden_variable")
    if not hidden:
        return ()
    rows = tuple((words, _shown(hidden["gains"][name])) for name, words in _GAINS.items())
    return (
        Table(
            head=("mobility depends on", "gain (nats per particle and step)"), rows=rows, folded=False,
            caption="Selection block, over mobilities that differ by chance from step to step (no hidden variable)",
        ),
    )  # fmt: skip


def _tables(reading: dict[str, Any]) -> tuple[Table, ...]:
    """Return all areas and associations, folded."""
    areas: list[tuple[str, ...]] = []
    goes_with: list[tuple[str, ...]] = []
    for kind, own in reading["species"].items():
        for part in own["prediction"]:
            for name, entry in (part.get("auc") or {}).items():
                lag = short(part["lag_seconds"])
                areas.append((kind, word(part["label"]), lag, word(name), _shown(entry)))
        for part in own.get("associations", ()):
            when = "now" if part["lag"] is None else f"next {short(reading['lag_seconds'])}"
            shown = (_shown(part[key]) for key in ("pearson", "spearman", "mutual_information"))
            goes_with.append((kind, part["variable"], word(part["with"]), when, *shown))
    heads = (
        ("species", "variable", "with", "when", "Pearson", "Spearman", "mutual information (nats)"),
        ("species", "rearrangement by", "time ahead", "variable", "AUC"),
    )
    captions = ("What it goes with", "Every variable, every lag")
    return tuple(
        Table(head=head, rows=tuple(rows), caption=caption, folded=True)
        for head, rows, caption in zip(heads, (goes_with, areas), captions, strict=True)
        if rows
    )


def _shown(entry: dict[str, Any]) -> str:
    return with_interval(entry["value"], entry["low90"], entry["high90"])
