"""Figures of what hidden variables mean and predict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colloid_cg.reporting.figures.movie import show_frame
from colloid_cg.reporting.figures.structure import map_height
from colloid_cg.reporting.figures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ON_PICTURES,
    ORANGE,
    SKY,
    VERMILLION,
    axes_of,
    floats,
    image_axes,
    new_figure,
    plain_log,
    styled,
)

WORDS = {
    "local_density": "local density", "psi6": "|ψ₆|", "voronoi_area": "Voronoi area",
    "past_displacement": "its last displacement", "past_d2min": "its last D²min", "ridge": "supervised ridge",
    "d2min": "D²min", "p_hop": "p_hop", "displacement": "displacement", "events": "events",
}  # fmt: skip
HIDDEN, HANDMADE, MEMORY, PEER = BLUE, VERMILLION, ORANGE, GREEN


def word(name: str) -> str:
    """Return the name of a variable as people say it."""
    if name.startswith("mean_"):
        return f"mean {word(name.removeprefix('mean_'))}"
    return WORDS.get(name, name)


@styled
def figure_hidden_map(
    table: pd.DataFrame, name: str, *, frame: np.ndarray | None, index: int, seconds: str, unit: str
) -> Figure:
    """A hidden variable in one frame beside the D2min that follows.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns x, y (px), ``name``, d2min, rearranges, of one frame.
    frame : array, shape (h, w), or None
        The picture underneath.
    seconds : str
        How far ahead D2min looks, with its unit.
    unit : str
        Of D2min, in brackets.
    """
    figure = new_figure(8.6, max(3.6, map_height(frame)))
    left, right = axes_of(figure, 1, 2, sharex=True, sharey=True)
    logs = np.log10(np.maximum(table["d2min"].to_numpy(dtype=float), 1e-12))
    for axes, values, label, title in (
        (left, table[name].to_numpy(dtype=float), name, f"{name}, frame {index}"),
        (right, logs, f"log₁₀ D²min{unit}", f"D²min of the next {seconds}"),
    ):
        if frame is None:
            image_axes(axes)
            axes.set_aspect("equal")
        else:
            show_frame(axes, frame)
        known = np.isfinite(values)
        low, high = np.percentile(values[known], (2, 98)) if known.any() else (0.0, 1.0)
        area = float(np.clip(4.0e4 / max(len(values), 1), 5.0, 60.0))
        axes.scatter(table["x"][~known], table["y"][~known], s=0.3 * area, c="none", edgecolors=MUTED, linewidths=0.4)
        points = axes.scatter(
            table["x"][known], table["y"][known], c=values[known], cmap=ON_PICTURES, s=area, vmin=low,
            vmax=max(high, low + 1e-12), linewidths=0.0,
        )  # fmt: skip
        hot = table["rearranges"].to_numpy(dtype=bool)
        axes.scatter(table["x"][hot], table["y"][hot], s=1.9 * area, c="none", edgecolors=INK, linewidths=1.0)
        figure.colorbar(points, ax=axes, label=label, shrink=0.85)
        axes.set_title(title)
    if frame is None:
        left.invert_yaxis()
    return figure


@styled
def figure_ranking(parts: dict[str, dict[str, Any]]) -> Figure:
    """Receiver operating characteristic and precision against recall, a row per species."""
    figure = new_figure(7.6, 3.2 * len(parts))
    panels = axes_of(figure, len(parts), 2)
    for number, (kind, part) in enumerate(parts.items()):
        left, right = panels[2 * number : 2 * number + 2]
        left.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle="--", label="chance")
        right.axhline(part["positives"] / part["rows"], color=MUTED, linewidth=0.8, linestyle="--", label="chance")
        for name, colour in _shown(part):
            roc, precision = part["roc"][name], part["precision_recall"][name]
            area, mean = part["auc"][name]["value"], part["average_precision"][name]["value"]
            left.plot(roc["false_positive_rate"], roc["true_positive_rate"], color=colour,
                      label=f"{word(name)}, AUC {area:.2f}")  # fmt: skip
            right.plot(precision["recall"], precision["precision"], color=colour, label=f"{word(name)}, AP {mean:.2f}")
        of = f", species {kind}" if len(parts) > 1 else ""
        left.set(xlabel="false alarms (share)", ylabel="rearrangements found", title=f"Who rearranges next{of}")
        right.set(xlabel="rearrangements found (recall)", ylabel="precision", title=f"How often it is right{of}")
        right.set_ylim(0.0, None)
        left.legend(loc="lower right")
        right.legend(loc="upper right")
    return figure


def _shown(part: dict[str, Any]) -> list[tuple[str, str]]:
    chosen = [(part["chosen"]["hidden"], HIDDEN), (part["chosen"]["handmade"], HANDMADE), ("ridge", PEER)]
    return [(name, colour) for name, colour in chosen if name in part["roc"]]


@styled
def figure_area_against_lag(parts: dict[str, list[dict[str, Any]]], unit: str) -> Figure:
    """Area under the curve against how far ahead is looked, a panel per species."""
    figure = new_figure(4.6 if len(parts) == 1 else 7.6, 3.2)
    for axes, (kind, own) in zip(axes_of(figure, 1, len(parts), sharey=True), parts.items(), strict=True):
        lines: dict[str, tuple[str, list[tuple[float, dict[str, Any]]]]] = {}
        for part in own:
            for role, name, colour in (
                ("hidden variable", part["chosen"]["hidden"], HIDDEN),
                ("best hand-made variable", part["chosen"]["handmade"], HANDMADE),
                ("its last displacement", "past_displacement", MEMORY),
                ("supervised ridge", "ridge", PEER),
            ):
                if name in part["auc"]:
                    lines.setdefault(role, (colour, []))[1].append((part["lag_seconds"], part["auc"][name]))
        for shift, (role, (colour, entries)) in enumerate(lines.items()):
            time = np.array([lag for lag, _ in entries]) * 1.03 ** (shift - 1.5)
            value, low, high = (floats([entry[key] for _, entry in entries]) for key in ("value", "low90", "high90"))
            _with_bars(axes, time, value, low, high, colour, role)
        axes.axhline(0.5, color=MUTED, linewidth=0.8, linestyle="--")
        axes.set(xlabel=f"time ahead{unit}", title=f"Species {kind}" if len(parts) > 1 else "Prediction")
        plain_log(axes, x=True)
    first = figure.axes[0]
    first.set_ylabel("AUC")
    bottom, top = first.get_ylim()
    first.set_ylim(bottom, top + 0.35 * (top - bottom))
    first.legend(loc="upper left")
    return figure


@styled
def figure_rates(found: dict[str, dict[str, Any]], name: str, unit: str) -> Figure:
    """Rate of rearrangement against a hidden variable, with the fitted exponential; one colour per species."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    shown: list[float] = []
    for colour, (kind, own) in zip((BLUE, VERMILLION, GREEN, SKY), found.items(), strict=False):
        s, rate = floats(own["s"]), floats(own["rate"])
        known = rate > 0.0
        low, high = (floats(own[key])[known] for key in ("low90", "high90"))
        label = f"species {kind}" if len(found) > 1 else "90 % interval"
        _with_bars(axes, s[known], rate[known], low, high, colour, label, line=False)
        shown += [*rate[known], *high[np.isfinite(high)], *low[low > 0.0]]
        grid = np.linspace(s.min(), s.max(), 100)
        law = np.exp(own["log_rate"]["value"] + own["slope"]["value"] * grid)
        axes.plot(grid, law, color=colour, linewidth=1.0, label=f"slope {own['slope']['value']:.2f}")
    axes.set(xlabel=f"structural variable {name}", ylabel=f"rate of rearrangement{unit}", title=f"Rate against {name}")
    # Bars that reach zero end below the axes.
    axes.set_ylim(min(shown) / 1.6, max(shown) * 1.6)
    plain_log(axes, y=True)
    axes.legend()
    return figure


@styled
def figure_persistence(found: dict[str, dict[str, Any]], name: str, unit: str) -> Figure:
    """Autocorrelation of a hidden variable, noise of its estimate taken off."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    for colour, (kind, own) in zip((BLUE, VERMILLION, GREEN, SKY), found.items(), strict=False):
        lag = floats(own["lag"])
        low, high = floats(own["low90"]), floats(own["high90"])
        axes.fill_between(lag, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(lag, floats(own["correlation"]), color=colour, marker="o", markersize=3,
                  label=f"species {kind}" if len(found) > 1 else name)  # fmt: skip
    axes.axhline(float(np.exp(-1.0)), color=MUTED, linewidth=0.8, linestyle="--", label="1/e")
    axes.set(xlabel=f"lag{unit}", ylabel="autocorrelation, noise taken off", title=f"How long {name} lasts")
    axes.set_ylim(top=1.08)
    plain_log(axes, x=True)
    axes.legend()
    return figure


def _with_bars(
    axes: Axes, x: np.ndarray, value: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, label: str,
    *, line: bool = True,
) -> None:  # fmt: skip
    """Draw points with intervals; where one is unknown, the point alone."""
    bars = np.nan_to_num(np.maximum(np.stack([value - low, high - value]), 0.0))
    axes.errorbar(x, value, yerr=bars, color=colour, fmt="o-" if line else "o", markersize=3.5, linewidth=1.2,
                  elinewidth=0.9, label=label)  # fmt: skip
