"""Disjoint train, select and test blocks in time: a model is never judged on frames it has seen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.records import Trajectories

MINIMUM_FRAMES = 3


def check_fractions(fractions: tuple[float, ...]) -> None:
    """Refuse shares that are not three positive numbers adding up to one.

    Raises
    ------
    ConfigError
        Saying what they must be.
    """
    if len(fractions) != 3 or min(fractions) <= 0 or not np.isclose(sum(fractions), 1.0):
        raise ConfigError(
            f"time fractions {fractions}",
            expected="three positive numbers adding up to 1",
            action="use for example (0.6, 0.2, 0.2)",
        )


def split_by_time(
    tracks: Trajectories, fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
) -> tuple[Trajectories, Trajectories, Trajectories]:
    """Split a movie into consecutive train, select and test blocks.

    Parameters
    ----------
    tracks : Trajectories
    fractions : three floats
        Shares of the movie, positive, adding up to one.

    Returns
    -------
    train, select, test : Trajectories
        Frame numbers are those of the movie.

    Raises
    ------
    ConfigError
        If the fractions are not three positive numbers adding up to one.
    DataError
        If a block would be shorter than three frames.
    """
    train, select, test = (tracks.between(*frames) for frames in blocks_of_frames(tracks.n_frames, fractions))
    return train, select, test


def blocks_of_frames(n_frames: int, fractions: tuple[float, float, float]) -> list[tuple[int, int]]:
    """Return first and past-the-last frame of the train, select and test blocks.

    Raises
    ------
    ConfigError
        If the fractions are not three positive numbers adding up to one.
    DataError
        If a block would be shorter than three frames.
    """
    check_fractions(fractions)
    edges = np.round(np.cumsum([0.0, *fractions]) * n_frames).astype(int)
    if np.diff(edges).min() < MINIMUM_FRAMES:
        raise DataError(
            f"a movie of {n_frames} frames",
            expected=f"blocks of at least {MINIMUM_FRAMES} frames each for the shares {fractions}, about "
            f"{int(np.ceil(MINIMUM_FRAMES / min(fractions)))} frames or more",
            action="record a longer movie",
        )
    return [(int(first), int(last)) for first, last in pairwise(edges)]
