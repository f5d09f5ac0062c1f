"""Gauges: changes of a model that no positions and velocities can ever show, and the conventions that fix them.

``density_shifted``, ``entropy_rescaled`` and ``offsets_shifted`` make an equivalent model; ``density_fixed``,
``boltzmann_fixed`` and ``offsets_fixed`` lead every equivalent model back to the same one. All work by wrapping the
model's functions, so that any model supports them: the first needs a density kernel, the other two nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.energy import InternalEnergy, Thermal
from colloid_cg.dynamics.metriplectic.friction import Channel, PairCoefficients, PairLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import Pairs
from colloid_cg.dynamics.metriplectic.radial import RadialFunctions, RadialValues
from colloid_cg.errors import InputError

_MOST_STEPS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class _DensityEnergy:
    """U_i + a d_i."""

    inner: InternalEnergy
    amount: torch.Tensor

    def at(self, entropy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None) -> Thermal:
        thermal = self.inner.at(entropy, volume, species)
        if volume is None:
            return thermal
        a = _of(self.amount, species)
        pressure = torch.zeros_like(volume) if thermal.pressure is None else thermal.pressure
        return replace(thermal, energy=thermal.energy + a / volume, pressure=pressure + a / volume**2)

    def lowest(self, volume: torch.Tensor | None, species: torch.Tensor | None) -> torch.Tensor | float:
        low = self.inner.lowest(volume, species)
        return low if volume is None else low + _of(self.amount, species) / volume


@dataclass(frozen=True, kw_only=True, eq=False)
class _DensityRadial:
    """phi_ab - (a_a + a_b) W_ab."""

    inner: RadialFunctions
    amount: torch.Tensor

    @property
    def cutoff(self) -> float:
        return self.inner.cutoff

    @property
    def kernel_at_zero(self) -> torch.Tensor | None:
        return self.inner.kernel_at_zero

    def evaluate(self, distance: torch.Tensor, species_pair: torch.Tensor | None) -> RadialValues:
        found = self.inner.evaluate(distance, species_pair)
        if found.kernel is None or found.kernel_slope is None:
            return found
        rows, columns = np.triu_indices(len(self.amount))
        both = self.amount[rows] + self.amount[columns]
        of_pair = both[0] if species_pair is None else both[species_pair]
        return replace(
            found,
            potential=_minus(found.potential, of_pair * found.kernel),
            potential_slope=_minus(found.potential_slope, of_pair * found.kernel_slope),
        )


def _minus(value: torch.Tensor | None, other: torch.Tensor) -> torch.Tensor:
    return -other if value is None else value - other


def density_shifted(model: MetriplecticModel, amount: torch.Tensor) -> MetriplecticModel:
    """Return the model with U_i + a d_i and phi - 2 a W: the energy of every configuration but for a constant.

    Parameters
    ----------
    amount : tensor, shape (n_species,)
        a of each species; between two species phi_ab - (a_a + a_b) W_ab.

    Raises
    ------
    InputError
        If the model has no density kernel.
    """
    if model.radial.kernel_at_zero is None:
        raise InputError(
            "a model without a density kernel",
            expected="a kernel W, without which this gauge does not exist",
            action="leave this gauge out",
        )
    return replace(
        model,
        energy=_DensityEnergy(inner=model.energy, amount=amount),
        radial=_DensityRadial(inner=model.radial, amount=amount),
    )


def density_fixed(model: MetriplecticModel, *, density: float = 1.0) -> MetriplecticModel:
    """Return the equivalent model with dU/dd = 0 at S = 0 and the mean density, for every species."""
    zero = torch.zeros_like(model.masses)
    pressure = _reference(model, zero, 1.0 / density).pressure
    slope = zero if pressure is None else pressure / density**2
    return density_shifted(model, -slope)


@dataclass(frozen=True, kw_only=True, eq=False)
class _ScaledEnergy:
    """U(S/b), so that T, C and curvature follow."""

    inner: InternalEnergy
    factor: float

    def at(self, entropy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None) -> Thermal:
        thermal = self.inner.at(entropy / self.factor, volume, species)
        return replace(
            thermal,
            temperature=thermal.temperature / self.factor,
            curvature=thermal.curvature / self.factor**2,
        )

    def lowest(self, volume: torch.Tensor | None, species: torch.Tensor | None) -> torch.Tensor | float:
        return self.inner.lowest(volume, species)


@dataclass(frozen=True, kw_only=True, eq=False)
class _ScaledLaw:
    """gamma(b T)/b and C2(b T)/b."""

    inner: PairLaw
    factor: float

    def at(
        self, radial: RadialValues, temperature: torch.Tensor, pairs: Pairs, species: torch.Tensor | None
    ) -> PairCoefficients:
        found = self.inner.at(radial, temperature * self.factor, pairs, species)
        return PairCoefficients(
            par=self._scaled(found.par), perp=self._scaled(found.perp), heat=self._scaled(found.heat)
        )

    def _scaled(self, channel: Channel | None) -> Channel | None:
        # d[g(b T)/b]/dT = g'(b T): the derivatives keep their values.
        return None if channel is None else replace(channel, value=channel.value / self.factor)


def entropy_rescaled(model: MetriplecticModel, factor: float) -> MetriplecticModel:
    """Return the model with S and k_B times b, T, gamma and C2 divided by b; its states have b times the entropy.

    Every prediction of positions and velocities is the same. (A likelihood that contains S is not: it can be lowered
    without end by b -> 0, which is why k_B is fixed by convention.)
    """
    bath = model.bath
    if bath is not None:
        bath = replace(
            bath, temperature=bath.temperature / factor, friction=bath.friction / factor, heat=bath.heat / factor
        )
    return replace(
        model,
        energy=_ScaledEnergy(inner=model.energy, factor=factor),
        law=_ScaledLaw(inner=model.law, factor=factor),
        boltzmann=model.boltzmann * factor,
        bath=bath,
    )


def boltzmann_fixed(model: MetriplecticModel) -> MetriplecticModel:
    """Return the equivalent model with k_B = 1; its states have S/k_B for S."""
    return replace(entropy_rescaled(model, 1.0 / model.boltzmann), boltzmann=1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class _OffsetEnergy:
    """U(S - S_0) + U_0."""

    inner: InternalEnergy
    energy: torch.Tensor
    entropy: torch.Tensor

    def at(self, entropy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None) -> Thermal:
        thermal = self.inner.at(entropy - _of(self.entropy, species), volume, species)
        return replace(thermal, energy=thermal.energy + _of(self.energy, species))

    def lowest(self, volume: torch.Tensor | None, species: torch.Tensor | None) -> torch.Tensor | float:
        return self.inner.lowest(volume, species) + _of(self.energy, species)


def offsets_shifted(model: MetriplecticModel, *, energy: torch.Tensor, entropy: torch.Tensor) -> MetriplecticModel:
    """Return the model with U_0 and S_0 of each species, shape (n_species,), added to U and to S.

    Its states have S_i + S_0.
    """
    return replace(model, energy=_OffsetEnergy(inner=model.energy, energy=energy, entropy=entropy))


def offsets_fixed(model: MetriplecticModel, *, temperature: float, density: float = 1.0) -> MetriplecticModel:
    """Return the equivalent model with S = 0 and U = 0 at T0 and V0 = 1/density, for every species.

    Raises
    ------
    InputError
        If U has no such temperature.
    """
    entropy = torch.zeros_like(model.masses)
    for _ in range(_MOST_STEPS):
        thermal = _reference(model, entropy, 1.0 / density)
        # Newton for ln T, whose slope in S is 1/C: one step for a constant heat capacity.
        step = thermal.heat_capacity * torch.log(temperature / thermal.temperature)
        entropy = entropy + step
        if bool((step.abs() <= 1e-13 * thermal.heat_capacity.abs()).all()):
            energy = _reference(model, entropy, 1.0 / density).energy
            return offsets_shifted(model, energy=-energy, entropy=-entropy)
    raise InputError(
        f"an internal energy without the temperature {temperature:.4g}",
        expected="a temperature that some entropy gives",
        action="give one from the range of the data",
    )


def _reference(model: MetriplecticModel, entropy: torch.Tensor, volume: float) -> Thermal:
    """Return the thermal state of one particle per species, shapes (n_species,)."""
    species = torch.arange(model.n_species, device=model.masses.device)
    place = None if model.radial.kernel_at_zero is None else torch.full_like(entropy, volume)
    return model.energy.at(entropy, place, model.kinds(species))


def _of(values: torch.Tensor, species: torch.Tensor | None) -> torch.Tensor:
    return values[0] if species is None else values[species]
