"""Figures of the movie itself: frames with what was detected in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from colloid_cg.reporting.figures.style import INK, MUTED, ORANGE, SKY, axes_of, image_axes, new_figure, styled

_CONTRAST = (0.5, 99.7)


@styled
def figure_frame(
    frame: np.ndarray, index: int, detections: pd.DataFrame, *, pixel_size: float | None, diameter: float | None
) -> Figure:
    """One frame, whole and enlarged, with a circle around every detection.

    Parameters
    ----------
    frame : array, shape (h, w)
    detections : pandas.DataFrame
        Columns x, y (px) of that frame; may be empty.
    pixel_size : float or None
        um; draws a scale bar.
    diameter : float or None
        Of the circles, px.
    """
    height, width = frame.shape
    zoom = zoom_window(frame.shape, detections, diameter or 9.0)
    share = width / height
    figure = new_figure(9.4, float(np.clip(7.8 / (share + 1.0) + 0.95, 2.6, 6.2)))
    whole, enlarged = figure.subplots(1, 2, width_ratios=(share, 1.0))
    for axes in (whole, enlarged):
        show_frame(axes, frame)
    left, bottom, side = zoom
    whole.add_patch(Rectangle((left, bottom), side, side, fill=False, edgecolor=ORANGE, linewidth=1.4))
    enlarged.set(xlim=(left, left + side), ylim=(bottom + side, bottom), title="Enlarged: detections circled")
    whole.set_title(f"Frame {index}: {len(detections)} detections")
    draw_detections(whole, detections, diameter or 9.0, linewidth=0.5)
    draw_detections(enlarged, detections, diameter or 9.0, linewidth=1.3)
    if pixel_size:
        scale_bar(whole, pixel_size, frame.shape)
    for spine in enlarged.spines.values():
        spine.set(visible=True, color=ORANGE, linewidth=1.4)
    return figure


def show_frame(axes: Axes, frame: np.ndarray) -> None:
    """Draw a frame in grey, the contrast cut at the tails of its intensities."""
    low, high = np.percentile(frame, _CONTRAST)
    axes.imshow(frame, cmap="gray", vmin=low, vmax=max(high, low + 1e-12), interpolation="nearest")
    image_axes(axes)


def draw_detections(axes: Axes, detections: pd.DataFrame, diameter: float, *, linewidth: float) -> None:
    """Draw a circle of the stated diameter (px) around every detection."""
    from matplotlib.collections import EllipseCollection

    if detections.empty:
        return
    circles = EllipseCollection(
        [diameter], [diameter], [0.0], units="xy", offsets=detections[["x", "y"]].to_numpy(dtype=float),
        offset_transform=axes.transData, facecolors="none", edgecolors=SKY, linewidths=linewidth,
    )  # fmt: skip
    axes.add_collection(circles, autolim=False)


def scale_bar(axes: Axes, pixel_size: float, shape: tuple[int, ...]) -> None:
    """Draw a bar of a round length, about a fifth of the frame, into the lower left corner."""
    height, width = shape
    target = 0.2 * width * pixel_size
    power = 10.0 ** np.floor(np.log10(target))
    length = power * max(step for step in (1.0, 2.0, 5.0) if step * power <= target)
    x, y = 0.04 * width, 0.95 * height
    pad = 0.015 * width
    box = Rectangle(
        (x - pad, y - 0.1 * height), length / pixel_size + 2 * pad, 0.13 * height, color="white", alpha=0.75
    )
    axes.add_patch(box)
    axes.plot([x, x + length / pixel_size], [y, y], color=INK, linewidth=3, solid_capstyle="butt")
    axes.text(x + 0.5 * length / pixel_size, y - 0.015 * height, f"{length:g} µm", ha="center", va="bottom", fontsize=8)


def zoom_window(shape: tuple[int, ...], detections: pd.DataFrame, diameter: float) -> tuple[float, float, float]:
    """Return left, top and side of a square around the middlemost detection, some eight diameters wide."""
    height, width = shape
    side = float(min(max(8.0 * diameter, 0.15 * min(height, width)), height, width))
    middle = np.array([width / 2.0, height / 2.0])
    if not detections.empty:
        positions = detections[["x", "y"]].to_numpy(dtype=float)
        middle = positions[np.argmin(((positions - middle) ** 2).sum(axis=1))]
    left = float(np.clip(middle[0] - side / 2, -0.5, width - 0.5 - side))
    top = float(np.clip(middle[1] - side / 2, -0.5, height - 0.5 - side))
    return left, top, side


@styled
def figure_frames(frames: list[tuple[int, np.ndarray]]) -> Figure:
    """A few frames over the movie side by side: does the light change, does the focus hold."""
    height, width = frames[0][1].shape
    figure = new_figure(9.4, float(np.clip(9.2 / len(frames) * height / width, 0.5, 6.0)) + 0.4)
    low = min(float(np.percentile(frame, _CONTRAST[0])) for _, frame in frames)
    high = max(float(np.percentile(frame, _CONTRAST[1])) for _, frame in frames)
    for axes, (index, frame) in zip(axes_of(figure, 1, len(frames)), frames, strict=True):
        axes.imshow(frame, cmap="gray", vmin=low, vmax=max(high, low + 1e-12), interpolation="nearest")
        axes.set_title(f"frame {index}, mean {frame.mean():.4g}", color=MUTED)
        axes.set_axis_off()
    return figure
