"""Conversion between Trajectories and StateSeries / Rollout."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.records import Box, Rollout, StateSeries, Trajectories


def from_trajectories(tracks: Trajectories) -> StateSeries:
    """Return the states of the frames from the first to the last detection, in um and s, with links between frames.

    A missed detection breaks the link: ``previous`` and ``following`` only ever join consecutive frames. Along periodic
    axes linked positions are unwrapped, so that their differences are displacements.
    """
    table = tracks.table
    frame, particle = table["frame"].to_numpy(), table["particle"].to_numpy()
    first, last = int(frame.min()), int(frame.max())
    sigma = table[["sigma_x", "sigma_y"]].to_numpy(dtype=float) * tracks.pixel_size
    variance = np.full((len(table), tracks.dimension), np.nan)
    variance[:, :2] = sigma**2
    following = _following(frame, particle)
    previous = np.full(len(table), -1)
    linked = np.flatnonzero(following >= 0)
    previous[following[linked]] = linked
    return StateSeries(
        positions=_unwrapped(tracks.positions, following, particle, frame, tracks.box),
        species=table["species"].to_numpy(),
        particle=particle,
        localisation_variance=variance,
        offsets=np.searchsorted(frame, np.arange(first, last + 2)),
        previous=previous,
        following=following,
        edge_distance=tracks.edge_distance,
        times=np.arange(first, last + 1) * tracks.frame_interval,
        box=tracks.box,
        frame_interval=tracks.frame_interval,
        exposure=tracks.exposure,
    )


def _following(frame: np.ndarray, particle: np.ndarray) -> np.ndarray:
    order = np.lexsort((frame, particle))
    same = (np.diff(particle[order]) == 0) & (np.diff(frame[order]) == 1)
    following = np.full(len(frame), -1)
    following[order[:-1][same]] = order[1:][same]
    return following


def _unwrapped(
    positions: np.ndarray, following: np.ndarray, particle: np.ndarray, frame: np.ndarray, box: Box
) -> np.ndarray:
    """Return positions without the jumps of a folded track: each link is the shortest image of its displacement."""
    if not any(box.periodic):
        return positions
    linked = np.flatnonzero(following >= 0)
    step = positions[following[linked]] - positions[linked]
    jump = np.zeros_like(positions)
    jump[following[linked]] = -box.image(step)
    order = np.lexsort((frame, particle))
    total = np.cumsum(jump[order], axis=0)
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = following[order[:-1]] != order[1:]
    start = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    result = positions.copy()
    result[order] += total - total[start]
    return result


def rollout_trajectories(rollout: Rollout, replica: int = 0, *, pixel_size: float) -> Trajectories:
    """Return one replica as Trajectories, so that whatever reads an experiment reads a rollout.

    The observed (blurred, noisy) positions are used. Particles of a periodic cell are folded into the view;
    one that crosses the border gets a new id there, as a camera would see it leave and another one enter.
    """
    observed = rollout.observed[replica]
    n_frames, n_particles, dimension = observed.shape
    folded = rollout.box.wrap(observed)
    lengths = np.where(rollout.box.periodic, rollout.box.lengths, np.inf)
    image = np.floor((observed - np.asarray(rollout.box.lower)) / lengths).astype(int)
    crossed = np.zeros((n_frames, n_particles), dtype=int)
    crossed[1:] = np.cumsum((np.diff(image, axis=0) != 0).any(axis=-1), axis=0)
    label = crossed * n_particles + np.arange(n_particles)
    table = pd.DataFrame({"frame": np.repeat(np.arange(n_frames), n_particles), "particle": label.ravel()})
    for axis, name in enumerate("xyz"[:dimension]):
        table[name] = folded[..., axis].ravel() / pixel_size
    table["species"] = np.tile(rollout.species, n_frames)
    view = Box(lower=rollout.box.lower, upper=rollout.box.upper, periodic=(False,) * dimension)
    return Trajectories(
        table=table,
        pixel_size=pixel_size,
        frame_interval=rollout.frame_interval,
        exposure=rollout.exposure,
        field_of_view=view.scaled(1.0 / pixel_size),
        n_frames=n_frames,
        metadata={"source": "rollout", "replica": replica},
    )
