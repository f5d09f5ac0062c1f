"""The step of models with hidden vectors of pairs: energy and momentum to round-off, equilibrium at any step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic import loops
from colloid_cg.dynamics.metriplectic.energy import entropy_at
from colloid_cg.dynamics.metriplectic.loops import hidden
from colloid_cg.dynamics.metriplectic.loops.arrays import array
from colloid_cg.dynamics.metriplectic.memory import HiddenState, PairMemory, hidden_energy
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import Pairs
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.dynamics.metriplectic.steps.conservative import verlet_substep
from colloid_cg.dynamics.metriplectic.steps.reinjection import dissipative_substep
from colloid_cg.errors import DataError, InputError


def memory_step(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
    """Advance by ``dt``: hidden vectors, friction without memory where the model has any, velocity Verlet.

    Raises
    ------
    InputError
        If the model has no memory, a sheared cell or prescribed particles, or is not in main memory.
    DataError
        If an internal energy falls below the lowest possible one: dt is too long or the heat capacity too small.
    """
    state = memory_substep(model, state, dt, rng)
    radial = state.radial
    if model.bath is not None or any(
        part is not None for part in (radial.par, radial.perp, radial.heat, radial.scaled)
    ):
        state = dissipative_substep(model, state, dt, rng, stages=2)
    return verlet_substep(model, state, dt)


def memory_substep(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
    """Advance velocities, hidden vectors and internal energies by ``dt`` at fixed positions.

    Half of the exchange with the motion, pair after pair; the exact relaxation of the hidden vectors; the other half in
    the opposite order. Each turn of (w, z) keeps the energy of its pair and all volumes in phase space, whatever dt.
    """
    memory = _memory(model, state)
    state = hidden_at_pairs(model, state, rng)
    found = _hidden(state)
    pairs, inverse_mass = state.pairs, _inverse_masses(model, state)
    couplings = memory.couplings(state.distance, model.pair_kinds(state.species, pairs.first, pairs.second))
    velocities, values = state.velocities.clone(), found.values.clone()
    heat = torch.zeros_like(state.internal)
    normals = _normals(values.shape, values, rng)
    where = (array(state.direction), pairs.first.numpy(), pairs.second.numpy(), inverse_mass, array(couplings))
    moving = (velocities.numpy(), values.numpy())
    kept, noise = (matrix.astype(moving[1].dtype) for matrix in memory.relaxation(dt))
    hidden.exchange(*moving, *where, memory.coupled, 0.5 * dt, True)
    spread = array(pair_spread(model, state))
    hidden.relax(moving[1], *where[1:3], kept, noise, array(normals), spread, heat.numpy())
    hidden.exchange(*moving, *where, memory.coupled, 0.5 * dt, False)
    energy = hidden_energy(memory, values, model.boltzmann)
    after = replace(state, velocities=velocities, hidden=HiddenState(pairs=pairs, values=values, energy=energy))
    return _heated(model, after, heat, dt)


def hidden_at_pairs(model: MetriplecticModel, state: PhaseState, rng: torch.Generator) -> PhaseState:
    """Return the state with hidden vectors for the pairs of its neighbour list.

    Those of pairs that are still near each other go on; those of pairs that left the list are dropped and those of new
    pairs drawn at equilibrium. Both happen beyond the cutoff, where nothing is coupled, so that the draw stands for the
    time the pair was apart. The energy that this takes or gives, beyond k_B T0/2 per component, is exchanged with the
    two particles. A state without hidden vectors gets them all, for nothing: they are part of its start.
    """
    memory, before = _memory(model, state), state.hidden
    if before is not None and before.pairs is state.pairs:
        return state
    pairs = state.pairs
    shape = (len(pairs), memory.n_vectors, state.positions.shape[1])
    spread = pair_spread(model, state)
    values = spread.sqrt()[:, None, None] * _normals(shape, state.positions, rng)
    if before is None:
        energy = hidden_energy(memory, values, model.boltzmann)
        return replace(state, hidden=HiddenState(pairs=pairs, values=values, energy=energy))
    rows, known = _rows(before.pairs, pairs)
    values[known] = before.values[rows[known]]
    gone = torch.ones(len(before.pairs), dtype=torch.bool)
    gone[rows[known]] = False
    mean = 0.5 * model.boltzmann * memory.temperature * shape[1] * shape[2]
    heat = torch.zeros_like(state.internal)
    for own, chosen, which, sign in ((before.values, before.pairs, gone, 0.5), (values, pairs, ~known, -0.5)):
        surplus = sign * (0.5 * own[which].square().sum(dim=(1, 2)) - mean)
        heat = heat.index_add(0, chosen.first[which], surplus).index_add(0, chosen.second[which], surplus)
    energy = hidden_energy(memory, values, model.boltzmann)
    return _heated(model, replace(state, hidden=HiddenState(pairs=pairs, values=values, energy=energy)), heat, 0.0)


def pair_spread(model: MetriplecticModel, state: PhaseState) -> torch.Tensor:
    """Return the variance of hidden vectors at the temperatures of both particles, shape (p,).

    k_B / mean[(1/T)(1 - k_B/2C)]: k_B T, and the share of k_B div M that comes from its dependence on the heat which
    the vectors lose, to first order in k_B/C.
    """
    thermal = state.thermal
    inverse = (1.0 - 0.5 * model.boltzmann / thermal.heat_capacity) / thermal.temperature
    return 2.0 * model.boltzmann / state.pairs.added(inverse)


def memory_forces(model: MetriplecticModel, state: PhaseState) -> torch.Tensor:
    """Return the force of the hidden vectors on every particle, sum_j A z, shape (n, d)."""
    memory, found, pairs = _memory(model, state), _hidden(state), state.pairs
    if found.pairs is not pairs:
        raise InputError(
            "hidden vectors of another neighbour list", expected="those of the state", action="use hidden_at_pairs"
        )
    couplings = memory.couplings(state.distance, model.pair_kinds(state.species, pairs.first, pairs.second))
    total = torch.zeros_like(state.direction)
    for mode, vector in enumerate(memory.coupled):
        z = found.values[:, vector].T
        along = torch.linalg.vecdot(state.direction, z, dim=0)
        par, perp = couplings[mode]
        total = total + perp * z + (par - perp) * along * state.direction
    return pairs.net(total)


def _memory(model: MetriplecticModel, state: PhaseState) -> PairMemory:
    if model.memory is None:
        raise InputError("a model without memory", expected="hidden vectors", action="use the re-injection step")
    if model.drive is not None or state.cell.box.shear_rate:
        raise InputError(
            "prescribed particles or a sheared cell",
            expected="a model of free pairs",
            action="fit without memory (momentum.memory) to use them",
        )
    if not loops.usable(state.positions, state.velocities):
        raise InputError(
            "a state on an accelerator or with derivatives",
            expected="plain tensors in main memory",
            action="move the state; hidden vectors are exchanged pair after pair",
        )
    return model.memory


def _hidden(state: PhaseState) -> HiddenState:
    if state.hidden is None:
        raise InputError("a state without hidden vectors", expected="them", action="use hidden_at_pairs first")
    return state.hidden


def _inverse_masses(model: MetriplecticModel, state: PhaseState) -> np.ndarray:
    return array(model.inverse_mass(state.species)[:, 0].expand(len(state.species)))


def _normals(shape: tuple[int, ...] | torch.Size, like: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    return torch.randn(tuple(shape), generator=rng).to(like.dtype)


def _rows(before: Pairs, after: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the row of every pair in the list before, and whether it was there; lists name the lower index first."""
    old = before.first * before.n_particles + before.second
    new = after.first * after.n_particles + after.second
    ordered, order = torch.sort(old)
    place = torch.searchsorted(ordered, new).clamp(max=max(len(old) - 1, 0))
    if not len(old):
        return torch.zeros_like(new), torch.zeros(len(new), dtype=torch.bool)
    rows = order[place]
    return rows, old[rows] == new


def _heated(model: MetriplecticModel, state: PhaseState, heat: torch.Tensor, dt: float) -> PhaseState:
    """Return the state with heat (n,) added to the internal energies."""
    internal, kinds = state.internal + heat, model.kinds(state.species)
    target = state.reference + internal
    if bool((target <= model.energy.lowest(state.volume, kinds)).any()):
        raise DataError(
            f"hidden vectors that take an internal energy below the lowest possible one in a step of dt = {dt:.4g}",
            expected="fluctuations small against the internal energy",
            action="check the heat capacity of the model",
        )
    entropy, thermal = entropy_at(model.energy, target, state.volume, kinds, start=state.entropy)
    return replace(state, internal=internal, entropy=entropy, thermal=thermal)
