"""First guesses: temperature, heat capacity, friction, ranges of S and V."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.model import BodyForce
from colloid_cg.dynamics.metriplectic.pairs import separations
from colloid_cg.learn.thermal.observed import Observed

HEAT_CAPACITY = 20.0
"""C/k_B to start from where temperature and energy do not change enough to tell."""
_DEVIATIONS = 7.0
_VOLUMES = (0.35, 3.0)
"""Range of V; the mean of 1/V is one."""


@dataclass(frozen=True)
class Guess:
    """T0, C/k_B, friction per particle and mass, and the largest mean internal energy since the start."""

    temperature: float
    heat_capacity: float
    friction_rate: float
    entropy_range: tuple[float, float]
    volume_range: tuple[float, float] = _VOLUMES


def first_guess(observed: Observed, body: BodyForce | None, heat_capacity: float | None) -> Guess:
    """Return what a look at the data says.

    The temperature of the motion is half the squared relative velocity per axis and reduced mass of pairs, continued
    to zero distance, so that flow does not count. Away from equilibrium it is above that of the particles: a start, no
    result.
    """
    frames = np.unique(np.linspace(0, observed.n_frames - 2, 40).round().astype(int))
    heat = np.array([_motion_temperature(observed, int(frame)) for frame in frames])
    energy = internal_energy_gain(observed, body)[frames]
    found = heat_capacity
    if found is None:
        rise = heat[len(heat) // 2 :].mean() / heat[: len(heat) // 2].mean()
        slope = float(np.polyfit(heat, energy, 1)[0])
        found = float(np.clip(slope, 3.0, 500.0)) if rise > 1.1 and slope > 0 else HEAT_CAPACITY
    start, hottest = float(heat[:5].mean()), float(heat.max())
    width = _DEVIATIONS * np.sqrt(found)
    return Guess(
        temperature=start,
        heat_capacity=found,
        friction_rate=_friction_rate(observed, start),
        entropy_range=(-width, width + found * max(0.0, float(np.log(hottest / start)))),
    )


def _motion_temperature(observed: Observed, frame: int) -> float:
    """Return m_red w^2/d against r^2 at r = 0."""
    neighbours = observed.neighbours[frame]
    pairs, velocities = neighbours.pairs, observed.velocities[frame]
    _, distance = separations(observed.positions[frame], pairs, neighbours.cell, 0.0)
    mass = observed.masses[observed.species]
    reduced = 1.0 / (1.0 / mass[pairs.first] + 1.0 / mass[pairs.second])
    square = reduced * neighbours.cell.relative(pairs.difference(velocities), pairs.image).square().sum(dim=0)
    line = np.polyfit(distance.square().cpu().numpy(), square.cpu().numpy(), 1)
    least = 0.2 * float(square.mean())
    return max(float(line[1]), least) / velocities.shape[1]


def _friction_rate(observed: Observed, temperature: float) -> float:
    """Return the friction per mass that would make the mean squared change of velocity, an upper bound."""
    change = observed.velocities.diff(dim=0)
    second = (change.diff(dim=0)).square().sum(dim=2).mean(dim=0) / 2.0  # smooth forces drop out of second differences
    mass = observed.masses[observed.species]
    rate = (mass * second).mean() / observed.velocities.shape[2] / (2.0 * temperature * observed.interval)
    return float(rate)


def internal_energy_gain(observed: Observed, body: BodyForce | None) -> np.ndarray:
    """Return the mean of U_i in every frame less that of the first, from kinetic energy and work, shape (T,)."""
    mass = observed.masses[observed.species]
    kinetic = 0.5 * (mass[:, None] * observed.velocities.square()).sum(dim=(1, 2)) / observed.n_particles
    gain = kinetic[0] - kinetic
    if body is not None:
        forces = torch.stack([body.at(positions, 0.0) for positions in observed.positions])
        work = (0.5 * (forces[1:] + forces[:-1]) * observed.positions.diff(dim=0)).sum(dim=(1, 2))
        gain = gain + torch.cat([work.new_zeros(1), work.cumsum(0)]) / observed.n_particles
    return gain.cpu().numpy()
