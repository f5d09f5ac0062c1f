"""Radial functions of pairs: potential, density kernel, frictions and heat exchange as splines of the distance."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic import loops
from colloid_cg.dynamics.metriplectic.loops import splines
from colloid_cg.dynamics.spline import TAIL
from colloid_cg.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class RadialValues:
    """Radial functions at p distances, tensors of shape (p,); None where the model has no such function.

    ``potential, potential_slope``: phi and dphi/dr; ``kernel, kernel_slope``: W and dW/dr; ``par, perp, heat``: radial
    parts of the dissipative functions, window included, >= 0; ``scaled`` r/h for laws that are no product of a radial
    part and functions of the temperatures.
    """

    potential: torch.Tensor | None = None
    potential_slope: torch.Tensor | None = None
    kernel: torch.Tensor | None = None
    kernel_slope: torch.Tensor | None = None
    par: torch.Tensor | None = None
    perp: torch.Tensor | None = None
    heat: torch.Tensor | None = None
    scaled: torch.Tensor | None = None


class RadialFunctions(Protocol):
    """What a model needs to know about a pair from its distance and species alone."""

    @property
    def cutoff(self) -> float:
        """Distance at and beyond which every function is zero."""

    @property
    def kernel_at_zero(self) -> torch.Tensor | None:
        """W(0) per species, shape (n_species,); None if the model has no local density."""

    def evaluate(self, distance: torch.Tensor, species_pair: torch.Tensor | None) -> RadialValues:
        """Return all radial functions; ``species_pair`` (p,) numbers 00, 01, .., 11, ..; None for one species."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SplineRadial:
    """Cubic splines (the potential: quartic, so that its force is one) on uniform knots from ``lower`` to ``cutoff``.

    At the cutoff function, slope and curvature vanish. Below ``lower`` the potential goes on as a parabola (its force
    as a straight line), the kernel as a straight line (forces do not jump), everything else as a constant.

    Parameters
    ----------
    lower, cutoff : float
    force : tensor, shape (n_species_pairs, n_knots), or None
        B-spline coefficients of F = -dphi/dr.
    kernel, par, perp, heat : tensors, shape (n_species_pairs, n_knots), or None
        B-spline coefficients; those of ``par``, ``perp`` and ``heat`` must not be negative.
    """

    lower: float
    cutoff: float
    force: torch.Tensor | None = None
    kernel: torch.Tensor | None = None
    par: torch.Tensor | None = None
    perp: torch.Tensor | None = None
    heat: torch.Tensor | None = None
    _names: tuple[str, ...] = field(init=False, repr=False)
    _table: torch.Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.lower < self.cutoff:
            raise InputError(
                f"radial functions from {self.lower} to {self.cutoff}",
                expected="0 <= lower < cutoff",
                action="choose a larger cutoff",
            )
        shapes = {name: tuple(c.shape) for name, c in self._given().items()}
        if len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) != 2:
            raise InputError(
                f"spline coefficients of shapes {shapes}",
                expected="one shape (n_species_pairs, n_knots) for all functions",
                action="use the same knots for every function",
            )
        for name in ("par", "perp", "heat"):
            coefficients = getattr(self, name)
            if coefficients is not None and bool((coefficients < 0).any()):
                raise InputError(
                    f"negative coefficients of {name} down to {float(coefficients.min()):.3g}",
                    expected="coefficients >= 0, or dissipation would create order",
                    action="fit with non-negative coefficients",
                )
        # Here and not at the first use, which may be one without derivatives.
        for name, value in zip(("_names", "_table"), self._pieces(), strict=True):
            object.__setattr__(self, name, value)

    def _given(self) -> dict[str, torch.Tensor]:
        names = ("force", "kernel", "par", "perp", "heat")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @cached_property
    def n_knots(self) -> int:
        """Coefficients per function and species pair."""
        return int(next(iter(self._given().values())).shape[1])

    @cached_property
    def width(self) -> float:
        """Distance between knots."""
        return (self.cutoff - self.lower) / self.n_knots

    @property
    def kernel_at_zero(self) -> torch.Tensor | None:
        """W(0) of two particles of the same species, shape (n_species,)."""
        if self.kernel is None:
            return None
        n_species = int((np.sqrt(8 * len(self.kernel) + 1) - 1) / 2)
        own = [a * n_species - a * (a - 1) // 2 for a in range(n_species)]
        kinds = torch.arange(len(self.kernel), device=self.kernel.device)
        at_zero = self.evaluate(self.kernel.new_zeros(len(self.kernel)), kinds).kernel
        return None if at_zero is None else at_zero[own]

    def evaluate(self, distance: torch.Tensor, species_pair: torch.Tensor | None) -> RadialValues:
        """Return values and slopes, each of shape (p,); zero beyond the cutoff."""
        names, table = self._names, self._table
        sloped = [name for name in names if name in SLOPED]
        if loops.usable(distance, table):
            values, slopes = splines.radial_sums(
                distance, species_pair, table, lower=self.lower, cutoff=self.cutoff, width=self.width,
                n_knots=self.n_knots, with_slope=len(sloped),
            )  # fmt: skip
        else:
            values, slopes = self._polynomials(distance, species_pair, table, with_slope=len(sloped))
        found = dict(zip(names, values.unbind(), strict=True))
        found |= {f"{name}_slope": slope for name, slope in zip(sloped, slopes, strict=True)}
        return RadialValues(**found)

    def _polynomials(
        self, distance: torch.Tensor, kinds: torch.Tensor | None, table: torch.Tensor, *, with_slope: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return values (k, p) of the k functions, and slopes of the first ones."""
        n = self.n_knots
        interval = ((distance.detach() - self.lower) / self.width).floor().clamp(-1, n - 1)
        interval = torch.where(distance.detach() >= self.cutoff, n, interval)
        u = distance - (self.lower + interval.clamp(min=0) * self.width)
        row = interval.long() + 1
        if kinds is not None:
            row = row + kinds * (n + 2)
        terms = table.index_select(0, row).permute(2, 1, 0)
        factors = torch.arange(5, dtype=table.dtype, device=table.device)[:, None, None]
        values, slopes = _horner(terms, u), _horner((factors * terms)[1:, :with_slope], u)
        # Near the cutoff round-off may leave a friction of -1e-17, whose square root is no number.
        return torch.cat([values[:with_slope], values[with_slope:].clamp(min=0.0)]), slopes

    def _pieces(self) -> tuple[tuple[str, ...], torch.Tensor]:
        """Return names and power-basis coefficients of the functions, shape (n_pairs (n_knots + 2), k, 5).

        Row 0 of a species pair holds below the first knot, the last row (zeros) beyond the cutoff.
        """
        names, tables = [], []
        for name, coefficients in self._given().items():
            pieces = spline_pieces(coefficients, self.width)
            if name == "force":
                names.append("potential")
                tables.append(_potential_pieces(pieces, self.width))
                continue
            kept = 2 if name in SLOPED else 1
            below = torch.nn.functional.pad(pieces[:, :1, :kept], (0, 5 - kept))
            names.append(name)
            tables.append(torch.cat([below, torch.nn.functional.pad(pieces, (0, 1)), torch.zeros_like(below)], dim=1))
        table = torch.stack(tables, dim=2)
        return tuple(names), table.reshape(-1, len(names), 5).contiguous()


SLOPED = ("potential", "kernel")
"""Functions whose slopes are forces; they come first."""

_BASIS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6.0
"""Powers of u in [0, 1] of the four cubic B-splines of an interval (de Boor 1978, doi:10.1007/978-1-4612-6333-3)."""


def spline_pieces(coefficients: torch.Tensor, width: float) -> torch.Tensor:
    """Return the cubic of every interval in powers of (r - knot), shape (n_pairs, n_knots, 4)."""
    return cubic_pieces(torch.nn.functional.pad(coefficients, (0, TAIL)), coefficients.new_tensor(width))


def cubic_pieces(coefficients: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """Return the cubics of n uniform intervals in powers of (x - knot) from n + 3 B-spline coefficients, (..., n, 4).

    ``width`` of the intervals broadcasts against all axes but the last of ``coefficients``.
    """
    basis = torch.as_tensor(_BASIS, dtype=coefficients.dtype, device=coefficients.device)
    powers = torch.arange(4.0, dtype=coefficients.dtype, device=coefficients.device)
    return coefficients.unfold(-1, 4, 1) @ basis.T * width[..., None, None] ** -powers


def _potential_pieces(force: torch.Tensor, width: float) -> torch.Tensor:
    """Return phi = integral of the force from r to the cutoff in powers of (r - knot), shape (n_pairs, n + 2, 5)."""
    powers = torch.arange(1.0, 5.0, dtype=force.dtype, device=force.device)
    slopes = -force / powers  # of (r - knot)^k, k = 1..4
    drop = (slopes * width**powers).sum(dim=2)  # phi(next knot) - phi(knot)
    at_knot = -drop.flip(1).cumsum(1).flip(1)
    inside = torch.cat([at_knot[..., None], slopes], dim=2)
    below = torch.cat([inside[:, :1, :3], torch.zeros_like(inside[:, :1, 3:])], dim=2)
    return torch.cat([below, inside, torch.zeros_like(below)], dim=1)


def _horner(terms: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Return sum_m terms[m] u^m."""
    value = terms[-1]
    for term in terms[:-1].flip(0):
        value = torch.addcmul(term, value, u)
    return value
