"""p_hop: how far a particle moves between two well defined mean positions."""

from __future__ import annotations

import numpy as np
from numba import njit

from colloid_cg.errors import InputError


def p_hop(positions: np.ndarray, *, half_window: int) -> np.ndarray:
    """Return p_hop of complete trajectories.

    p_hop(t) = sqrt( <|r - <r>_B|^2>_A <|r - <r>_A|^2>_B ) with A the ``half_window`` frames before t and B the
    ``half_window`` frames from t on (t belongs to B only, so A and B share no localisation error). Introduced by
    Candelier et al., Phys. Rev. Lett. 102, 088001 (2009), doi:10.1103/PhysRevLett.102.088001; form of Smessaert
    and Rottler, Phys. Rev. E 88, 022314 (2013), doi:10.1103/PhysRevE.88.022314. A squared length: a jump by a
    between two sharp cages gives a^2.

    Parameters
    ----------
    positions : array, shape (T, n, d)
        One row per frame; NaN where not detected; unwrapped along periodic axes.
    half_window : int
        In frames, at least 1.

    Returns
    -------
    array, shape (T, n)
        NaN unless all 2 half_window detections around t exist.
    """
    positions = np.asarray(positions, dtype=float)
    n_frames, n_particles, dimension = positions.shape
    rows = np.ascontiguousarray(positions.transpose(1, 0, 2)).reshape(-1, dimension)
    time = np.tile(np.arange(n_frames), n_particles)
    track = np.repeat(np.arange(n_particles), n_frames)
    value = _kernel(rows, time, track, _checked(half_window))
    return np.asarray(value.reshape(n_particles, n_frames).T)


def p_hop_of_rows(positions: np.ndarray, frame: np.ndarray, particle: np.ndarray, *, half_window: int) -> np.ndarray:
    """Return p_hop of every detection of a table, shape (n,), in the order of the table.

    NaN unless the particle was detected in each of the frames t - half_window ... t + half_window - 1.

    Parameters
    ----------
    positions : array, shape (n, d)
    frame, particle : int arrays, shape (n,)
        In any order.
    half_window : int
        In frames, at least 1.
    """
    half_window = _checked(half_window)
    order = np.lexsort((frame, particle))
    value = np.empty(len(order))
    value[order] = _kernel(
        np.ascontiguousarray(np.asarray(positions, dtype=float)[order]),
        np.asarray(frame)[order],
        np.asarray(particle)[order],
        half_window,
    )
    return value


def p_hop_noise_floor(sigma: float, half_window: int, *, dimension: int = 2) -> float:
    """Return the level of p_hop that localisation noise alone produces on a particle at rest.

    <|r - <r>_B|^2>_A has the expectation d sigma^2 (1 + 1/h): d sigma^2 of the single positions of A plus
    d sigma^2 / h of the mean over B, independent as A and B share no frame. Both factors have it, so the square
    root of their product is 2 sigma^2 (1 + 1/h) in 2-D, up to their fluctuations (its mean lies a little below).
    """
    return float(dimension * sigma**2 * (1.0 + 1.0 / half_window))


def _checked(half_window: int) -> int:
    if half_window < 1:
        raise InputError(
            f"a half window of {half_window} frames", expected="at least 1 frame", action="give a positive half window"
        )
    return half_window


@njit(cache=True)  # type: ignore[untyped-decorator]
def _kernel(positions: np.ndarray, frame: np.ndarray, particle: np.ndarray, half: int) -> np.ndarray:
    """Rows sorted by particle and frame: a window is complete when its ends are 2 h - 1 rows and frames apart."""
    n, d = positions.shape
    value = np.full(n, np.nan)
    for row in range(half, n - half + 1):
        first, last = row - half, row + half - 1
        if particle[first] != particle[last] or frame[last] - frame[first] != 2 * half - 1:
            continue
        spread_before, spread_after, jump = 0.0, 0.0, 0.0
        for axis in range(d):
            # Relative to the first position, so that large coordinates do not cost digits.
            origin = positions[first, axis]
            mean_before, mean_after, square_before, square_after = 0.0, 0.0, 0.0, 0.0
            for k in range(half):
                earlier, later = positions[first + k, axis] - origin, positions[row + k, axis] - origin
                mean_before += earlier / half
                mean_after += later / half
                square_before += earlier * earlier / half
                square_after += later * later / half
            spread_before += square_before - mean_before * mean_before
            spread_after += square_after - mean_after * mean_after
            jump += (mean_after - mean_before) ** 2
        value[row] = np.sqrt(max(spread_before + jump, 0.0) * max(spread_after + jump, 0.0))
    return value
