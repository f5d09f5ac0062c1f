"""Figures of how often events happen, how large they are, and what was before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from colloid_cg.reporting.figures.style import (
    BLUE,
    MUTED,
    ORANGE,
    VERMILLION,
    axes_of,
    headroom,
    new_figure,
    plain_log,
    remark,
    styled,
)

_DECADE = 10.0
_FEWEST = 20
"""Events of which a histogram is drawn; fewer are shown one by one."""


@styled
def figure_event_rate(table: pd.DataFrame, whole: float, *, label: str, of_time: str) -> Figure:
    """Rate in bins of time with its band, and the rate of the whole movie.

    Parameters
    ----------
    table : pandas.DataFrame
        Made by :func:`colloid_cg.events.rate_over_time`.
    whole : float
    label, of_time : str
        Of the axes.
    """
    figure = new_figure(4.6, 2.9)
    (axes,) = axes_of(figure)
    known = table[np.isfinite(table["rate"])]
    edges = np.append(table["start"], table["end"].iloc[-1])
    axes.stairs(table["high"], edges, baseline=table["low"], fill=True, color=BLUE, alpha=0.22, label="90 % band")
    axes.stairs(table["rate"], edges, baseline=None, color=BLUE, linewidth=1.6, label="in bins of time")
    axes.axhline(whole, color=ORANGE, linewidth=1.2, label="whole movie")
    axes.set(xlabel=f"time{of_time}", ylabel=label, title="How often", xlim=(edges[0], edges[-1]))
    axes.set_ylim(0.0, 1.05 * float(known["high"].max()))
    headroom(axes)
    axes.legend(loc="upper left", ncols=3, fontsize=7.5, borderaxespad=0.2)
    return figure


@styled
def figure_event_sizes(panels: Sequence[tuple[str, pd.DataFrame]]) -> Figure:
    """Share of events of at least each size, with its interval.

    Parameters
    ----------
    panels : sequence of (str, DataFrame)
        Label of the axis; made by :func:`colloid_cg.events.distribution`.
    """
    figure = new_figure(4.6, 2.9)
    for axes, (label, table) in zip(axes_of(figure, 1, len(panels), sharey=True), panels, strict=True):
        axes.set(xlabel=label)
        if table.empty:
            remark(axes, "no values")
            continue
        axes.fill_between(table["value"], table["low"], table["high"], step="pre", color=BLUE, alpha=0.22, linewidth=0)
        axes.step(table["value"], table["share"], where="pre", color=BLUE)
        if len(table) < 12:
            axes.plot(table["value"], table["share"], "o", color=BLUE, markersize=3.5)
        axes.set_ylim(0.5 * float(table["share"].min()), 1.4)
        low, high = float(table["value"].min()), float(table["value"].max())
        wide = low > 0.0 and high >= _DECADE * low
        if not wide:
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=float(low).is_integer() and float(high).is_integer()))
        plain_log(axes, x=wide, y=True)
    figure.axes[0].set(ylabel="share of events at least as large", title="How large")
    return figure


@styled
def figure_before_events(panels: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> Figure:
    """Distributions of variables over all particles, and over the particles at the peak of events before them.

    Parameters
    ----------
    panels : sequence of (str, array, array)
        Label of the axis; values of all particles; values before events.
    """
    figure = new_figure(4.6 if len(panels) < 3 else 9.4, 2.9)
    for axes, (label, everyone, events) in zip(axes_of(figure, 1, len(panels)), panels, strict=True):
        everyone, events = (values[np.isfinite(values)] for values in (everyone, events))
        axes.set(xlabel=label)
        if not len(everyone) or not len(events):
            remark(axes, "no values")
            continue
        low, high = np.quantile(np.concatenate([np.quantile(everyone, (0.001, 0.999)), events]), (0.0, 1.0))
        _density(axes, everyone, np.linspace(low, high, 61), fill=True, color=MUTED, alpha=0.35, label="all")
        if len(events) < _FEWEST:
            axes.plot(events, np.full(len(events), 0.04), "|", color=VERMILLION, markersize=14, markeredgewidth=1.6,
                      transform=axes.get_xaxis_transform(), label="before each event")  # fmt: skip
        else:
            edges = np.linspace(low, high, int(np.clip(np.sqrt(len(events)), 5, 30)) + 1)
            _density(axes, events, edges, color=VERMILLION, linewidth=1.6, label="before events")
        axes.set_yticks(())
        headroom(axes, 0.45)
    figure.axes[0].set(ylabel="density", title="Before events")
    return figure


def _density(axes: Axes, values: np.ndarray, edges: np.ndarray, **options: Any) -> None:
    counts = np.histogram(values, edges)[0]
    axes.stairs(counts / (len(values) * np.diff(edges)), edges, **options)
