"""L gradE: local density, conservative forces, and the energy that flows between particles while they move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from colloid_cg.dynamics.metriplectic.energy import Thermal
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import Pairs
from colloid_cg.dynamics.metriplectic.radial import RadialValues

if TYPE_CHECKING:
    from colloid_cg.dynamics.metriplectic.state import PhaseState


def local_density(
    model: MetriplecticModel, radial: RadialValues, pairs: Pairs, species: torch.Tensor | None
) -> torch.Tensor | None:
    """Return d_i = W(0) + sum_j W(r_ij), shape (n,); None for a model without a density kernel."""
    own = model.radial.kernel_at_zero
    if radial.kernel is None or own is None:
        return None
    return (own[0] if species is None else own[species]) + pairs.both(radial.kernel)


def energy_per_density(thermal: Thermal, volume: torch.Tensor | None) -> torch.Tensor | None:
    """Return dU/dd = P V^2 (V = 1/d), shape (n,)."""
    if thermal.pressure is None or volume is None:
        return None
    return thermal.pressure * volume**2


def pair_forces(state: PhaseState, thermal: Thermal) -> torch.Tensor:
    """Return F_i = -dE/dr_i at fixed S from pairs, shape (n, d).

    F_ij = -[phi'(r) + (dU_i/dd_i + dU_j/dd_j) W'(r)] e_ij: exactly opposite on both particles.
    """
    density = energy_per_density(thermal, state.volume)
    if density is None or state.radial.kernel_slope is None:
        return state.potential_force
    compression = state.pairs.added(density) * state.radial.kernel_slope
    return state.potential_force + state.pairs.net(-compression * state.direction)


def potential_force(radial: RadialValues, pairs: Pairs, direction: torch.Tensor) -> torch.Tensor:
    """Return -sum_j phi'(r_ij) e_ij, shape (n, d): the part of the force that depends on positions alone."""
    if radial.potential_slope is None:
        return direction.new_zeros(pairs.n_particles, len(direction))
    return pairs.net(-radial.potential_slope * direction)


def energy_inflow(
    before: PhaseState,
    after: PhaseState,
    thermals: tuple[Thermal, Thermal],
    relative: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """Return what flows into each particle beyond F_i . dr_i, less what its half of the potentials stores; (n,).

    (1/2)(h_i + h_i') - (1/2) d[sum_j phi_ij], h_i = sum_j [phi'(r)/2 + (dU_i/dd_i) W'(r)] e_ij . dr_ij: particle i owns
    half of each pair's potential energy and all of U_i. Added to F_i . dr_i this is the energy that comes in through
    the neighbours; over all particles the flows cancel (but for the work of sliding faces).

    Parameters
    ----------
    before, after : PhaseState
        At both ends of the motion.
    thermals : two Thermal
        At both ends, at the entropy of the start.
    relative : two tensors, shape (d, p)
        Motion of every pair of either state's list, r_ij' - r_ij.
    """
    flows, inflow = [], torch.zeros_like(before.internal)
    for state, thermal, motion, sign in zip((before, after), thermals, relative, (0.5, -0.5), strict=True):
        opening = torch.linalg.vecdot(state.direction, motion, dim=0)
        if state.radial.potential is not None and state.radial.potential_slope is not None:
            flows.append(0.25 * state.radial.potential_slope * opening + sign * state.radial.potential)
        density = energy_per_density(thermal, state.volume)
        if density is not None and state.radial.kernel_slope is not None:
            inflow = inflow + 0.5 * density * state.pairs.both(state.radial.kernel_slope * opening)
    if not flows:
        return inflow
    if before.pairs is after.pairs:
        return inflow + before.pairs.both(flows[0] + flows[1])
    return inflow + before.pairs.both(flows[0]) + after.pairs.both(flows[1])
