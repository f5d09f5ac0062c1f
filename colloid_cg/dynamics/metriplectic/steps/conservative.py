"""Velocity Verlet at fixed entropy; what it errs by in energy stays with the particle, as internal energy."""

from __future__ import annotations

from dataclasses import replace

import torch

from colloid_cg.dynamics.metriplectic import loops
from colloid_cg.dynamics.metriplectic.energy import entropy_at
from colloid_cg.dynamics.metriplectic.loops import motion
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.reversible import energy_inflow, pair_forces
from colloid_cg.dynamics.metriplectic.state import PhaseState, moved_to
from colloid_cg.errors import DataError


def verlet_substep(model: MetriplecticModel, state: PhaseState, dt: float) -> PhaseState:
    """Advance positions and velocities by ``dt`` under L gradE (velocity Verlet) and close each particle's energy.

    Exact motion would change k_i + U_i + (1/2) sum_j phi_ij + psi_i by what flows in through the neighbours. The step
    sets U_i' so that this holds with the flow of the trapezoidal rule,
    U_i' = U_i - dk_i - d[(1/2) sum_j phi_ij] - dpsi_i + (1/2)(F_i + F_i').dr_i + (1/2)(h_i + h_i'),
    whose sum over all particles vanishes: the total energy is conserved to round-off. What U_i' - U(S_i, V_i') comes
    to, of third order in dt per step, is counted as ``absorbed``; S_i follows from U_i'.

    Raises
    ------
    DataError
        If the internal energy of a particle falls below the lowest possible one: dt is too long.
    """
    inverse_mass = model.inverse_mass(state.species)
    force = pair_forces(state, state.thermal)
    half = state.velocities + 0.5 * dt * inverse_mass * _with_external(model, state, force)
    shift = _with_drive(model, state, dt * half, dt)
    moved = moved_to(model, state, state.positions + shift, state.time + dt)
    new_force = pair_forces(moved, moved.thermal)
    velocities = half + 0.5 * dt * inverse_mass * _with_external(model, moved, new_force)
    if model.drive is not None:
        velocities = torch.where(inverse_mass > 0, velocities, shift / dt)
    moved = replace(moved, velocities=velocities)
    inflow = energy_inflow(state, moved, shift)
    push = 0.5 * row_products(force + new_force, shift)
    faster = row_products(velocities - state.velocities, velocities + state.velocities)
    kinetic = 0.5 * model.inertia(state.species) * faster
    pushed = push if model.drive is None else torch.where(inverse_mass[:, 0] > 0, push, 0.0)
    change = inflow + pushed - kinetic
    if model.external is not None:
        kinds = model.kinds(state.species)
        psi, new_psi = (model.external.at(each.positions, kinds)[0] for each in (state, moved))
        change = change - (new_psi - psi)
    work = _work(model, state, moved, push, inflow)
    if model.body is not None:
        received = 0.5 * row_products(_body_force(model, state) + _body_force(model, moved), shift)
        change, work = change + received, work + received.sum()
    return _closed(model, state, moved, change, work=work)


def _closed(
    model: MetriplecticModel, before: PhaseState, moved: PhaseState, change: torch.Tensor, *, work: torch.Tensor | float
) -> PhaseState:
    """Return the state with U_i changed, the entropy that belongs to it, and the account of what was absorbed."""
    kinds = model.kinds(moved.species)
    internal = before.internal + change
    target = moved.reference + internal
    if bool((target <= model.energy.lowest(moved.volume, kinds)).any()):
        raise DataError(
            f"an internal energy below the lowest possible one after a step of dt = {moved.time - before.time:.4g}",
            expected="steps whose energy error is small against the internal energy",
            action="use a smaller dt",
        )
    entropy, thermal = entropy_at(model.energy, target, moved.volume, kinds, start=moved.entropy)
    absorbed = (target - moved.thermal.energy).sum()
    account = before.account.plus(absorbed=absorbed, work=work)
    return replace(moved, internal=internal, entropy=entropy, thermal=thermal, account=account)


def _work(
    model: MetriplecticModel, state: PhaseState, moved: PhaseState, push: torch.Tensor, inflow: torch.Tensor
) -> torch.Tensor | float:
    """Return the work of sliding faces (all flows, which else cancel) and of drives, -F_i.dr_i."""
    work: torch.Tensor | float = 0.0
    if state.cell.box.shear_rate:
        stored = [s.radial.potential.sum() if s.radial.potential is not None else 0.0 for s in (state, moved)]
        work = work + push.sum() + inflow.sum() + (stored[1] - stored[0])
    if model.drive is not None:
        work = work - push[model.inverse_mass(state.species)[:, 0] == 0].sum()
    return work


def row_products(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return x_i.y_i, shape (n,), for shapes (n, d)."""
    if loops.usable(first, second):
        return motion.row_products(first, second)
    return (first * second).sum(dim=1)


def _with_external(model: MetriplecticModel, state: PhaseState, force: torch.Tensor) -> torch.Tensor:
    """Return the force of the pairs, of the external potential and of the body force together, shape (n, d)."""
    if model.external is not None:
        force = force + model.external.at(state.positions, model.kinds(state.species))[1]
    return force if model.body is None else force + _body_force(model, state)


def _body_force(model: MetriplecticModel, state: PhaseState) -> torch.Tensor:
    """Return the forces without a potential, shape (n, d); none act on prescribed particles."""
    if model.body is None:
        return torch.zeros_like(state.positions)
    return torch.where(model.inverse_mass(state.species) > 0, model.body.at(state.positions, state.time), 0.0)


def _with_drive(model: MetriplecticModel, state: PhaseState, shift: torch.Tensor, dt: float) -> torch.Tensor:
    """Return the displacements with those of the prescribed particles put in."""
    if model.drive is None:
        return shift
    resting = model.inverse_mass(state.species)[:, 0] == 0
    shift = shift.clone()
    shift[resting] = model.drive.at(state.time + dt) - state.positions[resting]
    return shift
