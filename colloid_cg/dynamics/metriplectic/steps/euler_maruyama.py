"""Euler-Maruyama in (r, v, S): what the published implementation does, for comparison; energy is not conserved."""

from __future__ import annotations

from dataclasses import replace

import torch

from colloid_cg.dynamics.metriplectic.dissipative import (
    entropy_drift,
    heat_noise,
    impulse_noise,
    mean_impulse,
    pair_thermal,
)
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.reversible import pair_forces
from colloid_cg.dynamics.metriplectic.state import PhaseState, moved_to
from colloid_cg.dynamics.metriplectic.steps.reinjection import Normals, draw


def drift(model: MetriplecticModel, state: PhaseState) -> tuple[torch.Tensor, torch.Tensor]:
    """Return dv/dt (n, d) and dS/dt (n,) of L gradE + M gradS + k_B div M, without bath."""
    pairs, ends = state.pairs, pair_thermal(state.pairs, state.thermal, boltzmann=model.boltzmann)
    coefficients = model.law.at(state.radial, state.thermal.temperature, pairs, model.kinds(state.species))
    w = state.relative(state.velocities)
    friction = pairs.net(mean_impulse(state, coefficients, state.velocities, state.thermal, boltzmann=model.boltzmann))
    force = pair_forces(state, state.thermal)
    if model.external is not None:
        force = force + model.external.at(state.positions, model.kinds(state.species))[1]
    inverse_mass = model.inverse_mass(state.species)
    along = torch.linalg.vecdot(state.direction, w, dim=0)
    first, second = entropy_drift(
        coefficients,
        ends,
        relative_square=(along**2, torch.linalg.vecdot(w, w, dim=0) - along**2),
        inverse_masses=pairs.added(inverse_mass[:, 0].expand(len(state.species))),
        dimension=len(state.direction),
        boltzmann=model.boltzmann,
    )
    # Unequal shares of a pair: half of the sum on both, half of the difference with opposite signs.
    heating = pairs.both(0.5 * (first + second)) + pairs.net(0.5 * (first - second))
    return inverse_mass * (force + friction), heating / state.thermal.temperature


def noise(
    model: MetriplecticModel, state: PhaseState, normals: Normals, dt: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the random parts of v (n, d) and S (n,): covariance 2 k_B M dt."""
    pairs, k_b = state.pairs, model.boltzmann
    coefficients = model.law.at(state.radial, state.thermal.temperature, pairs, model.kinds(state.species))
    impulse = impulse_noise(coefficients, state.direction, normals.impulse, boltzmann=k_b, dt=dt)
    w = state.relative(state.velocities)
    heat = -0.5 * pairs.both(torch.linalg.vecdot(w, impulse, dim=0))
    if coefficients.heat is not None and normals.heat is not None:
        heat = heat + pairs.net(heat_noise(coefficients.heat, normals.heat, boltzmann=k_b, dt=dt))
    return model.inverse_mass(state.species) * pairs.net(impulse), heat / state.thermal.temperature


def euler_maruyama_step(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
    """Advance (r, v, S) by dx = [L gradE + M gradS + k_B div M] dt + noise, all evaluated at the start of the step."""
    (dv, ds), (random_v, random_s) = drift(model, state), noise(model, state, draw(model, state, rng), dt)
    moved = moved_to(model, state, state.positions + dt * state.velocities, state.time + dt)
    entropy = state.entropy + dt * ds + random_s
    thermal = model.energy.at(entropy, moved.volume, model.kinds(state.species))
    return replace(
        moved, velocities=state.velocities + dt * dv + random_v, entropy=entropy, thermal=thermal,
        internal=thermal.energy - state.reference,
    )  # fmt: skip
