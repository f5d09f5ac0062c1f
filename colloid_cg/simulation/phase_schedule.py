"""Time steps of a rollout in phase space: short against friction and against the stiffest pair force."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.dissipative import friction_rates
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.dynamics.metriplectic.reversible import energy_per_density
from colloid_cg.dynamics.metriplectic.state import PhaseState

FRICTION_STEP = 0.05
"""Largest friction rate x dt: the two-stage step then misses equilibrium by less than half a per cent."""
STIFF_STEP = 0.2
"""Largest omega dt of the stiffest pair: velocity Verlet then errs by (omega dt)^2/24 < .2 % in its frequency."""


@dataclass(frozen=True, kw_only=True)
class PhaseSchedule:
    """Time steps: ``substeps`` of ``dt`` per frame; ``friction_step`` is rate x dt, ``stiff_step`` omega dt."""

    dt: float
    substeps: int
    friction_step: float
    stiff_step: float

    @property
    def rule(self) -> str:
        """Say what was resolved, for the record of a rollout."""
        return (
            f"{self.substeps} steps per frame; friction rate x dt {self.friction_step:.3g} "
            f"(at most {FRICTION_STEP:g}), "
            f"frequency of the stiffest pair x dt {self.stiff_step:.3g} (at most {STIFF_STEP:g})"
        )


def phase_schedule(
    model: MetriplecticModel, state: PhaseState, *, frame_interval: float, substeps: int | None = None
) -> PhaseSchedule:
    """Return the fewest steps per frame with rate x dt <= .05 and omega dt <= .2, or the number that is given."""
    rate = float(friction_rates(model, state).max())
    stiffest = max(stiffest_frequency(model, state), memory_frequency(model, state))
    if substeps is None:
        needed = max(rate / FRICTION_STEP, stiffest / STIFF_STEP) * frame_interval
        substeps = max(1, int(np.ceil(needed * (1.0 - 1e-12))))
    dt = frame_interval / substeps
    return PhaseSchedule(dt=dt, substeps=substeps, friction_step=rate * dt, stiff_step=stiffest * dt)


def memory_frequency(model: MetriplecticModel, state: PhaseState) -> float:
    """Return the largest frequency at which a particle and the hidden vectors of its pairs exchange energy.

    sqrt(sum_j trace(c_ij^2)/(d m_i)) of the particle with most neighbours; zero without memory.
    """
    if model.memory is None or not len(state.distance):
        return 0.0
    pairs, d = state.pairs, state.positions.shape[1]
    kinds = model.pair_kinds(state.species, pairs.first, pairs.second)
    squares = model.memory.couplings(state.distance, kinds).square().sum(dim=0)
    stiffness = pairs.both(squares[0] + (d - 1) * squares[1]) / d
    return float((stiffness * model.inverse_mass(state.species)[:, 0]).max().sqrt())


def stiffest_frequency(model: MetriplecticModel, state: PhaseState) -> float:
    """Return omega = sqrt(|F'|/m_red), the largest of all species pairs: of the potential and of the pressure.

    From the closest distance on: that of the state, or the first knot of splines, the closest of their training data.
    The pressure acts as the potential 2 (dU/dd) W(r), with the largest dU/dd of the state.
    """
    if not len(state.distance):
        return 0.0
    nearest = float(state.distance.min())
    if isinstance(model.radial, SplineRadial):
        nearest = min(nearest, model.radial.lower)
    distance = torch.linspace(nearest, model.cutoff, 400, dtype=state.distance.dtype, device=state.distance.device)
    density = energy_per_density(state.thermal, state.volume)
    squeezed = 0.0 if density is None else 2.0 * float(density.abs().max())
    largest, number = 0.0, 0
    for a in range(model.n_species):
        for b in range(a, model.n_species):
            kind = None if model.n_species == 1 else torch.full_like(distance, number, dtype=torch.long)
            radial, number = model.radial.evaluate(distance, kind), number + 1
            slopes = ((1.0, radial.potential_slope), (squeezed, radial.kernel_slope))
            curvatures = [
                weight * torch.gradient(slope, spacing=(distance,))[0].abs()
                for weight, slope in slopes
                if slope is not None
            ]
            stiffness = float(torch.stack(curvatures).sum(dim=0).max()) if curvatures else 0.0
            inverse = float(1.0 / model.masses[a] + 1.0 / model.masses[b])
            largest = max(largest, stiffness * inverse)
    return float(np.sqrt(largest))
