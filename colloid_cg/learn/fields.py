"""External fields of one block of the movie: what is known of them, and their strengths to be fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from colloid_cg.dynamics import External, GridFlow, SplineFlow, flow_basis
from colloid_cg.errors import DataError
from colloid_cg.learn.series import frame_of_rows
from colloid_cg.records import StateSeries

FEWEST_ROWS = 20
"""A track must be that long for its mean to stand for the centre of its well."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Strengths:
    """Fitted numbers: ``stiffness`` k_B T0/um2, ``quartic`` k_B T0/um4, ``flow`` (m, m, 2) um/s (m = 0: no flow)."""

    stiffness: float = 0.0
    quartic: float = 0.0
    flow: np.ndarray | None = None

    def vector(self, columns: int) -> np.ndarray:
        """Return (k, q)[:columns], then the flow: all of u_x, then all of u_y."""
        flow = np.zeros(0) if self.flow is None else self.flow.reshape(-1, 2).T.ravel()
        return np.concatenate([np.array([self.stiffness, self.quartic])[:columns], flow])

    def moved(self, change: np.ndarray, columns: int) -> Self:
        """Return the strengths after ``change``, in the order of :meth:`vector`."""
        k, q = (float(change[a]) if a < columns else 0.0 for a in (0, 1))
        flow = self.flow
        if flow is not None:
            flow = flow + change[columns:].reshape(2, -1).T.reshape(flow.shape)
        return replace(self, stiffness=self.stiffness + k, quartic=self.quartic + q, flow=flow)

    def scaled(self, ratio: float) -> Self:
        """Return the strengths of the wells times ``ratio``; the flow is no force."""
        return replace(self, stiffness=self.stiffness * ratio, quartic=self.quartic * ratio)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fields:
    """What is known of the fields at every row of a block.

    Parameters
    ----------
    velocity, gradient : arrays, shapes (n, d), (n, d, d)
        Of the given flow (um/s, 1/s), or of prescribed rows themselves.
    trap : int array, shape (n,)
        Number of the row's well, -1 for none.
    centre : array, shape (n, d)
        Centre of the row's well, um; the position itself where there is none.
    halves : array, shape (n, d), or None
        Centres estimated from the half of the track a row is in; None where the centres are known.
    columns : int
        Strengths of a well: 0, 1 (k) or 2 (k, q).
    mobile : bool array, shape (n,)
        False for prescribed rows.
    noisy : bool array, shape (n,)
        False for rows whose position is known exactly.
    """

    velocity: np.ndarray
    gradient: np.ndarray
    trap: np.ndarray
    centre: np.ndarray
    halves: np.ndarray | None
    columns: int
    mobile: np.ndarray
    noisy: np.ndarray

    def external(self, series: StateSeries, strengths: Strengths, *, per_trap: np.ndarray | None = None) -> External:
        """Return the fields at every row; ``per_trap`` gives each well a stiffness of its own (k_B T0/um2)."""
        trapped = self.trap >= 0
        stiffness = np.where(trapped, strengths.stiffness if per_trap is None else per_trap[self.trap], 0.0)
        velocity, gradient = self.velocity, self.gradient
        if strengths.flow is not None:
            flow = SplineFlow(lower=_lower(series), upper=_upper(series), coefficients=strengths.flow)
            u, slope = flow.at(series.positions, frame_of_rows(series))
            velocity = velocity + np.where(self.mobile[:, None], u, 0.0)
            gradient = gradient + np.where(self.mobile[:, None, None], slope, 0.0)
        return External(
            origin=series.positions,
            velocity=velocity,
            gradient=gradient,
            centre=self.centre,
            stiffness=stiffness,
            quartic=np.where(trapped, strengths.quartic, 0.0),
            columns=self.columns,
        )


def _lower(series: StateSeries) -> np.ndarray:
    return np.asarray(series.box.lower, dtype=float)


def _upper(series: StateSeries) -> np.ndarray:
    return np.asarray(series.box.upper, dtype=float)


def basis_of(series: StateSeries, strengths: Strengths) -> csr_array | None:
    """Return the basis of the fitted flow at every row, shape (n, m^2), or None."""
    if strengths.flow is None:
        return None
    return csr_array(flow_basis(series.positions, _lower(series), _upper(series), len(strengths.flow)))


def movie_frames(series: StateSeries, frame_interval: float) -> np.ndarray:
    """Return the number in the movie of the frame of every row; ``frame_interval`` is the movie's, s."""
    return np.asarray(np.round(series.times / frame_interval).astype(np.int64)[frame_of_rows(series)])


def fields_of(
    series: StateSeries,
    *,
    traps: pd.DataFrame | str | None,
    pixel_size: float,
    quartic: bool,
    flow: GridFlow | None,
    frame_interval: float,
    n_species: int,
    exact: bool,
) -> Fields:
    """Return the fields of a block whose prescribed rows (species from ``n_species`` on) are already in it.

    ``frame_interval`` is that of the movie: the flow is averaged over the frames that one step of the block spans.
    ``exact`` tells whether prescribed positions are free of localisation noise.
    """
    n, d = series.positions.shape
    mobile = series.species < n_species
    velocity, gradient = np.zeros((n, d)), np.zeros((n, d, d))
    if flow is not None:
        frames, span = movie_frames(series, frame_interval), max(1, round(series.frame_interval / frame_interval))
        for ahead in range(span):
            u, slope = flow.at(series.positions, frames + ahead)
            velocity += u / span
            gradient += slope / span
        velocity[~mobile], gradient[~mobile] = 0.0, 0.0
    velocity += np.where(mobile[:, None], 0.0, own_velocity(series))
    trap, centre, halves = np.full(n, -1), series.positions.copy(), None
    block = tuple(round(series.times[end] / frame_interval) for end in (0, -1))
    if isinstance(traps, str):
        trap, centre, halves = wells_of_tracks(series, mobile, block)
    elif traps is not None:
        trap, centre = wells_of_table(series, traps, mobile, pixel_size, block)
    columns = 0 if traps is None else 2 if quartic else 1
    return Fields(
        velocity=velocity, gradient=gradient, trap=trap, centre=centre, halves=halves, columns=columns, mobile=mobile,
        noisy=mobile | (not exact),
    )  # fmt: skip


def own_velocity(series: StateSeries) -> np.ndarray:
    """Return (x_{t+1} - x_t)/dt of every row, shape (n, d); that of the frame before where the next is missing."""
    linked = series.following >= 0
    velocity = np.zeros_like(series.positions)
    velocity[linked] = (series.positions[series.following[linked]] - series.positions[linked]) / series.frame_interval
    last = ~linked & (series.previous >= 0)
    velocity[last] = velocity[series.previous[last]]
    return velocity


def wells_of_tracks(
    series: StateSeries, mobile: np.ndarray, frames: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one well per track, numbered from 0: number, mean of the track, mean of the row's half of the track.

    Tracks with fewer than :data:`FEWEST_ROWS` rows have no well; ``frames``: first and last frame in the movie.
    """
    order = np.lexsort((frame_of_rows(series), series.particle))
    order = order[mobile[order]]
    _, start, number, count = np.unique(
        series.particle[order], return_index=True, return_inverse=True, return_counts=True
    )
    late = (np.arange(len(order)) - start[number] >= count[number] // 2).astype(int)
    long = count >= FEWEST_ROWS
    if not long.any():
        raise DataError(
            f"tracks of at most {int(count.max(initial=0))} used frames for wells of their own (frames {frames[0]} to "
            f"{frames[1]} of the movie, one block)",
            expected=f"tracks of {FEWEST_ROWS} frames or more in every block",
            action="record or link longer tracks, give the centres in a table (fit.traps), or a smaller fit.stride",
        )
    trap, centre = np.full(len(series.positions), -1), series.positions.copy()
    halves = series.positions.copy()
    kept = long[number]
    trap[order[kept]] = (np.cumsum(long) - 1)[number[kept]]
    centre[order[kept]] = _means(series.positions[order], number)[number[kept]]
    halves[order[kept]] = _means(series.positions[order], 2 * number + late)[(2 * number + late)[kept]]
    return trap, centre, halves


def _means(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    count = np.maximum(np.bincount(number), 1)
    return np.stack([np.bincount(number, weights=column) / count for column in values.T], axis=1)


def wells_of_table(
    series: StateSeries, table: pd.DataFrame, mobile: np.ndarray, pixel_size: float, frames: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return number and centre of every row's well: that of its particle, or the one nearest to its track's mean.

    ``frames``: first and last frame in the movie.
    """
    centres = table[["x", "y"]].to_numpy(dtype=float) * pixel_size
    particles, number = np.unique(series.particle, return_inverse=True)
    if "particle" in table.columns:
        known = {int(particle): row for row, particle in enumerate(table["particle"])}
        well = np.array([known.get(int(particle), -1) for particle in particles])
    else:
        means = _means(series.positions, number)
        well = ((means[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    trap = np.where(mobile, well[number], -1)
    if not (trap >= 0).any():
        raise DataError(
            f"no tracked particle in any of the wells of fit.traps (frames {frames[0]} to {frames[1]} of the movie)",
            expected="wells of particles that were tracked in every block",
            action="check the particle numbers of the table, or leave that column out",
        )
    _in_view(series, centres[np.unique(trap[trap >= 0])], pixel_size)
    return trap, np.where((trap >= 0)[:, None], centres[trap], series.positions)


def _in_view(series: StateSeries, centres: np.ndarray, pixel_size: float) -> None:
    """Refuse centres (um) of tracked particles that lie beyond the view by more than a tenth of it."""
    lower, upper = _lower(series), _upper(series)
    margin = 0.1 * float((upper - lower).min())
    outside = ((centres < lower - margin) | (centres > upper + margin)).any(axis=1)
    if outside.any():
        x, y = centres[outside][0] / pixel_size
        low, high = lower / pixel_size, upper / pixel_size
        raise DataError(
            f"{outside.sum()} of {len(centres)} wells outside the view, one at ({x:.4g}, {y:.4g}) px",
            expected=f"centres at x from {low[0]:.4g} to {high[0]:.4g}, y from {low[1]:.4g} to {high[1]:.4g} px",
            action="check unit and order of the columns of fit.traps",
        )
