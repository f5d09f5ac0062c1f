"""One look for every figure, without touching anybody's matplotlib settings."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# Okabe and Ito's palette, safe for the common kinds of colour blindness (https://jfly.uni-koeln.de/color/).
INK = "#1f2328"
MUTED = "#6b7280"
GRID = "#e5e7eb"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
ORANGE = "#E69F00"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
EXPERIMENT, MODEL = INK, VERMILLION
SEQUENTIAL = "cividis"
ON_PICTURES = ListedColormap(colormaps["plasma"](np.linspace(0.25, 1.0, 192)))
"""Without the dark end, which a dark picture would swallow."""

DPI = 144
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "axes.formatter.use_mathtext": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": True,
    "legend.framealpha": 0.88,
    "legend.edgecolor": "white",
    "legend.fancybox": False,
    "legend.borderpad": 0.25,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "image.cmap": "gray",
    "savefig.facecolor": "white",
    "svg.hashsalt": "colloid_cg",
}

Arguments = ParamSpec("Arguments")


def _settings() -> Any:
    """Return matplotlib's own defaults with ours on top: a user's matplotlibrc must not change the page."""
    defaults = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")}
    return defaults | _SETTINGS


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Run a figure function with the settings of the report, and put the caller's back afterwards."""

    @functools.wraps(draw)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with matplotlib.rc_context(_settings()):
            return draw(*args, **kwargs)

    return wrapper


def new_figure(width: float = 4.6, height: float = 3.2) -> Figure:
    """Return an empty figure (inches) drawn by Agg, without pyplot's global state."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def axes_of(figure: Figure, rows: int = 1, columns: int = 1, **options: Any) -> list[Axes]:
    """Return the axes of a grid as a flat list, row by row."""
    return list(np.ravel(figure.subplots(rows, columns, squeeze=False, **options)))


def image_axes(axes: Axes) -> None:
    """Turn off what does not belong on an image."""
    axes.grid(False)
    axes.set_xlabel("x (px)")
    axes.set_ylabel("y (px)")


def remark(axes: Axes, text: str) -> None:
    """Write a sentence into an empty panel."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, wrap=True)
    axes.set_axis_off()


def plain_log(axes: Axes, *, x: bool = False, y: bool = False) -> None:
    """Make axes logarithmic, with as many labelled ticks as there is room for; call it when everything is drawn."""
    for axis, chosen, scale in ((axes.xaxis, x, axes.set_xscale), (axes.yaxis, y, axes.set_yscale)):
        if chosen:
            scale("log")
            low, high = axis.get_view_interval()
            decades = float(np.log10(high / low)) if high > low > 0.0 else 1.0
            steps = (1.0, 2.0, 5.0) if decades < 1.8 else (1.0, 3.0) if decades < 2.4 else (1.0,)
            axis.set_major_locator(LogLocator(base=10, subs=steps, numticks=12))
            axis.set_major_formatter(FuncFormatter(lambda value, _: log_label(value)))
            axis.set_minor_formatter(NullFormatter())


def log_label(value: float) -> str:
    """Return 0.01, 20, 3000 as they are and 1e4 as 10⁴."""
    if value <= 0.0 or 1e-3 <= value < 1e4:
        return f"{value:g}"
    exponent = int(np.floor(np.log10(value) + 1e-9))
    mantissa, power = value / 10.0**exponent, str(exponent).translate(SUPERSCRIPT)
    return f"10{power}" if abs(mantissa - 1.0) < 1e-9 else f"{mantissa:g}·10{power}"


HEADROOM = 0.35
BELOW_LEGEND = 1.0 / (1.0 + HEADROOM)
"""Share of the height of axes with headroom that the legend leaves free."""


def headroom(axes: Axes, share: float = HEADROOM) -> None:
    """Leave room for the legend above data that start at zero."""
    axes.set_ylim(0.0, (1.0 + share) * axes.get_ylim()[1])
    axes.legend(loc="upper left", borderaxespad=0.2)


def png_bytes(figure: Figure) -> bytes:
    """Return the figure as PNG; equal figures give equal bytes (no date, no version)."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(_settings()):
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def floats(values: Any) -> np.ndarray:
    """Return JSON numbers as an array, None as NaN."""
    return np.array([np.nan if value is None else value for value in (() if values is None else values)], dtype=float)
