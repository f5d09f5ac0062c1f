"""The dissipative step that keeps energy and momentum to round-off: impulses first, then the heat they make.

Since sum_i (K_i' - K_i) = sum_pairs dp.(w + w')/2 identically, returning half of -dp.(w + w')/2 to each particle of a
pair as internal energy conserves energy for any impulses and any learned coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from colloid_cg.dynamics.metriplectic.dissipative import (
    friction_factors,
    heat_noise,
    impulse_noise,
    mean_heat,
    pair_thermal,
    tensor_times,
)
from colloid_cg.dynamics.metriplectic.energy import Thermal, entropy_at
from colloid_cg.dynamics.metriplectic.friction import PairCoefficients
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.dynamics.metriplectic.steps.conservative import verlet_substep
from colloid_cg.errors import DataError, InputError

MOST_DRAWS = 20
"""Times the noise of a particle is drawn before the step gives up."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Normals:
    """Standard normals of one step: per pair (d, p) and (p,), per particle against the bath (n, d) and (n,)."""

    impulse: torch.Tensor
    heat: torch.Tensor | None
    bath_impulse: torch.Tensor | None
    bath_heat: torch.Tensor | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Exchange:
    """What one dissipative step moves: impulses (d, p) and heat (p,) of pairs, (n, d) and (n,) from the bath."""

    impulse: torch.Tensor
    heat: torch.Tensor | None
    bath_impulse: torch.Tensor | None
    bath_heat: torch.Tensor | None


def reinjection_step(
    model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator, *, stages: int = 1
) -> PhaseState:
    """Advance by ``dt``: dissipative step with re-injection, then velocity Verlet; energy and momentum to round-off.

    Parameters
    ----------
    stages : {1, 2}
        With two, the drift is averaged over the state and the predicted one (same noise): allows larger steps.

    Raises
    ------
    DataError
        If the noise takes internal energies below the lowest possible one again and again: dt is too long.
    """
    return verlet_substep(model, dissipative_substep(model, state, dt, rng, stages=stages), dt)


def dissipative_substep(
    model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator, *, stages: int = 1
) -> PhaseState:
    """Advance velocities and internal energies by M gradS + k_B div M + noise at fixed positions."""
    kinds = model.kinds(state.species)
    lowest = model.energy.lowest(state.volume, kinds)
    normals, drawn, relative = draw(model, state, rng), 0, state.relative(state.velocities)
    for _ in range(MOST_DRAWS):
        exchange = _exchange(model, state, relative, normals, dt)
        velocities, change = reinjected(model, state, exchange, relative)
        low = state.reference + state.internal + change <= lowest
        if stages == 2 and not bool(low.any()):
            _, thermal = _thermal_after(model, state, change)
            exchange = _with_drift_ahead(model, state, velocities, thermal, exchange, relative, dt)
            velocities, change = reinjected(model, state, exchange, relative)
            low = state.reference + state.internal + change <= lowest
        if not bool(low.any()):
            return _advanced(model, state, exchange, velocities, change, drawn)
        drawn += int(low.sum())
        normals = _redrawn(state, normals, low, rng)
    raise DataError(
        f"noise that takes internal energies below the lowest possible one {MOST_DRAWS} times over at dt = {dt:.4g}",
        expected="fluctuations small against the internal energy",
        action="use a smaller dt or check the heat capacity of the model",
    )


def draw(model: MetriplecticModel, state: PhaseState, rng: torch.Generator) -> Normals:
    """Return the normals of one step; single precision inside, as 24 bits of a normal number are plenty."""
    like = state.positions

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng, device=like.device).to(like.dtype)

    n, d = like.shape
    bath = model.bath is not None
    return Normals(
        impulse=normal(d, len(state.pairs)),
        heat=normal(len(state.pairs)) if state.radial.heat is not None or state.radial.scaled is not None else None,
        bath_impulse=normal(n, d) if bath else None,
        bath_heat=normal(n) if bath else None,
    )


def _drift(
    model: MetriplecticModel, state: PhaseState, relative: torch.Tensor, thermal: Thermal
) -> tuple[PairCoefficients, torch.Tensor, torch.Tensor | None]:
    """Return coefficients, mean impulse (d, p) and mean heat (p,) of every pair, per time."""
    coefficients = model.law.at(state.radial, thermal.temperature, state.pairs, model.kinds(state.species))
    par, perp = friction_factors(coefficients, state.pairs, thermal, boltzmann=model.boltzmann)
    impulse = -0.5 * tensor_times(par, perp, state.direction, relative)
    heat = None
    if coefficients.heat is not None:
        heat = mean_heat(coefficients.heat, pair_thermal(state.pairs, thermal, boltzmann=model.boltzmann))
    return coefficients, impulse, heat


def _exchange(
    model: MetriplecticModel, state: PhaseState, relative: torch.Tensor, normals: Normals, dt: float
) -> Exchange:
    """Return pass 1: impulses and heat of all pairs and of the bath, drift and noise."""
    k_b = model.boltzmann
    coefficients, impulse, heat = _drift(model, state, relative, state.thermal)
    impulse = impulse * dt + impulse_noise(coefficients, state.direction, normals.impulse, boltzmann=k_b, dt=dt)
    if heat is not None and coefficients.heat is not None and normals.heat is not None:
        heat = heat * dt + heat_noise(coefficients.heat, normals.heat, boltzmann=k_b, dt=dt)
    bath_impulse, bath_heat = _bath(model, state, state.velocities, state.thermal)
    if bath_impulse is not None and bath_heat is not None and model.bath is not None:
        friction, conduct = model.bath.friction[state.species], model.bath.heat[state.species]
        bath_impulse = bath_impulse * dt + (2 * k_b * dt * friction).sqrt()[:, None] * _given(normals.bath_impulse)
        bath_heat = bath_heat * dt + (2 * k_b * dt * conduct).sqrt() * _given(normals.bath_heat)
    return Exchange(impulse=impulse, heat=heat, bath_impulse=bath_impulse, bath_heat=bath_heat)


def _given(normals: torch.Tensor | None) -> torch.Tensor:
    if normals is None:
        raise InputError("no normals for the bath", expected="normals made by draw()", action="draw them for the model")
    return normals


def _bath(
    model: MetriplecticModel, state: PhaseState, velocities: torch.Tensor, thermal: Thermal
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return the mean impulse -(Gamma/T0) v (n, d) and mean heat from the bath (n,), per time."""
    if model.bath is None:
        return None, None
    bath, t = model.bath, thermal.temperature
    impulse = -(bath.friction[state.species] / bath.temperature)[:, None] * velocities
    heat = bath.heat[state.species] * (1.0 / t - 1.0 / bath.temperature - model.boltzmann / (t * thermal.heat_capacity))
    return impulse, heat


def _with_drift_ahead(
    model: MetriplecticModel,
    state: PhaseState,
    velocities: torch.Tensor,
    thermal: Thermal,
    first: Exchange,
    relative: torch.Tensor,
    dt: float,
) -> Exchange:
    """Return the exchange with half of the drift taken from a predicted state instead of the first one."""
    _, impulse, heat = _drift(model, state, relative, state.thermal)
    _, impulse_ahead, heat_ahead = _drift(model, state, state.relative(velocities), thermal)
    bath, bath_ahead = _bath(model, state, state.velocities, state.thermal), _bath(model, state, velocities, thermal)

    def corrected(
        done: torch.Tensor | None, now: torch.Tensor | None, ahead: torch.Tensor | None
    ) -> torch.Tensor | None:
        return None if done is None or now is None or ahead is None else done + 0.5 * dt * (ahead - now)

    return Exchange(
        impulse=first.impulse + 0.5 * dt * (impulse_ahead - impulse),
        heat=corrected(first.heat, heat, heat_ahead),
        bath_impulse=corrected(first.bath_impulse, bath[0], bath_ahead[0]),
        bath_heat=corrected(first.bath_heat, bath[1], bath_ahead[1]),
    )


def reinjected(
    model: MetriplecticModel, state: PhaseState, exchange: Exchange, relative: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pass 2: new velocities (n, d), and dU_i = -(1/2) sum_j dp_ij.(w + w')/2 + sum_j dq_ij, shape (n,).

    What the bath's impulse changes in kinetic energy, dp_b.(v + v')/2, goes to the bath.
    """
    kick = state.pairs.net(exchange.impulse)
    if exchange.bath_impulse is not None:
        kick = kick + exchange.bath_impulse
    velocities = state.velocities + model.inverse_mass(state.species) * kick
    twice = relative + state.relative(velocities)
    change = -0.25 * state.pairs.both(torch.linalg.vecdot(exchange.impulse, twice, dim=0))
    if exchange.heat is not None:
        change = change + state.pairs.net(exchange.heat)
    if exchange.bath_heat is not None:
        change = change + exchange.bath_heat
    return velocities, change


def _thermal_after(model: MetriplecticModel, state: PhaseState, change: torch.Tensor) -> tuple[torch.Tensor, Thermal]:
    target = state.reference + state.internal + change
    return entropy_at(model.energy, target, state.volume, model.kinds(state.species), start=state.entropy)


def _advanced(
    model: MetriplecticModel,
    state: PhaseState,
    exchange: Exchange,
    velocities: torch.Tensor,
    change: torch.Tensor,
    drawn: int,
) -> PhaseState:
    entropy, thermal = _thermal_after(model, state, change)
    account = state.account.plus(redrawn=drawn)
    if state.cell.box.shear_rate:
        account = account.plus(work=(exchange.impulse[0] * state.pairs.image[1]).sum() * state.cell.face_speed)
    if model.drive is not None:
        resting = model.inverse_mass(state.species)[:, 0] == 0
        kick = state.pairs.net(exchange.impulse)
        account = account.plus(work=-(kick * state.velocities)[resting].sum())
    if exchange.bath_impulse is not None and exchange.bath_heat is not None:
        lost = -(exchange.bath_impulse * 0.5 * (state.velocities + velocities)).sum() - exchange.bath_heat.sum()
        account = account.plus(bath=lost)
    return replace(
        state, velocities=velocities, internal=state.internal + change, entropy=entropy, thermal=thermal,
        account=account,
    )  # fmt: skip


def _redrawn(state: PhaseState, normals: Normals, low: torch.Tensor, rng: torch.Generator) -> Normals:
    """Return normals drawn anew for every pair of the particles that fell too low, and for these against the bath."""

    def anew(values: torch.Tensor | None, where: torch.Tensor) -> torch.Tensor | None:
        if values is None:
            return None
        fresh = torch.randn(values.shape, generator=rng, device=values.device).to(values.dtype)
        return torch.where(where, fresh, values)

    touched = low.index_select(0, state.pairs.first) | low.index_select(0, state.pairs.second)
    impulse = anew(normals.impulse, touched)
    return Normals(
        impulse=normals.impulse if impulse is None else impulse,
        heat=anew(normals.heat, touched),
        bath_impulse=anew(normals.bath_impulse, low[:, None]),
        bath_heat=anew(normals.bath_heat, low),
    )
