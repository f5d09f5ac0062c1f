"""Free numbers of a metriplectic model, without bounds, and the model they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from colloid_cg.dynamics.metriplectic.energy import Thermal
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import BodyForce, MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import separations
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.dynamics.metriplectic.spline_energy import SplineEnergy
from colloid_cg.dynamics.model import species_pair_index
from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.observed import Observed
from colloid_cg.nets import mlp

_NETWORKS = ("kernel", "par", "perp", "force", "base", "slope", "curvature")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scales:
    """What stays fixed during a fit.

    Parameters
    ----------
    masses : tensor, shape (n_species,)
    cutoff : float
    entropy_range, volume_range : tensors, shape (n_species, 2)
    mean_kernel : tensor, shape (n_species_pairs, n_knots)
        Mean over particles and frames of the density that each kernel coefficient makes: fixes mean d = 1.
    temperature : float
        T0, of the initial guess.
    body : BodyForce or None
    """

    masses: torch.Tensor
    cutoff: float
    entropy_range: torch.Tensor
    volume_range: torch.Tensor
    mean_kernel: torch.Tensor
    temperature: float
    body: BodyForce | None


class ThermalParameters(torch.nn.Module):
    """An ideal gas with learnable C, T0 and Grueneisen parameter PV/U, times what the data want beyond it.

    d2U/dS2 on the grid is that of the ideal gas times exp(curvature), dU/dS at the lower end that of the ideal gas
    times exp(slope), U there that of the ideal gas plus C T0 base: all corrections zero is the ideal gas, and the
    roughness penalty knows no other preference. Radial functions are exponentials of their coefficients, so that they
    are positive; the kernel is scaled to mean d = 1, U shifted to U(0, 1) = 0. k_B = 1: no scale is left free.

    Heat exchange and ``gain``, the logarithm of that of the filter, act on the motion only through the hidden energies:
    they have no gradient and are found by trying.

    With ``functions = "networks"`` these coefficients stay where they begin, and a perceptron of their place that
    begins at zero is added to each of them.

    Parameters
    ----------
    scales : Scales
    config : ThermalFitConfig
    heat_capacity, heat, friction : float
        C/k_B, and G_heat and G_par = G_perp at small distances, to begin with.
    generator : torch.Generator, optional
        Of the first weights of networks.
    """

    kernel: torch.nn.Parameter
    par: torch.nn.Parameter
    perp: torch.nn.Parameter
    heat: torch.nn.Parameter
    gain: torch.nn.Parameter

    def __init__(
        self, scales: Scales, config: ThermalFitConfig, *, heat_capacity: float, heat: float, friction: float,
        generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scales = scales
        like, m = scales.masses, len(scales.masses)
        n_pairs, n_knots = m * (m + 1) // 2, config.n_knots

        def free(*shape: int, value: float = 0.0) -> torch.nn.Parameter:
            return torch.nn.Parameter(like.new_full(shape, value))

        self.log_capacity = torch.nn.Parameter(like.new_full((m,), heat_capacity).log())
        self.log_temperature = torch.nn.Parameter(like.new_full((m,), scales.temperature).log())
        self.grueneisen = free(m, value=0.1)
        self.base, self.slope = free(m, config.n_volume + 3), free(m, config.n_volume + 3)
        self.curvature = free(m, config.n_entropy + 1, config.n_volume + 3)
        shape = (1.0 - torch.arange(n_knots, dtype=like.dtype, device=like.device) / n_knots).square().clamp(min=0.02)
        for name, size in (("kernel", 1.0), ("par", friction), ("perp", friction), ("heat", heat)):
            start = (size * shape.expand(n_pairs, n_knots)).log()
            setattr(self, name, torch.nn.Parameter(start.clone(), requires_grad=name != "heat"))
        self.gain = torch.nn.Parameter(like.new_zeros(1), requires_grad=False)
        self.force: torch.nn.Parameter | None = free(n_pairs, n_knots) if config.pair_potential else None
        self.par_power: torch.nn.Parameter | None = free(m) if config.temperature_exponents else None
        self.perp_power: torch.nn.Parameter | None = free(m) if config.temperature_exponents else None
        self.networks = torch.nn.ModuleDict()
        if config.functions == "networks":
            self._add_networks(config.hidden_units, generator or torch.Generator().manual_seed(0))

    def _add_networks(self, hidden: int, generator: torch.Generator) -> None:
        for name in _NETWORKS:
            start = getattr(self, name)
            if start is not None:
                start.requires_grad_(False)
                sizes = (start.ndim - 1, hidden, hidden, len(start))
                net = mlp(sizes, generator=generator, zero_last=True, dtype=start.dtype)
                self.networks[name] = net.to(start.device)

    def coefficients(self, name: str) -> torch.Tensor:
        """Return what is learned of a function: free numbers, or where they began plus a network of their place."""
        start = torch.as_tensor(getattr(self, name))
        if name not in self.networks:
            return start
        axes = [torch.linspace(-1.0, 1.0, n, dtype=start.dtype, device=start.device) for n in start.shape[1:]]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        more: torch.Tensor = self.networks[name](places)
        return start + more.movedim(-1, 0)

    def energy(self) -> SplineEnergy:
        """Return U(S, V) with U(0, 1) = 0 for every species and, beside a pair potential, P(0, 1) = 0.

        phi + 2 c W(r) with U - c d gives the same forces: what is left of the pressure belongs to phi.
        """
        coefficients = self._energy_coefficients(*(self.coefficients(name) for name in ("base", "slope", "curvature")))
        if self.force is not None:
            # Coefficients exp(-x_j) of ln V make 1/V but for a factor: the density d.
            density = torch.exp(-_grid(self.scales.volume_range.log(), self.base.shape[1]))[:, None, :]
            there, denser = (self._at_reference(values).pressure for values in (coefficients, coefficients + density))
            assert there is not None
            assert denser is not None
            coefficients = coefficients - (there / (denser - there))[:, None, None] * density
        return self._spline(coefficients - self._at_reference(coefficients).energy[:, None, None])

    def _spline(self, coefficients: torch.Tensor) -> SplineEnergy:
        return SplineEnergy(
            coefficients=coefficients, entropy_range=self.scales.entropy_range, volume_range=self.scales.volume_range
        )

    def _at_reference(self, coefficients: torch.Tensor) -> Thermal:
        """Return the thermal state of every species at S = 0 and V = 1."""
        zero = torch.zeros_like(self.grueneisen)
        return self._spline(coefficients).at(zero, zero + 1.0, torch.arange(len(zero), device=zero.device))

    def _energy_coefficients(self, base: torch.Tensor, slope: torch.Tensor, curvature: torch.Tensor) -> torch.Tensor:
        capacity, temperature = self.log_capacity.exp()[:, None, None], self.log_temperature.exp()[:, None, None]
        s = _grid(self.scales.entropy_range, curvature.shape[1] + 2)[:, :, None]
        x = _grid(self.scales.volume_range.log(), base.shape[1])[:, None, :]
        ideal = capacity * temperature * torch.exp(s / capacity - self.grueneisen[:, None, None] * x)
        slopes = ideal.diff(dim=1)
        bends = slopes.diff(dim=1) * curvature.exp()
        first = slopes[:, :1] * slope[:, None].exp()
        rising = torch.cat([first, first + bends.cumsum(dim=1)], dim=1)
        lowest = ideal[:, :1] + capacity * temperature * base[:, None]
        return torch.cat([lowest, lowest + rising.cumsum(dim=1)], dim=1)

    def model(self) -> MetriplecticModel:
        """Return the model, differentiable with respect to the parameters."""
        kernel = self.coefficients("kernel").exp()
        kernel = kernel / (kernel * self.scales.mean_kernel).sum()
        return MetriplecticModel(
            masses=self.scales.masses,
            energy=self.energy(),
            radial=SplineRadial(
                lower=0.0, cutoff=self.scales.cutoff, kernel=kernel, par=self.coefficients("par").exp(),
                perp=self.coefficients("perp").exp(), heat=self.heat.exp(),
                force=None if self.force is None else self.coefficients("force"),
            ),
            law=PowerLaw(temperature=self.scales.temperature, par=self.par_power, perp=self.perp_power),
            body=self.scales.body,
        )  # fmt: skip

    def roughness(self) -> torch.Tensor:
        """Return the sum of squared second differences of all coefficients, and a tenth of the squared corrections."""
        return self._bending().square().sum()

    def roughness_curvature(self, free: list[torch.nn.Parameter]) -> torch.Tensor:
        """Return the second derivatives of :meth:`roughness` without those of networks; positive, shape (p, p)."""
        slopes = torch.stack([gradient(row, free, retain_graph=True) for row in self._bending()])
        return 2.0 * slopes.T @ slopes

    def _bending(self) -> torch.Tensor:
        """Return what :meth:`roughness` sums the squares of."""
        tenth, found = 0.1**0.5, []
        for name in ("base", "slope", "curvature"):
            values = self.coefficients(name)
            found.append(tenth * values)
            found += [values.diff(n=2, dim=axis) for axis in range(1, values.ndim) if values.shape[axis] > 2]
        found += [tenth * self.coefficients(name).diff(n=2, dim=1) for name in ("kernel", "par", "perp")]
        if self.force is not None:
            found.append(tenth * self.coefficients("force").diff(n=2, dim=1) / self.scales.temperature)
        found += [tenth * power for power in (self.par_power, self.perp_power) if power is not None]
        return torch.cat([values.flatten() for values in found])


def gradient(value: torch.Tensor, free: list[torch.nn.Parameter], *, retain_graph: bool = False) -> torch.Tensor:
    """Return the derivatives with respect to all free parameters in a row, zero where there are none."""
    found: tuple[torch.Tensor | None, ...] = (None,) * len(free)
    if value.requires_grad:
        found = torch.autograd.grad(value, free, allow_unused=True, retain_graph=retain_graph)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(free, found, strict=True)])


def _grid(ranges: torch.Tensor, count: int) -> torch.Tensor:
    """Return the places of ``count`` B-spline coefficients on ``count`` - 3 intervals, shape (n_species, count)."""
    width = (ranges[:, 1] - ranges[:, 0]) / (count - 3)
    numbers = torch.arange(count, dtype=ranges.dtype, device=ranges.device) - 1.0
    return ranges[:, :1] + width[:, None] * numbers


def mean_kernel(observed: Observed, frames: list[int], *, cutoff: float, n_knots: int) -> torch.Tensor:
    """Return the mean density that each kernel coefficient makes, shape (n_species_pairs, n_knots)."""
    m = len(observed.masses)
    index = torch.as_tensor(species_pair_index(m), device=observed.species.device)
    n_pairs = m * (m + 1) // 2
    share = torch.bincount(observed.species, minlength=m) / observed.n_particles
    total = observed.masses.new_zeros(n_pairs, n_knots)
    for kind in range(n_pairs):
        for knot in range(n_knots):
            unit = torch.zeros_like(total)
            unit[kind, knot] = 1.0
            radial = SplineRadial(lower=0.0, cutoff=cutoff, kernel=unit)
            own = radial.kernel_at_zero
            total[kind, knot] = 0.0 if own is None else (own * share).sum()
            for frame in frames:
                neighbours = observed.neighbours[frame]
                pairs = neighbours.pairs
                _, distance = separations(observed.positions[frame], pairs, neighbours.cell, 0.0)
                kinds = index[observed.species[pairs.first], observed.species[pairs.second]]
                found = radial.evaluate(distance, kinds).kernel
                total[kind, knot] += 0.0 if found is None else 2.0 * found.sum() / observed.n_particles / len(frames)
    return total
