"""The internal energies behind observed motion: a Kalman filter that keeps the total energy.

The velocities say how much energy every particle dissipates: sum_pairs dp.(w + w')/2 is fixed by momentum balance, and
what a pair loses is returned to it as in the dynamics. Heat exchange is not observed; its noise is what the filter
must live with. Energies act back on the motion (pressure, friction): the deviation of the impulses from their mean
corrects them. One variance per particle; covariances between particles are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from colloid_cg.dynamics.metriplectic.dissipative import friction_factors, mean_heat, pair_thermal, tensor_times
from colloid_cg.dynamics.metriplectic.friction import Channel
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.reversible import energy_per_density
from colloid_cg.dynamics.metriplectic.state import PhaseState, kinetic_energy
from colloid_cg.errors import InputError
from colloid_cg.learn.thermal.observed import Observed
from colloid_cg.learn.thermal.transition import (
    Transition,
    at_energy,
    coefficients_of,
    own_blocks,
    plausible,
    transition,
)

_MOST_ROUNDS = 40
_ACCURACY, _INTEGRATION = 1e-3, 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class HiddenEnergies:
    """Estimates of U_i from all frames before, tensors of shape (T, n).

    ``energy`` mean and ``variance`` of U_i, ``entropy`` and ``temperature`` at the mean, and ``spread`` (T, n, d, d),
    the covariance of the impulse to the next frame that uncertain energies cause (zero in the last frame).
    """

    energy: torch.Tensor
    variance: torch.Tensor
    entropy: torch.Tensor
    temperature: torch.Tensor
    spread: torch.Tensor

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.energy)


@torch.no_grad()
def hidden_energies(
    model: MetriplecticModel,
    observed: Observed,
    *,
    mean_energy: float = 0.0,
    gain: float = 1.0,
    first: int = 0,
    last: int | None = None,
) -> HiddenEnergies:
    """Return internal energies in every frame, from one temperature everywhere in the first.

    Parameters
    ----------
    mean_energy : float
        Mean of U_i in the first frame; the zero of U is a convention, so that zero serves.
    gain : float
        Factor of the corrections by the impulses; zero: none. Neighbours share the evidence of their impulses, of which
        one variance per particle knows nothing: the best factor is below one.
    first, last : int, optional
        Frames to use, ``last`` not among them.
    """
    stop = observed.n_frames if last is None else last
    energy, variance, entropy = _start(model, observed, first, mean_energy)
    total = float(energy.sum())
    rows: list[tuple[torch.Tensor, ...]] = []
    for frame in range(first, stop - 1):
        change = transition(model, observed, [frame], energy, entropy)
        update = _update(model, change, variance, gain=gain)
        rows.append((energy, variance, change.before.entropy, change.before.thermal.temperature, update.spread))
        total += float(_received(model, change))
        energy = plausible(model, change.after.thermal.energy + update.heat, change.after)
        energy = energy + (total - energy.sum()) / len(energy)
        variance, entropy = update.variance, change.before.entropy
    final = observed.state(model, [stop - 1])
    target = plausible(model, energy, final)
    entropy, thermal = at_energy(model.energy, target, final.volume, model.kinds(final.species), start=entropy)
    rows.append((energy, variance, entropy, thermal.temperature, torch.zeros_like(rows[-1][-1])))
    energies, variances, entropies, temperatures, spreads = (torch.stack(column) for column in zip(*rows, strict=True))
    return HiddenEnergies(
        energy=energies, variance=variances, entropy=entropies, temperature=temperatures, spread=spreads
    )


def _start(
    model: MetriplecticModel, observed: Observed, frame: int, mean_energy: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return energies, variances k_B T^2 C and entropies at one temperature, with the given mean energy.

    Raises
    ------
    InputError
        If the model has no such energy.
    """
    state = observed.state(model, [frame])
    kinds = model.kinds(state.species)
    entropy = torch.zeros_like(state.entropy)
    for _ in range(100):
        thermal = model.energy.at(entropy, state.volume, kinds)
        common = thermal.temperature.mean() + (mean_energy - thermal.energy.mean()) / thermal.heat_capacity.mean()
        step = (common - thermal.temperature) / thermal.curvature
        # T grows fast with S: no step beyond a heat capacity.
        entropy = entropy + torch.minimum(torch.maximum(step, -thermal.heat_capacity), thermal.heat_capacity)
        if float((step / thermal.heat_capacity).abs().max()) < 1e-10:
            break
    thermal = model.energy.at(entropy, state.volume, kinds)
    missed = (thermal.energy.mean() - mean_energy).abs()
    if not bool(missed <= 1e-6 * (thermal.temperature * thermal.heat_capacity).mean()):
        lowest = float((thermal.energy * 0.0 + model.energy.lowest(state.volume, kinds)).mean())
        raise InputError(
            f"a mean energy of {mean_energy:g} per particle in the first frame",
            expected=f"more than {lowest:.4g}, the lowest the model can have",
            action="give mean_energy, counted from the zero of U of the model",
        )
    return thermal.energy, model.boltzmann * thermal.temperature.square() * thermal.heat_capacity, entropy


def _received(model: MetriplecticModel, change: Transition) -> torch.Tensor:
    """Return what internal energy gains: work less what motion and potentials gain, shape ()."""
    gained = -change.work
    for state, sign in ((change.after, 1.0), (change.before, -1.0)):
        stored = kinetic_energy(model, state).sum()
        if state.radial.potential is not None:
            stored = stored + state.radial.potential.sum()
        if model.external is not None:
            stored = stored + model.external.at(state.positions, model.kinds(state.species))[0].sum()
        gained = gained + sign * stored
    return -gained


@dataclass(frozen=True, kw_only=True, eq=False)
class _Update:
    heat: torch.Tensor
    variance: torch.Tensor
    spread: torch.Tensor


def _update(model: MetriplecticModel, change: Transition, variance: torch.Tensor, *, gain: float) -> _Update:
    """Return heat into each particle (n,), its variance after the step, and the spread of impulses it stands for."""
    state, h, k_b = change.before, change.interval, model.boltzmann
    found, pairs, thermal = coefficients_of(model, state), state.pairs, state.thermal
    factors = friction_factors(found, pairs, thermal, boltzmann=k_b)
    relative = state.relative(state.velocities)
    channels = [Channel(value=torch.zeros_like(state.distance)) if c is None else c for c in (found.par, found.perp)]
    par, perp = (channel.value for channel in channels)
    noise = 2.0 * k_b * h * par, 2.0 * k_b * h * perp
    mean = -0.5 * h * tensor_times(*factors, state.direction, relative)
    diagonal = torch.diagonal(own_blocks(state, *noise), dim1=1, dim2=2)
    multiplier = _multipliers(state, change.impulse - pairs.net(mean), noise, diagonal)
    pull = pairs.difference(multiplier)
    impulse = mean + tensor_times(*noise, state.direction, pull)
    middle = 0.5 * (relative + state.relative(change.after.velocities))
    heat = -0.5 * pairs.both((impulse * middle).sum(dim=0))
    # Pairs outnumber particles: their impulses are known but for this share.
    unknown = max(0.0, 1.0 - len(state.positions) / max(int((noise[0] + noise[1] > 0).sum()), 1))
    growth = 0.25 * unknown * pairs.both((middle * tensor_times(*noise, state.direction, middle)).sum(dim=0))
    decay = torch.zeros_like(heat)
    if found.heat is not None:
        heat = heat + h * pairs.net(mean_heat(found.heat, pair_thermal(pairs, thermal, boltzmann=k_b)))
        exchanged = pairs.both(found.heat.value)
        growth = growth + 2.0 * k_b * h * exchanged
        decay = 2.0 * h * exchanged / (thermal.temperature.square() * thermal.heat_capacity)
    response = _response(model, state, (_felt(channels[0], state), _felt(channels[1], state)), relative, h)
    if gain > 0.0:
        shift = variance * (response.rub * pairs.both((response.rubbing * pull).sum(dim=0)))
        shift = shift + variance * response.push * pairs.both((response.pushing * pull).sum(dim=0))
        shift = gain * torch.minimum(torch.maximum(shift, -variance.sqrt()), variance.sqrt())
        heat = heat + shift - shift.mean()
        variance = variance / (1.0 + variance * _information(state, response, diagonal.mean(dim=1)))
    spread = _spread(state, response, variance)
    return _Update(heat=heat, variance=variance * torch.exp(-decay) + growth, spread=spread)


def _multipliers(
    state: PhaseState, rest: torch.Tensor, noise: tuple[torch.Tensor, torch.Tensor], diagonal: torch.Tensor
) -> torch.Tensor:
    """Return x (n, d) with sum_j Sigma_ij (x_i - x_j) = rest_i, by conjugate gradients.

    Sigma_ij (x_i - x_j) is the most probable noise of each pair that adds up to ``rest``, and x_i - x_j the slope of
    its log-likelihood in the mean impulse of the pair. A small share of the identity stands for what integration errs
    by: the impulses on particles that meet nobody do not add up to zero.
    """
    small = _INTEGRATION * diagonal.mean()
    scale = 1.0 / (diagonal + small)
    solution, left = torch.zeros_like(rest), rest - rest.mean(dim=0)
    direction = scaled = scale * left
    size, enough = (left * scaled).sum(), _ACCURACY * float(left.norm())
    for _ in range(_MOST_ROUNDS):
        if float(left.norm()) <= enough:
            break
        image = state.pairs.net(tensor_times(*noise, state.direction, state.pairs.difference(direction)))
        image = image + small * direction
        length = size / (direction * image).sum()
        solution, left = solution + length * direction, left - length * image
        scaled = scale * left
        before, size = size, (left * scaled).sum()
        direction = scaled + (size / before) * direction
    return solution


@dataclass(frozen=True, kw_only=True, eq=False)
class _Response:
    """Change of the impulse of a pair with U_i: rub_i x rubbing + push_i x pushing; (n,) and (d, p)."""

    rub: torch.Tensor
    push: torch.Tensor
    rubbing: torch.Tensor
    pushing: torch.Tensor

    def on_itself(self, state: PhaseState) -> torch.Tensor:
        """Return the change of a particle's own impulse with its energy, shape (n, d)."""
        pairs = state.pairs
        return self.rub[:, None] * pairs.net(self.rubbing) + self.push[:, None] * pairs.net(self.pushing)

    def to(self, state: PhaseState) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the change of every pair's impulse with U_i, and with U_j, each (d, p)."""
        rub, push = state.pairs.ends(self.rub), state.pairs.ends(self.push)
        first, second = (a * self.rubbing + b * self.pushing for a, b in zip(rub, push, strict=True))
        return first, second


def _felt(channel: Channel, state: PhaseState) -> torch.Tensor:
    """Return g - T_i dg/dT_i - T_j dg/dT_j, the g with which d(2 g/T) = -g (dT_i + dT_j)/T^2 holds, shape (p,)."""
    if channel.first is None or channel.second is None:
        return channel.value
    first, second = state.pairs.ends(state.thermal.temperature)
    return channel.value - first * channel.first - second * channel.second


def _response(
    model: MetriplecticModel,
    state: PhaseState,
    friction: tuple[torch.Tensor, torch.Tensor],
    relative: torch.Tensor,
    h: float,
) -> _Response:
    """Return how the impulse of each pair changes with the energies: friction with 1/T, force with P V^2."""
    thermal = state.thermal
    pushing, push = torch.zeros_like(state.direction), torch.zeros_like(thermal.temperature)
    density = energy_per_density(thermal, state.volume)
    if density is not None and state.radial.kernel_slope is not None:
        step = 1e-4 * thermal.heat_capacity
        shifted = model.energy.at(state.entropy + step, state.volume, model.kinds(state.species))
        warmer = energy_per_density(shifted, state.volume)
        push = h * ((0.0 if warmer is None else warmer) - density) / (shifted.energy - thermal.energy)
        pushing = -state.radial.kernel_slope * state.direction
    return _Response(
        rub=0.5 * h / (thermal.temperature.square() * thermal.heat_capacity),
        push=push,
        rubbing=tensor_times(*friction, state.direction, relative),
        pushing=pushing,
    )


def _information(state: PhaseState, response: _Response, noise: torch.Tensor) -> torch.Tensor:
    """Return the Fisher information of all impulses about each U_i, (n,); particles taken as independent.

    ``noise`` (n,) is the variance of each impulse per component.
    """
    pairs = state.pairs
    weight = 1.0 / (noise + 1e-9 * noise.mean())
    first, second = ((part**2).sum(dim=0) for part in response.to(state))
    weight_i, weight_j = pairs.ends(weight)
    others = torch.zeros_like(weight)
    others = others.index_add(0, pairs.first, first * weight_j).index_add(0, pairs.second, second * weight_i)
    return response.on_itself(state).square().sum(dim=1) * weight + others


def _spread(state: PhaseState, response: _Response, variance: torch.Tensor) -> torch.Tensor:
    """Return the covariance of each particle's impulse that the variance of all energies causes, shape (n, d, d)."""
    pairs, own = state.pairs, response.on_itself(state)
    found = variance[:, None, None] * own[:, :, None] * own[:, None, :]
    first, second = response.to(state)
    variance_i, variance_j = pairs.ends(variance)
    for index, part, weight in ((pairs.first, second, variance_j), (pairs.second, first, variance_i)):
        found = found.index_add(0, index, (weight * part[:, None] * part[None]).permute(2, 0, 1))
    return found
