"""What a worker does: locate the particles of a few frames. It imports no more than that takes."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import pandas as pd

from colloid_cg import tracking
from colloid_cg.errors import InputError
from colloid_cg.records import FrameStack
from colloid_cg.tracking import ImageModel, TrackConfig
from colloid_cg.video import VideoConfig, corrected, open_video


def locate_part(
    movie: str, video: str, shape: tuple[int, ...], settings: str, model: str | None, start: int, stop: int
) -> pd.DataFrame:
    """Return the detections of frames ``start`` to ``stop - 1``; a pure function, for a worker on any machine.

    Parameters
    ----------
    movie : str
        Path of the movie.
    video, settings : str
        Settings of video and tracking as JSON.
    shape : tuple of int
        Frames, height and width that the movie must have here as well.
    model : str or None
        The image model as JSON.
    start, stop : int

    Raises
    ------
    InputError
        If the movie cannot be read here or is another one.
    """
    stack = _opened(movie, video)
    if stack.shape != tuple(shape):
        raise InputError(
            f"a movie of {stack.shape} frames, rows and columns at {movie} on a worker",
            expected=f"the same movie as here, {tuple(shape)}",
            action="make the movie visible under one path on every machine of the cluster",
        )
    known = None if model is None else ImageModel.parse(json.loads(model))
    return tracking.locate(stack, TrackConfig.parse(json.loads(settings)), known, start=start, stop=stop)


@lru_cache(maxsize=1)
def _opened(movie: str, video: str) -> FrameStack:
    config = VideoConfig.parse(json.loads(video))
    return corrected(open_video(Path(movie), config=config), config)
