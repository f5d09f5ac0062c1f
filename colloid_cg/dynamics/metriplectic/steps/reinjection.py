"""The dissipative step that keeps energy and momentum to round-off: impulses first, then the heat they make.

Since sum_i (K_i' - K_i) = sum_pairs dp.(w + w')/2 identically, returning half of -dp.(w + w')/2 to each particle of a
pair as internal energy conserves energy for any impulses and any learned coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from colloid_cg.dynamics.metriplectic.dissipative import (
    heat_noise,
    impulse_noise,
    mean_heat,
    mean_impulse,
    pair_thermal,
    returned_heat,
)
from colloid_cg.dynamics.metriplectic.energy import Thermal, entropy_at, thermal_at
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

    def plus(self, rate: Exchange, duration: float) -> Exchange:
        """Return the exchange with what ``rate`` moves during ``duration`` added."""

        def sum_of(amount: torch.Tensor | None, slope: torch.Tensor | None) -> torch.Tensor | None:
            return None if amount is None or slope is None else torch.add(amount, slope, alpha=duration)

        return Exchange(
            impulse=torch.add(self.impulse, rate.impulse, alpha=duration),
            heat=sum_of(self.heat, rate.heat),
            bath_impulse=sum_of(self.bath_impulse, rate.bath_impulse),
            bath_heat=sum_of(self.bath_heat, rate.bath_heat),
        )


def reinjection_step(
    model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator, *, stages: int = 2
) -> PhaseState:
    """Advance by ``dt``: dissipative step with re-injection, then velocity Verlet; energy and momentum to round-off.

    The step for production runs: with two stages up to lambda dt = .05, lambda the friction rate of a particle,
    equilibrium is within .5 %; with one stage up to lambda dt = .009.

    Parameters
    ----------
    stages : {1, 2}
        With two, the drift is averaged over the state and the predicted one (same noise); costs a third more.

    Raises
    ------
    DataError
        If the noise takes internal energies below the lowest possible one again and again: dt is too long.
    """
    return verlet_substep(model, dissipative_substep(model, state, dt, rng, stages=stages), dt)


def dissipative_substep(
    model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator, *, stages: int = 2
) -> PhaseState:
    """Advance velocities and internal energies by M gradS + k_B div M + noise at fixed positions."""
    if stages not in (1, 2):
        raise InputError(f"{stages} stages", expected="1 or 2", action="use two stages, or one for small steps")
    kinds = model.kinds(state.species)
    lowest = model.energy.lowest(state.volume, kinds)
    coefficients = model.law.at(state.radial, state.thermal.temperature, state.pairs, kinds)
    rate = mean_exchange(model, state, coefficients, state.velocities, state.thermal)
    normals, drawn = draw(model, state, rng), 0
    for _ in range(MOST_DRAWS):
        noise = random_exchange(model, state, coefficients, normals, dt)
        after = reinjected(model, state, noise.plus(rate, dt))
        if stages == 2 and bool((after.energy > lowest).all()):
            ahead = _rate_ahead(model, state, after)
            after = reinjected(model, state, noise.plus(rate, 0.5 * dt).plus(ahead, 0.5 * dt))
        low = after.energy <= lowest
        if not bool(low.any()):
            return _advanced(model, state, after, drawn)
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


def mean_exchange(
    model: MetriplecticModel,
    state: PhaseState,
    coefficients: PairCoefficients,
    velocities: torch.Tensor,
    thermal: Thermal,
) -> Exchange:
    """Return the drift of pass 1 per time: mean impulses and heat of all pairs, -(Gamma/T0) v and heat of the bath."""
    k_b, heat, bath_impulse, bath_heat = model.boltzmann, None, None, None
    if coefficients.heat is not None:
        heat = mean_heat(coefficients.heat, pair_thermal(state.pairs, thermal, boltzmann=k_b))
    if model.bath is not None:
        bath, t = model.bath, thermal.temperature
        bath_impulse = -(bath.friction[state.species] / bath.temperature)[:, None] * velocities
        cooling = 1.0 / t - 1.0 / bath.temperature - k_b / (t * thermal.heat_capacity)
        bath_heat = bath.heat[state.species] * cooling
    return Exchange(
        impulse=mean_impulse(state, coefficients, velocities, thermal, boltzmann=k_b),
        heat=heat,
        bath_impulse=bath_impulse,
        bath_heat=bath_heat,
    )


def random_exchange(
    model: MetriplecticModel, state: PhaseState, coefficients: PairCoefficients, normals: Normals, dt: float
) -> Exchange:
    """Return the noise of pass 1: random impulses and heat of all pairs and of the bath during ``dt``."""
    k_b, heat, bath_impulse, bath_heat = model.boltzmann, None, None, None
    if coefficients.heat is not None and normals.heat is not None:
        heat = heat_noise(coefficients.heat, normals.heat, boltzmann=k_b, dt=dt)
    if model.bath is not None:
        friction, conduct = model.bath.friction[state.species], model.bath.heat[state.species]
        bath_impulse = (2 * k_b * dt * friction).sqrt()[:, None] * _given(normals.bath_impulse)
        bath_heat = (2 * k_b * dt * conduct).sqrt() * _given(normals.bath_heat)
    return Exchange(
        impulse=impulse_noise(coefficients, state.direction, normals.impulse, boltzmann=k_b, dt=dt),
        heat=heat,
        bath_impulse=bath_impulse,
        bath_heat=bath_heat,
    )


def _given(normals: torch.Tensor | None) -> torch.Tensor:
    if normals is None:
        raise InputError("no normals for the bath", expected="normals made by draw()", action="draw them for the model")
    return normals


def _rate_ahead(model: MetriplecticModel, state: PhaseState, after: Reinjected) -> Exchange:
    """Return the drift per time at a predicted state."""
    kinds = model.kinds(state.species)
    thermal = thermal_at(model.energy, after.energy, state.volume, kinds, start=state.entropy)
    coefficients = model.law.at(state.radial, thermal.temperature, state.pairs, kinds)
    return mean_exchange(model, state, coefficients, after.velocities, thermal)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reinjected:
    """Velocities (n, d) and internal energies after an exchange: relative to the start and in full, (n,)."""

    exchange: Exchange
    kick: torch.Tensor
    velocities: torch.Tensor
    internal: torch.Tensor
    energy: torch.Tensor


def reinjected(model: MetriplecticModel, state: PhaseState, exchange: Exchange) -> Reinjected:
    """Return pass 2: new velocities, and U_i with dU_i = -(1/2) sum_j dp_ij.(w + w')/2 + sum_j dq_ij.

    What the bath's impulse changes in kinetic energy, dp_b.(v + v')/2, goes to the bath.
    """
    kick = state.pairs.net(exchange.impulse)
    pushed = kick if exchange.bath_impulse is None else kick + exchange.bath_impulse
    velocities = state.velocities + model.inverse_mass(state.species) * pushed
    change = returned_heat(state, exchange.impulse, velocities)
    if exchange.heat is not None:
        change = change + state.pairs.net(exchange.heat)
    if exchange.bath_heat is not None:
        change = change + exchange.bath_heat
    internal = state.internal + change
    return Reinjected(
        exchange=exchange, kick=kick, velocities=velocities, internal=internal, energy=state.reference + internal
    )


def _advanced(model: MetriplecticModel, state: PhaseState, after: Reinjected, drawn: int) -> PhaseState:
    kinds, exchange = model.kinds(state.species), after.exchange
    entropy, thermal = entropy_at(model.energy, after.energy, state.volume, kinds, start=state.entropy)
    account = state.account.plus(redrawn=drawn) if drawn else state.account
    if state.cell.box.shear_rate:
        account = account.plus(work=(exchange.impulse[0] * state.pairs.image[1]).sum() * state.cell.face_speed)
    if model.drive is not None:
        resting = model.inverse_mass(state.species)[:, 0] == 0
        account = account.plus(work=-(after.kick * state.velocities)[resting].sum())
    if exchange.bath_impulse is not None and exchange.bath_heat is not None:
        lost = -(exchange.bath_impulse * 0.5 * (state.velocities + after.velocities)).sum() - exchange.bath_heat.sum()
        account = account.plus(bath=lost)
    return replace(
        state, velocities=after.velocities, internal=after.internal, entropy=entropy, thermal=thermal, account=account
    )


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
