"""Figures of a model with hidden entropies: temperatures in time, the equation of state, heat exchange."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colloid_cg.reporting.figures.style import BLUE, CYCLE, INK, axes_of, floats, new_figure, styled
from colloid_cg.reporting.units import Units


@styled
def figure_temperatures(found: dict[str, Any], units: Units) -> Figure:
    """k_B T of the motion and of the particles against time, with the range of the latter."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    time = floats(found["time"])
    axes.fill_between(time, floats(found["low"]), floats(found["high"]), color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(time, floats(found["inside"]), color=BLUE, label="of the particles: mean, 5–95 %")
    axes.plot(time, floats(found["motion"]), color=INK, linewidth=1.0, label="of the motion")
    axes.set(xlabel=f"time{units.of_time}", ylabel=f"k_B T{units.of('energy', '')}", title="Temperatures")
    axes.margins(y=0.25)
    axes.legend(loc="upper right")
    return figure


@styled
def figure_equation_of_state(table: pd.DataFrame, units: Units) -> Figure:
    """k_B T against U at three volumes and P against V at three energies, a row per species."""
    kinds = [part for _, part in table.groupby("species")]
    figure = new_figure(7.6, 3.2 * len(kinds))
    panels = axes_of(figure, len(kinds), 2)
    for number, part in enumerate(kinds):
        name = f", species {number}" if len(kinds) > 1 else ""
        left, right = panels[2 * number : 2 * number + 2]
        _lines(left, part, ("internal_energy", "thermal_energy", "volume"), "V")
        left.set(xlabel=f"internal energy U{units.of('energy', '')}", ylabel="k_B T", title=f"Temperature{name}")
        _lines(right, part, ("volume", "pressure", "internal_energy"), "U")
        right.set(xlabel="volume V (1 at the mean density)", ylabel="pressure P", title=f"Pressure{name}")
    return figure


def _lines(axes: Axes, table: pd.DataFrame, names: tuple[str, str, str], symbol: str) -> None:
    """Draw the second column against the first at the lowest, middle and highest value of the third."""
    x, y, fixed = names
    levels = np.unique(table[fixed])
    for colour, level in zip(CYCLE, levels[[0, len(levels) // 2, -1]], strict=False):
        part = table[table[fixed] == level].sort_values(x)
        axes.plot(part[x], part[y], color=colour, label=f"{symbol} = {level:.3g}")
    axes.legend()


@styled
def figure_heat_exchange(curves: list[dict[str, Any]], units: Units) -> Figure:
    """Heat that two particles exchange per difference of 1/T, a line per species pair."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    for colour, curve in zip(CYCLE, curves, strict=False):
        label = f"species {curve['species_a']}–{curve['species_b']}"
        axes.plot(floats(curve["r"]), floats(curve["value"]), color=colour, label=label)
    axes.set(xlabel=f"pair distance r{units.of_length}", ylabel="heat flow / (1/T_i − 1/T_j)", title="Heat exchange")
    axes.set_ylim(bottom=0.0)
    if len(curves) > 1:
        axes.legend()
    return figure
