"""Figures of tracking quality and drift."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colloid_cg.reporting.figures.style import (
    BLUE,
    CYCLE,
    MUTED,
    ORANGE,
    axes_of,
    floats,
    new_figure,
    plain_log,
    remark,
    styled,
)


@styled
def figure_subpixel(quality: dict[str, Any]) -> Figure:
    """Histograms of the sub-pixel part of x and y: flat, unless positions are drawn to pixel centres or edges."""
    figure = new_figure(4.6, 2.7)
    for axes, name in zip(axes_of(figure, 1, 2, sharey=True), "xy", strict=True):
        histogram = quality.get(f"subpixel_{name}") or {}
        if not histogram.get("counts"):
            remark(axes, "not recorded")
            continue
        counts = floats(histogram["counts"])
        _bars(axes, floats(histogram["edges"]), counts / counts.mean(), BLUE)
        axes.axhline(1.0, color=ORANGE, linewidth=1.2)
        axes.set(xlabel=f"{name} modulo 1 (px)", title=f"Sub-pixel {name}", xticks=(0, 0.5, 1))
    figure.axes[0].set_ylabel("detections / mean")
    return figure


@styled
def figure_mass_and_size(quality: dict[str, Any]) -> Figure:
    """Histograms of brightness and size of the detections: one peak per kind of particle."""
    figure = new_figure(4.6, 2.7)
    labels = {"mass": "integrated brightness", "size": "size (px)"}
    for axes, (name, label) in zip(axes_of(figure, 1, 2), labels.items(), strict=True):
        histogram = quality.get(name) or {}
        if not histogram.get("counts"):
            remark(axes, f"{label}: not recorded")
            continue
        _bars(axes, floats(histogram["edges"]), floats(histogram["counts"]), BLUE)
        axes.set(xlabel=label, title=name.capitalize())
        axes.locator_params(axis="x", nbins=5)
    figure.axes[0].set_ylabel("detections")
    return figure


@styled
def figure_detections(quality: dict[str, Any]) -> Figure:
    """Detections per frame, and the distribution of track lengths."""
    figure = new_figure(9.4, 2.7)
    per_frame, lengths = axes_of(figure, 1, 2)
    counts = floats(quality.get("detections_per_frame"))
    per_frame.plot(np.arange(len(counts)) + int(quality.get("first_frame") or 0), counts, color=BLUE, linewidth=1.1)
    per_frame.set(xlabel="frame", ylabel="detections", title="Detections per frame")
    per_frame.set_ylim(0.0, max(1.15 * float(counts.max()), 1.0) if len(counts) else 1.0)
    histogram = quality.get("track_lengths") or {}
    if histogram.get("counts"):
        _bars(lengths, floats(histogram["edges"]), floats(histogram["counts"]), BLUE)
        lengths.set(xlabel="detections per track", ylabel="tracks", title="Track lengths")
        plain_log(lengths, x=True)
    else:
        remark(lengths, "track lengths: not recorded")
    return figure


@styled
def figure_drift(drift: dict[str, Any]) -> Figure:
    """Drift of the whole field against time, with a 90 % band."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    frame = floats(drift["frame"])
    for name, colour in zip("xy", CYCLE, strict=False):
        value, error = floats(drift[f"d{name}"]), np.nan_to_num(floats(drift.get(f"se_{name}")))
        if len(error) == len(value):
            axes.fill_between(
                frame, value - 1.645 * error, value + 1.645 * error, color=colour, alpha=0.22, linewidth=0
            )
        axes.plot(frame, value, color=colour, label=f"{name}, 90 % band", linewidth=1.2)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set(xlabel="frame", ylabel="drift since the first frame (px)", title="Drift")
    axes.legend()
    return figure


def _bars(axes: Axes, edges: np.ndarray, heights: np.ndarray, colour: str) -> None:
    axes.stairs(heights, edges, fill=True, color=colour, alpha=0.75)
    axes.grid(False, axis="x")
