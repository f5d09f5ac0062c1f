"""Pair by pair with Metropolis acceptance on the exact measure of a pair: a reference that is right at any dt."""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numba import njit

from colloid_cg.dynamics.metriplectic.dissipative import (
    impulse_noise,
    mean_heat,
    mean_impulse,
    pair_thermal,
    returned_heat,
)
from colloid_cg.dynamics.metriplectic.energy import Thermal, entropy_at
from colloid_cg.dynamics.metriplectic.friction import Channel, PairCoefficients
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import Pairs, pairs_from
from colloid_cg.dynamics.metriplectic.radial import RadialValues
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.dynamics.metriplectic.steps.conservative import verlet_substep
from colloid_cg.errors import InputError


def pair_metropolis_step(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
    """Advance by ``dt``: every pair's friction and heat exchange one after the other, then velocity Verlet.

    A pair's exchange moves its relative velocity at fixed total momentum and energy. Its invariant measure is
    pi(w) ~ exp{[S_i(U_i - dK/2) + S_j(U_j - dK/2)]/k_B} / (T_i T_j), dK = m_red (w'^2 - w^2)/2, and likewise with
    U_i + q, U_j - q for heat. An Euler-Maruyama proposal is accepted by Metropolis and Hastings
    (doi:10.1093/biomet/57.1.97), so that the measure holds at any dt. Pairs without a particle in common go together.

    Raises
    ------
    InputError
        If the model has a bath or prescribed particles: this step knows pairs only.
    """
    if model.bath is not None or model.drive is not None:
        raise InputError(
            "a bath or prescribed particles", expected="a model of pairs alone", action="use the re-injection step"
        )
    return verlet_substep(model, exchanges(model, state, dt, rng), dt)


def exchanges(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
    """Return the state after friction and heat exchange of every pair during ``dt``, at fixed positions."""
    for rows in matchings(state.pairs):
        chosen = _only(state, rows)
        radial = chosen.radial
        chosen = _impulses(model, replace(chosen, radial=replace(radial, heat=None)), dt, rng)
        chosen = _heat(model, replace(chosen, radial=replace(radial, par=None, perp=None)), dt, rng)
        state = replace(
            state, velocities=chosen.velocities, internal=chosen.internal, entropy=chosen.entropy,
            thermal=chosen.thermal,
        )  # fmt: skip
    return state


def matchings(pairs: Pairs) -> list[torch.Tensor]:
    """Return rows of pairs in groups in which no particle occurs twice (greedy edge colouring)."""
    first, second = pairs.first.cpu().numpy(), pairs.second.cpu().numpy()
    colour = _colours(first, second, pairs.n_particles)
    return [
        torch.as_tensor(np.flatnonzero(colour == k), device=pairs.first.device)
        for k in range(int(colour.max(initial=-1)) + 1)
    ]


@njit(cache=True)
def _colours(first: np.ndarray, second: np.ndarray, n_particles: int) -> np.ndarray:
    """Return the lowest colour that neither end of each pair has yet, in the order of the pairs."""
    most = np.zeros(n_particles, dtype=np.int64)
    for p in range(first.size):
        most[first[p]] += 1
        most[second[p]] += 1
    width = 2 * most.max() if n_particles and first.size else 1
    used = np.zeros((n_particles, width), dtype=np.bool_)
    colour = np.zeros(first.size, dtype=np.int64)
    for p in range(first.size):
        k = 0
        while used[first[p], k] or used[second[p], k]:
            k += 1
        used[first[p], k] = used[second[p], k] = True
        colour[p] = k
    return colour


def _only(state: PhaseState, rows: torch.Tensor) -> PhaseState:
    """Return the state with these pairs alone; its volumes are those of all pairs."""
    index = torch.stack([state.pairs.first[rows], state.pairs.second[rows]], dim=1)
    images = state.pairs.image[:, rows].T
    pairs = pairs_from(index.cpu().numpy(), images.cpu().numpy(), len(state.positions), state.positions)
    names = ("potential", "potential_slope", "kernel", "kernel_slope", "par", "perp", "heat", "scaled")
    values = {name: getattr(state.radial, name) for name in names}
    radial = RadialValues(**{name: None if v is None else v[rows] for name, v in values.items()})
    return replace(
        state, neighbours=replace(state.neighbours, pairs=pairs), direction=state.direction[:, rows],
        distance=state.distance[rows], radial=radial,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Proposal:
    """Coefficients and mean changes of a matching at one thermal state."""

    coefficients: PairCoefficients
    impulse: torch.Tensor
    heat: torch.Tensor | None


def _proposal(model: MetriplecticModel, state: PhaseState, velocities: torch.Tensor, thermal: Thermal) -> _Proposal:
    k_b, heat = model.boltzmann, None
    coefficients = model.law.at(state.radial, thermal.temperature, state.pairs, model.kinds(state.species))
    if coefficients.heat is not None:
        heat = mean_heat(coefficients.heat, pair_thermal(state.pairs, thermal, boltzmann=k_b))
    impulse = mean_impulse(state, coefficients, velocities, thermal, boltzmann=k_b)
    return _Proposal(coefficients=coefficients, impulse=impulse, heat=heat)


def _log_measure(model: MetriplecticModel, state: PhaseState, entropy: torch.Tensor, thermal: Thermal) -> torch.Tensor:
    """Return (S_i + S_j)/k_B - ln(T_i T_j) of every pair, shape (p,)."""
    return state.pairs.added(entropy / model.boltzmann - torch.log(thermal.temperature))


def _impulses(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
    k_b, d = model.boltzmann, len(state.direction)
    ahead = _proposal(model, state, state.velocities, state.thermal)
    normals = _normals(state, rng, d)
    step = ahead.impulse * dt + impulse_noise(ahead.coefficients, state.direction, normals, boltzmann=k_b, dt=dt)
    kick = model.inverse_mass(state.species) * state.pairs.net(step)
    velocities = state.velocities + kick
    change = returned_heat(state, step, velocities)
    entropy, thermal, possible = _after(model, state, change)
    back = _proposal(model, state, velocities, thermal)
    log_ratio = _log_measure(model, state, entropy, thermal) - _log_measure(model, state, state.entropy, state.thermal)
    log_ratio = log_ratio + _log_density(-step - back.impulse * dt, back.coefficients, state, k_b * dt)
    log_ratio = log_ratio - _log_density(step - ahead.impulse * dt, ahead.coefficients, state, k_b * dt)
    return _accepted(model, state, log_ratio, possible, rng, velocities=velocities, change=change)


def _heat(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
    k_b = model.boltzmann
    ahead = _proposal(model, state, state.velocities, state.thermal)
    if ahead.heat is None or ahead.coefficients.heat is None:
        return state
    step = ahead.heat * dt + (2 * k_b * dt * ahead.coefficients.heat.value).sqrt() * _normals(state, rng, 1)[0]
    change = state.pairs.net(step)
    entropy, thermal, possible = _after(model, state, change)
    back = _proposal(model, state, state.velocities, thermal)
    if back.heat is None or back.coefficients.heat is None:
        return state
    log_ratio = _log_measure(model, state, entropy, thermal) - _log_measure(model, state, state.entropy, state.thermal)
    log_ratio = log_ratio + _log_normal(-step - back.heat * dt, back.coefficients.heat, k_b * dt, 1)
    log_ratio = log_ratio - _log_normal(step - ahead.heat * dt, ahead.coefficients.heat, k_b * dt, 1)
    return _accepted(model, state, log_ratio, possible, rng, velocities=state.velocities, change=change)


def _normals(state: PhaseState, rng: torch.Generator, rows: int) -> torch.Tensor:
    like = state.positions
    return torch.randn(rows, len(state.pairs), generator=rng, device=like.device, dtype=like.dtype)


def _after(
    model: MetriplecticModel, state: PhaseState, change: torch.Tensor
) -> tuple[torch.Tensor, Thermal, torch.Tensor]:
    """Return entropies and thermal state after a change of U, and which particles can have that energy at all."""
    kinds = model.kinds(state.species)
    now = state.reference + state.internal
    possible = now + change > model.energy.lowest(state.volume, kinds)
    target = torch.where(possible, now + change, now)
    entropy, thermal = entropy_at(model.energy, target, state.volume, kinds, start=state.entropy)
    return entropy, thermal, possible


def _log_density(
    deviation: torch.Tensor, coefficients: PairCoefficients, state: PhaseState, scale: float
) -> torch.Tensor:
    """Return the log density of an impulse that deviates from its mean, up to a constant; covariance 2 k_B gamma dt."""
    along = torch.linalg.vecdot(state.direction, deviation, dim=0)
    across = (torch.linalg.vecdot(deviation, deviation, dim=0) - along**2).clamp(min=0.0).sqrt()
    density = torch.zeros_like(along)
    for channel, length, count in ((coefficients.par, along, 1), (coefficients.perp, across, len(state.direction) - 1)):
        if channel is not None:
            density = density + _log_normal(length, channel, scale, count)
    return density


def _log_normal(deviation: torch.Tensor, channel: Channel, scale: float, count: int) -> torch.Tensor:
    """Return the log density of ``count`` normal numbers of variance 2 ``scale`` g; zero where g is, nothing moves."""
    moves = channel.value > 0
    value = torch.where(moves, channel.value, 1.0)
    density = -(deviation**2) / (4.0 * scale * value) - 0.5 * count * torch.log(value)
    return torch.where(moves, density, 0.0)


def _accepted(
    model: MetriplecticModel,
    state: PhaseState,
    log_ratio: torch.Tensor,
    possible: torch.Tensor,
    rng: torch.Generator,
    *,
    velocities: torch.Tensor,
    change: torch.Tensor,
) -> PhaseState:
    """Return the state with the moves of the accepted pairs; all others stay."""
    like = state.positions
    chance = torch.rand(len(state.pairs), generator=rng, device=like.device, dtype=like.dtype)
    good = possible[state.pairs.first] & possible[state.pairs.second] & (torch.log(chance) < log_ratio)
    taken = state.pairs.both(good.to(like.dtype)) > 0
    velocities = torch.where(taken[:, None], velocities, state.velocities)
    internal = state.internal + torch.where(taken, change, 0.0)
    kinds = model.kinds(state.species)
    entropy, thermal = entropy_at(model.energy, state.reference + internal, state.volume, kinds, start=state.entropy)
    return replace(state, velocities=velocities, internal=internal, entropy=entropy, thermal=thermal)
