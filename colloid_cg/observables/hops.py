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
    half_window = _checked(half_window)
    places = _as_complex(positions)
    n_frames, n_particles, n_pairs = places.shape
    value = np.empty((n_frames, n_particles))
    # As many particles at a time as the cache holds.
    width = max(_BLOCK // max(n_frames, 1), 8)
    for left in range(0, n_particles, width):
        block = np.ascontiguousarray(places[:, left : left + width].transpose(1, 0, 2))
        begins = np.zeros(block.shape[:2], dtype=np.bool_)
        begins[:, :1] = True
        found = _over_rows(block.reshape(-1, n_pairs), begins.ravel(), half_window)
        value[:, left : left + width] = found.reshape(begins.shape).T
    return value


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
    frame, particle = np.asarray(frame), np.asarray(particle)
    order = _by_particle(frame, particle)
    rows, begins = _sorted_rows(_as_complex(positions), frame, particle, order)
    value = np.empty(len(order))
    value[order] = _over_rows(rows, begins, _checked(half_window))
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


def _by_particle(frame: np.ndarray, particle: np.ndarray) -> np.ndarray:
    """Return the order by particle, then frame; in linear time for tables that come frame by frame."""
    n = len(frame)
    if n and (frame[1:] >= frame[:-1]).all() and particle.min() >= 0 and particle.max() < 4 * n:
        return np.asarray(_counting_order(particle.astype(np.int64)))
    return np.lexsort((frame, particle))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _counting_order(key: np.ndarray) -> np.ndarray:
    """Return the stable order of small non-negative integers (counting sort)."""
    place = np.zeros(key.max() + 2, dtype=np.int64)
    for value in key:
        place[value + 1] += 1
    for value in range(len(place) - 1):
        place[value + 1] += place[value]
    order = np.empty(len(key), dtype=np.int64)
    for row in range(len(key)):
        order[place[key[row]]] = row
        place[key[row]] += 1
    return order


def _as_complex(positions: np.ndarray) -> np.ndarray:
    """Return two axes at a time as x + iy, shape (..., ceil(d / 2)): half the passes over the memory."""
    positions = np.asarray(positions, dtype=float)
    if positions.shape[-1] % 2:
        positions = np.concatenate([positions, np.zeros((*positions.shape[:-1], 1))], axis=-1)
    return np.ascontiguousarray(positions).view(np.complex128)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sorted_rows(
    places: np.ndarray, frame: np.ndarray, particle: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in order and which of them do not continue the track of the row before."""
    rows, begins = np.empty(places.shape, dtype=np.complex128), np.ones(len(order), dtype=np.bool_)
    before = 0
    for place in range(len(order)):
        row = order[place]
        for pair in range(places.shape[1]):
            rows[place, pair] = places[row, pair]
        if place:
            begins[place] = particle[row] != particle[before] or frame[row] - frame[before] != 1
        before = row
    return rows, begins


def _over_rows(places: np.ndarray, begins: np.ndarray, half_window: int) -> np.ndarray:
    """Return p_hop of rows sorted by particle and frame; ``begins`` marks rows that do not continue the row before."""
    run = _unbroken(begins, places)
    n = len(run)
    before, after = np.zeros(n), np.zeros(n)
    for pair in places.T:
        _add_axes(np.ascontiguousarray(pair), run, half_window, before, after)
    value = np.full(n, np.nan)
    # Known at the last row of the two windows, filed under the first row of the later one.
    value[: max(n - half_window + 1, 0)] = np.sqrt(before * after)[half_window - 1 :]
    return value


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _unbroken(begins: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return for each row how many rows with known positions end there without a gap in time."""
    run = np.zeros(len(begins), dtype=np.int64)
    length = 0
    for row in range(len(begins)):
        total = 0.0
        for pair in range(places.shape[1]):
            total += places[row, pair].real + places[row, pair].imag
        # An infinite or NaN coordinate leaves its mark on the sum.
        length = 0 if not np.isfinite(total) else 1 if begins[row] else length + 1
        run[row] = length
    return run


_BLOCK = 65_536
"""Detections that are treated together."""
_REFRESH = 64
"""Fewest steps after which running sums are computed anew (never fewer than the half window)."""
_LOST_DIGITS = 1000.0
"""How much larger than the result the squares in the running sums may be: times 64 roundings, 1e-11 of it."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _norm(place: complex) -> float:
    return place.real * place.real + place.imag * place.imag


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _window_sums(place: np.ndarray, start: int, half: int, origin: complex) -> tuple[complex, float, float]:
    """Return sum, sum of squares and largest square of a window relative to an origin."""
    total, squares, largest = 0.0j, 0.0, 0.0
    for k in range(start, start + half):
        relative = place[k] - origin
        total += relative
        squares += _norm(relative)
        largest = max(largest, _norm(relative))
    return total, squares, largest


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_axes(place: np.ndarray, run: np.ndarray, half: int, before: np.ndarray, after: np.ndarray) -> None:
    """Add x + iy to <|r - <r>_B|^2>_A and <|r - <r>_A|^2>_B: the variance of a window plus |<r>_B - <r>_A|^2.

    Sums and sums of squares of both windows move along the track in O(1) per frame, relative to a position of the
    track itself. They are computed anew after ``_REFRESH`` steps, so that roundings cannot pile up along a long
    track, and wherever the track has gone so far from the origin that the squares would cost digits.
    """
    origin, sum_a, sum_b, square_a, square_b, largest = 0.0j, 0.0j, 0.0j, 0.0, 0.0, 0.0
    share, limit, age = 1.0 / half, max(_REFRESH, half), 0
    for last in range(len(place)):
        if run[last] < 2 * half:
            before[last] = np.nan
            continue
        fresh = run[last] == 2 * half or age >= limit
        factor_a, factor_b = 0.0, 0.0
        if not fresh:
            new, mid, old = place[last] - origin, place[last - half] - origin, place[last - 2 * half] - origin
            sum_a += mid - old
            sum_b += new - mid
            square_a += _norm(mid) - _norm(old)
            square_b += _norm(new) - _norm(mid)
            largest = max(largest, _norm(new))
            age += 1
            jump = _norm(sum_b - sum_a)
            factor_a = (square_a + (jump - _norm(sum_a)) * share) * share
            factor_b = (square_b + (jump - _norm(sum_b)) * share) * share
            fresh = largest > _LOST_DIGITS * factor_a or largest > _LOST_DIGITS * factor_b
        if fresh:
            first = last - 2 * half + 1
            origin, age = place[first], 0
            sum_a, square_a, largest = _window_sums(place, first, half, origin)
            sum_b, square_b, far = _window_sums(place, first + half, half, origin)
            largest = max(largest, far)
            jump = _norm(sum_b - sum_a)
            factor_a = (square_a + (jump - _norm(sum_a)) * share) * share
            factor_b = (square_b + (jump - _norm(sum_b)) * share) * share
        before[last] += max(factor_a, 0.0)
        after[last] += max(factor_b, 0.0)
