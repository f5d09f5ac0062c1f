"""The published weights as a working metriplectic model: their networks in the places of the product's functions."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from colloid_cg.dynamics.metriplectic.energy import Thermal
from colloid_cg.dynamics.metriplectic.friction import Channel, PairCoefficients
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import Pairs
from colloid_cg.dynamics.metriplectic.published.networks import PublishedEnergy, PublishedPairFunction
from colloid_cg.dynamics.metriplectic.published.reader import PublishedModel
from colloid_cg.dynamics.metriplectic.radial import RadialValues

_FAR_BELOW = -1e9
"""An entropy (of order 1e-4 to 1 in the published weights) at which every softplus of U is at its limit."""


def published_model(
    published: PublishedModel, *, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> MetriplecticModel:
    """Return the model of arXiv:2508.12569 with the weights that :func:`read_published` read."""
    read = published.to(dtype=dtype, device=torch.device(device))
    return MetriplecticModel(
        masses=torch.tensor([read.mass], dtype=dtype, device=device),
        energy=_Energy(function=read.energy),
        radial=_Radial(published=read),
        law=_Law(published=read),
        boltzmann=read.k_B,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Energy:
    function: PublishedEnergy

    def at(self, entropy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None) -> Thermal:
        """Return energy and derivatives at S and V, shapes (n,)."""
        found = self.function.evaluate(entropy, _required(volume))
        return Thermal(energy=found.U, temperature=found.U_S, curvature=found.U_SS, pressure=-found.U_V)

    def lowest(self, volume: torch.Tensor | None, species: torch.Tensor | None) -> torch.Tensor:
        """Return the limit of U at S far below zero, shape (n,)."""
        volume = _required(volume)
        return self.function.evaluate(torch.full_like(volume, _FAR_BELOW), volume).U


def _required(volume: torch.Tensor | None) -> torch.Tensor:
    if volume is None:
        raise TypeError("the published energy needs volumes")
    return volume


@dataclass(frozen=True, kw_only=True, eq=False)
class _Radial:
    published: PublishedModel

    @property
    def cutoff(self) -> float:
        """Distance h from which on no pair interacts."""
        return self.published.cutoff

    @property
    def kernel_at_zero(self) -> torch.Tensor:
        """W(0), shape (1,)."""
        weight = self.published.kernel.layers.weights[0]
        return self.published.kernel.evaluate(weight.new_zeros(1)).value

    def evaluate(self, distance: torch.Tensor, species_pair: torch.Tensor | None) -> RadialValues:
        """Return the kernel, and r/h for the networks of the dissipative functions."""
        scaled = distance / self.cutoff
        kernel = self.published.kernel.evaluate(scaled)
        return RadialValues(kernel=kernel.value, kernel_slope=kernel.slope / self.cutoff, scaled=scaled)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Law:
    published: PublishedModel

    def at(
        self, radial: RadialValues, temperature: torch.Tensor, pairs: Pairs, species: torch.Tensor | None
    ) -> PairCoefficients:
        """Return g_perp = A^2/2, g_par = A^2 (1 - 1/D) + B^2/D and C2 = C^2; no window, but nothing beyond h."""
        if radial.scaled is None:
            raise TypeError("the published law needs scaled distances")
        ends = pairs.ends(temperature)
        inside = (radial.scaled < 1.0).to(temperature.dtype)
        shear, bulk, heat = (
            _squared_product(function, radial.scaled, ends, inside)
            for function in (self.published.shear, self.published.bulk, self.published.heat)
        )
        d = self.published.dimension
        return PairCoefficients(par=_sum(shear, 1 - 1 / d, bulk, 1 / d), perp=_sum(shear, 0.5, bulk, 0.0), heat=heat)


def _squared_product(
    function: PublishedPairFunction,
    scaled: torch.Tensor,
    ends: tuple[torch.Tensor, torch.Tensor],
    inside: torch.Tensor,
) -> Channel:
    """Return A_ij^2 = a(s, T_i)^2 a(s, T_j)^2 with its derivatives."""
    (a_i, slope_i), (a_j, slope_j) = (function.evaluate(scaled, temperature) for temperature in ends)
    return Channel(
        value=inside * a_i**2 * a_j**2,
        first=2.0 * inside * a_i * slope_i * a_j**2,
        second=2.0 * inside * a_j * slope_j * a_i**2,
    )


def _sum(one: Channel, weight: float, other: Channel, other_weight: float) -> Channel:
    first = [channel.first if channel.first is not None else channel.value * 0 for channel in (one, other)]
    second = [channel.second if channel.second is not None else channel.value * 0 for channel in (one, other)]
    return Channel(
        value=weight * one.value + other_weight * other.value,
        first=weight * first[0] + other_weight * first[1],
        second=weight * second[0] + other_weight * second[1],
    )
