"""Observables of particles whose unwrapped positions and velocities are known in every frame, as arrays.

All are taken relative to the common motion of all particles: a simulation at rest and one that drifts look the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.observables.blocks import mean_of_sums, time_blocks
from colloid_cg.observables.curve import Curve
from colloid_cg.observables.paircorrelation import rdf
from colloid_cg.records import Box, Trajectories

Product = Callable[[np.ndarray, np.ndarray], np.ndarray]

_AT_ONCE = 4_000_000
"""Numbers held at once in a product of two times."""
_MOST_ORIGINS = 2000
"""Times from which a lag is counted, evenly spaced where there are more: neighbouring ones repeat each other."""


def without_common_motion(vectors: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Return positions or velocities (T, N, d) less those of the centre of mass; masses (N,)."""
    weights = masses / masses.sum()
    return np.asarray(vectors - np.einsum("i,tid->td", weights, vectors)[:, None])


def rdf_of_frames(positions: np.ndarray, box: Box, edges: np.ndarray, *, max_frames: int = 1000) -> Curve:
    """Return the radial distribution function of positions (T, N, d), wrapped or not: see :func:`rdf`.

    Parameters
    ----------
    positions : array, shape (T, N, d)
    box : Box
    edges : array, shape (k + 1,)
    max_frames : int
        Frames used, evenly spaced, when there are more.
    """
    used = np.unique(np.linspace(0, len(positions) - 1, min(max_frames, len(positions))).round().astype(int))
    n, d = positions.shape[1:]
    table = pd.DataFrame({"frame": np.repeat(np.arange(len(used)), n), "particle": np.tile(np.arange(n), len(used))})
    columns = positions[used].reshape(-1, d)
    table = table.assign(**{name: columns[:, axis] for axis, name in enumerate("xyz"[:d])})
    tracks = Trajectories(table=table, pixel_size=1.0, frame_interval=1.0, field_of_view=box, n_frames=len(used))
    return rdf(tracks, bins=edges, max_frames=len(used))


def unwrapped_msd(positions: np.ndarray, lags: Sequence[int], *, masses: np.ndarray, frame_interval: float) -> Curve:
    """Return the mean square displacement <|r(t + lag) - r(t)|^2>, summed over axes, of unwrapped positions.

    Parameters
    ----------
    positions : array, shape (T, N, d)
    lags : sequence of int
        In frames.
    masses : array, shape (N,)
    frame_interval : float

    Returns
    -------
    Curve
        The error is the larger of two: particles of one mass as independent samples of their kind, and blocks of time
        at least two lags long.
    """

    def square(first: np.ndarray, later: np.ndarray) -> np.ndarray:
        return np.asarray(((later - first) ** 2).sum(axis=2))

    centred = without_common_motion(positions, masses)
    return _over_lags(centred, lags, square, masses, frame_interval, value_unit="length2")


def vacf(velocities: np.ndarray, lags: Sequence[int], *, masses: np.ndarray, frame_interval: float) -> Curve:
    """Return the velocity autocorrelation <v(t) . v(t + lag)>/d per component (Hansen and McDonald, section 7.2).

    At lag 0 it is k_B T <1/m> for the Maxwell distribution, less the part of the common motion: see
    :func:`thermal_speed_squared`.

    Parameters
    ----------
    velocities : array, shape (T, N, d)
    lags : sequence of int
        In frames, 0 included.
    masses : array, shape (N,)
    frame_interval : float

    Returns
    -------
    Curve
        Errors as of :func:`unwrapped_msd`.
    """

    def product(first: np.ndarray, later: np.ndarray) -> np.ndarray:
        return np.asarray(np.einsum("tid,tid->ti", first, later) / first.shape[2])

    return _over_lags(
        without_common_motion(velocities, masses), lags, product, masses, frame_interval, value_unit="(length/time)2"
    )


def thermal_speed_squared(masses: np.ndarray, thermal_energy: float) -> float:
    """Return the variance k_B T (1/m_i - 1/M) of a velocity component relative to the common motion, over particles."""
    return float(thermal_energy * np.mean(1.0 / masses - 1.0 / masses.sum()))


def kinetic_temperature(velocities: np.ndarray, masses: np.ndarray) -> tuple[float, float]:
    """Return k_B T = sum m_i v_i^2 / (d (N - 1)) relative to the common motion, and its error from blocks of time.

    Parameters
    ----------
    velocities : array, shape (T, N, d)
    masses : array, shape (N,)
    """
    frames, n, d = velocities.shape
    relative = without_common_motion(velocities, masses)
    energy = np.einsum("i,tid,tid->t", masses, relative, relative) / (d * max(n - 1, 1))
    block = time_blocks(np.arange(frames), 1)
    mean, error = mean_of_sums(np.bincount(block, weights=energy)[:, None], np.bincount(block))
    return float(mean[0]), float(error[0])


def _over_lags(
    vectors: np.ndarray,
    lags: Sequence[int],
    product: Product,
    masses: np.ndarray,
    frame_interval: float,
    *,
    value_unit: str,
) -> Curve:
    frames, n, d = vectors.shape
    chosen = np.asarray(lags, dtype=np.int64)
    if not len(chosen) or chosen.min() < 0 or chosen.max() >= frames:
        raise InputError(
            f"lags {chosen.tolist()} in a series of {frames} frames",
            expected=f"lags from 0 to {frames - 1} frames",
            action="use shorter lags or a longer series",
        )
    kinds, at_once = np.unique(masses, return_inverse=True)[1], max(_AT_ONCE // (n * d), 1)
    rows = [_at_lag(vectors, int(lag), product, kinds, at_once) for lag in chosen]
    value, error, count = (np.array(column) for column in zip(*rows, strict=True))
    return Curve(
        x=chosen * frame_interval, value=value, standard_error=error, count=count, x_unit="time", value_unit=value_unit
    )


def _at_lag(
    vectors: np.ndarray, lag: int, product: Product, kinds: np.ndarray, at_once: int
) -> tuple[float, float, int]:
    """Return mean, error and number of products of one lag; the sums are over particles and over blocks of time.

    That particles of several kinds differ is no error of the mean: how many there are of each is known.
    """
    frames, n, _ = vectors.shape
    origins = np.arange(0, frames - lag, -(-(frames - lag) // _MOST_ORIGINS))
    by_time, by_particle = np.empty(len(origins)), np.zeros(n)
    for first in range(0, len(origins), at_once):
        some = origins[first : first + at_once]
        values = product(vectors[some], vectors[some + lag])
        by_time[first : first + at_once] = values.sum(axis=1)
        by_particle += values.sum(axis=0)
    block = time_blocks(origins, max(lag, 1))
    mean, between_times = mean_of_sums(np.bincount(block, weights=by_time)[:, None], n * np.bincount(block))
    of_kind = np.bincount(kinds, weights=by_particle) / np.bincount(kinds)
    alike = by_particle - of_kind[kinds] + by_particle.mean()
    _, between_particles = mean_of_sums(alike[:, None], np.full(n, len(origins)))
    return float(mean[0]), float(np.fmax(between_times, between_particles)[0]), len(origins) * n
