"""Displacements over a lag: mean square, distribution, non-Gaussianity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from colloid_cg.errors import DataError, InputError
from colloid_cg.observables.blocks import grouped_mean, mean_of_sums, time_blocks
from colloid_cg.observables.curve import Curve
from colloid_cg.records import Trajectories


def pairs_at_lag(frame: np.ndarray, particle: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of all pairs of detections of one particle exactly ``lag`` frames apart.

    A missed detection gives no pair: gaps are neither bridged nor counted as zero.

    Parameters
    ----------
    frame, particle : int arrays, shape (n,)
        In any order.
    lag : int
        In frames, at least 1.

    Returns
    -------
    start, end : int arrays, shape (m,)
        Rows, sorted by frame and then particle of the start.
    """
    if lag < 1:
        raise InputError(f"a lag of {lag} frames", expected="at least 1 frame", action="give a positive lag")
    frame, particle = np.asarray(frame, dtype=np.int64), np.asarray(particle, dtype=np.int64)
    if len(frame) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    _, label = np.unique(particle, return_inverse=True)
    # Tracks lie end to end on one axis, more than a lag apart, so one sorted search finds every partner.
    key = label * (int(np.ptp(frame)) + lag + 1) + frame - frame.min()
    order = np.argsort(key, kind="stable")
    sorted_key = key[order]
    place = np.minimum(np.searchsorted(sorted_key, sorted_key + lag), len(key) - 1)
    found = sorted_key[place] == sorted_key + lag
    start, end = order[found], order[place[found]]
    by_time = np.lexsort((particle[start], frame[start]))
    return start[by_time], end[by_time]


def msd(tracks: Trajectories, lags: Sequence[int] | None = None) -> Curve:
    """Return the mean square displacement summed over axes, in um2 against s.

    The mean runs over all pairs of detections exactly ``lag`` frames apart. Localisation noise and blur are
    contained: for Brownian motion in 2-D the curve is 4 D t + 4 sigma^2 - 8 R D dt, at lags whose
    displacements are small against the view: particles that leave it take the longest displacements with them.

    The standard error is the larger of two: tracks as independent groups, and blocks of time at least two lags
    long as independent groups (so that motion common to all particles counts once); NaN where neither has four
    groups.

    Parameters
    ----------
    tracks : Trajectories
    lags : sequence of int, optional
        In frames; default about 30 from 1 to a quarter of the movie, evenly spaced in the logarithm.
    """
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    frames_apart = _default_lags(tracks.n_frames) if lags is None else np.asarray(lags, dtype=np.int64)
    positions = tracks.positions
    rows = []
    for lag in frames_apart:
        start, end = pairs_at_lag(frame, particle, int(lag))
        square = (tracks.box.displacement(positions[start], positions[end]) ** 2).sum(axis=1)
        mean, error = _mean_over_displacements(square[:, None], frame[start], particle[start], int(lag))
        rows.append((mean[0], error[0], len(start)))
    value, standard_error, count = (np.array(column) for column in zip(*rows, strict=True))
    return Curve(
        x=frames_apart * tracks.frame_interval,
        value=value,
        standard_error=standard_error,
        count=count,
        x_unit="s",
        value_unit="um2",
    )


def van_hove(tracks: Trajectories, lag: int, bins: int | np.ndarray = 61) -> Curve:
    """Return the self part of the van Hove function for one coordinate: the density of displacements, 1/um.

    All axes are pooled. The density is normalised to all displacements, those outside the bins included.

    Parameters
    ----------
    tracks : Trajectories
    lag : int
        In frames.
    bins : int or array
        Edges in um, or a number of bins over +-6 standard deviations.
    """
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    start, end = _some_pairs(frame, particle, lag)
    moved = tracks.box.displacement(tracks.positions[start], tracks.positions[end])
    reach = 6.0 * (float(np.sqrt(np.mean(moved**2))) or 1.0)
    edges = np.linspace(-reach, reach, bins + 1) if isinstance(bins, int) else np.asarray(bins, dtype=float)
    width, n_bins = np.diff(edges), len(edges) - 1
    bin_of = np.searchsorted(edges, moved, side="right") - 1
    inside = (bin_of >= 0) & (bin_of < n_bins)
    errors = []
    for groups in (particle[start], time_blocks(frame[start], lag)):
        _, group = np.unique(groups, return_inverse=True)
        cell = (group[:, None] * n_bins + bin_of)[inside]
        counts = np.bincount(cell, minlength=(group.max() + 1) * n_bins).reshape(-1, n_bins)
        mean, error = mean_of_sums(counts.astype(float), np.bincount(group))
        errors.append(error)
    scale = moved.shape[1] * width
    return Curve(
        x=0.5 * (edges[1:] + edges[:-1]),
        value=mean / scale,
        standard_error=np.fmax(*errors) / scale,
        count=counts.sum(axis=0).astype(np.int64),
        x_unit="um",
        value_unit="1/um",
    )


def non_gaussian_parameter(tracks: Trajectories, lags: Sequence[int] | None = None) -> Curve:
    """Return alpha_2 = d <r^4> / ((d + 2) <r^2>^2) - 1 against s; 0 for Gaussian displacements.

    Rahman, Phys. Rev. 136, A405 (1964), doi:10.1103/PhysRev.136.A405 (there for d = 3). The standard error
    linearises the ratio about its mean.
    """
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    frames_apart = _default_lags(tracks.n_frames) if lags is None else np.asarray(lags, dtype=np.int64)
    factor = tracks.dimension / (tracks.dimension + 2)
    rows = []
    for lag in frames_apart:
        start, end = pairs_at_lag(frame, particle, int(lag))
        square = (tracks.box.displacement(tracks.positions[start], tracks.positions[end]) ** 2).sum(axis=1)
        if not square.any():
            rows.append((np.nan, np.nan, len(start)))
            continue
        second, fourth = square.mean(), (square**2).mean()
        # First-order change of <r^4>/<r^2>^2 with each observation.
        slope = factor * (square**2 / second**2 - 2 * fourth * square / second**3)
        _, error = _mean_over_displacements(slope[:, None], frame[start], particle[start], int(lag))
        rows.append((factor * fourth / second**2 - 1.0, error[0], len(start)))
    value, standard_error, count = (np.array(column) for column in zip(*rows, strict=True))
    return Curve(
        x=frames_apart * tracks.frame_interval,
        value=value,
        standard_error=standard_error,
        count=count,
        x_unit="s",
        value_unit="1",
    )


def _mean_over_displacements(
    values: np.ndarray, start_frame: np.ndarray, particle: np.ndarray, lag: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and error, the larger of the errors between tracks and between blocks of time."""
    if len(values) == 0:
        nothing = np.full(values.shape[1], np.nan)
        return nothing, nothing
    mean, between_tracks = grouped_mean(values, particle)
    _, between_times = grouped_mean(values, time_blocks(start_frame, lag))
    return mean, np.fmax(between_tracks, between_times)


def _some_pairs(frame: np.ndarray, particle: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    start, end = pairs_at_lag(frame, particle, lag)
    if len(start) == 0:
        raise DataError(
            f"no particle seen twice {lag} frames apart",
            expected="tracks longer than the lag",
            action="use a shorter lag or link with a larger search range",
        )
    return start, end


def _default_lags(n_frames: int) -> np.ndarray:
    last = max(1, n_frames // 4)
    return np.unique(np.round(np.geomspace(1, last, 30)).astype(np.int64))
