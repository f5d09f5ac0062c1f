"""Locate the particles of each frame, one frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.progress import Progress, silent
from colloid_cg.records import FrameStack
from colloid_cg.tracking import native_engine, trackpy_engine
from colloid_cg.tracking.config import TrackConfig, check_against, require_resolved
from colloid_cg.tracking.detections import Detections, no_detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.noise_model import estimate_image_model


def locate(
    stack: FrameStack,
    config: TrackConfig,
    model: ImageModel | None = None,
    *,
    start: int = 0,
    stop: int | None = None,
    progress: Progress = silent,
    threads: int = 1,
) -> pd.DataFrame:
    """Locate the particles of frames ``start`` to ``stop - 1``.

    Each frame is treated alone, so chunks put together are the same bytes as the whole in one go.

    Parameters
    ----------
    stack : FrameStack
    config : TrackConfig
        Complete settings (see :func:`resolve`); ``shape``, ``refine`` and ``size_classes`` left open mean spots,
        each fitted alone, of one population.
    model : ImageModel, optional
        For the native engine: noise and look of the particles, as :func:`suggest` returns it. Estimated from frames
        spread over the movie where it is not given, the same for every chunk.
    start, stop : int
        Range of frames; ``stop=None`` is the end of the movie.
    progress : callable
        Called with (done, total) frames.
    threads : int
        Frames located at a time; the result does not depend on it.

    Returns
    -------
    pandas.DataFrame
        One row per detection: frame, x, y, sigma_x, sigma_y, size in px (centre of the first pixel at 0, 0), mass
        and signal in grey levels, ecc, flags, species. The errors of the native engine follow from the noise of the
        pixels; ``sigma_x = sigma_y`` of the trackpy engine is the static error of Savin and Doyle,
        Biophys. J. 88, 623 (2005), doi:10.1529/biophysj.104.042457, which is .26-.85 of the true error and NaN
        where no background was found.

    Raises
    ------
    DataError
        If a frame holds more detections than ``max_per_frame``, or more than ten times what the frames hold that
        the image model comes from.
    """
    require_resolved(config)
    check_against(config, stack)
    stop = stack.n_frames if stop is None else min(stop, stack.n_frames)
    if config.engine == "native" and model is None:
        model = estimate_image_model(stack, config)

    def located(index: int, frame: np.ndarray) -> pd.DataFrame:
        return _of_one_frame(frame, index, config, model, source=stack.source or "the movie")

    tables = []
    for done, table in enumerate(_in_order(located, stack, range(start, stop), threads), start=1):
        if len(table):
            tables.append(table)
        progress(done, stop - start)
    return pd.concat(tables, ignore_index=True) if tables else no_detections().table(0)


def _in_order(
    work: Callable[[int, np.ndarray], pd.DataFrame], stack: FrameStack, indices: range, threads: int
) -> Iterator[pd.DataFrame]:
    if threads <= 1:
        for index in indices:
            yield work(index, stack[index])
        return
    with ThreadPoolExecutor(threads) as pool:
        # Files are read here, one frame after the other; few frames at a time, so that results do not pile up.
        for first in range(0, len(indices), 4 * threads):
            waiting = [pool.submit(work, index, stack[index]) for index in indices[first : first + 4 * threads]]
            yield from (future.result() for future in waiting)


def _of_one_frame(
    frame: np.ndarray, index: int, config: TrackConfig, model: ImageModel | None, *, source: str
) -> pd.DataFrame:
    if config.engine == "trackpy" or model is None:
        found = _by_trackpy(frame, config)
    else:
        found = native_engine.locate_frame(frame, config, model)
    usual = model.per_frame if model is not None else None
    if len(found) > config.max_per_frame:
        limit = f"at most {config.max_per_frame} particles (track.max_per_frame)"
    elif usual is not None and len(found) > 10 * max(usual, 20):
        limit = f"about as many as in the frames looked at, which have at most {usual}"
    else:
        return found.table(index)
    raise DataError(
        f"{len(found)} maxima in frame {index} of {source}",
        expected=limit,
        action=f"raise track.minmass (now {config.minmass:g}) or track.diameter (now {config.diameter})",
    )


def _by_trackpy(frame: np.ndarray, config: TrackConfig) -> Detections:
    found = trackpy_engine.locate_frame(frame, config)
    if found.empty:
        return no_detections()
    x, y = found["x"].to_numpy(), found["y"].to_numpy()
    flags = native_engine.edge_flags(x, y, frame.shape, config.diameter or 0)
    known = {name: found[name].to_numpy() for name in ("mass", "size", "ecc", "signal")}
    error = found["ep"].to_numpy()
    return Detections.at(x, y, **known, sigma_x=error, sigma_y=error, flags=flags)
