"""Settings of event detection, and the values that follow from the movie where a setting is left open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from colloid_cg.errors import DataError
from colloid_cg.records import Box, Trajectories
from colloid_cg.settings import Settings


class EventConfig(Settings):
    """How rearrangements are found.

    Parameters
    ----------
    lag : int or None
        Frames from the first neighbourhood that D2min compares to the second; None: 1.
    average : int or None
        Frames over which positions are averaged before D2min compares them; 1: none. Averaging makes little of
        localisation errors, those far out in their tails too, and of rattling. None: the half window of p_hop, or 1
        if a lag is given.
    edge_margin : float or None
        Detections nearer than this (um) to an open edge of the view take no part: a particle that is cut off there
        is localised wrongly. None: half the mean spacing.
    neighbors : "cutoff" or "delaunay"
        Who is a neighbour.
    cutoff : float or None
        In um; None: twice the mean spacing (the first two shells of a dense layer).
    reference : "before" or "after"
        Frame whose neighbours and bonds D2min starts from.
    normalise : "bond" or "sum"
        Whether the column ``d2min`` is per neighbour or the sum; tests do not depend on it.
    min_neighbors : int
        Neighbours that must be seen in both frames for D2min to be computed.
    min_share : float
        Share of a particle's neighbours that must be seen in both frames.
    half_window : int or None
        Half window of p_hop in frames; None: a tenth of the movie, from 2 to 5.
    tests : tuple of "d2min", "p_hop", "t1"
        Which p-values of a detection decide, the smallest times their number. p_hop and T1 are worked out in any case,
        but p_hop knows no local affine motion and T1 only exchanges.
    fdr : float
        Expected share of false ones among the events.
    fdr_method : "bh" or "by"
        Benjamini-Hochberg over events, or Benjamini-Yekutieli (any dependence between them, stricter by about ln of
        their number).
    min_cluster : int
        Fewest significant particles of an event.
    gap_space : float or None
        Significant particle-frames closer than this (um) to a more significant one belong to its event; None: 1.5
        cutoffs.
    gap_frames : int or None
        ... and not further apart in time than this; None: the longest of lag, average and half window.
    """

    table: ClassVar[str] = "events"

    lag: int | None = Field(default=None, ge=1)
    average: int | None = Field(default=None, ge=1)
    edge_margin: float | None = Field(default=None, ge=0)
    neighbors: Literal["cutoff", "delaunay"] = "cutoff"
    cutoff: float | None = Field(default=None, gt=0)
    reference: Literal["before", "after"] = "before"
    normalise: Literal["bond", "sum"] = "bond"
    min_neighbors: int = Field(default=4, ge=4)
    min_share: float = Field(default=0.75, gt=0, le=1)
    half_window: int | None = Field(default=None, ge=1)
    tests: tuple[Literal["d2min", "p_hop", "t1"], ...] = Field(default=("d2min",), min_length=1)
    fdr: float = Field(default=0.05, gt=0, lt=1)
    fdr_method: Literal["bh", "by"] = "bh"
    min_cluster: int = Field(default=1, ge=1)
    gap_space: float | None = Field(default=None, gt=0)
    gap_frames: int | None = Field(default=None, ge=1)


@dataclass(frozen=True, kw_only=True)
class Scales:
    """The lengths (um) and times (frames) in use, every open setting replaced."""

    lag: int
    average: int
    half_window: int
    edge_margin: float
    cutoff: float
    gap_space: float
    gap_frames: int
    spacing: float


def scales(tracks: Trajectories, config: EventConfig) -> Scales:
    """Return the lengths and times that the settings, or else the movie, fix.

    The mean spacing is (volume of the view / mean number of detections per frame)^(1/d), over frames with any.
    """
    return scales_of(np.diff(tracks.frame_offsets()), tracks.box, config)


def scales_of(per_frame: np.ndarray, box: Box, config: EventConfig) -> Scales:
    """Return the scales of a movie from its detections in every frame, shape (n_frames,), and its view.

    Raises
    ------
    DataError
        If there are no detections, or the lag that is asked for is longer than the movie.
    """
    n_frames = len(per_frame)
    if not per_frame.any():
        raise DataError("no detections", expected="particles in some frame", action="check the tracking")
    spacing = float((box.volume / per_frame[per_frame > 0].mean()) ** (1 / box.dimension))
    half_window = config.half_window or int(np.clip(n_frames // 10, 2, 5))
    lag = config.lag or 1
    average = config.average or (1 if config.lag else half_window)
    asked = config.lag is not None or config.average is not None
    if asked and lag - 1 + 2 * average > n_frames:
        raise DataError(
            f"a lag of {lag} frames between averages of {average} in a movie of {n_frames}",
            expected="a movie longer than both together",
            action="give events.lag and events.average smaller numbers, or leave them out",
        )
    cutoff = config.cutoff or 2.0 * spacing
    return Scales(
        lag=lag,
        average=average,
        half_window=half_window,
        edge_margin=0.5 * spacing if config.edge_margin is None else config.edge_margin,
        cutoff=cutoff,
        gap_space=config.gap_space or 1.5 * cutoff,
        gap_frames=config.gap_frames or max(lag, average, half_window),
        spacing=spacing,
    )
