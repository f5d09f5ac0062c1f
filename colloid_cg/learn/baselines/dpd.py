"""Standard dissipative particle dynamics, fitted to the same data (Groot and Warren 1997, doi:10.1063/1.474784).

Force a (1 - r/r_c) e, friction -gamma (1 - r/r_c)^2 (e.v_ij) e along the line only, and the noise that belongs to it
(Espanol and Warren 1995, doi:10.1209/0295-5075/30/4/001): three numbers for one species.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import RadialValues
from colloid_cg.errors import DataError
from colloid_cg.learn.baselines.dpd_sums import axial_drag, axial_products, weighted_directions
from colloid_cg.learn.baselines.pairless import species_masses
from colloid_cg.learn.momentum.contacts import Contacts, find_contacts
from colloid_cg.learn.momentum.fit import thermal_energy_of
from colloid_cg.learn.momentum.friction import path_integral
from colloid_cg.learn.momentum.knots import time_blocks
from colloid_cg.learn.momentum.memory import memory_windows
from colloid_cg.learn.momentum.metriplectic import HEAT_CAPACITY
from colloid_cg.learn.momentum.reach import first_reach
from colloid_cg.records import PhaseSeries

_BLOCKS = 10
_CANDIDATES = 12
"""Ranges tried before the best one is refined."""
_ROUNDS, _REFIT_ROUNDS = 12, 3
"""Rounds of friction and impulse; a refit starts from the solution, and a third of the change is left by each."""
_SETTLED = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class DpdRadial:
    """phi = (a r_c/2) (1 - r/r_c)^2 and g_par = gamma (1 - r/r_c)^2 within r_c.

    Parameters
    ----------
    cutoff : float
        r_c.
    strength, friction : tensors, shape (n_species_pairs,)
        a, force; gamma in the model's convention, mechanical friction times temperature.
    """

    cutoff: float
    strength: torch.Tensor
    friction: torch.Tensor

    @property
    def kernel_at_zero(self) -> None:
        """There is no local density."""
        return

    def evaluate(self, distance: torch.Tensor, species_pair: torch.Tensor | None) -> RadialValues:
        """Return potential, its slope and friction, shape (p,); zero beyond the cutoff."""
        weight = (1.0 - distance / self.cutoff).clamp(min=0.0)
        strength = self.strength[0] if species_pair is None else self.strength[species_pair]
        friction = self.friction[0] if species_pair is None else self.friction[species_pair]
        return RadialValues(
            potential=0.5 * self.cutoff * strength * weight**2,
            potential_slope=-strength * weight,
            par=friction * weight**2,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class DpdFit:
    """The numbers of standard dissipative particle dynamics, per species pair 00, 01, .., 11, ..

    Parameters
    ----------
    cutoff : float
        r_c, chosen on the selection block.
    strength, strength_error : arrays, shape (n_kinds,)
        a, mass times length over squared time; standard errors at this r_c, from leaving out blocks of time in turn.
    friction, friction_error : arrays, shape (n_kinds,)
        gamma, mass over time.
    thermal_energy : float
        k_B T.
    windows : tuple of int
        Frames of the random impulses.
    """

    cutoff: float
    strength: np.ndarray
    strength_error: np.ndarray
    friction: np.ndarray
    friction_error: np.ndarray
    thermal_energy: float
    windows: tuple[int, int]

    def model(self, masses: np.ndarray) -> MetriplecticModel:
        """Return the metriplectic model; ``masses`` per species."""
        inertia = torch.tensor(masses, dtype=torch.float64)
        return MetriplecticModel(
            masses=inertia,
            energy=ConstantHeatCapacity(
                heat_capacity=torch.full_like(inertia, HEAT_CAPACITY),
                temperature=torch.full_like(inertia, self.thermal_energy),
            ),
            radial=DpdRadial(
                cutoff=self.cutoff,
                strength=torch.tensor(self.strength, dtype=torch.float64),
                friction=torch.tensor(self.thermal_energy * self.friction, dtype=torch.float64),
            ),
            law=PowerLaw(temperature=self.thermal_energy),
        )


def dpd(train: PhaseSeries, select: PhaseSeries) -> MetriplecticModel:
    """Return standard dissipative particle dynamics fitted to ``train``, its range chosen on ``select``."""
    return fit_dpd(train, select).model(species_masses(train))


def fit_dpd(
    train: PhaseSeries,
    select: PhaseSeries,
    *,
    windows: tuple[int, int] | None = None,
    reach: float | None = None,
) -> DpdFit:
    """Fit a, gamma and r_c.

    a by least squares of m dv/dt on the force at both ends of a step; r_c where a, learned on ``train``, leaves the
    least of m dv/dt on ``select``; gamma from what the random impulse of a particle takes from its partner's
    (:mod:`colloid_cg.learn.momentum.friction`), with the one radial function there is.

    Parameters
    ----------
    train, select : PhaseSeries
        Disjoint blocks of the same system.
    windows : two ints, optional
        Frames of the impulses; by default from the memory of the residual forces of ``select``.
    reach : float, optional
        Largest range to try; by default 1.8 times the distance to the nearest neighbour.
    """
    temperature, _ = thermal_energy_of(train)
    reach = first_reach(train) if reach is None else reach
    here, there = find_contacts(train, reach), find_contacts(select, reach)
    cutoff = _best_range(train, here, select, there, reach)
    here, there = find_contacts(train, cutoff), find_contacts(select, cutoff)
    block = time_blocks(train.n_frames, _BLOCKS)
    gram, right = _force_equations(train, here, cutoff, block)
    strength = _solved(gram.sum(axis=0), right.sum(axis=0))
    windows = memory_windows(_rest(select, there, cutoff, strength)) if windows is None else windows
    _require_frames(train, windows)
    friction = _friction(train, here, cutoff, strength, windows, temperature, block)
    refits = []
    for kept in ~np.eye(_BLOCKS, dtype=bool):
        refit = _solved(gram[kept].sum(axis=0), right[kept].sum(axis=0))
        refits.append(
            (refit, _friction(train, here, cutoff, refit, windows, temperature, block, start=friction, kept=kept))
        )
    strength_error, friction_error = np.sqrt((_BLOCKS - 1) * np.var(refits, axis=0))
    return DpdFit(
        cutoff=cutoff,
        strength=strength,
        strength_error=strength_error,
        friction=friction,
        friction_error=friction_error,
        thermal_energy=temperature,
        windows=windows,
    )


def _require_frames(train: PhaseSeries, windows: tuple[int, int]) -> None:
    if train.n_frames < _BLOCKS * windows[1] + 1:
        raise DataError(
            f"{train.n_frames} frames for impulses over {windows[0]} and {windows[1]} frames",
            expected=f"at least {_BLOCKS * windows[1] + 1}",
            action="use a longer recording",
        )


def _where(series: PhaseSeries, contacts: Contacts) -> tuple[np.ndarray, ...]:
    return contacts.pairs, contacts.offsets, series.species, contacts.kinds, contacts.periods


def _features(series: PhaseSeries, contacts: Contacts, cutoff: float) -> np.ndarray:
    """Return the mean of sum_j w e_ij at both ends of each step, shape (T - 1, N d, n_kinds)."""
    sums = weighted_directions(series.positions, *_where(series, contacts), cutoff)
    mean = 0.5 * (sums[1:] + sums[:-1])
    return np.asarray(mean.reshape(len(mean), -1, mean.shape[3]))


def _impulses(series: PhaseSeries) -> np.ndarray:
    """Return m dv/dt of each step, shape (T - 1, N d)."""
    gained = series.masses[:, None] * np.diff(series.velocities, axis=0) / series.frame_interval
    return np.asarray(gained.reshape(len(gained), -1))


def _force_equations(
    series: PhaseSeries, contacts: Contacts, cutoff: float, block: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return X^T X and X^T y by block of time, shapes (b, k, k) and (b, k)."""
    features = _features(series, contacts, cutoff)
    by_step = np.einsum("tik,til->tkl", features, features), np.einsum("tik,ti->tk", features, _impulses(series))
    gram, right = (np.zeros((int(block.max()) + 1, *part.shape[1:])) for part in by_step)
    np.add.at(gram, block[:-1], by_step[0])
    np.add.at(right, block[:-1], by_step[1])
    return gram, right


def _solved(gram: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return a, zero for species pairs that never meet."""
    return np.asarray(np.linalg.pinv(gram, hermitian=True) @ right)


def _best_range(train: PhaseSeries, here: Contacts, select: PhaseSeries, there: Contacts, reach: float) -> float:
    """Return the r_c whose force, learned on ``train``, leaves the least of m dv/dt on ``select``."""
    wanted, whole = _impulses(select), np.zeros(train.n_frames, dtype=int)

    def left(cutoff: float) -> float:
        gram, right = _force_equations(train, here, cutoff, whole)
        rest = wanted - _features(select, there, cutoff) @ _solved(gram[0], right[0])
        return float((rest**2).sum())

    tried = np.linspace(here.lower, reach, _CANDIDATES + 1)[1:]
    best = int(np.argmin([left(float(cutoff)) for cutoff in tried]))
    around = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
    found = minimize_scalar(left, bounds=around, method="bounded", options={"xatol": 1e-3 * reach})
    return float(found.x)


def _rest(series: PhaseSeries, contacts: Contacts, cutoff: float, strength: np.ndarray) -> np.ndarray:
    """Return m v - int F dt, shape (T, N, d)."""
    forces = weighted_directions(series.positions, *_where(series, contacts), cutoff) @ strength
    return np.asarray(series.masses[:, None] * series.velocities - path_integral(forces, series.frame_interval))


def _friction(
    series: PhaseSeries,
    contacts: Contacts,
    cutoff: float,
    strength: np.ndarray,
    windows: tuple[int, int],
    temperature: float,
    block: np.ndarray,
    *,
    start: np.ndarray | None = None,
    kept: np.ndarray | None = None,
) -> np.ndarray:
    """Return gamma >= 0 of each species pair; it enters the random impulse, so the equation is iterated."""
    where, dt = _where(series, contacts), series.frame_interval
    rest = _rest(series, contacts, cutoff, strength)
    friction = np.zeros(contacts.n_kinds) if start is None else start
    blocks = np.ones(_BLOCKS, dtype=bool) if kept is None else kept
    first = windows[1] // 2
    mid = block[first : series.n_frames - (windows[1] - first)]
    for _ in range(_ROUNDS if kept is None else _REFIT_ROUNDS):
        drag = axial_drag(series.positions, series.velocities, *where, cutoff, friction)
        products, information = axial_products(
            rest - path_integral(drag, dt), series.positions, *where, cutoff, *windows, first, mid
        )
        covariance = products[blocks].sum(axis=0) / (2.0 * temperature * dt * (windows[1] - windows[0]))
        weight = information[blocks].sum(axis=0)
        updated = np.maximum(np.divide(covariance, weight, out=np.zeros_like(weight), where=weight > 0), 0.0)
        change, friction = np.abs(updated - friction).max(), updated
        if change <= _SETTLED * friction.max():
            break
    return friction
