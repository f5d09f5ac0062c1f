"""From one frame to the next: what the model says of the change of velocity, given the hidden energies."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from colloid_cg.dynamics.metriplectic.dissipative import friction_factors, tensor_times
from colloid_cg.dynamics.metriplectic.energy import InternalEnergy, Thermal, entropy_at
from colloid_cg.dynamics.metriplectic.friction import PairCoefficients
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.reversible import pair_forces
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.errors import InputError
from colloid_cg.learn.thermal.observed import Observed

_LEAST_SHARE, _MOST_SHARE = 0.1, 5.0
_FLOOR = 2e-4
"""Variance added to every impulse, as a share of the mean square of all impulses."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Transition:
    """Two frames that follow each other, with thermal states at the entropy of the first.

    Parameters
    ----------
    before, after : PhaseState
    impulse : tensor, shape (n, d)
        m (v' - v) less the impulse of the conservative forces: friction and noise.
    work : tensor, shape ()
        Work of the body force.
    interval : float
    floor : float
        Variance per component added to every impulse: particles that meet nearly nobody have nearly no noise, and what
        integration errs by must not count as improbable.
    """

    before: PhaseState
    after: PhaseState
    impulse: torch.Tensor
    work: torch.Tensor
    interval: float
    floor: float


def transition(
    model: MetriplecticModel, observed: Observed, frames: list[int], energy: torch.Tensor, start: torch.Tensor
) -> Transition:
    """Return the change from ``frames`` to the frames after them.

    Forces are averaged over both ends (trapezoidal rule), each at the entropy of the first.

    Parameters
    ----------
    frames : list of int
        k frames, side by side.
    energy : tensor, shape (k n,)
        U_i in ``frames``.
    start : tensor, shape (k n,)
        A guess of the entropies.
    """
    before = observed.state(model, frames)
    after = observed.state(model, [frame + 1 for frame in frames])
    kinds = model.kinds(before.species)
    energy = plausible(model, energy, before, n_frames=len(frames))
    entropy, thermal = at_energy(model.energy, energy, before.volume, kinds, start=start)
    before = replace(before, entropy=entropy, thermal=thermal)
    after = replace(after, entropy=entropy, thermal=model.energy.at(entropy, after.volume, kinds))
    force = 0.5 * (pair_forces(before, before.thermal) + pair_forces(after, after.thermal))
    work = force.new_zeros(())
    if model.external is not None:
        force = force + 0.5 * sum(model.external.at(each.positions, kinds)[1] for each in (before, after))
    if model.body is not None:
        later = [frame + 1 for frame in frames]
        body = 0.5 * (observed.body_force(model.body, frames) + observed.body_force(model.body, later))
        force, work = force + body, (body * (after.positions - before.positions)).sum()
    gained = model.inertia(before.species)[:, None] * (after.velocities - before.velocities)
    return Transition(
        before=before, after=after, impulse=gained - observed.interval * force, work=work, interval=observed.interval,
        floor=_FLOOR * observed.impulse_variance,
    )  # fmt: skip


@torch.no_grad()
def plausible(model: MetriplecticModel, energy: torch.Tensor, state: PhaseState, *, n_frames: int = 1) -> torch.Tensor:
    """Return the energies (n_frames n,) between a tenth of the usual one of their frame and five times it.

    Counted from the lowest possible energy and per heat capacity, of which the median over all particles is usual:
    species may hold very different energies at one temperature. Energies estimated with one model may be impossible in
    the next, and a model that is far off may heat a single particle without end.
    """
    lowest = model.energy.lowest(state.volume, model.kinds(state.species))
    zero = torch.zeros_like(model.masses)
    reference = model.energy.at(zero, zero + 1.0, torch.arange(model.n_species, device=zero.device))
    capacity = reference.heat_capacity[state.species]
    above = ((energy - lowest) / capacity).reshape(n_frames, -1)
    usual = above.median(dim=1, keepdim=True).values.clamp(min=0.0)
    kept = torch.minimum(torch.maximum(above, _LEAST_SHARE * usual), _MOST_SHARE * usual)
    return lowest + capacity * kept.flatten()


def at_energy(
    energy: InternalEnergy,
    target: torch.Tensor,
    volume: torch.Tensor | None,
    species: torch.Tensor | None,
    *,
    start: torch.Tensor,
) -> tuple[torch.Tensor, Thermal]:
    """Return S with U(S, V) = ``target`` and the thermal state there, with their derivatives by U's parameters.

    The root is found without derivatives; one more step of Newton's method from it carries them:
    dS = -dU(S, V)/T at fixed target (implicit function theorem).
    """
    with torch.no_grad():
        entropy, _ = entropy_at(energy, target, volume, species, start=start)
    there = energy.at(entropy, volume, species)
    entropy = entropy + (target - there.energy) / there.temperature.detach()
    return entropy, energy.at(entropy, volume, species)


def innovation(
    model: MetriplecticModel, change: Transition, variance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return impulses less their mean, shape (n, d), and their covariance per particle, shape (n, d, d).

    Mean to second order in the interval h: drift averaged over the first state and the predicted one. Covariance
    h [Sigma + Sigma'] - (h^2/2)(Lambda Sigma + Sigma Lambda^T), Sigma = k_B sum_j gamma_ij at both ends and Lambda the
    friction per mass, whose off-diagonal blocks Lambda_ij Sigma_ji count as well; the second term by its trace.

    Parameters
    ----------
    variance : tensor, shape (n,)
        Of the hidden energies about those of ``change``.
    """
    before, after, h = change.before, change.after, change.interval
    inverse_mass = model.inverse_mass(before.species)
    first, factors = _mean_impulse(model, before, before.velocities, variance)
    conservative = before.velocities + (after.velocities - before.velocities) - inverse_mass * change.impulse
    predicted = conservative + h * inverse_mass * before.pairs.net(first)
    second, _ = _mean_impulse(model, after, predicted, variance)
    rest = change.impulse - 0.5 * h * (before.pairs.net(first) + after.pairs.net(second))
    noise, later = (
        tuple(h * model.boltzmann * part for part in _frictions(coefficients_of(model, state)))
        for state in (before, after)
    )
    covariance = own_blocks(before, *noise) + own_blocks(after, *later)
    friction = own_blocks(before, 0.5 * factors[0], 0.5 * factors[1]) * inverse_mass[..., None]
    slowed = friction @ (2.0 * own_blocks(before, *noise))
    along, across = (factor * part for factor, part in zip(factors, noise, strict=True))
    # sum_j y_ij / m_j of y_ij = y_ji: with the masses of both ends, less that of the own one.
    ends = before.pairs.added(inverse_mass[:, 0].expand(len(rest)))
    shared = own_blocks(before, ends * along, ends * across)
    shared = shared - inverse_mass[..., None] * own_blocks(before, along, across)
    # As a factor, so that the covariance stays positive where friction is too fast for the interval.
    d = rest.shape[1]
    less = h * (_trace(slowed) + _trace(shared)) / (_trace(covariance) + d * change.floor)
    own = change.floor * torch.eye(d, dtype=rest.dtype, device=rest.device)
    return rest, covariance * torch.exp(-less)[:, None, None] + own


def _trace(matrices: torch.Tensor) -> torch.Tensor:
    return torch.diagonal(matrices, dim1=1, dim2=2).sum(dim=1)


def coefficients_of(model: MetriplecticModel, state: PhaseState) -> PairCoefficients:
    """Return the dissipative functions of all pairs of a state."""
    return model.law.at(state.radial, state.thermal.temperature, state.pairs, model.kinds(state.species))


def _frictions(coefficients: PairCoefficients) -> tuple[torch.Tensor, torch.Tensor]:
    par, perp = (None if channel is None else channel.value for channel in (coefficients.par, coefficients.perp))
    some = perp if par is None else par
    if some is None:
        raise InputError("a model without friction", expected="g_par or g_perp", action="give it at least one of them")
    return torch.zeros_like(some) if par is None else par, torch.zeros_like(some) if perp is None else perp


def _mean_impulse(
    model: MetriplecticModel, state: PhaseState, velocities: torch.Tensor, variance: torch.Tensor
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Return the mean impulse of every pair per time (d, p), and its factors A_par, A_perp.

    Friction goes with 1/T, whose mean over energies of this variance is (1/T)[1 + var/(C T)^2] to second order.
    """
    thermal = state.thermal
    more = 1.0 + (variance / (thermal.heat_capacity * thermal.temperature).square()).detach()
    softened = replace(thermal, temperature=thermal.temperature / more, curvature=thermal.curvature / more)
    factors = friction_factors(coefficients_of(model, state), state.pairs, softened, boltzmann=model.boltzmann)
    return -0.5 * tensor_times(*factors, state.direction, state.relative(velocities)), factors


def own_blocks(state: PhaseState, par: torch.Tensor, perp: torch.Tensor) -> torch.Tensor:
    """Return sum_j [g_par e e^T + g_perp (1 - e e^T)] of every particle, shape (n, d, d)."""
    e = state.direction
    d = len(e)
    rows, columns = torch.triu_indices(d, d, device=e.device)
    entries = (par - perp) * e[rows] * e[columns] + perp * (rows == columns)[:, None]
    summed = state.pairs.both(entries)
    place = torch.zeros(d, d, dtype=torch.long, device=e.device)
    place[rows, columns] = place[columns, rows] = torch.arange(len(rows), device=e.device)
    return summed[:, place]


def negative_log_likelihood(rest: torch.Tensor, covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (1/2) [ln det Sigma + r Sigma^-1 r] and r Sigma^-1 r / d of every particle, shape (n,), d = 2 or 3.

    The product of the marginal likelihoods of the particles: momentum goes from one to the other, so that it is a
    composite likelihood; its maximum is consistent, its curvature no information (Varin 2011,
    https://www3.stat.sinica.edu.tw/statistica/J21N1/J21N11/J21N11.html).
    """
    d = rest.shape[1]
    adjugate, determinant = _inverted(covariance)
    square = torch.einsum("ni,nij,nj->n", rest, adjugate, rest) / determinant
    return 0.5 * (determinant.log() + square), square / d


def _inverted(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return adjugate and determinant of symmetric (n, d, d) in closed form, several times faster than Cholesky."""
    if matrix.shape[1] == 2:
        a, b, c = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1]
        return torch.stack([torch.stack([c, -b], 1), torch.stack([-b, a], 1)], 1), a * c - b * b
    x, y, z = matrix.unbind(dim=1)
    adjugate = torch.stack([torch.linalg.cross(y, z), torch.linalg.cross(z, x), torch.linalg.cross(x, y)], dim=2)
    return adjugate, (x * adjugate[:, :, 0]).sum(dim=1)
