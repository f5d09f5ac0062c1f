"""Why these tracking settings were suggested."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colloid_cg.reporting.figures.movie import draw_detections, show_frame, zoom_window
from colloid_cg.reporting.figures.style import (
    BELOW_LEGEND,
    BLUE,
    GREEN,
    MUTED,
    VERMILLION,
    axes_of,
    floats,
    headroom,
    new_figure,
    plain_log,
    remark,
    styled,
)


@styled
def figure_evidence(suggestion: dict[str, Any]) -> Figure:
    """Evidence behind diameter, minmass and search range, side by side."""
    figure = new_figure(9.4, 3.0)
    panels = axes_of(figure, 1, 3)
    _evidence_panels(panels, suggestion)
    return figure


@styled
def inspect_figure(suggestion: dict[str, Any], frame: np.ndarray, detections: pd.DataFrame) -> Figure:
    """The picture of the ``inspect`` verb: a frame with its detections, and why these settings were suggested.

    Parameters
    ----------
    suggestion : dict
        ``Suggestion.as_dict()``: ``choices`` maps each setting to value, reason and evidence.
    frame : array, shape (h, w)
    detections : pandas.DataFrame
        Columns x, y (px) of that frame, found with the suggested settings.
    """
    figure = new_figure(9.4, 7.4)
    grid = figure.add_gridspec(2, 3, height_ratios=(1.55, 1.0))
    whole, enlarged = figure.add_subplot(grid[0, :2]), figure.add_subplot(grid[0, 2])
    diameter = float(choice(suggestion, "diameter").get("value") or 9.0)
    left, top, side = zoom_window(frame.shape, detections, diameter)
    for axes in (whole, enlarged):
        show_frame(axes, frame)
    draw_detections(whole, detections, diameter, linewidth=0.6)
    draw_detections(enlarged, detections, diameter, linewidth=1.4)
    whole.set_title(f"{len(detections)} detections with the suggested settings")
    enlarged.set(xlim=(left, left + side), ylim=(top + side, top), title="Enlarged")
    _evidence_panels([figure.add_subplot(grid[1, column]) for column in range(3)], suggestion)
    return figure


def choice(suggestion: dict[str, Any], name: str) -> dict[str, Any]:
    """Return value, reason and evidence of one setting, empty if it was not decided."""
    return dict((suggestion.get("choices") or {}).get(name) or {})


_FARTHEST = 2.5


def nothing_drawn(found: dict[str, Any]) -> str:
    """Return what stands where there is nothing to draw: how the value was decided."""
    reason = str(found.get("reason") or "the value was not decided")
    return "\n".join(["Nothing to draw:", *textwrap.wrap(reason, 38)])


def _evidence_panels(panels: list[Axes], suggestion: dict[str, Any]) -> None:
    _diameter_panel(panels[0], choice(suggestion, "diameter"))
    _mass_panel(panels[1], choice(suggestion, "minmass"))
    _step_panel(panels[2], choice(suggestion, "search_range"))


def _diameter_panel(axes: Axes, found: dict[str, Any]) -> None:
    evidence = found.get("evidence") or {}
    axes.set_title(f"Diameter {_value(found)} px")
    if not evidence.get("energy"):
        return remark(axes, nothing_drawn(found))
    scale, energy = floats(evidence["scale_px"]), floats(evidence["energy"])
    axes.plot(
        scale, energy / max(np.nanmax(energy), 1e-300), "o-", color=BLUE, markersize=3.5, label="contrast explained"
    )
    axes.axvline(
        evidence["width_px"], ymax=BELOW_LEGEND, color=VERMILLION, label=f"width {evidence['width_px']:.2f} px"
    )
    axes.set(xlabel="Gaussian width of the blobs (px)", ylabel="contrast explained / largest")
    plain_log(axes, x=True)
    return headroom(axes)


def _mass_panel(axes: Axes, found: dict[str, Any]) -> None:
    evidence = found.get("evidence") or {}
    axes.set_title(f"Minmass {_value(found)}")
    if not evidence.get("counts"):
        return remark(axes, nothing_drawn(found))
    edges = 10.0 ** floats(evidence["log10_mass_edges"])
    axes.stairs(floats(evidence["counts"]), edges, fill=True, color=BLUE, alpha=0.75)
    if evidence.get("noise_level"):
        axes.axvline(
            evidence["noise_level"], ymax=BELOW_LEGEND, color=MUTED, linestyle="--", label="1.5 × what noise reaches"
        )
    if found.get("value"):
        axes.axvline(found["value"], ymax=BELOW_LEGEND, color=VERMILLION, label="minmass")
    axes.set(xlabel="integrated brightness (grey levels)", ylabel="candidates")
    plain_log(axes, x=True)
    return headroom(axes)


def _step_panel(axes: Axes, found: dict[str, Any]) -> None:
    evidence = found.get("evidence") or {}
    axes.set_title(f"Search range {_value(found)} px")
    if not evidence.get("counts"):
        return remark(axes, nothing_drawn(found))
    axes.stairs(floats(evidence["counts"]), floats(evidence["step_edges_px"]), fill=True, color=BLUE, alpha=0.75)
    axes.axvline(found["value"], ymax=BELOW_LEGEND, color=VERMILLION, label="search range")
    largest = max(float(found["value"]), floats(evidence["step_edges_px"])[-1])
    limit = float(evidence.get("limit_px") or np.inf)
    if limit <= _FARTHEST * largest:  # a line farther out would squeeze the histogram
        axes.axvline(limit, ymax=BELOW_LEGEND, color=GREEN, linestyle="--", label="0.45 × neighbour distance")
        largest = max(largest, limit)
    axes.set(xlabel="step per frame, drift removed (px)", ylabel="particles", xlim=(0.0, 1.15 * largest))
    return headroom(axes)


def _value(found: dict[str, Any]) -> str:
    value = found.get("value")
    return f"{value:.4g}" if isinstance(value, (int, float)) else "–"
