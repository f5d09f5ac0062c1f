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
        value, error = floats(drift[f"d{name}"]), floats(drift.get(f"se_{name}"))
        _band(axes, frame, value, error, colour, f"{name}, 90 % band")
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set(xlabel="frame", ylabel="drift since the first frame (px)", title="Drift")
    axes.legend()
    return figure


@styled
def figure_turning(drift: dict[str, Any]) -> Figure:
    """Rotation and strain of the whole field against time, with 90 % bands."""
    figure = new_figure(9.4, 2.7)
    turning, straining = axes_of(figure, 1, 2)
    frame = floats(drift["frame"])
    _band(turning, frame, floats(drift["rotation"]), floats(drift.get("se_rotation")), CYCLE[0], "rotation")
    turning.set(xlabel="frame", ylabel="rotation (rad)", title="Rotation (stage)")
    for name, label, colour in zip(STRAIN, STRAIN_LABELS, CYCLE, strict=False):
        _band(straining, frame, floats(drift[name]), floats(drift.get(f"se_{name}")), colour, label)
    straining.set(xlabel="frame", ylabel="strain", title="Strain (sample)")
    straining.legend()
    return figure


STRAIN = ("dilation", "shear_plus", "shear_cross")
STRAIN_LABELS = ("dilation", "shear: longer in x, shorter in y", "shear: along the diagonal")


@styled
def figure_image_check(drift: dict[str, Any]) -> Figure:
    """Translation from the tracks and from the pictures, with 90 % bands."""
    figure = new_figure(9.4, 2.7)
    images = drift["check"]["images"]
    for axes, name in zip(axes_of(figure, 1, 2), "xy", strict=True):
        for source, colour, label in ((drift, BLUE, "tracks"), (images, ORANGE, "pictures")):
            value, error = floats(source[f"d{name}"]), floats(source.get(f"se_{name}"))
            _band(axes, floats(source["frame"]), value, error, colour, label)
        axes.set(xlabel="frame", ylabel=f"drift in {name} (px)", title=f"Drift in {name}, measured twice")
        axes.legend()
    return figure


@styled
def figure_faults(quality: dict[str, Any]) -> Figure:
    """Where tracks get lost, with the frames that do not fit between their neighbours; how sure the links are."""
    figure = new_figure(9.4, 2.7)
    losing, sure = axes_of(figure, 1, 2)
    lost = quality.get("lost_tracks") or {}
    if lost.get("count"):
        count = floats(lost["count"])
        losing.plot(floats(lost["frame"]), count, color=BLUE, linewidth=1.1)
        found: list[tuple[int, str, str]] = []
        for (name, label), colour in zip(FAULTS.items(), CYCLE[1:], strict=False):
            frames = (quality.get("dropped_frames") or {}).get(name) or []
            found += [(frame, label, colour) for frame in frames[:_MOST_MARKS]]
        for frame, label, colour in found:
            known = label in losing.get_legend_handles_labels()[1]
            losing.axvline(frame, color=colour, linewidth=0.9, alpha=0.7, label=None if known else label)
        losing.set(
            xlabel="frame", ylabel="tracks that end", title="Lost tracks", ylim=(0.0, 1.3 * max(count.max(), 1.0))
        )
        if found:
            losing.legend()
    else:
        remark(losing, "lost tracks: not recorded")
    histogram = quality.get("link_confidence") or {}
    if histogram.get("counts"):
        _bars(sure, floats(histogram["edges"]), floats(histogram["counts"]), BLUE)
        sure.set(xlabel="confidence of a link", ylabel="links", title="Links", yscale="log")
    else:
        remark(sure, "confidence of links: not recorded")
    return figure


FAULTS = {
    "repeated": "repeated frame",
    "missing": "frame missing before",
    "jump": "the field jumps",
    "dip": "few detections",
}
_MOST_MARKS = 40


@styled
def figure_subpixel_bias(bias: dict[str, Any]) -> Figure:
    """Measured error of the position against its sub-pixel part, with a 90 % band."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    phase = floats(bias["phase"])
    error = np.full(len(phase), float(bias["standard_error"]))
    for name, colour in zip("xy", CYCLE, strict=False):
        _band(axes, phase, floats(bias[f"bias_{name}"]), error, colour, name)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set(xlabel="position from the middle of the pixel (px)", ylabel="bias (px)", title="Sub-pixel bias")
    axes.legend()
    return figure


def _band(axes: Axes, x: np.ndarray, value: np.ndarray, error: np.ndarray, colour: str, label: str) -> None:
    if len(error) == len(value):
        error = np.nan_to_num(error)
        axes.fill_between(x, value - 1.645 * error, value + 1.645 * error, color=colour, alpha=0.22, linewidth=0)
    axes.plot(x, value, color=colour, label=label, linewidth=1.2)


def _bars(axes: Axes, edges: np.ndarray, heights: np.ndarray, colour: str) -> None:
    axes.stairs(heights, edges, fill=True, color=colour, alpha=0.75)
    axes.grid(False, axis="x")
