"""M gradS, k_B div M and the noise, pair by pair: one function per term."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from colloid_cg.dynamics.metriplectic.energy import Thermal
from colloid_cg.dynamics.metriplectic.friction import Channel, PairCoefficients
from colloid_cg.dynamics.metriplectic.pairs import Pairs


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
    weight = pairs.added((1.0 - boltzmann * thermal.curvature / thermal.temperature) / thermal.temperature)

    def factor(channel: Channel | None) -> torch.Tensor:
        if channel is None:
            return torch.zeros_like(weight)
        value = channel.value * weight
        if channel.first is not None and channel.second is not None:
            ito_i, ito_j = pairs.ends(boltzmann * thermal.curvature / thermal.temperature)
            value = value + channel.first * ito_i + channel.second * ito_j
        return value

    return factor(coefficients.par), factor(coefficients.perp)


def impulse_noise(
    coefficients: PairCoefficients, direction: torch.Tensor, normals: torch.Tensor, *, boltzmann: float, dt: float
) -> torch.Tensor:
    """Return sqrt(2 k_B dt) [sqrt(g_par) (e.xi) e + sqrt(g_perp) (xi - (e.xi) e)], shape (d, p).

    Covariance 2 k_B gamma_ij dt for standard normal ``normals`` of shape (d, p).
    """
    scale = 2.0 * boltzmann * dt
    zero = torch.zeros_like(direction[0])
    par = zero if coefficients.par is None else (scale * coefficients.par.value).sqrt()
    perp = zero if coefficients.perp is None else (scale * coefficients.perp.value).sqrt()
    return tensor_times(par, perp, direction, normals)


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


def entropy_drift_i(
    coefficients: PairCoefficients,
    ends: PairThermal,
    *,
    relative_square: tuple[torch.Tensor, torch.Tensor],
    inverse_masses: torch.Tensor,
    dimension: int,
    boltzmann: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return T_i dS_i/dt and T_j dS_j/dt of every pair, shape (p,) each: M gradS + k_B div M in the variable S.

    Mean dissipation (1/T_i + 1/T_j) q/4 + C2 (1/T_i - 1/T_j), q = w.gamma.w, and k_B times
    -[2/(T_i C_i) + 1/(T_j C_j)] q/4 + (q'_i/C_i + q'_j/C_j)/4 - [2/(T_i C_i) - 1/(T_j C_j)] C2 + C2'_i/C_i - C2'_j/C_j
    - tr(gamma) (1/m_i + 1/m_j)/2, tr(gamma) = g_par + (D - 1) g_perp; the same with i and j exchanged.

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
    heat = coefficients.heat
    c2 = zero if heat is None else heat.value
    c2_i = zero if heat is None or heat.first is None else heat.first
    c2_j = zero if heat is None or heat.second is None else heat.second
    t_i, t_j, k_i, k_j = ends.inverse_i, ends.inverse_j, ends.ito_i, ends.ito_j
    shared = (t_i + t_j) * q / 4.0 + (q_i * k_i + q_j * k_j) / 4.0 - boltzmann * trace * inverse_masses / 2.0
    first = shared - (2 * t_i * k_i + t_j * k_j) * q / 4.0
    first = first + c2 * (t_i - t_j) - (2 * t_i * k_i - t_j * k_j) * c2 + c2_i * k_i - c2_j * k_j
    second = shared - (2 * t_j * k_j + t_i * k_i) * q / 4.0
    second = second + c2 * (t_j - t_i) - (2 * t_j * k_j - t_i * k_i) * c2 + c2_j * k_j - c2_i * k_i
    return first, second
