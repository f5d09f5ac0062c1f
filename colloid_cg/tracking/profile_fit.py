"""Least-squares fit of known radial profiles to the pixels: all particles of a frame, each freed of its neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

TABLE_STEP = 0.05  # px: linear interpolation between is exact to 1e-3 of the height of a rim of 1 px
SECTORS = 16  # of a particle: residuals of different sectors count as independent
SETTLED = 0.3  # of the error that the residuals show: a last step below is none to speak of
SCALE_LIMITS = (0.85, 1.18)
X, Y, AMPLITUDE, LEVEL, SCALE, SLOPE_X, SLOPE_Y = range(7)
"""Columns of the parameters of a particle: centre (px), height of its profile and local background (grey levels),
size relative to its class, slope of the background (grey levels per px)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ProfileTables:
    """Radial profiles on a fine grid, ready for interpolation.

    Parameters
    ----------
    value, slope : arrays, shape (classes, m)
        Profile and its derivative (1/px) at radii 0, TABLE_STEP, 2 TABLE_STEP...; zero from ``reach`` on.
    reach : array, shape (classes,)
        Radius in px from which the profile is zero.
    """

    value: np.ndarray
    slope: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, profiles: list[tuple[np.ndarray, np.ndarray]]) -> ProfileTables:
        """Return the tables of profiles given as (radii, values)."""
        reach = np.array([float(radius[-1]) for radius, _ in profiles])
        grid = np.arange(0.0, reach.max() + 2.0 * TABLE_STEP, TABLE_STEP)
        value, slope = np.zeros((2, len(profiles), len(grid)))
        for index, (radius, values) in enumerate(profiles):
            spline = CubicSpline(radius, values, bc_type=((1, 0.0), (1, 0.0)))
            inside = grid <= reach[index]
            value[index, inside] = spline(grid[inside])
            slope[index, inside] = spline(grid[inside], 1)
        return cls(value=value, slope=slope, reach=reach)

    def blurred(self, width: float) -> ProfileTables:
        """Return the profiles seen through a Gaussian of this width (px), for a first fit that may start off centre."""
        both = np.concatenate([self.value[:, :0:-1], self.value], axis=1)  # a profile is even in the radius
        value = gaussian_filter1d(both, width / TABLE_STEP, axis=1, mode="constant")[:, self.value.shape[1] - 1 :]
        return ProfileTables(value=value, slope=np.gradient(value, TABLE_STEP, axis=1), reach=self.reach)


@dataclass(frozen=True, kw_only=True, eq=False)
class ProfileFit:
    """Fitted particles of one frame.

    Parameters
    ----------
    parameters : array, shape (n, 7)
        See the column numbers of this module.
    variance : array, shape (n, 3)
        Of x, y (px^2) and of the height (grey levels^2): inverse Fisher matrix.
    spread : array, shape (n, 2)
        Of x and y (px^2), from the residuals themselves (sandwich over sectors).
    chi_square : array, shape (n,)
        Weighted squared residual per degree of freedom.
    converged : bool array, shape (n,)
    """

    parameters: np.ndarray
    variance: np.ndarray
    spread: np.ndarray
    chi_square: np.ndarray
    converged: np.ndarray


def fit_profiles(
    picture: np.ndarray,
    weightless: np.ndarray,
    *,
    parameters: np.ndarray,
    classes: np.ndarray,
    tables: ProfileTables,
    noise: tuple[float, float, float],
    sloped: bool,
    blurs: tuple[float, ...] = (1.5, 0.0, 0.0, 0.0),
) -> ProfileFit:
    """Fit all particles of a frame by Fisher scoring, one after the other, in as many sweeps as there are blurs.

    A pixel of a particle is ``level + slope . (r - c) + amplitude * profile(|r - c| / scale)`` plus the light of its
    neighbours as last fitted; its variance is that of its fitted grey level.

    Parameters
    ----------
    picture : float array, shape (height, width)
    weightless : bool array, shape (height, width)
        Pixels that are left out.
    parameters : array, shape (n, 7)
        Start.
    classes : int array, shape (n,)
    noise : (offset, slope, floor)
        Variance of a pixel of grey level g: ``max(offset + slope * g, floor)``.
    sloped : bool
        Whether the background under a particle has a slope.
    blurs : tuple of float
        Widths in px of the Gaussians that the profiles are seen through, sweep by sweep.
    """
    state = np.array(parameters, dtype=np.float64)
    shape = (len(state), 7)
    variance, spread, chi_square, converged = (
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(len(state)),
        np.zeros(len(state), np.bool_),
    )
    free = 7 if sloped else 5
    for sweep, blur in enumerate(blurs):
        used = tables.blurred(blur) if blur > 0.0 else tables
        light = render(state, classes, used, picture.shape)
        last = sweep == len(blurs) - 1
        _sweep(
            picture, weightless, light, state, classes, used.value, used.slope, tables.reach, noise,
            free, 10 if sweep == 0 else 6, sweep == 0, last, variance, spread, chi_square, converged,
        )  # fmt: skip
    return ProfileFit(
        parameters=state, variance=variance[:, :3], spread=spread[:, :2], chi_square=chi_square, converged=converged
    )


def render(parameters: np.ndarray, classes: np.ndarray, tables: ProfileTables, shape: tuple[int, ...]) -> np.ndarray:
    """Return the light of all particles together above their backgrounds, shape (height, width)."""
    light = np.zeros(shape)
    for index in range(len(parameters)):
        _add(light, parameters[index], tables.value[classes[index]], tables.reach[classes[index]], 1.0)
    return light


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def interpolated(table: np.ndarray, radius: float) -> float:
    """Value of a table at a radius in px; zero beyond its end."""
    place = radius / TABLE_STEP
    index = int(place)
    if index + 1 >= len(table):
        return 0.0
    part = place - index
    return (1.0 - part) * table[index] + part * table[index + 1]  # type: ignore[no-any-return]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def window(x: float, y: float, reach: float, height: int, width: int) -> tuple[int, int, int, int]:
    """First and past-the-last row and column of the pixels within reach that are in the frame."""
    top, bottom = max(0, math.ceil(y - reach)), min(height, math.floor(y + reach) + 1)
    left, right = max(0, math.ceil(x - reach)), min(width, math.floor(x + reach) + 1)
    return top, max(top, bottom), left, max(left, right)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add(light: np.ndarray, q: np.ndarray, value: np.ndarray, reach: float, sign: float) -> None:
    top, bottom, left, right = window(q[X], q[Y], reach * q[SCALE], light.shape[0], light.shape[1])
    for row in range(top, bottom):
        for column in range(left, right):
            radius = math.hypot(column - q[X], row - q[Y]) / q[SCALE]
            light[row, column] += sign * q[AMPLITUDE] * interpolated(value, radius)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def solved(matrix: np.ndarray, right: np.ndarray, n: int) -> bool:
    """Solve the first n equations of a symmetric positive system in place by Cholesky; False if it is singular."""
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not total > 1e-12 * abs(matrix[i, i]):
                    return False
                matrix[i, i] = math.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    for column in range(right.shape[1]):
        for i in range(n):
            for k in range(i):
                right[i, column] -= matrix[i, k] * right[k, column]
            right[i, column] /= matrix[i, i]
        for i in range(n - 1, -1, -1):
            for k in range(i + 1, n):
                right[i, column] -= matrix[k, i] * right[k, column]
            right[i, column] /= matrix[i, i]
    return True


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _normal(
    data: np.ndarray,
    others: np.ndarray,
    left_out: np.ndarray,
    top: int,
    left: int,
    q: np.ndarray,
    value: np.ndarray,
    slope: np.ndarray,
    reach: float,
    noise: tuple[float, float, float],
    free: int,
    by_sector: bool,
    fisher: np.ndarray,
    score: np.ndarray,
    sectors: np.ndarray,
) -> tuple[float, int]:
    """Fisher matrix, score and their parts by sector at the parameters q; returns chi-square and number of pixels."""
    fisher[:] = 0.0
    score[:] = 0.0
    sectors[:] = 0.0
    jacobian = np.empty(7)
    chi_square, count = 0.0, 0
    for i in range(data.shape[0]):
        for j in range(data.shape[1]):
            if left_out[i, j]:
                continue
            dx, dy = left + j - q[X], top + i - q[Y]
            distance = math.sqrt(dx * dx + dy * dy)
            radius = distance / q[SCALE]
            if radius >= reach:
                continue
            place = radius / TABLE_STEP
            entry = int(place)
            rest = place - entry
            height = (1.0 - rest) * value[entry] + rest * value[entry + 1]
            along = q[AMPLITUDE] / q[SCALE] * ((1.0 - rest) * slope[entry] + rest * slope[entry + 1])
            inverse = 1.0 / max(distance, 1e-9)
            fit = q[LEVEL] + q[SLOPE_X] * dx + q[SLOPE_Y] * dy + q[AMPLITUDE] * height
            weight = 1.0 / max(noise[0] + noise[1] * (fit + others[i, j]), noise[2])
            residual = data[i, j] - fit
            jacobian[X], jacobian[Y] = -along * dx * inverse, -along * dy * inverse
            jacobian[AMPLITUDE], jacobian[LEVEL] = height, 1.0
            jacobian[SCALE] = -along * radius
            jacobian[SLOPE_X], jacobian[SLOPE_Y] = dx, dy
            sector = int((math.atan2(dy, dx) + math.pi) * (SECTORS / (2.0 * math.pi))) % SECTORS if by_sector else 0
            weighted = weight * residual
            chi_square += weighted * residual
            count += 1
            for a in range(free):
                part = jacobian[a] * weighted
                score[a, 0] += part
                sectors[a, sector] += part
                for b in range(a + 1):
                    fisher[a, b] += jacobian[a] * jacobian[b] * weight
    for a in range(free):
        for b in range(a + 1, free):
            fisher[a, b] = fisher[b, a]
    return chi_square, count


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sweep(
    picture: np.ndarray,
    weightless: np.ndarray,
    light: np.ndarray,
    state: np.ndarray,
    classes: np.ndarray,
    values: np.ndarray,
    slopes: np.ndarray,
    reaches: np.ndarray,
    noise: tuple[float, float, float],
    free: int,
    rounds: int,
    first: bool,
    last: bool,
    variance: np.ndarray,
    spread: np.ndarray,
    chi_squares: np.ndarray,
    converged: np.ndarray,
) -> None:
    fisher, score, sectors = np.empty((7, 7)), np.empty((7, 1)), np.empty((7, SECTORS))
    for index in range(len(state)):
        q = state[index]
        value, slope, reach = values[classes[index]], slopes[classes[index]], reaches[classes[index]]
        start = q.copy()
        _add(light, q, value, reach, -1.0)
        top, bottom, left, right = window(q[X], q[Y], reach * q[SCALE] * 1.02 + 1.0, picture.shape[0], picture.shape[1])
        others = light[top:bottom, left:right]
        data = picture[top:bottom, left:right] - others
        left_out = weightless[top:bottom, left:right]
        good, step = False, 0.0
        best, least = q.copy(), np.inf
        for turn in range(rounds):
            # Height and background first: they are linear, and a wrong height spoils the step of the position.
            only_linear = first and turn == 0
            chi_square, count = _normal(
                data, others, left_out, top, left, q, value, slope, reach, noise, free, False, fisher, score, sectors
            )
            if chi_square > least:  # too long a step, where the residuals are large: half of it
                step *= 0.5
                q[:] = 0.5 * (q + best)
                continue
            best[:], least = q, chi_square
            precise = 0.03 * math.sqrt(chi_square / max(count - free, 1) / max(fisher[X, X], 1e-30))
            if only_linear:
                for a in range(free):
                    if a != AMPLITUDE and a != LEVEL:
                        fisher[a, :] = 0.0
                        fisher[:, a] = 0.0
                        fisher[a, a] = 1.0
                        score[a, 0] = 0.0
            if not solved(fisher, score, free):
                break
            step = max(abs(score[X, 0]), abs(score[Y, 0]), abs(score[SCALE, 0]) * reach)
            part = 1.0 if step < 1.0 else 1.0 / step
            for a in range(free):
                q[a] += (1.0 if a in (AMPLITUDE, LEVEL) else part) * score[a, 0]
            q[SCALE] = min(max(q[SCALE], SCALE_LIMITS[0]), SCALE_LIMITS[1])
            if not only_linear and step < max(2e-3, precise):
                good = True
                break
        if math.hypot(q[X] - start[X], q[Y] - start[Y]) > max(2.0, 0.4 * reach) or not np.isfinite(q).all():
            q[:] = start
            good = False
        if last:
            chi_square, count = _normal(
                data, others, left_out, top, left, q, value, slope, reach, noise, free, True, fisher, score, sectors
            )
            inverse = np.eye(7)
            regular = solved(fisher, inverse, free) and count > free
            chi_squares[index] = chi_square / max(count - free, 1)
            for a in range(free):
                variance[index, a] = inverse[a, a]
                for sector in range(SECTORS):
                    shift = 0.0
                    for b in range(free):
                        shift += inverse[a, b] * sectors[b, sector]
                    spread[index, a] += shift * shift * SECTORS / (SECTORS - 2.5)
            converged[index] = regular and (good or step < SETTLED * math.sqrt(min(spread[index, X], spread[index, Y])))
        _add(light, q, value, reach, 1.0)
