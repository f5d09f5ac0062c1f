"""Figures of rearrangement events and of the null model behind their p-values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from colloid_cg.reporting.figures.movie import show_frame
from colloid_cg.reporting.figures.structure import map_height
from colloid_cg.reporting.figures.style import (
    BLUE,
    INK,
    MUTED,
    ON_PICTURES,
    ORANGE,
    axes_of,
    image_axes,
    new_figure,
    remark,
    styled,
)

_MANY = 60


@styled
def figure_event_timeline(events: pd.DataFrame, frame_interval: float, n_frames: int) -> Figure:
    """When events happen and how many particles take part; the line is their cumulative number."""
    figure = new_figure(9.4, 2.9)
    (axes,) = axes_of(figure)
    start, peak, stop = (events[name].to_numpy() * frame_interval for name in ("t_on", "t_peak", "t_off"))
    size = events["n_particles"].to_numpy()
    axes.hlines(size, start, stop, color=BLUE, alpha=0.5, linewidth=1.2)
    axes.plot(peak, size, "o", color=BLUE, markersize=4, alpha=0.8, label="event (bar: onset to end)")
    axes.set(xlabel="time (s)", ylabel="particles in the event", title="Events in time")
    axes.set_xlim(0.0, max(n_frames - 1, 1) * frame_interval)
    axes.set_ylim(0.0, 1.2 * float(size.max()) if len(size) else 1.0)
    total = axes.twinx()
    total.grid(False)
    total.step(
        np.append(0.0, np.sort(start)), np.arange(len(start) + 1), where="post", color=ORANGE, label="cumulative number"
    )
    total.set_ylabel("events so far", color=MUTED)
    total.set_ylim(bottom=0.0)
    total.spines["right"].set_visible(True)
    handles = [*axes.get_legend_handles_labels()[0], *total.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, loc="upper left", ncols=2)
    return figure


@styled
def figure_event_map(events: pd.DataFrame, *, frame: np.ndarray | None, frame_interval: float) -> Figure:
    """Where events happen; circles have the radius of the event, colour is the time of its peak."""
    figure = new_figure(4.6, map_height(frame))
    (axes,) = axes_of(figure)
    if frame is not None:
        show_frame(axes, frame)
    thick = 1.7 if len(events) <= _MANY else 0.9
    if frame is not None:  # a dark line under the coloured one keeps it visible on any picture
        axes.add_collection(_circles(axes, events, facecolors="none", edgecolors=INK, linewidths=2.0 * thick))
    circles = _circles(axes, events, facecolors="none", linewidths=thick, cmap=ON_PICTURES)
    circles.set_array(events["t_peak"].to_numpy() * frame_interval)
    axes.add_collection(circles)
    if frame is None:
        axes.autoscale_view()
        axes.invert_yaxis()
        axes.set_aspect("equal")
        image_axes(axes)
    figure.colorbar(circles, ax=axes, label="time of the peak (s)", shrink=0.95)
    axes.set_title(f"{len(events)} events")
    return figure


def _circles(axes: Axes, events: pd.DataFrame, **options: Any) -> EllipseCollection:
    diameter = 2.0 * events["radius"].to_numpy()
    offsets = events[["x", "y"]].to_numpy(dtype=float)
    angle = np.zeros(len(events))
    return EllipseCollection(
        diameter, diameter, angle, units="xy", offsets=offsets, offset_transform=axes.transData, **options
    )


@styled
def figure_p_values(fields: pd.DataFrame, columns: list[str]) -> Figure:
    """Histograms of the p-values of single particles: flat, with a peak at zero if something happens."""
    figure = new_figure(4.6, 2.9)
    for axes, name in zip(axes_of(figure, 1, len(columns)), columns, strict=True):
        values = fields[name].to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        if not len(values):
            remark(axes, f"{name}: no values")
            continue
        counts, edges = np.histogram(values, bins=20, range=(0.0, 1.0))
        axes.stairs(counts / counts.sum() * 20, edges, fill=True, color=BLUE, alpha=0.75)
        axes.axhline(1.0, color=ORANGE, linewidth=1.2, label="chance alone")
        axes.set(xlabel="p-value", title=name.removesuffix("_p"), xticks=(0, 0.5, 1))
    figure.axes[0].set_ylabel("density")
    for axes in figure.axes:
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
            break
    return figure
