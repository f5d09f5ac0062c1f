"""The friction matrix written out in full, from its definition over all pairs: what the fast code is held against.

Nothing here uses neighbour lists, sums over pairs or written-out derivatives of the dynamics; only the model's own
functions U(S, V), phi, W and the pair law, and automatic differentiation. Cost grows as (n (d + 1))^3: for a handful
of particles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.friction import Channel, PairCoefficients
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import Pairs, pairs_from
from colloid_cg.dynamics.metriplectic.radial import RadialValues
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.errors import InputError

MOST_PARTICLES = 24
"""Above this the dense matrix and its derivatives take minutes and gigabytes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DensePairs:
    """All n(n-1)/2 pairs of a state, each with its nearest image, whatever their distance.

    Parameters
    ----------
    pairs : Pairs
    direction, distance : tensors, shapes (p, d), (p,)
    face_velocity : tensor, shape (p, d)
        Velocity of the meant image of j relative to j itself.
    """

    pairs: Pairs
    direction: torch.Tensor
    distance: torch.Tensor
    face_velocity: torch.Tensor

    def name(self, pair: int) -> str:
        """Return the pair in words."""
        return f"pair ({int(self.pairs.first[pair])}, {int(self.pairs.second[pair])})"


def check_size(model: MetriplecticModel, state: PhaseState) -> None:
    """Raise InputError for states that a dense matrix cannot hold and models that are driven from outside."""
    if len(state.positions) > MOST_PARTICLES:
        raise InputError(
            f"a state of {len(state.positions)} particles",
            expected=f"at most {MOST_PARTICLES}, for matrices written out in full",
            action="cut a cluster out of the state",
        )
    if not bool(torch.isfinite(model.masses).all()) or model.drive is not None:
        raise InputError(
            "a model with prescribed particles",
            expected="a system that nothing drives, as the laws are for such",
            action="leave out the drive and give all species a finite mass",
        )


def dense_pairs(state: PhaseState) -> DensePairs:
    """Return all pairs with the nearest image of the second particle, found by trying images one by one."""
    return _with_images(state, state.positions, nearest_images(state))


def nearest_images(state: PhaseState) -> tuple[np.ndarray, np.ndarray]:
    """Return index pairs (p, 2) and whole cells (p, d) of the shortest r_i - r_j over all images."""
    places = state.positions.detach().cpu().numpy()
    n, d = places.shape
    indices = np.array([(i, j) for i in range(n) for j in range(i + 1, n)], dtype=np.int64).reshape(-1, 2)
    cells = np.zeros((len(indices), d))
    for row, (i, j) in enumerate(indices):
        cells[row] = min(_candidates(state, places[i] - places[j]), key=lambda found: found[1])[0]
    return indices, cells


def _candidates(state: PhaseState, difference: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Return whole cells around the nearest ones, each with the length it leaves of a difference vector."""
    box, slide = state.cell.box, state.cell.face_speed * state.time
    found = []
    for steps in product((-1, 0, 1), repeat=len(difference)):
        cell = np.where(box.periodic, np.round(difference / box.lengths) + steps, 0.0)
        # Rows of cells slide along the first axis; the row is chosen first, then the cell in it.
        offset = difference[0] - cell[1] * slide
        if box.periodic[0]:
            cell[0] = np.round(offset / box.lengths[0]) + steps[0]
        rest = difference - cell * box.lengths
        rest[0] -= cell[1] * slide
        found.append((cell, float(rest @ rest)))
    return found


def _with_images(state: PhaseState, positions: torch.Tensor, images: tuple[np.ndarray, np.ndarray]) -> DensePairs:
    """Return pair vectors at ``positions`` with images already chosen: differentiable in the positions."""
    indices, cells = images
    pairs = pairs_from(indices, cells, len(positions), positions)
    whole = torch.as_tensor(cells, dtype=positions.dtype, device=positions.device)
    lengths = torch.as_tensor(state.cell.box.lengths.copy(), dtype=positions.dtype, device=positions.device)
    along = torch.zeros_like(whole)
    along[:, 0] = state.cell.face_speed * whole[:, 1]
    vectors = positions[pairs.first] - positions[pairs.second] - whole * lengths - along * state.time
    distance = vectors.square().sum(dim=1).sqrt()
    return DensePairs(
        pairs=pairs, direction=vectors / distance[:, None], distance=distance, face_velocity=along
    )  # fmt: skip


def dense_volume(
    model: MetriplecticModel, radial: RadialValues, pairs: Pairs, species: torch.Tensor
) -> torch.Tensor | None:
    """Return V_i = 1/[W(0) + sum_j W(r_ij)], shape (n,), or None for a model without a kernel."""
    own = model.radial.kernel_at_zero
    if radial.kernel is None or own is None:
        return None
    reach = radial.kernel
    return 1.0 / (own[species].index_add(0, pairs.first, reach).index_add(0, pairs.second, reach))


def dense_energy(
    model: MetriplecticModel, state: PhaseState, positions: torch.Tensor, images: tuple[np.ndarray, np.ndarray]
) -> torch.Tensor:
    """Return sum_i U(S_i, V_i) + sum_{i<j} phi(r_ij) + psi at fixed S, shape (); differentiable in the positions."""
    found = _with_images(state, positions, images)
    radial = _radial(model, state, found)
    volume = dense_volume(model, radial, found.pairs, state.species)
    energy = model.energy.at(state.entropy, volume, model.kinds(state.species)).energy.sum()
    if radial.potential is not None:
        energy = energy + radial.potential.sum()
    if model.external is not None:
        energy = energy + model.external.at(positions, model.kinds(state.species))[0].sum()
    return energy


def dense_force(model: MetriplecticModel, state: PhaseState) -> torch.Tensor:
    """Return -dE/dr at fixed S by automatic differentiation, shape (n, d)."""
    positions = state.positions.detach().clone().requires_grad_(True)
    energy = dense_energy(model, state, positions, nearest_images(state))
    if not energy.requires_grad:
        return torch.zeros_like(state.positions)
    (slope,) = torch.autograd.grad(energy, positions, allow_unused=True)
    return torch.zeros_like(state.positions) if slope is None else -slope.detach()


def _radial(model: MetriplecticModel, state: PhaseState, found: DensePairs) -> RadialValues:
    kinds = model.pair_kinds(state.species, found.pairs.first, found.pairs.second)
    return model.radial.evaluate(found.distance, kinds)


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseFriction:
    """M as a function of x = (v_i, S_i) at fixed positions, particle after particle, shape (n (d + 1),).

    Parameters
    ----------
    model : MetriplecticModel
    species : int tensor, shape (n,)
    pairs : DensePairs
    radial : RadialValues
    volume : tensor, shape (n,), or None
    start : tensor, shape (n (d + 1),)
        x of the state it was made for.
    """

    model: MetriplecticModel
    species: torch.Tensor
    pairs: DensePairs
    radial: RadialValues
    volume: torch.Tensor | None
    start: torch.Tensor

    def split(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return v (n, d) and S (n,)."""
        rows = x.reshape(len(self.species), -1)
        return rows[:, :-1], rows[:, -1]

    def coefficients(self, entropy: torch.Tensor) -> tuple[torch.Tensor, PairCoefficients]:
        """Return temperatures (n,) and the model's dissipative functions of all pairs at entropies S (n,)."""
        kinds = self.model.kinds(self.species)
        temperature = self.model.energy.at(entropy, self.volume, kinds).temperature
        return temperature, self.model.law.at(self.radial, temperature, self.pairs.pairs, kinds)

    def relative(self, velocities: torch.Tensor) -> torch.Tensor:
        """Return w = v_i - v_j of the meant images, shape (p, d)."""
        ends = self.pairs.pairs
        return velocities[ends.first] - velocities[ends.second] - self.pairs.face_velocity

    def factors(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return G (p, N, d), gamma (p, d, d), c/sqrt(C2) (p, N) and C2 (p,) of every pair, N = n (d + 1)."""
        velocities, entropy = self.split(x)
        temperature, found = self.coefficients(entropy)
        first, second = self.pairs.pairs.first, self.pairs.pairs.second
        (n, d), p = velocities.shape, len(first)
        unit = torch.eye(n, dtype=x.dtype, device=x.device)
        opposite, same = unit[first] - unit[second], unit[first] + unit[second]
        inverse_mass = (1.0 / self.model.masses)[self.species]
        axes = torch.eye(d, dtype=x.dtype, device=x.device)
        on_v = (opposite * inverse_mass)[:, :, None, None] * axes
        on_s = -0.5 * (same / temperature)[:, :, None, None] * self.relative(velocities)[:, None, None, :]
        outer = torch.cat([on_v, on_s], dim=2).reshape(p, n * (d + 1), d)
        heat_ways = torch.cat([torch.zeros_like(on_v[..., 0]), (opposite / temperature)[:, :, None]], dim=2)
        parallel = self.pairs.direction[:, :, None] * self.pairs.direction[:, None, :]
        par, perp = (value_of(channel, x, p)[:, None, None] for channel in (found.par, found.perp))
        gamma = par * parallel + perp * (axes - parallel)
        return outer, gamma, heat_ways.reshape(p, n * (d + 1)), value_of(found.heat, x, p)

    def matrix(self, x: torch.Tensor) -> torch.Tensor:
        """Return M = sum over pairs of G gamma G^T + c c^T, shape (N, N)."""
        outer, gamma, ways, heat = self.factors(x)
        friction = torch.einsum("pxa,pab,pyb->xy", outer, gamma, outer)
        return friction + torch.einsum("px,p,py->xy", ways, heat, ways)

    def divergence(self) -> torch.Tensor:
        """Return (div M)_x = sum_y dM_xy/dy at the state by automatic differentiation, shape (N,)."""
        return torch.einsum("xyy->x", _jacobian(self.matrix, self.start))

    def energy_gradient(self) -> torch.Tensor:
        """Return (m_i v_i, T_i), shape (N,); T by automatic differentiation of U."""
        velocities, entropy = self.split(self.start)
        momenta = self.model.masses[self.species][:, None] * velocities
        temperature = energy_slope(self.model, entropy, self.volume, self.species)
        return torch.cat([momenta, temperature[:, None]], dim=1).flatten()


def dense_friction(model: MetriplecticModel, state: PhaseState) -> DenseFriction:
    """Return the dense friction matrix of a state."""
    check_size(model, state)
    pairs = dense_pairs(state)
    radial = _radial(model, state, pairs)
    return DenseFriction(
        model=model,
        species=state.species,
        pairs=pairs,
        radial=radial,
        volume=dense_volume(model, radial, pairs.pairs, state.species),
        start=torch.cat([state.velocities, state.entropy[:, None]], dim=1).flatten().detach(),
    )


def value_of(channel: Channel | None, like: torch.Tensor, count: int) -> torch.Tensor:
    """Return the values of a dissipative function, shape (p,); zeros where the model has none."""
    return like.new_zeros(count) if channel is None else channel.value


def energy_slope(
    model: MetriplecticModel, entropy: torch.Tensor, volume: torch.Tensor | None, species: torch.Tensor
) -> torch.Tensor:
    """Return dU/dS at fixed V by automatic differentiation, shape (n,)."""
    start = entropy.detach().clone().requires_grad_(True)
    energy = model.energy.at(start, volume, model.kinds(species)).energy
    (slope,) = torch.autograd.grad(energy.sum(), start)
    return slope.detach()


def _jacobian(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Return df/dx: forward mode, or reverse mode where a user's function knows no forward derivatives."""
    try:
        found = torch.func.jacfwd(function)(x)
    except (RuntimeError, NotImplementedError):
        found = torch.autograd.functional.jacobian(function, x)  # type: ignore[no-untyped-call]
    return torch.as_tensor(found)
