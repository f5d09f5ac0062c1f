"""Internal energy U(S, V) as a tensor product of cubic splines: convex and increasing in S, free in V."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from colloid_cg.dynamics.metriplectic.energy import Thermal
from colloid_cg.dynamics.metriplectic.radial import cubic_pieces
from colloid_cg.errors import InputError

MARGIN = 0.1
"""Share of the volume range at either end in which ln V is bent, so that it never leaves the range."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SplineEnergy:
    """U(S, V) = sum_kl c_kl B_k(S) B_l(ln V), cubic B-splines on uniform knots, per species.

    Coefficients that increase and are convex along S make T = dU/dS > 0 and d2U/dS2 > 0 everywhere; the dependence on V
    is free, so that the pressure may have either sign. Beyond the range of S the heat capacity stays as it is at the
    end, U = U_e + T_e C_e [exp((S - S_e)/C_e) - 1]; beyond that of ln V the coordinate saturates (tanh), and with it U:
    P falls to zero smoothly.

    Parameters
    ----------
    coefficients : tensor, shape (n_species, n_s + 3, n_v + 3)
        For n_s and n_v intervals; shape (n_species, n_s + 3, 1) where U does not depend on V.
    entropy_range, volume_range : tensors, shape (n_species, 2)
        First and last knot of S and V; ``volume_range`` None where U does not depend on V.

    Raises
    ------
    InputError
        If shapes do not agree, a range is empty, or the coefficients are not increasing and convex along S.
    """

    coefficients: torch.Tensor
    entropy_range: torch.Tensor
    volume_range: torch.Tensor | None = None
    _table: torch.Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        c = self.coefficients
        least = 4 if self.volume_range is not None else 1
        if c.ndim != 3 or c.shape[1] < 4 or c.shape[2] < least or (least == 1 and c.shape[2] != 1):
            raise InputError(
                f"energy coefficients of shape {tuple(c.shape)}",
                expected="(n_species, n_s + 3, n_v + 3), or (n_species, n_s + 3, 1) without a volume range",
                action="use at least one interval along S (and V)",
            )
        for name in ("entropy_range", "volume_range"):
            limits = getattr(self, name)
            if limits is not None and (limits.shape != (len(c), 2) or not bool((limits[:, 1] > limits[:, 0]).all())):
                raise InputError(
                    f"{name} = {limits.tolist()}",
                    expected="one pair (first, last) per species, first < last",
                    action="correct the range",
                )
        if self.volume_range is not None and not bool((self.volume_range > 0).all()):
            raise InputError(
                f"volume_range = {self.volume_range.tolist()}", expected="volumes above zero", action="correct it"
            )
        rising = c.detach().diff(dim=1)
        if not bool((rising > 0).all()) or not bool((rising.diff(dim=1) > 0).all()):
            raise InputError(
                "energy coefficients that are not increasing and convex along S",
                expected="T > 0 and a positive heat capacity everywhere",
                action="build them from positive second differences",
            )
        # Made at once: a table made at first use would lose its gradient where that use asks for none.
        object.__setattr__(self, "_table", self._pieces())

    @property
    def n_entropy(self) -> int:
        """Intervals along S."""
        return int(self.coefficients.shape[1]) - 3

    @property
    def n_volume(self) -> int:
        """Intervals along ln V; 1 where U does not depend on V."""
        return max(int(self.coefficients.shape[2]) - 3, 1)

    @property
    def _entropy_width(self) -> torch.Tensor:
        return (self.entropy_range[:, 1] - self.entropy_range[:, 0]) / self.n_entropy

    @property
    def _log_volume(self) -> tuple[torch.Tensor, torch.Tensor]:
        """First knot and distance between knots of ln V, each (n_species,)."""
        if self.volume_range is None:
            one = torch.ones_like(self._entropy_width)
            return 0.0 * one, one
        ends = self.volume_range.log()
        return ends[:, 0], (ends[:, 1] - ends[:, 0]) / self.n_volume

    def _pieces(self) -> torch.Tensor:
        """Return coefficients of (S - knot)^k (ln V - knot)^l per cell, shape (n_species n_s n_v, 4, 4 or 1)."""
        along_s = cubic_pieces(self.coefficients.transpose(1, 2), self._entropy_width[:, None])  # (m, v, n_s, 4)
        if self.volume_range is None:
            return along_s.permute(0, 2, 3, 1).reshape(-1, 4, 1).contiguous()
        along_v = cubic_pieces(along_s.permute(0, 2, 3, 1), self._log_volume[1][:, None, None])  # (m, n_s, 4, n_v, 4)
        return along_v.permute(0, 1, 3, 2, 4).reshape(-1, 4, 4).contiguous()

    def at(self, entropy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor | None) -> Thermal:
        """Return energy and derivatives at S and V, shapes (n,)."""
        kind = 0 if species is None else species
        first, width = self.entropy_range[kind, 0], self._entropy_width[kind]
        beyond_first = entropy - first
        inside = torch.minimum(beyond_first.clamp(min=0.0), width * self.n_entropy)
        interval = (inside.detach() / width).floor().clamp(max=self.n_entropy - 1)
        x, stretch, cell = self._bent(volume, kind)
        row = (kind * self.n_entropy + interval.long()) * self.n_volume + cell
        terms = self._table.index_select(0, row).permute(1, 2, 0)
        u = inside - interval * width
        at_volume = _derivatives(_horner_rows(terms, x), u)
        slope = None if volume is None else _derivatives(_horner_slopes(terms, x), u)
        outside = beyond_first - inside
        if bool((outside != 0).any()):
            at_volume, slope = _continued(at_volume, slope, outside)
        pressure = None if slope is None or volume is None else -slope[0] * stretch / volume
        return Thermal(energy=at_volume[0], temperature=at_volume[1], curvature=at_volume[2], pressure=pressure)

    def lowest(self, volume: torch.Tensor | None, species: torch.Tensor | None) -> torch.Tensor:
        """Return U - T C at the lower end of the range of S: what the energy tends to at absolute zero, (n,)."""
        kind = 0 if species is None else species
        like = volume if volume is not None else species
        ends = self.entropy_range[kind, 0]
        entropy = ends if ends.ndim or like is None else ends.expand(like.shape)
        edge = self.at(entropy, volume, species)
        return edge.energy - edge.temperature * edge.heat_capacity

    def _bent(
        self, volume: torch.Tensor | None, kind: torch.Tensor | int
    ) -> tuple[torch.Tensor, torch.Tensor | float, torch.Tensor | int]:
        """Return bent ln V from its knot, d(bent)/d(ln V), and the interval along V."""
        if volume is None or self.volume_range is None:
            return self.coefficients.new_zeros(()), 1.0, 0
        first, width = (part[kind] for part in self._log_volume)
        length = width * self.n_volume
        margin = MARGIN * length
        x = volume.log() - first
        kept = torch.minimum(torch.maximum(x, margin), length - margin)
        bend = torch.tanh((x - kept) / margin)
        bent = kept + margin * bend
        cell = (bent.detach() / width).floor().clamp(min=0, max=self.n_volume - 1)
        return bent - cell * width, 1.0 - bend.square(), cell.long()


Derivatives = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""A function of S with its first and second derivative, each (n,)."""


def _horner_rows(terms: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return sum_l terms[k, l] x^l, shape (4, n)."""
    value = terms[:, -1]
    for power in range(terms.shape[1] - 2, -1, -1):
        value = torch.addcmul(terms[:, power], value, x)
    return value


def _horner_slopes(terms: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the derivative of :func:`_horner_rows` with respect to x, shape (4, n)."""
    factors = torch.arange(terms.shape[1], dtype=terms.dtype, device=terms.device)[None, 1:, None]
    if terms.shape[1] == 1:
        return torch.zeros_like(terms[:, 0])
    return _horner_rows(factors * terms[:, 1:], x)


def _derivatives(cubic: torch.Tensor, u: torch.Tensor) -> Derivatives:
    """Return value, slope and curvature of a cubic (4, n) at u."""
    c0, c1, c2, c3 = cubic.unbind()
    value = c0 + u * (c1 + u * (c2 + u * c3))
    return value, c1 + u * (2.0 * c2 + 3.0 * u * c3), 2.0 * c2 + 6.0 * u * c3


def _continued(
    edge: Derivatives, slope: Derivatives | None, beyond: torch.Tensor
) -> tuple[Derivatives, Derivatives | None]:
    """Return U and dU/d(ln V) a distance ``beyond`` outside the range of S, at the heat capacity of its end.

    U = U_e + A (exp(q s) - 1), A = T_e C_e, q = 1/C_e, s = S - S_e; derivatives with respect to ln V by the chain rule.
    """
    energy, temperature, curvature = edge
    capacity = temperature / curvature
    scale = temperature * capacity
    growth = torch.exp(beyond / capacity)
    continued = (energy + scale * (growth - 1.0), temperature * growth, curvature * growth)
    if slope is None:
        return continued, None
    d_energy, d_temperature, d_curvature = slope
    d_capacity = (d_temperature - capacity * d_curvature) / curvature
    d_scale = d_temperature * capacity + temperature * d_capacity
    d_exponent = -beyond * d_capacity / capacity.square()
    d_continued = d_energy + d_scale * (growth - 1.0) + scale * growth * d_exponent
    return continued, (d_continued, d_temperature, d_curvature)
