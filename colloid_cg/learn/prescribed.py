"""Prescribed particles in a block: rows of their own, with a species that pushes and is not pushed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.learn.series import frame_of_rows
from colloid_cg.records import StateSeries, Trajectories


def parted(tracks: Trajectories, particles: tuple[int, ...]) -> tuple[Trajectories, pd.DataFrame]:
    """Return the tracks without ``particles``, and theirs as a table of prescribed ones, gaps filled by straight lines.

    Raises
    ------
    DataError
        If one of them was not tracked from the first to the last frame of this block.
    """
    table = tracks.table
    chosen = table["particle"].isin(particles)
    rest, frames = table[~chosen], np.arange(table["frame"].min(), table["frame"].max() + 1)
    parts = []
    for particle in particles:
        track = table[table["particle"] == particle]
        seen = track["frame"].to_numpy()
        if not len(seen) or not len(rest) or seen[0] > frames[0] or seen[-1] < frames[-1]:
            raise DataError(
                f"particle {particle} of fit.prescribed_particles not in all of frames {frames[0]} to {frames[-1]}",
                expected="tracks from the first to the last frame of every block",
                action="give its path in a table (fit.prescribed)",
            )
        filled = {name: np.interp(frames, seen, track[name].to_numpy(dtype=float)) for name in ("x", "y")}
        parts.append(pd.DataFrame({"frame": frames, "particle": particle, "species": 0} | filled))
    return tracks.with_table(rest), pd.concat(parts, ignore_index=True)


def inserted(
    series: StateSeries, table: pd.DataFrame, *, n_species: int, pixel_size: float, frame_interval: float
) -> StateSeries:
    """Return the series with the rows of ``table`` in its frames; their species follow the ``n_species`` tracked ones.

    ``frame_interval`` is the movie's; particle numbers are made negative to keep them apart.

    Raises
    ------
    DataError
        If the table lacks a frame of the block.
    """
    wanted = np.round(series.times / frame_interval).astype(np.int64)
    rows = table[table["frame"].isin(wanted)].sort_values(["frame", "particle"], kind="stable")
    missing = np.setdiff1d(wanted, rows["frame"].to_numpy())
    if len(missing):
        raise DataError(
            f"no prescribed particle in frame {missing[0]} ({len(missing)} such frames)",
            expected="a row for every frame in fit.prescribed",
            action="complete the table, also where the particles rest",
        )
    _without_gaps(rows, wanted)
    number = np.searchsorted(np.unique(table["species"]), rows["species"])
    extra = pd.DataFrame({"frame": np.searchsorted(wanted, rows["frame"]), "particle": -1 - rows["particle"]})
    count, n = len(extra), len(series.positions)
    frame = np.concatenate([frame_of_rows(series), extra["frame"].to_numpy()])
    order = np.argsort(frame, kind="stable")
    place = np.empty(n + count, dtype=np.int64)
    place[order] = np.arange(n + count)
    following = np.concatenate([series.following, _following(extra, n)])
    moved = np.where(following >= 0, place[following], -1)[order]
    previous = np.full(n + count, -1)
    linked = np.flatnonzero(moved >= 0)
    previous[moved[linked]] = linked
    positions = rows[["x", "y"]].to_numpy(dtype=float) * pixel_size
    return replace(
        series,
        positions=np.concatenate([series.positions, positions])[order],
        species=np.concatenate([series.species, n_species + number])[order],
        particle=np.concatenate([series.particle, extra["particle"].to_numpy(dtype=np.int64)])[order],
        localisation_variance=np.concatenate([series.localisation_variance, np.full((count, 2), np.nan)])[order],
        edge_distance=np.concatenate([series.edge_distance, np.full(count, -1.0)])[order],
        offsets=np.searchsorted(frame[order], np.arange(series.n_frames + 1)),
        previous=previous,
        following=moved,
    )


def _without_gaps(rows: pd.DataFrame, wanted: np.ndarray) -> None:
    """Refuse a prescribed particle that is missing between its first and last frame: it would not push there."""
    frame = pd.Series(np.searchsorted(wanted, rows["frame"]), index=rows.index)
    seen = frame.groupby(rows["particle"]).agg(["min", "max", "size"])
    gappy = seen[seen["max"] - seen["min"] + 1 > seen["size"]]
    if gappy.empty:
        return
    particle, span = int(gappy.index[0]), gappy.iloc[0]
    there = frame[rows["particle"] == particle]
    missing = np.setdiff1d(np.arange(span["min"], span["max"] + 1), there)
    raise DataError(
        f"prescribed particle {particle} without a row in frame {wanted[missing[0]]} ({len(missing)} such frames, "
        f"{len(gappy)} such particles)",
        expected="a row for every frame from its first to its last in fit.prescribed",
        action="fill the gaps; a particle that leaves for good may end",
    )


def _following(extra: pd.DataFrame, first: int) -> np.ndarray:
    frame, particle = extra["frame"].to_numpy(), extra["particle"].to_numpy()
    order = np.lexsort((frame, particle))
    same = (np.diff(particle[order]) == 0) & (np.diff(frame[order]) == 1)
    following = np.full(len(frame), -1)
    following[order[:-1][same]] = order[1:][same] + first
    return following
