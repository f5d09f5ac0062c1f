"""Internal energy U(S, V): temperature, heat capacity and pressure, and the entropy that belongs to an energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeGuard

import torch

from colloid_cg.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Thermal:
    """What the internal energy says about each particle, tensors of shape (n,).

    ``energy`` U, ``temperature`` T = dU/dS, ``curvature`` d2U/dS2, ``pressure`` P = -dU/dV (None: no volume in U).
    """

    energy: torch.Tensor
    temperature: torch.Tensor
    curvature: torch.Tensor
    pressure: torch.Tensor | None

    @property
    def heat_capacity(self) -> torch.Tensor:
        """C = T / (d2U/dS2) at fixed volume, shape (n,)."""
        return self.temperature / self.curvature


class InternalEnergy(Protocol):
    """An internal energy that increases with S and is convex in it, per species."""

    def at(self, entropy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None) -> Thermal:
        """Return energy and derivatives at S and V, shapes (n,)."""

    def lowest(self, volume: torch.Tensor | None, species: torch.Tensor | None) -> torch.Tensor | float:
        """Return inf_S U(S, V): no particle can have less."""


class Invertible(InternalEnergy, Protocol):
    """An internal energy that knows S(U, V) and everything else at given U in closed form."""

    def entropy_of(
        self, energy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None
    ) -> torch.Tensor:
        """Return S with U(S, V) = ``energy``, shape (n,)."""

    def at_energy(self, energy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None) -> Thermal:
        """Return ``energy`` and its derivatives by S and V at U and V, shapes (n,)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ConstantHeatCapacity:
    """U = C T0 (V/V0)^(-a k_B/C) exp(S/C): T = U/C and P V = a k_B T, an ideal gas; a = 0 knows no volume.

    Parameters
    ----------
    heat_capacity, temperature, volume, amount : tensors, shape (n_species,)
        C, T0, V0 and a; S = 0 at (T0, V0). ``amount`` is the number of molecules a particle stands for.
    boltzmann : float
    """

    heat_capacity: torch.Tensor
    temperature: torch.Tensor
    volume: torch.Tensor | None = None
    amount: torch.Tensor | None = None
    boltzmann: float = 1.0

    def __post_init__(self) -> None:
        if (self.volume is None) != (self.amount is None):
            raise InputError(
                "a reference volume without an amount or the other way round",
                expected="both or none",
                action="give V0 and a, or neither for an energy without volume",
            )
        for name in ("heat_capacity", "temperature", "volume"):
            value = getattr(self, name)
            if value is not None and not bool((value > 0).all()):
                raise InputError(f"{name} {value.tolist()}", expected="positive numbers", action="check the energy")

    def at(self, entropy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None) -> Thermal:
        """Return energy and derivatives at S and V, shapes (n,)."""
        capacity, start = self._of(self.heat_capacity, species), self._of(self.temperature, species)
        energy = capacity * start * torch.exp(entropy / capacity)
        if self.volume is not None and self.amount is not None and volume is not None:
            amount = self.boltzmann * self._of(self.amount, species)
            energy = energy * (volume / self._of(self.volume, species)) ** (-amount / capacity)
        return self.at_energy(energy, volume, species)

    def at_energy(self, energy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None) -> Thermal:
        """Return ``energy`` with T = U/C, d2U/dS2 = T/C and P = a k_B T/V, shapes (n,)."""
        capacity = self._of(self.heat_capacity, species)
        temperature = energy / capacity
        pressure = None
        if self.amount is not None and volume is not None:
            pressure = self.boltzmann * self._of(self.amount, species) * temperature / volume
        return Thermal(energy=energy, temperature=temperature, curvature=temperature / capacity, pressure=pressure)

    def lowest(self, volume: torch.Tensor | None, species: torch.Tensor | None) -> float:
        """Return zero: an ideal gas at absolute zero."""
        return 0.0

    def entropy_of(
        self, energy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None
    ) -> torch.Tensor:
        """Return S = C ln[U/(C T0)] + a k_B ln(V/V0), shape (n,)."""
        capacity = self._of(self.heat_capacity, species)
        entropy = capacity * torch.log(energy / (capacity * self._of(self.temperature, species)))
        if self.volume is not None and self.amount is not None and volume is not None:
            amount = self.boltzmann * self._of(self.amount, species)
            entropy = entropy + amount * torch.log(volume / self._of(self.volume, species))
        return entropy

    @staticmethod
    def _of(values: torch.Tensor, species: torch.Tensor | None) -> torch.Tensor:
        return values[0] if species is None else values[species]


def entropy_at(
    energy: InternalEnergy,
    target: torch.Tensor,
    volume: torch.Tensor | None,
    species: torch.Tensor | None,
    *,
    start: torch.Tensor,
) -> tuple[torch.Tensor, Thermal]:
    """Return S with U(S, V) = ``target``, and the thermal state there: in closed form, or by Newton's method.

    U is convex and increasing in S: from any start one step lands at or above the root, from where the steps
    decrease monotonically. The last step is below 1e-9 of the heat capacity and converges quadratically, so that what
    is left is round-off; energy is conserved by ``target`` itself, not by S.

    Parameters
    ----------
    target, volume, start : tensors, shape (n,)
        ``start`` is the entropy before the energy changed.

    Raises
    ------
    InputError
        If no entropy has this energy.
    """
    if _is_invertible(energy):
        entropy = energy.entropy_of(target, volume, species)
        # A sum is finite if all of its terms are, and several times faster to ask.
        if not bool(torch.isfinite(entropy.sum())):
            raise _unreachable()
        return entropy, energy.at_energy(target, volume, species)
    entropy = start
    for _ in range(_MOST_STEPS):
        thermal = energy.at(entropy, volume, species)
        step = (target - thermal.energy) / thermal.temperature
        # Far below the root the tangent is flat: no step is longer than two heat capacities.
        capacity = thermal.heat_capacity
        step = torch.minimum(step, 2.0 * capacity)
        entropy = entropy + step
        if float((step / capacity).abs().max()) < _CONVERGED:
            return entropy, _moved(thermal, step)
    raise _unreachable()


def thermal_at(
    energy: InternalEnergy,
    target: torch.Tensor,
    volume: torch.Tensor | None,
    species: torch.Tensor | None,
    *,
    start: torch.Tensor,
) -> Thermal:
    """Return the thermal state at U = ``target``, as :func:`entropy_at` does, where S itself is not wanted."""
    if _is_invertible(energy):
        return energy.at_energy(target, volume, species)
    return entropy_at(energy, target, volume, species, start=start)[1]


def _is_invertible(energy: InternalEnergy) -> TypeGuard[Invertible]:
    # isinstance() of a protocol takes as long as the logarithm of a thousand numbers.
    return hasattr(energy, "entropy_of") and hasattr(energy, "at_energy")


def _unreachable() -> InputError:
    return InputError(
        "an internal energy that no entropy gives",
        expected="energies above the lowest one",
        action="use a smaller dt or check the energy function",
    )


def _moved(thermal: Thermal, step: torch.Tensor) -> Thermal:
    """Return the thermal state after a last, tiny step in S: first order is exact to round-off."""
    return Thermal(
        energy=thermal.energy + thermal.temperature * step,
        temperature=thermal.temperature + thermal.curvature * step,
        curvature=thermal.curvature,
        pressure=thermal.pressure,
    )


_MOST_STEPS = 200
_CONVERGED = 1e-9
