"""Figure of the strongest events: before, at the peak, after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure, SubFigure
from matplotlib.patheffects import withStroke

from colloid_cg.reporting.event_evidence import EventView
from colloid_cg.reporting.figures.style import GRID, INK, MUTED, ORANGE, SKY, new_figure, styled

ACROSS = 2
_CONTRAST = (0.5, 99.7)
_SHORT, _EXAGGERATED = 0.4, (2.0, 3.0, 5.0, 10.0)
_WORDS = ("before", "peak", "after")


def exaggeration(view: EventView) -> float:
    """Return the factor of the arrows: one, unless the longest of the event's is below two fifths of the spacing.

    Then it is the largest that leaves it below four fifths of the spacing, and nine tenths of all other arrows too.
    """
    own = view.arrows["particle"].isin(view.row["particles"]).to_numpy()
    length = np.hypot(*view.arrows[["dx", "dy"]].to_numpy().T)
    longest = max([0.0, *length[own], *(np.quantile(length[~own], [0.9]) if (~own).any() else [])])
    if not own.any() or longest == 0.0 or longest >= _SHORT * view.spacing:
        return 1.0
    fitting = [factor for factor in _EXAGGERATED if factor * longest <= 2.0 * _SHORT * view.spacing]
    return fitting[-1]


@styled
def figure_event_gallery(
    views: Sequence[EventView], titles: Sequence[str], *, diameter: float | None, unit: str
) -> Figure:
    """Three pictures of each event on one grey scale, arrows from where particles are before to where they are after.

    Parameters
    ----------
    views : sequence of EventView
    titles : sequence of str
        One for each view.
    diameter : float or None
        Of the circles, um; None: two thirds of the spacing.
    unit : str
        Of the scale bar.
    """
    rows = -(-len(views) // ACROSS)
    figure = new_figure(9.4, 1.95 * rows)
    parts = np.ravel(figure.subfigures(rows, ACROSS, squeeze=False, wspace=0.03, hspace=0.02))
    for view, title, part in zip(views, titles, parts, strict=False):
        _draw(part, view, title, diameter or 2.0 / 3.0 * view.spacing, unit)
    return figure


def _draw(part: SubFigure, view: EventView, title: str, diameter: float, unit: str) -> None:
    factor = exaggeration(view)
    part.suptitle(title, x=0.012, ha="left", fontsize=8.0, color=INK, fontweight="bold")
    known = [moment.picture.ravel() for moment in view.moments if moment.picture is not None]
    low, high = np.percentile(np.concatenate(known), _CONTRAST) if known else (0.0, 1.0)
    panels = part.subplots(1, len(view.moments))
    for axes, moment, word in zip(panels, view.moments, _WORDS, strict=True):
        own = moment.places["particle"].isin(view.row["particles"])
        if moment.picture is None:
            _discs(axes, moment.places, diameter, facecolors=GRID, edgecolors=MUTED, linewidths=0.5)
        else:
            height, width = (size * view.pixel_size for size in moment.picture.shape)
            left, top = moment.corner
            axes.imshow(
                moment.picture, cmap="gray", vmin=low, vmax=max(high, low + 1e-12), interpolation="nearest",
                extent=(left, left + width, top + height, top),
            )  # fmt: skip
        _discs(axes, moment.places[own], diameter, facecolors="none", edgecolors=ORANGE, linewidths=1.2)
        axes.set(xlim=(-view.half, view.half), ylim=(view.half, -view.half), xticks=(), yticks=(), aspect="equal")
        axes.set_title(f"{word}: frame {moment.frame}", fontsize=7.5, fontweight="normal", color=MUTED, pad=3)
        axes.set_facecolor("white" if moment.picture is None else INK)
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set(visible=True, color=MUTED, linewidth=0.6)
    _arrows(panels[0], view, factor)
    if factor > 1.0:
        panels[0].text(
            0.04, 0.04, f"arrows {factor:g}×", transform=panels[0].transAxes, fontsize=7.0, color=INK, zorder=4,
            path_effects=[withStroke(linewidth=2.2, foreground="white")],
        )  # fmt: skip
    _bar(panels[-1], view.half, unit)


def _discs(axes: Axes, places: pd.DataFrame, diameter: float, **options: object) -> None:
    count = len(places)
    axes.add_collection(
        EllipseCollection(
            np.full(count, diameter), np.full(count, diameter), np.zeros(count), units="xy",
            offsets=places[["x", "y"]].to_numpy(dtype=float), offset_transform=axes.transData, **options,
        ),
        autolim=False,
    )  # fmt: skip


def _arrows(axes: Axes, view: EventView, factor: float) -> None:
    own = view.arrows["particle"].isin(view.row["particles"])
    for rows, colour, edge in ((view.arrows[~own], SKY, 0.0), (view.arrows[own], ORANGE, 0.4)):
        if len(rows):
            axes.quiver(
                rows["x"], rows["y"], factor * rows["dx"], factor * rows["dy"], angles="xy", scale_units="xy",
                scale=1.0, color=colour, edgecolor=INK, linewidth=edge, width=0.022, minlength=0.0, minshaft=1.5,
                headwidth=3.2, headlength=3.6, headaxislength=3.2, zorder=3,
            )  # fmt: skip


def _bar(axes: Axes, half: float, unit: str) -> None:
    """Draw a bar of a round length, about a third of the view, readable on any picture."""
    target = 0.7 * half
    power = 10.0 ** np.floor(np.log10(target))
    length = power * max(step for step in (1.0, 2.0, 5.0) if step * power <= target)
    x, y = -0.92 * half, 0.88 * half
    outline = [withStroke(linewidth=4.0, foreground="white")]
    axes.plot([x, x + length], [y, y], color=INK, linewidth=2.2, solid_capstyle="butt", path_effects=outline)
    axes.text(
        x + 0.5 * length, y - 0.06 * half, f"{length:g}{unit}", ha="center", va="bottom", fontsize=7.0, color=INK,
        path_effects=[withStroke(linewidth=2.2, foreground="white")],
    )  # fmt: skip
