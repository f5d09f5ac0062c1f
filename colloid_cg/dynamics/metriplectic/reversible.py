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
    strength = _slope(state, thermal)
    if strength is None:
        return torch.zeros_like(state.positions)
    return state.pairs.net(-strength * state.direction)


def _slope(state: PhaseState, thermal: Thermal) -> torch.Tensor | None:
    """Return d(phi + U_i + U_j)/dr of every pair, shape (p,)."""
    slope, density = state.radial.potential_slope, energy_per_density(thermal, state.volume)
    if density is not None and state.radial.kernel_slope is not None:
        first, second = state.pairs.ends(density)
        compression = (first + second) * state.radial.kernel_slope
        slope = compression if slope is None else slope + compression
    return slope


def energy_inflow(state: PhaseState, thermal: Thermal, relative: torch.Tensor) -> torch.Tensor:
    """Return what each particle's own energy share changes by while pairs move by ``relative`` (d, p), shape (n,).

    sum_j [phi'(r)/2 + (dU_i/dd_i) W'(r)] e_ij . dr_ij: half of each pair's potential energy, and all of U_i.
    Added to F_i . dr_i this is the energy that flows into particle i through its neighbours; over all particles the
    two cancel (but for the work of sliding faces).
    """
    opening = torch.linalg.vecdot(state.direction, relative, dim=0)
    inflow = torch.zeros_like(state.internal)
    if state.radial.potential_slope is not None:
        inflow = inflow + 0.5 * state.pairs.both(state.radial.potential_slope * opening)
    density = energy_per_density(thermal, state.volume)
    if density is not None and state.radial.kernel_slope is not None:
        inflow = inflow + density * state.pairs.both(state.radial.kernel_slope * opening)
    return inflow


def potential_share(state: PhaseState) -> torch.Tensor:
    """Return half of the potential energy of every particle's pairs, shape (n,)."""
    if state.radial.potential is None:
        return torch.zeros_like(state.internal)
    return 0.5 * state.pairs.both(state.radial.potential)
