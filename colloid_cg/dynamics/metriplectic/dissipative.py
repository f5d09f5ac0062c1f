"""M gradS, k_B div M and the noise, pair by pair: one function per term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from colloid_cg.dynamics.metriplectic import loops
from colloid_cg.dynamics.metriplectic.energy import Thermal
from colloid_cg.dynamics.metriplectic.friction import Channel, PairCoefficients
from colloid_cg.dynamics.metriplectic.loops import exchange
from colloid_cg.dynamics.metriplectic.pairs import Pairs

if TYPE_CHECKING:
    from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
    from colloid_cg.dynamics.metriplectic.state import PhaseState


@dataclass(frozen=True, kw_only=True, eq=False)
class PairThermal:
    """What the dissipative terms need of both particles of every pair, tensors of shape (p,).

    ``inverse`` = 1/T and ``ito`` = k_B/C.
    """

    inverse_i: torch.Tensor
    inverse_j: torch.Tensor
    ito_i: torch.Tensor
    ito_j: torch.Tensor


def pair_thermal(pairs: Pairs, thermal: Thermal, *, boltzmann: float) -> PairThermal:
    """Return 1/T and k_B/C at both ends of every pair."""
    (inverse_i, inverse_j) = pairs.ends(1.0 / thermal.temperature)
    (ito_i, ito_j) = pairs.ends(boltzmann * thermal.curvature / thermal.temperature)
    return PairThermal(inverse_i=inverse_i, inverse_j=inverse_j, ito_i=ito_i, ito_j=ito_j)


def tensor_times(par: torch.Tensor, perp: torch.Tensor, direction: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Return [g_par e e^T + g_perp (1 - e e^T)] x for every pair, shape (d, p)."""
    along = torch.linalg.vecdot(direction, vector, dim=0)
    return torch.addcmul(perp * vector, (par - perp) * along, direction)


def friction_factors(
    coefficients: PairCoefficients, pairs: Pairs, thermal: Thermal, *, boltzmann: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factors A_par, A_perp of the mean impulse, dp = -(1/2) [A_par ee^T + A_perp (1 - ee^T)] w dt.

    A = [1/T_i + 1/T_j - k_B/(T_i C_i) - k_B/(T_j C_j)] g + k_B [g'_i/C_i + g'_j/C_j]: friction (M gradS) and its share
    of k_B div M together, g' = dg/dT at fixed r, V.
    """
    ends = pair_thermal(pairs, thermal, boltzmann=boltzmann)
    weight = ends.inverse_i * (1.0 - ends.ito_i) + ends.inverse_j * (1.0 - ends.ito_j)

    def factor(channel: Channel | None) -> torch.Tensor:
        if channel is None:
            return torch.zeros_like(weight)
        value = channel.value * weight
        if channel.first is not None and channel.second is not None:
            value = value + channel.first * ends.ito_i + channel.second * ends.ito_j
        return value

    return factor(coefficients.par), factor(coefficients.perp)


def friction_rates(model: MetriplecticModel, state: PhaseState) -> torch.Tensor:
    """Return trace(Gamma_ii)/(d m_i), neighbours and bath together, at the temperatures of the state; shape (n,)."""
    kinds = model.kinds(state.species)
    coefficients = model.law.at(state.radial, state.thermal.temperature, state.pairs, kinds)
    par, perp = friction_factors(coefficients, state.pairs, state.thermal, boltzmann=model.boltzmann)
    d = state.positions.shape[1]
    inverse_mass = model.inverse_mass(state.species)[:, 0]
    rates = state.pairs.both(0.5 * (par + (d - 1) * perp)) / d * inverse_mass
    if model.bath is not None:
        rates = rates + model.bath.friction[state.species] / model.bath.temperature * inverse_mass
    return rates


def mean_impulse(
    state: PhaseState, coefficients: PairCoefficients, velocities: torch.Tensor, thermal: Thermal, *, boltzmann: float
) -> torch.Tensor:
    """Return the mean impulse of every pair per time, -(1/2) [A_par ee^T + A_perp (1 - ee^T)] w, shape (d, p).

    A: see :func:`friction_factors`.

    Parameters
    ----------
    state : PhaseState
        Whose pairs; ``velocities`` (n, d) and ``thermal`` may be those of another instant.
    """
    par, perp = _parts(coefficients.par), _parts(coefficients.perp)
    if loops.usable(*par, *perp, thermal.temperature, thermal.curvature, state.direction, velocities):
        return exchange.mean_impulse(
            par, perp, (thermal.temperature, thermal.curvature), velocities, state.direction, state.pairs.arrays,
            boltzmann=boltzmann, face_speed=state.cell.face_speed,
        )  # fmt: skip
    friction = friction_factors(coefficients, state.pairs, thermal, boltzmann=boltzmann)
    return -0.5 * tensor_times(*friction, state.direction, state.relative(velocities))


def _parts(channel: Channel | None) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
    return (None, None, None) if channel is None else (channel.value, channel.first, channel.second)


def impulse_noise(
    coefficients: PairCoefficients, direction: torch.Tensor, normals: torch.Tensor, *, boltzmann: float, dt: float
) -> torch.Tensor:
    """Return sqrt(2 k_B dt) [sqrt(g_par) (e.xi) e + sqrt(g_perp) (xi - (e.xi) e)], shape (d, p).

    Covariance 2 k_B gamma_ij dt for standard normal ``normals`` of shape (d, p).
    """
    scale = 2.0 * boltzmann * dt
    par, perp = _parts(coefficients.par)[0], _parts(coefficients.perp)[0]
    if loops.usable(par, perp, direction, normals):
        return exchange.impulse_noise(par, perp, direction, normals, scale=scale)
    zero = torch.zeros_like(direction[0])
    along = zero if par is None else (scale * par).sqrt()
    across = zero if perp is None else (scale * perp).sqrt()
    return tensor_times(along, across, direction, normals)


def returned_heat(state: PhaseState, impulse: torch.Tensor, velocities_after: torch.Tensor) -> torch.Tensor:
    """Return -(1/2) sum_j dp_ij.(w + w')/2, shape (n,): half of the kinetic energy that each pair's impulse takes.

    sum_i (K_i' - K_i) = sum_pairs dp.(w + w')/2 identically, whatever the impulses (d, p) that lead from the velocities
    of ``state`` to ``velocities_after``.
    """
    if loops.usable(impulse, state.velocities, velocities_after):
        return exchange.returned_heat(
            impulse, state.velocities, velocities_after, state.pairs.arrays, face_speed=state.cell.face_speed
        )
    twice = state.relative(state.velocities) + state.relative(velocities_after)
    return -0.25 * state.pairs.both(torch.linalg.vecdot(impulse, twice, dim=0))


def mean_heat(heat: Channel, ends: PairThermal) -> torch.Tensor:
    """Return the mean energy that flows from j to i per time, shape (p,).

    C2 (1/T_i - 1/T_j) + k_B [C2'_i/C_i - C2'_j/C_j - C2 (1/(T_i C_i) - 1/(T_j C_j))], in the variable U.
    """
    flow = heat.value * (ends.inverse_i * (1.0 - ends.ito_i) - ends.inverse_j * (1.0 - ends.ito_j))
    if heat.first is not None and heat.second is not None:
        flow = flow + heat.first * ends.ito_i - heat.second * ends.ito_j
    return flow


def heat_noise(heat: Channel, normals: torch.Tensor, *, boltzmann: float, dt: float) -> torch.Tensor:
    """Return sqrt(2 k_B C2 dt) xi, shape (p,): energy into i, out of j."""
    return (2.0 * boltzmann * dt * heat.value).sqrt() * normals


def entropy_drift(
    coefficients: PairCoefficients,
    ends: PairThermal,
    *,
    relative_square: tuple[torch.Tensor, torch.Tensor],
    inverse_masses: torch.Tensor,
    dimension: int,
    boltzmann: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return T_i dS_i/dt and T_j dS_j/dt of every pair, shape (p,) each: M gradS + k_B div M in the variable S.

    For i: mean dissipation (1/T_i + 1/T_j) q/4 + C2 (1/T_i - 1/T_j), q = w.gamma.w, and k_B times
    -[2/(T_i C_i) + 1/(T_j C_j)] q/4 + (q'_i/C_i + q'_j/C_j)/4 - [2/(T_i C_i) - 1/(T_j C_j)] C2 + C2'_i/C_i - C2'_j/C_j
    - tr(gamma) (1/m_i + 1/m_j)/2, tr(gamma) = g_par + (D - 1) g_perp. For j: the same with i and j exchanged.

    Parameters
    ----------
    relative_square : two tensors, shape (p,)
        (e.w)^2 and w^2 - (e.w)^2.
    inverse_masses : tensor, shape (p,)
        1/m_i + 1/m_j.
    """
    along, across = relative_square
    zero = torch.zeros_like(along)
    q, q_i, q_j, trace = zero, zero, zero, zero
    for channel, square, weight in ((coefficients.par, along, 1), (coefficients.perp, across, dimension - 1)):
        if channel is None:
            continue
        q, trace = q + channel.value * square, trace + weight * channel.value
        if channel.first is not None and channel.second is not None:
            q_i, q_j = q_i + channel.first * square, q_j + channel.second * square
    c2, c2_i, c2_j = (zero if part is None else part for part in _parts(coefficients.heat))
    shared = (q_i * ends.ito_i + q_j * ends.ito_j) / 4.0 - boltzmann * trace * inverse_masses / 2.0

    def of(t_i: torch.Tensor, t_j: torch.Tensor, k_i: torch.Tensor, k_j: torch.Tensor) -> torch.Tensor:
        """Terms in q and C2 of the particle called i, t = 1/T and k = k_B/C."""
        rubbed = ((t_i + t_j) - (2 * t_i * k_i + t_j * k_j)) * q / 4.0
        return rubbed + ((t_i - t_j) - (2 * t_i * k_i - t_j * k_j)) * c2

    t_i, t_j, k_i, k_j = ends.inverse_i, ends.inverse_j, ends.ito_i, ends.ito_j
    uneven = c2_i * k_i - c2_j * k_j
    return shared + of(t_i, t_j, k_i, k_j) + uneven, shared + of(t_j, t_i, k_j, k_i) - uneven
