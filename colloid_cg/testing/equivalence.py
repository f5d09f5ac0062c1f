"""Laws of the gauges: equivalent models predict the same motion, and one convention fixes them all."""

from __future__ import annotations

import torch

from colloid_cg.dynamics.metriplectic.gauges import (
    boltzmann_fixed,
    density_fixed,
    density_shifted,
    entropy_rescaled,
    offsets_fixed,
    offsets_shifted,
)
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.dynamics.metriplectic.steps.euler_maruyama import drift
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.testing.dense import dense_force
from colloid_cg.testing.symmetry import rebuilt
from colloid_cg.testing.verdicts import largest, require_close

GAUGE_TOLERANCE = 1e-9
"""What a gauge may change, in units of the largest value (acceptance figure P4)."""


def assert_density_gauge(
    model: MetriplecticModel, state: PhaseState, *, tolerance: float = GAUGE_TOLERANCE, dt: float | None = None
) -> None:
    """Require that phi - 2 a W with U_i + a d_i predicts the same, and that dU/dd = 0 at (S = 0, d = 1) fixes a.

    Models without a density kernel do not have this gauge and pass unexamined.
    """
    if model.radial.kernel_at_zero is None or state.volume is None:
        return
    size = float((state.thermal.energy * state.volume).abs().max())
    amount = size * torch.linspace(0.7, -0.4, model.n_species).to(model.masses)
    other = density_shifted(model, amount)
    same = rebuilt(other, state)
    _require_same_motion("the gauge phi - 2 a W, U + a d", (model, state), (other, same), tolerance, dt=dt)
    require_close(
        "the gauge phi - 2 a W, U + a d changes -dE/dr by automatic differentiation",
        dense_force(other, same), expected=dense_force(model, state), tolerance=tolerance,
    )  # fmt: skip
    _require_same_functions("dU/dd = 0 at S = 0, d = 1", density_fixed(model), density_fixed(other), state, tolerance)


def assert_entropy_gauge(
    model: MetriplecticModel,
    state: PhaseState,
    *,
    factor: float = 0.3,
    tolerance: float = GAUGE_TOLERANCE,
    dt: float | None = None,
) -> None:
    """Require that scaling S, k_B, T and gamma together predicts the same (r, v), and that k_B = 1 fixes the scale."""
    other = entropy_rescaled(model, factor)
    same = rebuilt(other, state, entropy=state.entropy * factor)
    name = "scaling S, k_B, T, gamma together"
    _require_same_motion(name, (model, state), (other, same), tolerance, entropy_factor=factor, dt=dt)
    fixed, also_fixed = boltzmann_fixed(model), boltzmann_fixed(other)
    scaled = rebuilt(fixed, state, entropy=state.entropy / model.boltzmann)
    _require_same_functions("k_B = 1", fixed, also_fixed, scaled, tolerance)


def assert_offset_gauge(
    model: MetriplecticModel, state: PhaseState, *, tolerance: float = GAUGE_TOLERANCE, dt: float | None = None
) -> None:
    """Require that zeros of U and S chosen for each species predict the same.

    Also that U = S = 0 at (T0, d = 1) fixes them; T0 is the mean temperature of the state.
    """
    ways = torch.linspace(1.0, -0.5, model.n_species).to(model.masses)
    energy, entropy = float(state.thermal.energy.abs().max()) * ways, float(state.thermal.heat_capacity.mean()) * ways
    other = offsets_shifted(model, energy=energy, entropy=entropy)
    same = rebuilt(other, state, entropy=state.entropy + entropy[state.species])
    _require_same_motion("offsets of U and S", (model, state), (other, same), tolerance, dt=dt)
    middle = float(state.thermal.temperature.mean())
    fixed, also_fixed = (offsets_fixed(one, temperature=middle) for one in (model, other))
    # The fixed models want S counted from (T0, d = 1): any entropy will do, as long as both get the same.
    _require_same_functions(
        "U = S = 0 at (T0, d = 1)", fixed, also_fixed, rebuilt(fixed, state, entropy=0.0 * state.entropy), tolerance
    )


def _require_same_motion(
    name: str,
    original: tuple[MetriplecticModel, PhaseState],
    changed: tuple[MetriplecticModel, PhaseState],
    tolerance: float,
    *,
    entropy_factor: float = 1.0,
    dt: float | None,
) -> None:
    """Require equal drifts, and equal positions and velocities after a step with the same noise."""
    for what, right, found in zip(("dv/dt", "dS/dt"), drift(*original), drift(*changed), strict=True):
        scale = entropy_factor if what == "dS/dt" else 1.0
        require_close(f"{name} changes {what}", found / scale, expected=right, tolerance=tolerance)
    if dt is None:
        dt = gentle_step(*original)
    ends = [
        reinjection_step(model, state, dt, torch.Generator(device=state.positions.device).manual_seed(0))
        for model, state in (original, changed)
    ]
    for what in ("positions", "velocities"):
        first, second = (getattr(end, what) for end in ends)
        require_close(
            f"{name} changes {what} after a step of dt = {dt:.3g}", second, expected=first, tolerance=tolerance
        )


def gentle_step(model: MetriplecticModel, state: PhaseState) -> float:
    """Return a time in which no velocity changes by more than 1 % and nothing moves by more than 1 % of the cutoff."""
    dv, ds = drift(model, state)
    speed = largest(state.velocities)
    warming = largest(ds / state.thermal.heat_capacity)
    rate = max(largest(dv) / speed if speed else 0.0, speed / model.cutoff, warming)
    return 0.01 / rate if rate > 0 else 1.0


def _require_same_functions(
    convention: str, one: MetriplecticModel, other: MetriplecticModel, state: PhaseState, tolerance: float
) -> None:
    """Require the same k_B, U, T, C, P, phi, gamma and C2 at a state."""
    ends = [(model, rebuilt(model, state)) for model in (one, other)]
    first, second = (_functions(*end) for end in ends)
    for name, right in first.items():
        # What a convention subtracts is as large as U itself: that is the size of round-off.
        size = max(largest(right), largest(first["U"])) if name in ("U", "phi") else None
        require_close(
            f"the convention {convention} leaves {name} open", second[name], expected=right, tolerance=tolerance,
            scale=size, where=lambda index: f"entry {index[0]}",
        )  # fmt: skip


def _functions(model: MetriplecticModel, state: PhaseState) -> dict[str, torch.Tensor]:
    """Return k_B, and what the model's functions say at a state; zeros for functions it does not have."""
    thermal, radial = state.thermal, state.radial
    law = model.law.at(radial, thermal.temperature, state.pairs, model.kinds(state.species))
    of_particles = {"U": thermal.energy, "T": thermal.temperature, "C": thermal.heat_capacity, "P": thermal.pressure}
    of_pairs = {"phi": radial.potential, "phi'": radial.potential_slope}
    of_pairs |= {
        name: None if channel is None else channel.value
        for name, channel in (("g_par", law.par), ("g_perp", law.perp), ("C2", law.heat))
    }
    found = {"k_B": torch.tensor([model.boltzmann], dtype=torch.float64)}
    for values, zeros in (
        (of_particles, torch.zeros_like(state.internal)),
        (of_pairs, torch.zeros_like(state.distance)),
    ):
        found |= {name: zeros if value is None else value for name, value in values.items()}
    return found
