"""L gradE: local density, conservative forces, and the energy that flows between particles while they move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from colloid_cg.dynamics.metriplectic import loops
from colloid_cg.dynamics.metriplectic.energy import Thermal
from colloid_cg.dynamics.metriplectic.loops import motion
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
    return state.potential_force + state.pairs.along(-compression, state.direction)


def potential_force(radial: RadialValues, pairs: Pairs, direction: torch.Tensor) -> torch.Tensor:
    """Return -sum_j phi'(r_ij) e_ij, shape (n, d): the part of the force that depends on positions alone."""
    if radial.potential_slope is None:
        return direction.new_zeros(pairs.n_particles, len(direction))
    return pairs.along(-radial.potential_slope, direction)


def energy_inflow(before: PhaseState, after: PhaseState, shift: torch.Tensor) -> torch.Tensor:
    """Return what flows into each particle beyond F_i . dr_i, less what its half of the potentials stores; (n,).

    (1/2)(h_i + h_i') - (1/2) d[sum_j phi_ij], h_i = sum_j [phi'(r)/2 + (dU_i/dd_i) W'(r)] e_ij . dr_ij: particle i owns
    half of each pair's potential energy and all of U_i. Added to F_i . dr_i this is the energy that comes in through
    the neighbours; over all particles the flows cancel (but for the work of sliding faces).

    Parameters
    ----------
    before, after : PhaseState
        At both ends of the motion, thermal states at the entropy of the start.
    shift : tensor, shape (n, d)
        Motion of every particle, r' - r.
    """
    duration, inflow = after.time - before.time, torch.zeros_like(before.internal)
    for state, sign in ((before, 0.5), (after, -0.5)):
        radial, density = state.radial, energy_per_density(state.thermal, state.volume)
        potential = (radial.potential, radial.potential_slope)
        compression = (None, None) if density is None else (density, radial.kernel_slope)
        if loops.usable(shift, state.direction, *potential, *compression):
            motion.inflow(
                inflow, shift, state.direction, state.pairs.arrays, potential, compression,
                slide=state.cell.face_speed * duration, sign=sign,
            )  # fmt: skip
            continue
        opening = torch.linalg.vecdot(state.direction, state.relative(shift, duration=duration), dim=0)
        if radial.potential is not None and radial.potential_slope is not None:
            inflow = inflow + state.pairs.both(0.25 * radial.potential_slope * opening + sign * radial.potential)
        if density is not None and radial.kernel_slope is not None:
            inflow = inflow + 0.5 * density * state.pairs.both(radial.kernel_slope * opening)
    return inflow
