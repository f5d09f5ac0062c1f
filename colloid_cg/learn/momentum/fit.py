"""Fit of momentum-conserving pair dynamics to positions and velocities."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.learn.momentum.config import MomentumFitConfig
from colloid_cg.learn.momentum.contacts import Contacts, find_contacts
from colloid_cg.learn.momentum.force import braking_within_a_step, normal_equations, solve_force, steepened
from colloid_cg.learn.momentum.friction import (
    PairData,
    conservative_rest,
    fit_friction,
    impulse_covariance,
    pair_information,
    random_momentum,
    solve_both,
)
from colloid_cg.learn.momentum.hidden import Impulses, fit_memory, memory_scale
from colloid_cg.learn.momentum.knots import Knots, time_blocks
from colloid_cg.learn.momentum.memory import friction_over, friction_scan, memory_windows
from colloid_cg.learn.momentum.model import PairDynamics
from colloid_cg.learn.momentum.reach import GROWTH, first_reach, largest_reach, resolved_range
from colloid_cg.learn.momentum.sums import mean_spline_weights
from colloid_cg.learn.sandwich import quantile
from colloid_cg.records import PhaseSeries

Sums = tuple[np.ndarray, np.ndarray, np.ndarray]
"""X^T X and X^T y of the force, B^T B of the friction, each by block of time."""
_TRIAL_KNOTS = 2
"""Knots of the trial fit that finds the range, in multiples of those of the fit."""
_TRIALS = 4
_REFIT_ROUNDS = 3
"""Rounds of friction and impulse in a refit, which starts from the solution: a third of the change is left by each."""


def fit_pair_dynamics(
    train: PhaseSeries, select: PhaseSeries | None = None, config: MomentumFitConfig | None = None
) -> PairDynamics:
    """Learn pair force and pair friction, the isothermal limit of the metriplectic equations of motion.

    Positions and velocities must be those of all particles that act on each other; k_B T is that of the series, or else
    the mean kinetic energy of ``train``.

    Parameters
    ----------
    train : PhaseSeries
    select : PhaseSeries, optional
        A block of the same system that does not overlap ``train``: the windows of the friction are read off its
        residual forces. Not used if ``config.windows`` is given.
    config : MomentumFitConfig, optional

    Returns
    -------
    PairDynamics

    Raises
    ------
    DataError
        If no pairs meet, there are too few frames, or nothing can be resolved.
    ConfigError
        If neither windows nor a selection block is given, or the cutoff exceeds half the periodic cell.
    """
    config = config or MomentumFitConfig()
    _check(train, select, config)
    thermal_energy, source = thermal_energy_of(train)
    _require_change(train)
    cutoff, windows = config.cutoff, config.windows
    if cutoff is None:
        cutoff, windows = _found_range(train, select, config, thermal_energy)
    data = _pair_data(train, cutoff, config.n_knots, config, thermal_energy)
    gram, right = normal_equations(train, data.contacts, data.knots, data.block)
    if windows is None:
        windows = _windows(select, data, _force(gram, right, data.contacts, config))
    _require_frames(train, windows, config)
    sums = gram, right, pair_information(data, windows)
    sums = _braked(data, sums, windows, config)
    force = _force(sums[0], sums[1], data.contacts, config)
    rest = conservative_rest(data, force)
    friction, converged = fit_friction(
        data, rest, windows, gram=sums[2], smoothness=config.roughness, iterations=config.iterations
    )
    replicates = np.stack(
        [_refit(data, sums, windows, friction, config, left_out=block) for block in range(config.time_blocks)]
    )
    weights = _friction_weights(data)
    totals = [_total(weights, replicate[1:], train.dimension) for replicate in replicates]
    error = quantile(len(replicates)) * np.sqrt((len(replicates) - 1) * replicates[:, 0, :, 0].var(axis=0))
    found = PairDynamics(
        lower=data.knots.lower,
        cutoff=cutoff,
        force=steepened(force, error, data.knots),
        friction_along=friction[0],
        friction_across=friction[1],
        replicates=replicates,
        thermal_energy=thermal_energy,
        thermal_energy_from=source,
        windows=windows,
        friction_per_mass=_total(weights, friction, train.dimension),
        friction_per_mass_error=float(np.sqrt((len(totals) - 1) * np.var(totals))),
        scan=friction_scan(data, random_momentum(data, rest, *friction), windows[1]),
        converged=converged,
    )
    return found if config.memory == "none" else _with_memory(found, data, rest, select, weights, config)


def _with_memory(
    found: PairDynamics,
    data: PairData,
    rest: np.ndarray,
    select: PhaseSeries | None,
    weights: np.ndarray,
    config: MomentumFitConfig,
) -> PairDynamics:
    """Return the dynamics with friction that acts late, through hidden vectors of pairs."""
    windows = memory_scale(found.windows, found.friction_per_mass * data.series.frame_interval, data.series.n_frames)
    train = Impulses(data=data, rest=rest, windows=windows, skip=windows[-1])
    other = None
    if select is not None and select.n_frames >= 4 * windows[-1]:
        held_out = _held_out(select, data, config.time_blocks)
        other = Impulses(
            data=held_out, rest=conservative_rest(held_out, found.force), windows=windows, skip=windows[-1]
        )
    friction = np.stack([found.friction_along, found.friction_across])
    memory = fit_memory(train, other, friction, weights, smoothness=config.roughness)
    both = np.stack([memory.along.sum(axis=0), memory.across.sum(axis=0)])
    replicates = np.concatenate([found.replicates[:, :1], memory.replicates.sum(axis=2)], axis=1)
    totals = [_total(weights, replicate[1:], data.series.dimension) for replicate in replicates]
    return replace(
        found,
        friction_along=both[0],
        friction_across=both[1],
        replicates=replicates,
        friction_per_mass=_total(weights, both, data.series.dimension),
        friction_per_mass_error=float(np.sqrt((len(totals) - 1) * np.var(totals))),
        converged=found.converged and memory.converged,
        memory=memory,
    )


def interaction_reach(train: PhaseSeries, select: PhaseSeries, config: MomentumFitConfig | None = None) -> float:
    """Return how far force and friction reach: ``config.cutoff``, or where neither can be told from zero any more.

    Raises
    ------
    DataError
        If nothing can be resolved at any distance.
    ConfigError
        If the cutoff exceeds half the periodic cell.
    """
    config = config or MomentumFitConfig()
    _check(train, select, config)
    if config.cutoff is not None:
        return config.cutoff
    return _found_range(train, select, config, thermal_energy_of(train)[0])[0]


def thermal_energy_of(series: PhaseSeries) -> tuple[float, Literal["given", "velocities"]]:
    """Return k_B T and where it is from: the series, or m v^2 per degree of freedom about the mean motion."""
    if series.thermal_energy is not None:
        return float(series.thermal_energy), "given"
    masses = series.masses[:, None]
    common = (masses * series.velocities).sum(axis=1, keepdims=True) / masses.sum()
    kinetic = float((masses * (series.velocities - common) ** 2).sum(axis=(1, 2)).mean())
    freedom = (series.n_particles - 1) * series.dimension
    if not kinetic > 0.0:
        raise DataError(
            "particles at rest relative to each other",
            expected="thermal velocities",
            action="use a recording of particles that move",
        )
    return kinetic / freedom, "velocities"


def _check(train: PhaseSeries, select: PhaseSeries | None, config: MomentumFitConfig) -> None:
    if config.windows is None and select is None:
        raise ConfigError(
            "neither momentum.windows nor a selection block",
            expected="one of them",
            action="pass frames of the same system that the fit does not use",
        )
    if config.cutoff is not None and config.cutoff > largest_reach(train):
        raise ConfigError(
            f"momentum.cutoff = {config.cutoff:g} in a periodic cell with edges {train.box.lengths.tolist()}",
            expected="at most half of every periodic edge",
            action="use a shorter cutoff or a larger cell",
        )
    _require_frames(train, config.windows or (1, 2), config)


def _require_change(train: PhaseSeries) -> None:
    if not np.diff(train.velocities, axis=0).any():
        raise DataError(
            "velocities that never change",
            expected="particles that act on each other",
            action="look at how the velocities were written: each frame needs its own",
        )


def _require_frames(train: PhaseSeries, windows: tuple[int, int], config: MomentumFitConfig) -> None:
    least = max(config.time_blocks * windows[1] + 1, 2 * config.time_blocks)
    if train.n_frames < least:
        raise DataError(
            f"{train.n_frames} frames for impulses over {windows[0]} and {windows[1]} frames",
            expected=f"at least {least}, {config.time_blocks} blocks of the longer window",
            action="use a longer recording, fewer momentum.time_blocks or shorter momentum.windows",
        )


def _braked(data: PairData, sums: Sums, windows: tuple[int, int], config: MomentumFitConfig) -> Sums:
    """Return the sums with what friction brakes within a step, at the friction that a single step sees."""
    gram, right, products = sums
    force = _force(gram, right, data.contacts, config)
    rest = conservative_rest(data, force)
    friction, _ = fit_friction(
        data, rest, windows, gram=products, smoothness=config.roughness, iterations=_REFIT_ROUNDS
    )
    total = _total(_friction_weights(data), friction, data.series.dimension)
    seen = friction_over(data, random_momentum(data, rest, *friction), 1)
    share = min(max(seen / total, 0.0), 1.0) if total > 0.0 else 0.0
    return gram, right + braking_within_a_step(data, force, share * friction), products


def _pair_data(
    series: PhaseSeries, cutoff: float, n_knots: int, config: MomentumFitConfig, thermal_energy: float
) -> PairData:
    contacts = find_contacts(series, cutoff)
    return PairData(
        series=series,
        contacts=contacts,
        knots=Knots(contacts.lower, cutoff, n_knots),
        block=time_blocks(series.n_frames, config.time_blocks),
        thermal_energy=thermal_energy,
    )


def _force(gram: np.ndarray, right: np.ndarray, contacts: Contacts, config: MomentumFitConfig) -> np.ndarray:
    return solve_force(gram.sum(axis=0), right.sum(axis=0), n_kinds=contacts.n_kinds, smoothness=config.roughness)


def _windows(select: PhaseSeries | None, data: PairData, force: np.ndarray) -> tuple[int, int]:
    """Return the windows from the residual forces of the selection block, with the force learned on the other."""
    if select is None:
        raise ConfigError("no selection block", expected="one", action="set momentum.windows")
    return memory_windows(conservative_rest(_held_out(select, data, 1), force))


def _held_out(select: PhaseSeries, data: PairData, n_blocks: int) -> PairData:
    """Return another block with the knots of ``data``."""
    return replace(
        data, series=select, contacts=find_contacts(select, data.knots.cutoff),
        block=time_blocks(select.n_frames, n_blocks),
    )  # fmt: skip


def _found_range(
    train: PhaseSeries, select: PhaseSeries | None, config: MomentumFitConfig, thermal_energy: float
) -> tuple[float, tuple[int, int]]:
    """Return cutoff and windows of trial fits, whose range grows until all curves end within it."""
    reach, largest = first_reach(train), largest_reach(train)
    for _ in range(_TRIALS):
        data = _pair_data(train, reach, _TRIAL_KNOTS * config.n_knots, config, thermal_energy)
        gram, right = normal_equations(train, data.contacts, data.knots, data.block)
        force = _force(gram, right, data.contacts, config)
        windows = config.windows or _windows(select, data, force)
        _require_frames(train, windows, config)
        products = pair_information(data, windows)
        covariance = impulse_covariance(data, conservative_rest(data, force), windows)
        curves = [
            np.concatenate([
                _force(gram[kept], right[kept], data.contacts, config)[None],
                solve_both(products, covariance, kept, smoothness=config.roughness),
            ])
            for kept in _all_and_without_each(config.time_blocks)
        ]  # fmt: skip
        found = resolved_range(data, curves[0], np.stack(curves[1:]))
        if found < np.inf or reach >= largest:
            break
        reach = min(GROWTH * reach, largest)
    return min(found, reach), windows


def _all_and_without_each(n_blocks: int) -> list[np.ndarray]:
    """Return masks of blocks of time: all of them, then all but one each."""
    everything = np.ones(n_blocks, dtype=bool)
    return [everything, *~np.eye(n_blocks, dtype=bool)]


def _refit(
    data: PairData,
    sums: Sums,
    windows: tuple[int, int],
    friction: np.ndarray,
    config: MomentumFitConfig,
    *,
    left_out: int,
) -> np.ndarray:
    """Return force and frictions without one block of time and bound, shape (3, n_kinds, n_knots)."""
    gram, drive, products = sums
    kept = np.arange(config.time_blocks) != left_out
    force = _force(gram[kept], drive[kept], data.contacts, config)
    rest = conservative_rest(data, force)
    refitted, _ = fit_friction(
        data, rest, windows, gram=products, smoothness=config.roughness,
        iterations=_REFIT_ROUNDS - 1, start=friction, left_out=left_out,
    )  # fmt: skip
    right = impulse_covariance(data, random_momentum(data, rest, *refitted), windows)
    refitted = solve_both(products, right, kept, smoothness=config.roughness, bounded=False)
    return np.concatenate([force[None], refitted])


def _friction_weights(data: PairData) -> np.ndarray:
    series, contacts, knots = data.series, data.contacts, data.knots
    return np.asarray(mean_spline_weights(
        series.positions, contacts.pairs, contacts.offsets, series.species, contacts.kinds, contacts.periods,
        knots.lower, knots.width, knots.count, series.masses,
    ))  # fmt: skip


def _total(weights: np.ndarray, friction: np.ndarray, dimension: int) -> float:
    """Return the mean friction of a particle per mass: trace of sum_j Gamma_ij over d, over m."""
    return float((weights * (friction[0] + (dimension - 1) * friction[1])).sum()) / dimension
