"""Dissipative functions of a pair: frictions g_par, g_perp and heat exchange C2, with their temperature derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from colloid_cg.dynamics.metriplectic.pairs import Pairs
from colloid_cg.dynamics.metriplectic.radial import RadialValues


@dataclass(frozen=True, kw_only=True, eq=False)
class Channel:
    """One dissipative function at p pairs: value and derivatives with respect to T_i and T_j at fixed r, V; (p,).

    The derivatives are None where the function does not depend on temperature.
    """

    value: torch.Tensor
    first: torch.Tensor | None = None
    second: torch.Tensor | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class PairCoefficients:
    """gamma_ij = g_par e e^T + g_perp (1 - e e^T), and the heat exchange C2; windows included, None where zero."""

    par: Channel | None
    perp: Channel | None
    heat: Channel | None


class PairLaw(Protocol):
    """How frictions and heat exchange depend on the temperatures of the two particles."""

    def at(
        self, radial: RadialValues, temperature: torch.Tensor, pairs: Pairs, species: torch.Tensor | None
    ) -> PairCoefficients:
        """Return the coefficients of every pair; ``temperature`` (n,); g_ab(s, T_i, T_j) = g_ba(s, T_j, T_i)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PowerLaw:
    """g_ab(r, T_i, T_j) = G_ab(r) (T_i/T0)^n_a (T_j/T0)^n_b, the radial part from the model's radial functions.

    A product of one-particle factors costs nothing per pair; exponents of zero: no dependence on temperature.

    Parameters
    ----------
    temperature : float
        T0, where the factors are one.
    par, perp, heat : tensors, shape (n_species,), or None
        Exponents n.
    """

    temperature: float
    par: torch.Tensor | None = None
    perp: torch.Tensor | None = None
    heat: torch.Tensor | None = None

    def at(
        self, radial: RadialValues, temperature: torch.Tensor, pairs: Pairs, species: torch.Tensor | None
    ) -> PairCoefficients:
        """Return the coefficients of every pair."""
        found = {}
        for name in ("par", "perp", "heat"):
            part, exponent = getattr(radial, name), getattr(self, name)
            found[name] = None if part is None else self._channel(part, exponent, temperature, pairs, species)
        return PairCoefficients(**found)

    def _channel(
        self,
        part: torch.Tensor,
        exponent: torch.Tensor | None,
        temperature: torch.Tensor,
        pairs: Pairs,
        species: torch.Tensor | None,
    ) -> Channel:
        if exponent is None:
            return Channel(value=part)
        power = exponent[0] if species is None else exponent[species]
        factor = (temperature / self.temperature) ** power
        (factor_i, factor_j), (slope_i, slope_j) = pairs.ends(factor), pairs.ends(power / temperature)
        value = part * factor_i * factor_j
        return Channel(value=value, first=value * slope_i, second=value * slope_j)
