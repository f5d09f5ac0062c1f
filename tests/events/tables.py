"""Event tables and tracks of known content, for tests of what is done with events."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.records import Box, EventTable, Trajectories

PIXEL, INTERVAL = 0.1, 0.5


def event_table(
    t_on: np.ndarray, x: np.ndarray, y: np.ndarray, *, length: int = 0, particles: list | None = None, **more: object
) -> EventTable:
    n = len(t_on)
    table = pd.DataFrame(
        {
            "event": np.arange(n), "t_on": np.asarray(t_on, dtype=int), "t_peak": np.asarray(t_on, dtype=int) + length,
            "t_off": np.asarray(t_on, dtype=int) + 2 * length, "x": np.asarray(x, dtype=float),
            "y": np.asarray(y, dtype=float), "radius": 5.0, "n_particles": 3,
            "particles": particles if particles is not None else [[] for _ in range(n)], "score": 4.0,
            "p_value": 1e-4, "q_value": 0.01, "detector": "test", "source": "test",
        }
    )  # fmt: skip
    return EventTable(table=table.assign(**more)) if n else EventTable.empty()


def still(n_frames: int, *, side: int = 10, spacing: float = 10.0, lost: np.ndarray | None = None) -> Trajectories:
    """side x side particles at rest in a square of side x spacing px; ``lost`` (n_frames, n) marks missing ones."""
    grid = spacing * (0.5 + np.arange(side))
    x, y = (part.ravel() for part in np.meshgrid(grid, grid))
    frame, particle = (part.ravel() for part in np.meshgrid(np.arange(n_frames), np.arange(side**2), indexing="ij"))
    table = pd.DataFrame({"frame": frame, "particle": particle, "x": x[particle], "y": y[particle]})
    if lost is not None:
        table = table[~lost[frame, particle]]
    view = Box(lower=(0.0, 0.0), upper=(side * spacing,) * 2, periodic=(False, False))
    return Trajectories(table=table, pixel_size=PIXEL, frame_interval=INTERVAL, field_of_view=view, n_frames=n_frames)


def fields_where(tracks: Trajectories, valid: np.ndarray) -> pd.DataFrame:
    p = np.where(valid, 0.5, np.nan)
    return tracks.table[["frame", "particle"]].assign(d2min_p=p, p_hop_p=np.nan)


def thomas(
    rng: np.random.Generator, mean: float, *, offspring: float, width: float, frames: int, edge: float
) -> EventTable:
    """A Thomas process in space and time: Poisson parents, each with Poisson events around it; mean events in view."""
    beyond = 4 * width
    volume = (1 + 2 * beyond) ** 3
    parents = rng.uniform(-beyond, 1 + beyond, size=(rng.poisson(mean / offspring * volume), 3))
    points = np.repeat(parents, rng.poisson(offspring, len(parents)), axis=0)
    points = points + rng.normal(0, width, points.shape)
    points = points[((points >= 0) & (points < 1)).all(axis=1)]
    # Frame 0 is not counted: onsets are spread over the others.
    return event_table(1 + np.floor(points[:, 2] * (frames - 1)), points[:, 0] * edge, points[:, 1] * edge)
