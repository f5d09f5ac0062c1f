"""States that rollouts in phase space start from: at one temperature, or at estimated internal energies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import entropy_at
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState, phase_state, total_energy
from colloid_cg.learn.thermal.transition import plausible
from colloid_cg.observables import kinetic_temperature, without_common_motion
from colloid_cg.records import ModelBundle, PhaseSeries

_ROUNDS = 100
_SETTLED = 1e-12


def starting_state(model: MetriplecticModel, start: PhaseSeries, thermal_energy: float) -> tuple[PhaseState, float]:
    """Return the first frame at rest and at k_B T, and the factor by which its velocities were scaled."""
    relative = without_common_motion(start.velocities[:1], start.masses)[0]
    kinetic = float((start.masses[:, None] * relative**2).sum())
    freedom = start.dimension * (start.n_particles - 1)
    scale = float(np.sqrt(freedom * thermal_energy / kinetic)) if kinetic > 0.0 else 1.0
    return _state(model, start, scale * relative), scale


def hidden_start(model: MetriplecticModel, bundle: ModelBundle, start: PhaseSeries) -> tuple[PhaseState, list[str]]:
    """Return the first frame with the internal energies the fit ended with, and what a reader should know.

    Velocities are those of the frame about the common motion, not scaled: there is no single temperature. Later frames
    of the recording of the fit have its total energy: the energies are shifted by as much as the motion has gained
    since. Other particles start at the temperature of their motion.
    """
    state = _state(model, start, without_common_motion(start.velocities[:1], start.masses)[0])
    if not _follows(bundle, start):
        heat = kinetic_temperature(start.velocities[:1], start.masses)[0]
        return at_temperature(model, state, heat), [
            "The frames to start from do not follow those of the fit: all particles start at the temperature of their "
            f"motion, k_B T = {heat:.4g}."
        ]
    energy = torch.tensor(bundle.weights["hidden_energy"])
    whole = float(bundle.config["total_energy"]) - float(total_energy(model, state))
    energy = energy + (whole - energy.sum()) / len(energy)
    if bool((energy <= model.energy.lowest(state.volume, model.kinds(state.species))).any()):
        energy = plausible(model, energy, state)
        energy = energy + (whole - energy.sum()) / len(energy)
    return at_energies(model, state, energy), []


def at_energies(model: MetriplecticModel, state: PhaseState, energy: torch.Tensor) -> PhaseState:
    """Return the state with internal energies U_i (n,), counted from them."""
    kinds = model.kinds(state.species)
    entropy, thermal = entropy_at(model.energy, energy, state.volume, kinds, start=state.entropy)
    return replace(state, entropy=entropy, thermal=thermal, reference=thermal.energy)


def at_temperature(model: MetriplecticModel, state: PhaseState, temperature: float) -> PhaseState:
    """Return the state with every particle at one temperature, by Newton's method in S."""
    kinds, entropy = model.kinds(state.species), state.entropy
    for _ in range(_ROUNDS):
        thermal = model.energy.at(entropy, state.volume, kinds)
        step = thermal.heat_capacity * torch.log(temperature / thermal.temperature)
        entropy = entropy + step
        if float((step / thermal.heat_capacity).abs().max()) < _SETTLED:
            break
    thermal = model.energy.at(entropy, state.volume, kinds)
    return replace(state, entropy=entropy, thermal=thermal, reference=thermal.energy)


def _follows(bundle: ModelBundle, start: PhaseSeries) -> bool:
    """Return whether ``start`` is a later part of the recording the model was fitted to, as far as one can tell."""
    same = np.array_equal(bundle.weights["hidden_species"], start.species)
    return same and start.first_frame > int(bundle.config["last_frame"])


def _state(model: MetriplecticModel, start: PhaseSeries, velocities: np.ndarray) -> PhaseState:
    return phase_state(
        model,
        torch.tensor(start.positions[0], dtype=model.masses.dtype),
        torch.tensor(velocities, dtype=model.masses.dtype),
        cell=Cell(box=start.box),
        species=torch.tensor(start.species, dtype=torch.long),
    )
