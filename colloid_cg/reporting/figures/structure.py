"""Figures of the hidden structural variables."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from colloid_cg.reporting.figures.movie import show_frame
from colloid_cg.reporting.figures.style import (
    BLUE,
    ON_PICTURES,
    VERMILLION,
    axes_of,
    headroom,
    image_axes,
    new_figure,
    styled,
)


@styled
def figure_field_map(
    table: pd.DataFrame, name: str, *, frame: np.ndarray | None, index: int, label: str, diameter: float | None
) -> Figure:
    """A per-particle field drawn over one frame.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns x, y (px) and ``name``, of one frame.
    frame : array, shape (h, w), or None
        The picture underneath.
    """
    figure = new_figure(4.6, map_height(frame))
    (axes,) = axes_of(figure)
    if frame is None:
        image_axes(axes)
        axes.invert_yaxis()
        axes.set_aspect("equal")
    else:
        show_frame(axes, frame)
    known = table[np.isfinite(table[name])]
    low, high = np.percentile(known[name], (2, 98)) if len(known) else (0.0, 1.0)
    area = float(np.clip(3.0e4 / max(len(known), 1), 6.0, 60.0))
    points = axes.scatter(
        known["x"], known["y"], c=known[name], cmap=ON_PICTURES, s=area, vmin=low, vmax=max(high, low + 1e-12),
        edgecolors="white", linewidths=0.3,
    )  # fmt: skip
    figure.colorbar(points, ax=axes, label=label, shrink=0.95)
    axes.set_title(f"Frame {index}")
    return figure


def map_height(frame: np.ndarray | None) -> float:
    """Return the height (inches) that a frame and its colour bar need at a width of 4.6 inches."""
    return 3.6 if frame is None else float(np.clip(3.2 * frame.shape[0] / frame.shape[1] + 0.85, 2.0, 5.5))


@styled
def figure_field_histogram(values: np.ndarray, label: str, *, normal: bool) -> Figure:
    """Distribution of a field; a hidden variable is standard normal on the training block by convention."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    values = values[np.isfinite(values)]
    axes.hist(values, bins=60, density=True, color=BLUE, alpha=0.75, label="all particles and frames")
    if normal and len(values):
        x = np.linspace(values.min(), values.max(), 300)
        axes.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color=VERMILLION, label="standard normal (convention)")
    axes.set(xlabel=label, ylabel="probability density", title="Distribution")
    headroom(axes)
    return figure
