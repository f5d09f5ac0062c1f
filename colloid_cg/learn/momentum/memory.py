"""Memory of the random forces: the windows that avoid it, and friction as a function of the window.

Which windows. Impulses over n1 and n2 frames see the whole friction only if the random force has forgotten itself
within n1; and the shorter the better, because forces that the pair model does not hold (density fluctuations, slow
internal shapes) keep adding to the covariance of long impulses, and a model without memory would then brake twice:
by the friction and by the collective motion that it simulates anyway. So n1 is the first lag at which the residual
force has lost all but e^-2 of its autocorrelation, and n2 = 2 n1. The autocorrelation is taken from the selection
block, with the force learned on the training block; no rollout and no test block is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from colloid_cg.errors import DataError
from colloid_cg.learn.momentum.friction import PairData
from colloid_cg.learn.momentum.sums import total_products

FORGOTTEN = float(np.exp(-2.0))
"""Autocorrelation of the residual force below which it counts as forgotten."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FrictionScan:
    """Friction per mass from random impulses over single windows: what a fit at one lag would give.

    Parameters
    ----------
    windows : int array, shape (k,)
        Frames.
    values, errors : arrays, shape (k,)
        gamma(lag) in 1/time, and standard errors from blocks of time. Friction Gamma_ii / m_i of a particle with all
        others within the cutoff, mean over axes and particles.
    plateau, memory_time : float
        gamma and tau0 of gamma(tau) = gamma [1 - tau0/tau (1 - exp(-tau/tau0))], a random force with exponential
        memory, fitted to the windows up to n2.
    plateau_error, memory_error : float
        Standard errors, from leaving out blocks of time in turn.
    """

    windows: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    plateau: float
    memory_time: float
    plateau_error: float
    memory_error: float


def residual_autocorrelation(rest: np.ndarray, n_lags: int) -> np.ndarray:
    """Return the normalised autocorrelation of the increments of ``rest`` (T, N, d) at lags 0 to ``n_lags`` - 1."""
    force = np.diff(rest, axis=0)
    n = len(force)
    products = [float(np.vdot(force[: n - lag], force[lag:])) / (n - lag) for lag in range(min(n_lags, n))]
    return np.asarray(products) / products[0]


def memory_windows(rest: np.ndarray) -> tuple[int, int]:
    """Return (n1, 2 n1) with n1 the first lag at which the residual force is forgotten.

    Parameters
    ----------
    rest : array, shape (T, N, d)
        Momentum less the impulse of the pair forces.

    Raises
    ------
    DataError
        If the residual force still remembers itself after an eighth of the block.
    """
    longest = max(len(rest) // 8, 2)
    correlation = residual_autocorrelation(rest, longest)
    forgotten = np.flatnonzero(correlation < FORGOTTEN)
    if len(forgotten) == 0:
        raise DataError(
            f"residual forces with an autocorrelation of {correlation[-1]:.2f} after {longest - 1} frames",
            expected=f"less than {FORGOTTEN:.2f} within an eighth of the block",
            action="use more frames: friction without memory must be read over longer times; or set momentum.windows",
        )
    first = int(forgotten[0])
    return first, 2 * first


def friction_scan(data: PairData, momentum: np.ndarray, longest: int) -> FrictionScan:
    """Return gamma(lag) for windows 1, 2, 4, .. frames; the law is fitted up to ``longest`` frames.

    ``momentum``: of :func:`~colloid_cg.learn.momentum.friction.random_momentum` with the final friction.
    """
    series = data.series
    most = max(series.n_frames // 8, longest)
    windows = 2 ** np.arange(int(np.log2(most)) + 1)
    per_block = np.array([_blocks_of_window(data, momentum, int(window)) for window in windows])
    sums, counts = per_block[:, 0], per_block[:, 1]
    values, n_blocks = sums.sum(axis=1) / counts.sum(axis=1), sums.shape[1]
    without = (sums.sum(axis=1)[:, None] - sums) / (counts.sum(axis=1)[:, None] - counts)
    errors = _jackknife_error(without)
    fitted = windows <= longest
    times = windows[fitted] * series.frame_interval
    law = fit_memory_law(times, values[fitted], errors[fitted])
    spread = _jackknife_error(
        np.array([fit_memory_law(times, without[fitted, b], errors[fitted]) for b in range(n_blocks)]).T
    )
    # At its bound of zero the fit does not move; a memory much shorter than a frame takes the share tau0/tau of it.
    unseen = float(times[0] * errors[0] / law[0]) if law[0] > 0.0 else 0.0
    return FrictionScan(
        windows=windows, values=values, errors=errors, plateau=law[0], memory_time=law[1],
        plateau_error=float(spread[0]), memory_error=max(float(spread[1]), unseen),
    )  # fmt: skip


def friction_over(data: PairData, momentum: np.ndarray, window: int) -> float:
    """Return the friction per mass from random impulses over ``window`` frames."""
    sums, counts = _blocks_of_window(data, momentum, window)
    return float(sums.sum() / counts.sum())


def _blocks_of_window(data: PairData, momentum: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the summed friction per mass over one window and the number of frames, by block of time."""
    series, contacts = data.series, data.contacts
    totals, frames = total_products(
        momentum, series.positions, contacts.pairs, contacts.offsets, series.masses, contacts.periods,
        data.knots.cutoff, window, data.block,
    )  # fmt: skip
    scale = 2.0 * data.thermal_energy * window * series.frame_interval * series.dimension * series.n_particles
    return totals / scale, frames


def _jackknife_error(without: np.ndarray) -> np.ndarray:
    """Return standard errors from estimates with one block left out, along the last axis."""
    n = without.shape[-1]
    return np.asarray(np.sqrt((n - 1) * without.var(axis=-1)))


def memory_law(times: np.ndarray, plateau: float, memory_time: float) -> np.ndarray:
    """Return plateau [1 - tau0/tau (1 - exp(-tau/tau0))], the friction seen over a window tau."""
    if memory_time <= 0.0:
        return np.full(np.shape(times), plateau)
    ratio = np.asarray(times) / memory_time
    return np.asarray(plateau * (1.0 + np.expm1(-ratio) / ratio))


def fit_memory_law(times: np.ndarray, values: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Return plateau and memory time >= 0 by weighted least squares."""
    weights = 1.0 / np.maximum(errors, 1e-6 * np.abs(values).max() + 1e-300)
    found = least_squares(
        lambda law: weights * (memory_law(times, law[0], law[1]) - values),
        (max(float(values[-1]), 1e-12), float(times[0])),
        bounds=([0.0, 0.0], [np.inf, np.inf]),
        x_scale=(max(float(abs(values[-1])), 1e-12), float(times[0])),
    )
    return float(found.x[0]), float(found.x[1])
