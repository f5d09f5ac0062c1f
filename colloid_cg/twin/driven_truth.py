"""Tables of a driven twin in the coordinates of its image: prescribed particles, solvent flow, true events."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from colloid_cg.records import EVENT_COLUMNS, EventTable
from colloid_cg.twin.drive import Flow, FlowBetweenRows, FlowRoundRow
from colloid_cg.twin.rearrangements import RULE, grouped
from colloid_cg.twin.settings import TwinConfig
from colloid_cg.twin.truth import IMAGE, TwinTruth

NODES_PER_DECAY = 4.0
"""Nodes of the flow table per decay length: bilinear interpolation errs by less than 1/(8 * 16) of the flow, but for
the two cells next to the middle of a needle, where no particle can be."""


def driven_table(truth: TwinTruth, rows: pd.DataFrame, *, reach: float) -> pd.DataFrame:
    """Return the prescribed particles in view or within ``reach`` (um) of it, at the frame times.

    Columns frame, particle, x, y (px), species. Particles have the numbers of ``rows`` (see
    :func:`~colloid_cg.twin.truth.numbered_rows`); those never in view have the following ones.
    """
    prescribed = np.flatnonzero(truth.prescribed) if truth.prescribed is not None else np.zeros(0, dtype=np.int64)
    beyond = reach / truth.config.pixel_size
    limits = np.array([truth.config.width, truth.config.height]) - 0.5 + beyond
    parts = []
    for frame in range(truth.n_frames):
        start, _, turns = truth.in_image(frame)
        near = prescribed[((start[prescribed] >= -0.5 - beyond) & (start[prescribed] < limits)).all(axis=1)]
        columns = {
            "frame": frame,
            "original": near,
            "turn_x": turns[near, 0],
            "turn_y": turns[near, 1],
            "x": start[near, 0],
            "y": start[near, 1],
            "species": truth.species[near],
        }
        parts.append(pd.DataFrame(columns))
    table = pd.concat(parts, ignore_index=True)
    known = rows[[*IMAGE, "particle"]].drop_duplicates()
    table = table.merge(known, on=IMAGE, how="left")
    unknown = table["particle"].isna()
    following = table[unknown].groupby(IMAGE, sort=False).ngroup() + len(known)
    table.loc[unknown, "particle"] = following
    table["particle"] = table["particle"].astype(np.int64)
    return table[["frame", "particle", "x", "y", "species"]]


def flow_table(flow: Flow, config: TwinConfig) -> pd.DataFrame:
    """Return the velocity of the solvent at the frame times on a grid of the image.

    Columns frame, x, y (px), u_x, u_y (um/s), rows before columns of the grid; bilinear in between. The grid
    spans the view exactly. The velocity is that in the sample: the drift of the sample in the image comes on top.
    """
    x = _nodes(config.width, config, straight=isinstance(flow, FlowRoundRow | FlowBetweenRows))
    y = _nodes(config.height, config, straight=False)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    parts = []
    for frame in range(config.n_frames):
        sample = (grid - frame * np.array(config.camera.drift)) * config.pixel_size
        velocity = flow.velocity(sample, frame * config.frame_interval)
        columns = {"frame": frame, "x": grid[:, 0], "y": grid[:, 1], "u_x": velocity[:, 0], "u_y": velocity[:, 1]}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def _nodes(size: int, config: TwinConfig, *, straight: bool) -> np.ndarray:
    """Return coordinates of grid lines from edge to edge (px); two where the flow does not change along the axis."""
    spacing = config.solvent_decay / NODES_PER_DECAY / config.pixel_size
    count = 2 if straight else math.ceil(size / spacing) + 1
    return np.linspace(-0.5, size - 0.5, count)


def event_table(truth: TwinTruth, rows: pd.DataFrame) -> EventTable | None:
    """Return the true rearrangements centred in view, or None where the case defines none.

    The rule stands in :mod:`colloid_cg.twin.rearrangements`. x, y: mean of the midpoints of the parting pairs in
    the frame t_peak of the fastest, px; radius: root mean square distance from there of the particles; particles: those
    in view in that frame; score: number of partings.
    """
    if truth.partings is None:
        return None
    if truth.partings.empty or truth.diameters is None or truth.cell is None:
        return EventTable.empty(RULE)
    number, middle = grouped(
        truth.partings, truth.instants, contact=float(truth.diameters.max()), lengths=truth.cell[1]
    )
    edges = np.searchsorted(rows["frame"], np.arange(truth.n_frames + 1))
    by_frame = {frame: rows.iloc[edges[frame] : edges[frame + 1]] for frame in range(truth.n_frames)}
    found = []
    for event in range(int(number.max()) + 1):
        chosen = number == event
        row = _event(truth, truth.partings[chosen], middle[chosen], by_frame)
        if row is not None:
            found.append(row)
    if not found:
        return EventTable.empty(RULE)
    found.sort(key=lambda row: (row["t_on"], row["t_peak"], row["x"]))
    table = pd.DataFrame(found).assign(event=np.arange(len(found)))
    return EventTable(table=table[list(EVENT_COLUMNS)], metadata=RULE)


def _event(
    truth: TwinTruth, pairs: pd.DataFrame, middle: np.ndarray, by_frame: dict[int, pd.DataFrame]
) -> dict[str, object] | None:
    """Return one row of the event table, None if the event lies outside the view."""
    config = truth.config
    peak = int(np.median(pairs["t_peak"]))
    x, y = _centre(truth, middle, frame=peak)
    if not (-0.5 <= x < config.width - 0.5 and -0.5 <= y < config.height - 0.5):
        return None
    seen = by_frame[peak]
    moved = seen[seen["original"].isin(np.union1d(pairs["i"], pairs["j"]))]
    distance = np.hypot(*(moved[["x", "y"]].to_numpy() - [x, y]).T)
    return {
        "t_on": int(pairs["t_on"].min()),
        "t_peak": peak,
        "t_off": int(pairs["t_off"].max()),
        "x": x,
        "y": y,
        "radius": float(np.sqrt(np.mean(distance**2))) if len(distance) else 0.0,
        "n_particles": len(moved),
        "particles": sorted(int(value) for value in moved["particle"]),
        "score": float(len(pairs)),
        "p_value": float("nan"),
        "q_value": float("nan"),
        "detector": "truth",
        "source": "twin",
    }


def _centre(truth: TwinTruth, middle: np.ndarray, *, frame: int) -> tuple[float, float]:
    """Return the mean of points in the periodic cell, in px of the image; the points are within half a cell."""
    pixel, drift = truth.config.pixel_size, np.asarray(truth.config.camera.drift)
    lower, lengths = truth.cell if truth.cell is not None else (np.zeros(2), np.full(2, np.inf))
    away = middle - middle[0]
    mean = middle[0] + (away - lengths * np.round(away / lengths)).mean(axis=0)
    place = mean + drift * frame * pixel
    place = place - lengths * np.floor((place - lower) / lengths)
    return float(place[0] / pixel), float(place[1] / pixel)
