"""Figure of the events of a model over those of the experiment."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from colloid_cg.reporting.figures.style import MODEL, MUTED, axes_of, new_figure, plain_log, styled

FACTOR = 1.5
_FARTHEST = 30.0


@styled
def figure_event_ratios(ratios: dict[str, dict[str, Any]]) -> Figure:
    """Ratios with their intervals on a logarithmic scale; an arrow stands for a limit beyond the axis."""
    figure = new_figure(4.6, 1.3 + 0.36 * len(ratios))
    (axes,) = axes_of(figure)
    known = [
        value for entry in ratios.values() for value in (entry["value"], entry["low90"], entry["high90"])
        if value is not None and value > 0.0
    ]  # fmt: skip
    low, high = max(min([0.5, *known]) / 1.3, 1.0 / _FARTHEST), min(max([2.0, *known]) * 1.3, _FARTHEST)
    axes.axvspan(1.0 / FACTOR, FACTOR, color=MUTED, alpha=0.15, linewidth=0)
    axes.axvline(1.0, color=MUTED, linewidth=0.8)
    for row, entry in enumerate(ratios.values()):
        ends = [entry["low90"] if entry["low90"] is not None else 0.0, entry["high90"] or np.inf]
        inside = np.clip(ends, low, high)
        axes.plot(inside, [row, row], color=MODEL)
        for end, shown, marker in zip(ends, inside, ("<", ">"), strict=True):
            axes.plot(shown, row, "|" if low <= end <= high else marker, color=MODEL, markersize=6, clip_on=False)
        if entry["value"] is not None and low <= entry["value"] <= high:
            axes.plot(entry["value"], row, "o", color=MODEL, markersize=5)
    axes.set_yticks(range(len(ratios)), list(ratios))
    axes.set(xlim=(low, high), ylim=(len(ratios) - 0.5, -0.5), xlabel="model / experiment", title="Events")
    plain_log(axes, x=True)
    axes.grid(False, axis="y")
    return figure
