"""Memory of the random forces as hidden vectors of pairs: how long it lasts, and how strong it is at each distance.

With memory, friction is -int K(t - s) w(s) ds and the random force of a pair has the covariance k_B T K
(fluctuation-dissipation), K(t) = sum_k g_k(r) kappa_k(t), for friction along and across alike. The random impulse

    R_i(n) = m [v_i(t + n) - v_i(t)] - int F_i dt + int dt int K(t - s) w(s) ds

is then the noise alone, and over windows of n frames

    -<(e.R_i)(e.R_j)>_r = 2 k_B T sum_k g_par,k(r) H_k(n dt),   H_k(tau) = int_0^tau (tau - t) kappa_k(t) dt,

likewise across: linear in g_k, non-negative least squares over several windows. The rates of kappa_k are those that
make the friction of all pairs together agree with the windows of the training block; of the kinds of kappa that are
tried, the simplest is taken that errs on the selection block by hardly more than the best. The memory enters R, so
rates and frictions are iterated together. Distances are taken at the earlier of the two times, which is exact as long
as pairs hardly move within the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from colloid_cg.dynamics.metriplectic.memory import MemoryKernel
from colloid_cg.errors import DataError
from colloid_cg.learn.forces import roughness
from colloid_cg.learn.momentum.friction import PairData, path_integral
from colloid_cg.learn.momentum.hidden_rates import LEAST_ERROR, first_kernels, fit_rates, friction_seen, largest_change
from colloid_cg.learn.momentum.sums import friction_forces, impulse_products, spline_products, total_products

KINDS = {"exponential": (1,), "smooth": (2,), "two exponentials": (1, 1), "smooth and exponential": (2, 1)}
"""Kinds of memory that are tried, simplest first: hidden vectors of each mode."""
_WORTH = 1.25
"""Factor by which the misfit of a simpler kind may exceed the least of all."""
_WITHIN = 0.5
"""Misfit, in standard errors of the training block, below which nothing speaks against a kind."""
_ROUNDS = 12
_SETTLED = 5e-3
_RIDGE = 1e-10
_FEWEST = 4
"""Windows at least: two unknowns of an exponential, and what speaks against it."""
_BRAKED = 0.5
"""Friction per mass times the longest window at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedMemory:
    """Memory kernels and the friction that belongs to each.

    Parameters
    ----------
    kernels : tuple of MemoryKernel
    along, across : arrays, shape (n_modes, n_kinds, n_knots)
        Coefficients of the frictions over all times, not negative; splines of the pair dynamics.
    replicates : array, shape (n_blocks, 2, n_modes, n_kinds, n_knots)
        Both refitted without one block of time each, free of sign, at the same kernels.
    rates_error : array, shape (n_modes, 2)
        Standard errors of decay and swing, blocks of time left out in turn; zero for a swing that is none.
    windows : int array, shape (k,)
        Frames.
    seen, seen_error, expected : arrays, shape (k,)
        Friction per mass from the random impulses over each window in the training block, and of the kernels.
    held_out : array, shape (k,)
        The same in the selection block, empty without one.
    misfits : dict
        Root mean square departure on the selection block (without one, on the training block) of every kind that was
        tried, in errors of the training block.
    converged : bool
    """

    kernels: tuple[MemoryKernel, ...]
    along: np.ndarray
    across: np.ndarray
    replicates: np.ndarray
    rates_error: np.ndarray
    windows: np.ndarray
    seen: np.ndarray
    seen_error: np.ndarray
    expected: np.ndarray
    held_out: np.ndarray
    misfits: dict[str, float]
    converged: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Impulses:
    """What the memory of one block is fitted to.

    Parameters
    ----------
    data : PairData
    rest : array, shape (T, N, d)
        Momentum less the impulse of the pair forces.
    windows : tuple of int
        Frames.
    skip : int
        Frames at the start whose past is not known.
    """

    data: PairData
    rest: np.ndarray
    windows: tuple[int, ...]
    skip: int

    @property
    def times(self) -> np.ndarray:
        """Lengths of the windows."""
        return np.asarray(self.windows) * self.data.series.frame_interval

    def mid_frames(self, window: int) -> tuple[int, np.ndarray]:
        """Return the first mid frame of a window, and the blocks of all."""
        first = self.skip + window // 2
        return first, self.data.block[first : self.data.series.n_frames - (window - window // 2)]


def memory_scale(windows: tuple[int, int], friction: float, n_frames: int) -> tuple[int, ...]:
    """Return the windows the memory is read off: 1, 2, .. frames, up to twice the longer window of the friction.

    Long enough to see the friction level off; beyond, slow collective forces that rollouts make themselves add to it.
    Nor may a window be longer than half the time ``friction`` (per mass, and frame) needs to stop a particle: by
    <R^2> ~ 1 - e^-x + (g/gamma)^2 (x - 1 + e^-x), x = gamma tau, an error of g comes back in the next round
    2 (x - 1 + e^-x)/x times as large, and the iteration runs away where that exceeds one.
    """
    longest = int(min(2 * windows[1], n_frames // 8, _BRAKED / max(friction, 1e-12)))
    return tuple(sorted({round(n) for n in np.geomspace(1, max(longest, 1), 12)}))


def fit_memory(
    train: Impulses, select: Impulses | None, friction: np.ndarray, weights: np.ndarray, *, smoothness: float
) -> FittedMemory:
    """Return the memory of ``train``, of the simplest kind that errs on ``select`` by hardly more than the best.

    Parameters
    ----------
    train, select : Impulses
    friction : array, shape (2, n_kinds, n_knots)
        Friction without memory: where the iteration starts.
    weights : array, shape (n_kinds, n_knots)
        Of :func:`~colloid_cg.learn.momentum.sums.mean_spline_weights`.
    smoothness : float

    Raises
    ------
    DataError
        If there is no friction, or too few frames.
    """
    if len(train.windows) < _FEWEST or train.data.series.n_frames < 8 * train.windows[-1]:
        raise DataError(
            f"{train.data.series.n_frames} frames for a memory over windows of {list(train.windows)} frames",
            expected=f"at least {_FEWEST} windows, and eight times the longest",
            action='use more frames, closer together where friction is strong, or set momentum.memory = "none"',
        )
    grams, tried = _informations(train), {}
    for name, sizes in KINDS.items():
        if 2 * sum(sizes) > len(train.windows):
            continue
        found = _iterated(train, sizes, friction, weights, grams, smoothness)
        tried[name] = (found, _misfit(select or train, found))
    misfits = {name: error for name, (_, error) in tried.items()}
    allowed = max(_WORTH * min(misfits.values()), _WITHIN)
    best = next(found for found, error in tried.values() if error <= allowed)
    rates_error, replicates = _spread(train, best, grams, smoothness)
    return FittedMemory(
        kernels=best.kernels, along=best.curves[:, 0], across=best.curves[:, 1], replicates=replicates,
        rates_error=rates_error, windows=np.asarray(train.windows), seen=best.seen, seen_error=best.error,
        expected=best.expected(train.times), misfits=misfits, converged=best.converged,
        held_out=np.zeros(0) if select is None else _scan(select, best),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """Where the iteration of one kind ended.

    ``curves`` (n_modes, 2, n_kinds, n_knots); ``levels`` friction per mass of every mode by the windows; ``seen``,
    ``error`` (k,) and ``without`` (n_blocks, k) of the windows; ``projections`` of the impulses on the splines.
    """

    kernels: tuple[MemoryKernel, ...]
    curves: np.ndarray
    levels: np.ndarray
    seen: np.ndarray
    error: np.ndarray
    without: np.ndarray
    projections: np.ndarray
    converged: bool

    def expected(self, times: np.ndarray) -> np.ndarray:
        """Return the friction per mass that impulses over ``times`` are to show."""
        return friction_seen(self.kernels, self.levels, times)


def _iterated(
    part: Impulses,
    sizes: tuple[int, ...],
    friction: np.ndarray,
    weights: np.ndarray,
    grams: np.ndarray,
    smoothness: float,
) -> _Found:
    """Return the memory of one kind: rates from the windows, frictions from the pairs, in turn."""
    interval, d = part.data.series.frame_interval, part.data.series.dimension
    kernels = first_kernels(sizes, interval, part.windows[-1])
    curves = np.stack([friction / len(sizes)] * len(sizes))
    totals, converged = _totals(curves, weights, d), False
    everything = np.ones(int(part.data.block.max()) + 1, dtype=bool)
    for _ in range(_ROUNDS):
        momentum = random_momentum_with(part, kernels, curves)
        seen, error, without = _seen(_window_sums(part, momentum))
        updated, levels = fit_rates(sizes, part.times, seen, error, (kernels, totals))
        projections = _projections(part, momentum)
        moved, kernels, before = largest_change(kernels, updated), updated, totals
        curves = _solved(part, kernels, levels, grams, projections, everything, smoothness)
        totals = _totals(curves, weights, d)
        if max(moved, float(np.abs(totals - before).max() / totals.sum())) < _SETTLED:
            converged = True
            break
    return _Found(
        kernels=kernels, curves=curves, levels=levels, seen=seen, error=error, without=without,
        projections=projections, converged=converged,
    )  # fmt: skip


def _spread(part: Impulses, found: _Found, grams: np.ndarray, smoothness: float) -> tuple[np.ndarray, np.ndarray]:
    """Return standard errors of the rates (n_modes, 2), and the frictions without each block and without bound.

    Refits are at the random impulses of all blocks; what these give back in further rounds makes the departures
    1/(1 - 2 (x - 1 + e^-x)/x) times as large, x the friction over the longest window (:func:`memory_scale`).
    """
    sizes = tuple(kernel.n_vectors for kernel in found.kernels)
    start = found.kernels, found.levels
    braked = float(found.seen.max() * part.times[-1])
    gain = 1.0 / (1.0 - 2.0 * (braked + np.expm1(-braked)) / braked)
    refits = [fit_rates(sizes, part.times, row, found.error, start)[0] for row in found.without]
    rates = np.array([[(kernel.decay, kernel.swing or 0.0) for kernel in refit] for refit in refits])
    n_blocks = int(part.data.block.max()) + 1
    replicates = np.stack([
        _solved(part, *start, grams, found.projections, np.arange(n_blocks) != b, smoothness, bounded=False)
        for b in range(n_blocks)
    ])  # fmt: skip
    mean = replicates.mean(axis=0)
    spread = mean + gain * (replicates - mean)
    return gain * np.sqrt((len(rates) - 1) * rates.var(axis=0)), spread.swapaxes(1, 2)


def delays(kernels: tuple[MemoryKernel, ...], interval: float, n_frames: int) -> np.ndarray:
    """Return the weights with which the last frames enter the friction now, shape (n_modes, n_frames).

    int kappa(u) x(t - u) du for an x that is straight between frames.
    """
    integrals = np.array([kernel.twice_integrated(interval * np.arange(n_frames + 1)) for kernel in kernels])
    first = integrals[:, 1:2] / interval
    later = np.diff(integrals, n=2, axis=1) / interval
    return np.concatenate([first, later], axis=1)[:, :n_frames]


def random_momentum_with(part: Impulses, kernels: tuple[MemoryKernel, ...], curves: np.ndarray) -> np.ndarray:
    """Return what the noise alone did to the momenta, (T, N, d), friction with memory taken off."""
    data, series, contacts = part.data, part.data.series, part.data.contacts
    weights = delays(kernels, series.frame_interval, part.skip)
    late = np.zeros_like(part.rest)
    for own, (along, across) in zip(weights, curves, strict=True):
        now = friction_forces(
            series.positions, series.velocities, contacts.pairs, contacts.offsets, series.species, contacts.kinds,
            contacts.periods, data.knots.lower, data.knots.width, along, across,
        )  # fmt: skip
        for lag, weight in enumerate(own):
            if abs(weight) > _RIDGE:
                late[lag:] += weight * now[: len(now) - lag]
    return np.asarray(part.rest - path_integral(late, series.frame_interval))


def _window_sums(part: Impulses, momentum: np.ndarray) -> np.ndarray:
    """Return friction per mass times the window and number of frames, by window and block, (k, 2, n_blocks)."""
    data, series, contacts, skip = part.data, part.data.series, part.data.contacts, part.skip
    scale = 2.0 * data.thermal_energy * series.dimension * series.n_particles
    found = []
    for window in part.windows:
        totals, frames = total_products(
            momentum[skip:], series.positions[skip:], contacts.pairs, contacts.offsets[skip:], series.masses,
            contacts.periods, data.knots.cutoff, window, data.block[skip:],
        )  # fmt: skip
        found.append([totals / (scale * window * series.frame_interval), frames])
    return np.array(found)


def _seen(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return friction per mass over every window (k,), standard errors (k,), and without each block (b, k)."""
    sums, frames = blocks[:, 0], blocks[:, 1]
    used = frames.sum(axis=0) > 0
    sums, frames = sums[:, used], frames[:, used]
    values = sums.sum(axis=1) / frames.sum(axis=1)
    without = ((sums.sum(axis=1)[:, None] - sums) / (frames.sum(axis=1)[:, None] - frames)).T
    return values, np.sqrt((len(without) - 1) * without.var(axis=0)), without


def _informations(part: Impulses) -> np.ndarray:
    """Return sum B B^T over pairs of each window, shape (k, n_blocks, n_kinds, n_knots, n_knots)."""
    return np.stack([_padded(spline_products(*_where(part), *part.mid_frames(w)), part) for w in part.windows])


def _projections(part: Impulses, momentum: np.ndarray) -> np.ndarray:
    """Return the covariances of the impulses of two partners on the splines, (k, 2, n_blocks, n_kinds, n_knots)."""
    found = []
    for window in part.windows:
        sums = impulse_products(momentum, *_where(part), 0, window, *part.mid_frames(window))
        found.append(np.stack([_padded(sums[0], part), _padded(sums[1], part)]))
    return np.stack(found) / (2.0 * part.data.thermal_energy)


def _padded(sums: np.ndarray, part: Impulses) -> np.ndarray:
    """Return sums by block with zeros for the last blocks where a window leaves them empty."""
    missing = int(part.data.block.max()) + 1 - len(sums)
    return np.concatenate([sums, np.zeros((missing, *sums.shape[1:]))]) if missing else sums


def _where(part: Impulses) -> tuple[object, ...]:
    series, contacts, knots = part.data.series, part.data.contacts, part.data.knots
    return (
        series.positions, contacts.pairs, contacts.offsets, series.species, contacts.kinds, contacts.periods,
        knots.lower, knots.width, knots.count,
    )  # fmt: skip


def _solved(
    part: Impulses, kernels: tuple[MemoryKernel, ...], levels: np.ndarray, grams: np.ndarray, projections: np.ndarray,
    kept: np.ndarray, smoothness: float, *, bounded: bool = True,
) -> np.ndarray:  # fmt: skip
    """Return the frictions of every mode, shape (n_modes, 2, n_kinds, n_knots), from the blocks ``kept``.

    Windows weigh as the inverse of the variance of their impulses.
    """
    growth = np.array([kernel.twice_integrated(part.times) for kernel in kernels])  # (modes, windows)
    weight = 1.0 / (levels @ growth) ** 2
    n_modes, n_knots = len(kernels), projections.shape[-1]
    solution = np.zeros((n_modes, 2, projections.shape[3], n_knots))
    for kind in range(projections.shape[3]):
        information = grams[:, kept, kind].sum(axis=1)
        if not information.any():
            continue
        matrix = sum(w * np.kron(np.outer(g, g), own) for w, g, own in zip(weight, growth.T, information, strict=True))
        diagonal = np.diag(matrix)
        stiffness = matrix + smoothness * roughness((n_modes, n_knots), diagonal)
        root, inverse = _root(stiffness)
        for channel in range(2):
            own = projections[:, channel, kept, kind].sum(axis=1)
            right = sum(w * np.kron(g, row) for w, g, row in zip(weight, growth.T, own, strict=True))
            projected = inverse @ right
            found = nnls(root, projected)[0] if bounded else inverse.T @ projected
            solution[:, channel, kind] = found.reshape(n_modes, n_knots)
    return solution


def _root(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return R with R^T R the matrix and (R^-1)^T, without directions that the data do not resolve.

    Modes of equal rates cannot be told apart: only their sum is then known.
    """
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), _RIDGE * np.diag(matrix).max()))
    values, vectors = np.linalg.eigh(scale[:, None] * matrix * scale)
    clear = values > _RIDGE * values[-1]
    values, vectors = values[clear], vectors[:, clear]
    return np.sqrt(values)[:, None] * vectors.T / scale, (vectors / np.sqrt(values)).T * scale


def _totals(curves: np.ndarray, weights: np.ndarray, dimension: int) -> np.ndarray:
    """Return the friction per mass of each mode, mean over particles and axes, shape (n_modes,)."""
    return np.asarray((weights * (curves[:, 0] + (dimension - 1) * curves[:, 1])).sum(axis=(1, 2)) / dimension)


def _scan(part: Impulses, found: _Found) -> np.ndarray:
    """Return friction per mass over every window of another block."""
    return _seen(_window_sums(part, random_momentum_with(part, found.kernels, found.curves)))[0]


def _misfit(part: Impulses, found: _Found) -> float:
    """Return the root mean square departure of the windows from the kernels, in errors of the training block.

    The level is free: that of a short block fluctuates far more than the shape.
    """
    seen, expected = _scan(part, found), found.expected(part.times)
    error = np.maximum(found.error, LEAST_ERROR * np.abs(expected).max())
    level = float((expected * seen / error**2).sum() / ((expected / error) ** 2).sum())
    return float(np.sqrt((((seen - level * expected) / error) ** 2).mean()))
