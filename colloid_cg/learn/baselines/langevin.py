"""Langevin dynamics: every particle flies freely against the friction of a bath, as if it were alone.

m dv = -m gamma v dt + sqrt(2 m gamma k_B T) dW (Risken 1989, doi:10.1007/978-3-642-61544-3): velocities forget
themselves as exp(-gamma t), the pair correlation is one.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import brentq

from colloid_cg.dynamics.metriplectic.bath import Bath
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.errors import DataError
from colloid_cg.learn.baselines.pairless import pairless_model, species_masses
from colloid_cg.learn.momentum.fit import thermal_energy_of
from colloid_cg.records import PhaseSeries

DECAYED = float(np.exp(-3.0))
"""Autocorrelation at which the integral ends: what lies beyond is small, and its noise is not."""
_GROUPS = 10
"""Groups of particles that are left out in turn for the standard error."""
_NO_RANGE = 1e-6
"""Range of no interaction, in mean distances between particles."""


def langevin(train: PhaseSeries) -> MetriplecticModel:
    """Return free flight in a bath with the friction that the velocities of single particles show.

    Parameters
    ----------
    train : PhaseSeries

    Raises
    ------
    DataError
        If velocities do not decay, or a species has one particle only.
    """
    temperature, _ = thermal_energy_of(train)
    rates, _ = velocity_relaxation(train)
    # Gamma/T0 is the mechanical friction m gamma.
    friction = torch.tensor(temperature * species_masses(train) * rates, dtype=torch.float64)
    bath = Bath(temperature=temperature, friction=friction, heat=torch.zeros_like(friction))
    spacing = float((train.box.volume / train.n_particles) ** (1.0 / train.dimension))
    return pairless_model(train, cutoff=_NO_RANGE * spacing, temperature=temperature, bath=bath)


def velocity_relaxation(train: PhaseSeries) -> tuple[np.ndarray, np.ndarray]:
    """Return gamma of each species in 1/time and its standard error, shapes (n_species,).

    The exponential with the integral of the measured autocorrelation up to the time t at which it has decayed:
    (1 - exp(-gamma t))/gamma = int_0^t c dt'. Exact for Langevin's equation; else it keeps the diffusion coefficient,
    k_B T/(m gamma) = k_B T/m int c dt.
    """
    velocities = train.velocities
    common = (train.masses[:, None] * velocities).sum(axis=1, keepdims=True) / train.masses.sum()
    thermal = velocities - common
    rates, errors = [], []
    for kind in np.unique(train.species):
        own = thermal[:, train.species == kind]
        products = _autocorrelation(own)
        groups = np.array_split(np.arange(own.shape[1]), min(_GROUPS, own.shape[1]))
        if len(groups) < 2:
            raise DataError(
                f"one particle of species {kind}", expected="at least two", action="use a recording of more particles"
            )
        end = _decay(products.mean(axis=1))
        rates.append(_rate(products.mean(axis=1)[: end + 1], train.frame_interval))
        without = [
            _rate(np.delete(products, group, axis=1).mean(axis=1)[: end + 1], train.frame_interval) for group in groups
        ]
        errors.append(np.sqrt((len(groups) - 1) * np.var(without)))
    return np.array(rates), np.array(errors)


def _autocorrelation(velocities: np.ndarray) -> np.ndarray:
    """Return v(0).v(t) of every particle, mean over origins, for lags up to half the block; (lags, N)."""
    n = len(velocities)
    return np.stack([
        np.einsum("tna,tna->n", velocities[: n - lag], velocities[lag:]) / (n - lag) for lag in range(n // 2 + 1)
    ])  # fmt: skip


def _decay(correlation: np.ndarray) -> int:
    """Return the lag at which the integral ends."""
    decayed = np.flatnonzero(correlation < DECAYED * correlation[0])
    return int(decayed[0]) if len(decayed) else len(correlation) - 1


def _rate(correlation: np.ndarray, dt: float) -> float:
    """Return gamma with (1 - exp(-gamma t))/gamma = int_0^t c dt'."""
    normal = correlation / correlation[0]
    time = dt * (len(normal) - 1)
    area = dt * float(0.5 * normal[0] + normal[1:-1].sum() + 0.5 * normal[-1])
    if not 0.0 < area < time:
        raise DataError(
            f"velocities whose autocorrelation is {normal[-1]:.2f} after {time:.4g}",
            expected="a decay",
            action="use a longer recording",
        )
    return float(brentq(lambda rate: -np.expm1(-rate * time) / rate - area, 1e-12 / time, 1e4 / area))
