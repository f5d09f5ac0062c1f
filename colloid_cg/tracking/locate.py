"""Locate the particles of each frame, one frame at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.progress import Progress, silent
from colloid_cg.records import FLAG_EDGE, FrameStack
from colloid_cg.tracking.config import TrackConfig, check_against, require_resolved
from colloid_cg.tracking.detections import Detections, no_detections
from colloid_cg.tracking.trackpy_engine import locate_frame


def locate(
    stack: FrameStack,
    config: TrackConfig,
    *,
    start: int = 0,
    stop: int | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Locate the particles of frames ``start`` to ``stop - 1``.

    Each frame is treated alone, so chunks put together are the same bytes as the whole in one go.

    Parameters
    ----------
    stack : FrameStack
    config : TrackConfig
        Complete settings (see :func:`resolve`).
    start, stop : int
        Range of frames; ``stop=None`` is the end of the movie.
    progress : callable
        Called with (done, total) frames.

    Returns
    -------
    pandas.DataFrame
        One row per detection: frame, x, y, sigma_x, sigma_y, size in px (centre of the first pixel at 0, 0), mass
        and signal in grey levels, ecc, flags. ``sigma_x = sigma_y`` is the static error of Savin and Doyle,
        Biophys. J. 88, 623 (2005), doi:10.1529/biophysj.104.042457, as trackpy states it from the noise of the
        background; it is known to be .26-.85 of the true error and is NaN where no background was found.

    Raises
    ------
    DataError
        If a frame holds more detections than ``max_per_frame``.
    """
    require_resolved(config)
    check_against(config, stack)
    stop = stack.n_frames if stop is None else min(stop, stack.n_frames)
    tables = []
    for index in range(start, stop):
        table = _located(stack, config, index)
        if len(table):
            tables.append(table)
        progress(index - start + 1, stop - start)
    return pd.concat(tables, ignore_index=True) if tables else no_detections().table(0)


def _located(stack: FrameStack, config: TrackConfig, index: int) -> pd.DataFrame:
    found = locate_frame(stack[index], config)
    if len(found) > config.max_per_frame:
        raise DataError(
            f"{len(found)} maxima in frame {index} of {stack.source or 'the movie'}",
            expected=f"at most {config.max_per_frame} particles (track.max_per_frame)",
            action=f"raise track.minmass (now {config.minmass:g}) or track.diameter (now {config.diameter})",
        )
    if found.empty:
        return no_detections().table(index)
    x, y = found["x"].to_numpy(), found["y"].to_numpy()
    edge = np.minimum.reduce([x + 0.5, y + 0.5, stack.width - 0.5 - x, stack.height - 0.5 - y])
    flags = np.where(edge < (config.diameter or 0) / 2, FLAG_EDGE, 0)
    known = {name: found[name].to_numpy() for name in ("mass", "size", "ecc", "signal")}
    error = found["ep"].to_numpy()
    return Detections.at(x, y, **known, sigma_x=error, sigma_y=error, flags=flags).table(index)
