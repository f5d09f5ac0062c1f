"""The one module that calls trackpy (doi:10.5281/zenodo.34028): pictures and numbers in, tables out.

What trackpy 0.7 does to the pixels: a band-passed picture (float) is stretched so that its brightest pixel is the
largest value of the integer type of the movie, then truncated; float movies are taken to 8 bits. The running
background of an integer movie is truncated to whole grey levels. Both are avoided by handing over 32-bit integers
in which one grey level is a large number.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import trackpy
from trackpy.linking import Linker
from trackpy.linking.utils import SubnetOversizeException
from trackpy.preprocessing import bandpass

from colloid_cg.tracking.config import TrackConfig

FEATURES = ("x", "y", "mass", "size", "ecc", "signal", "raw_mass", "ep")
"""Columns of :func:`locate_frame`."""

_BITS = 24  # of contrast handed over: the running sums of trackpy stay far below 2**31


class OversizedSubnet(Exception):
    """Too many particles compete for the same links."""


@contextmanager
def _silence() -> Iterator[None]:
    # trackpy logs each frame to a handler of its own, and divides by the zero mass of spurious detections
    logger = logging.getLogger("trackpy")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def locate_frame(frame: np.ndarray, config: TrackConfig, *, characterize: bool = True) -> pd.DataFrame:
    """Return the particles of one frame, shape (n, 8): x, y, mass, size, ecc, signal, raw_mass, ep.

    Centroids of Crocker and Grier, J. Colloid Interface Sci. 179, 298 (1996), doi:10.1006/jcis.1996.0217. ``ep`` is
    trackpy's static error (Savin and Doyle 2005), NaN where trackpy finds no background to measure noise in, and
    where the mass above the background is not positive. Without ``characterize`` only x, y and mass are measured.
    """
    if np.ptp(frame) == 0:
        return pd.DataFrame(columns=list(FEATURES), dtype=float)
    scale = 1.0
    picture, invert = frame, bool(config.invert)
    if config.precision == "full":
        picture, scale = _fine_integers(frame, invert=invert)
        invert = False
    with _silence():
        found = trackpy.locate(
            picture,
            config.diameter,
            minmass=(config.minmass or 0.0) * scale,
            separation=config.separation,
            noise_size=config.noise_size,
            smoothing_size=config.smoothing,
            threshold=None if config.threshold is None else config.threshold * scale,
            invert=invert,
            percentile=config.percentile,
            preprocess=config.preprocess,
            characterize=characterize,
        )
    table: pd.DataFrame = found.reindex(columns=list(FEATURES)).astype(float).reset_index(drop=True)
    table[["mass", "signal", "raw_mass"]] /= scale
    table["ep"] = table["ep"].where(np.isfinite(table["ep"]) & (table["ep"] > 0))
    return table


def _fine_integers(frame: np.ndarray, *, invert: bool) -> tuple[np.ndarray, float]:
    # The median is taken off because trackpy pads with zeros when it smooths: the padding then is background.
    values = frame.astype(np.float64)
    values -= np.median(values)
    scale = 2.0 ** (_BITS - np.ceil(np.log2(np.abs(values).max())))
    return np.rint(values * (-scale if invert else scale)).astype(np.int32), float(scale)


def filtered_noise(config: TrackConfig, noise: float, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Return what these settings make of white noise alone.

    Parameters
    ----------
    config : TrackConfig
        Diameter known; threshold and minmass are not used.
    noise : float
        Standard deviation of a pixel, in grey levels.

    Returns
    -------
    threshold : float
        Standard deviation of the noise left in the band-passed picture, in grey levels.
    masses : array
        Masses of the false detections in 512 x 512 px with that threshold.
    """
    diameter = config.diameter or 3
    edge = max(512, 6 * diameter)
    picture = rng.normal(0.0, noise, (edge, edge))
    left = bandpass(picture, config.noise_size, config.smoothing or diameter, -np.inf)
    threshold = float(left[diameter:-diameter, diameter:-diameter].std())
    alone = config.model_copy(update={"minmass": 0.0, "threshold": threshold, "precision": "full", "invert": False})
    return threshold, locate_frame(picture, alone, characterize=False)["mass"].to_numpy()


def link_points(
    points: pd.DataFrame, *, search_range: float, memory: int, adaptive_stop: float | None, adaptive_step: float
) -> np.ndarray:
    """Return a particle id for each row of a table (frame, x, y) sorted by frame.

    Raises
    ------
    OversizedSubnet
        If more particles compete for the same links than the linker will solve.
    """
    try:
        with _silence():
            linked = trackpy.link(
                points[["frame", "x", "y"]].reset_index(drop=True),
                search_range,
                memory=memory,
                adaptive_stop=adaptive_stop,
                adaptive_step=adaptive_step,
            )
    except SubnetOversizeException as error:
        raise OversizedSubnet(str(error)) from error
    return np.asarray(linked.sort_index()["particle"], dtype=np.int64)


class FrameLinker:
    """trackpy's linker fed frame by frame: the ids are those of :func:`link_points`, nothing is kept but the memory.

    Parameters
    ----------
    search_range, memory, adaptive_stop, adaptive_step
        As in ``trackpy.link``.
    """

    def __init__(self, *, search_range: float, memory: int, adaptive_stop: float | None, adaptive_step: float) -> None:
        self._linker = Linker(search_range, memory=memory, adaptive_stop=adaptive_stop, adaptive_step=adaptive_step)
        self._last: int | None = None

    def add(self, frame: int, positions: np.ndarray) -> np.ndarray:
        """Return particle ids, shape (n,), for positions (x, y) of a later frame than the last one.

        Raises
        ------
        OversizedSubnet
            If more particles compete for the same links than the linker will solve.
        """
        points = np.ascontiguousarray(positions[:, ::-1], dtype=float)
        try:
            with _silence():
                if self._last is None:
                    self._linker.init_level(points, frame)
                else:
                    for empty in range(self._last + 1, frame):
                        self._linker.next_level(np.empty((0, 2)), empty)
                    self._linker.next_level(points, frame)
        except SubnetOversizeException as error:
            raise OversizedSubnet(str(error)) from error
        self._last = frame
        return np.asarray(self._linker.particle_ids, dtype=np.int64)
