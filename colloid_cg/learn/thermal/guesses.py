"""First guesses: temperature, heat capacity, friction, ranges of S and V."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.model import BodyForce
from colloid_cg.dynamics.metriplectic.pairs import separations
from colloid_cg.errors import DataError
from colloid_cg.learn.thermal.observed import Observed

HEAT_CAPACITY = 20.0
"""C/k_B to start from where temperature and energy do not change enough to tell."""
_DEVIATIONS = 7.0
_VOLUMES = (0.35, 3.0)
_SEGMENTS, _LOOKS = 8, 50
"""Of a recording, and frames of each at most."""
_SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Guess:
    """Where a fit begins.

    Parameters
    ----------
    temperature : float
        T0, k_B T at the mean energy of the first frame.
    heat_capacity : float
        C/k_B.
    friction : float
        Of both channels at small distances; it falls off as (1 - r/cutoff)^2.
    entropy_range, volume_range : two floats
        Of the spline U(S, V); the mean of 1/V is one.
    """

    temperature: float
    heat_capacity: float
    friction: float
    entropy_range: tuple[float, float]
    volume_range: tuple[float, float] = _VOLUMES


def first_guess(observed: Observed, body: BodyForce | None, heat_capacity: float | None, *, cutoff: float) -> Guess:
    """Return what linear regressions say of temperature, heat capacity and friction.

    In each of some segments of time, impulses are regressed on D_i = sum_j (1 - r/cutoff)^2 (v_i - v_j): forces do not
    change sign with time, drop out, and -h g/T is left. Second differences of the velocities hold 2 h g per neighbour,
    so that the ratio is k_B T (fluctuation-dissipation). T against the mean energy of a segment is a line of slope 1/C.

    Raises
    ------
    DataError
        If no friction is seen.
    """
    segments = [part for part in np.array_split(np.arange(observed.n_frames - 2), _SEGMENTS) if len(part)]
    noise, drag = np.array([_segment(observed, body, frames, cutoff) for frames in segments]).T
    if drag.mean() <= 0.0:
        raise DataError(
            "impulses that do not oppose relative velocities: no friction is seen",
            expected="frames that resolve how velocities decay",
            action="use a longer recording, or a cutoff within which particles rub",
        )
    heat = noise / np.maximum(drag, 0.2 * drag.mean())
    gain = internal_energy_gain(observed, body)
    energy = np.array([gain[frames].mean() for frames in segments])
    capacity = heat_capacity or _heat_capacity(energy, heat)
    start = max(float(heat.mean() - energy.mean() / capacity), 0.2 * float(heat.mean()))
    width = _DEVIATIONS * np.sqrt(capacity)
    hottest = max(start + float(gain.max()) / capacity, start)
    return Guess(
        temperature=start,
        heat_capacity=capacity,
        friction=float(noise.mean()),
        entropy_range=(-width, width + capacity * float(np.log(hottest / start))),
    )


def _segment(observed: Observed, body: BodyForce | None, frames: np.ndarray, cutoff: float) -> tuple[float, float]:
    """Return g from the noise and g/T from the friction in these frames."""
    h, mass = observed.interval, observed.masses[observed.species][:, None]
    impulse_work = square = contact = noise = 0.0
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, _LOOKS).round().astype(int))]
    for frame in chosen:
        neighbours = observed.neighbours[frame]
        pairs, velocities = neighbours.pairs, observed.velocities[frame : frame + 3]
        _, distance = separations(observed.positions[frame], pairs, neighbours.cell, 0.0)
        weight = (1.0 - distance / cutoff).clamp(min=0.0).square()
        pull = pairs.net(weight * neighbours.cell.relative(pairs.difference(velocities[0]), pairs.image))
        impulses = mass * velocities.diff(dim=0)
        if body is not None:
            impulses = impulses - h * torch.stack([observed.body_force(body, [k]) for k in (frame, frame + 1)])
        impulse_work += float((impulses[0] * pull).sum())
        square += float(pull.square().sum())
        contact += float(pairs.both(weight).mean())
        noise += float((impulses[1] - impulses[0]).square().mean()) / 2.0
    if square == 0.0:  # nobody meets, or nobody moves
        return 0.0, 0.0
    return noise / (2.0 * h * contact), -impulse_work / (h * square)


def _heat_capacity(energy: np.ndarray, temperature: np.ndarray) -> float:
    """Return dU/dT of a line through T(U), HEAT_CAPACITY where T does not rise significantly."""
    if len(energy) < 4 or np.ptp(energy) == 0.0:
        return HEAT_CAPACITY
    (slope, _), covariance = np.polyfit(energy, temperature, 1, cov=True)
    if slope <= _SIGNIFICANT * np.sqrt(covariance[0, 0]):
        return HEAT_CAPACITY
    return float(np.clip(1.0 / slope, 3.0, 500.0))


def internal_energy_gain(observed: Observed, body: BodyForce | None) -> np.ndarray:
    """Return the mean of U_i in every frame less that of the first, from kinetic energy and work, shape (T,)."""
    mass = observed.masses[observed.species]
    kinetic = 0.5 * (mass[:, None] * observed.velocities.square()).sum(dim=(1, 2)) / observed.n_particles
    gain = kinetic[0] - kinetic
    if body is not None:
        forces = torch.stack([observed.body_force(body, [frame]) for frame in range(observed.n_frames)])
        work = (0.5 * (forces[1:] + forces[:-1]) * observed.positions.diff(dim=0)).sum(dim=(1, 2))
        gain = gain + torch.cat([work.new_zeros(1), work.cumsum(0)]) / observed.n_particles
    return gain.cpu().numpy()
