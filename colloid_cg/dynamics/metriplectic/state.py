"""A state of the metriplectic model and everything the model says about it at one instant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import Thermal
from colloid_cg.dynamics.metriplectic.memory import HiddenState
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import NeighbourList, Pairs, neighbour_list, separations
from colloid_cg.dynamics.metriplectic.radial import RadialValues
from colloid_cg.dynamics.metriplectic.reversible import local_density, potential_force
from colloid_cg.errors import InputError

SKIN = 0.15
"""Skin of the neighbour list in units of the cutoff: the usual compromise between searches and idle pairs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Account:
    """What has been exchanged since the start, tensors of shape (): the first law reads E - E(0) = work - bath.

    ``work`` done by walls, drives and shear; ``bath`` energy given to the bath; ``absorbed`` sum over particles of the
    energy error of the conservative steps that went into U; ``redrawn`` particle-steps whose noise was drawn again.
    """

    work: torch.Tensor
    bath: torch.Tensor
    absorbed: torch.Tensor
    redrawn: int = 0

    def plus(self, **changes: torch.Tensor | float) -> Account:
        """Return the account with amounts added."""
        return replace(self, **{name: getattr(self, name) + amount for name, amount in changes.items()})


@dataclass(frozen=True, kw_only=True, eq=False)
class PhaseState:
    """Positions, velocities and internal energies at one instant, with what the model says of this configuration.

    Made by :func:`phase_state`. The internal energy is kept relative to its start, ``internal`` = U_i - ``reference``:
    differences are exact whatever the zero of U. Entropy solves U(S_i, V_i) = reference + internal.

    Parameters
    ----------
    positions, velocities : tensors, shape (n, d)
        Unwrapped; velocities in the frame of the laboratory.
    species : int tensor, shape (n,)
    internal, reference, entropy : tensors, shape (n,)
    time : float
    neighbours : NeighbourList
    direction, distance : tensors, shapes (d, p), (p,)
        e_ij = (r_i - r_j)/r_ij of the meant images.
    radial : RadialValues
    volume : tensor, shape (n,), or None
        V_i = 1/d_i.
    potential_force : tensor, shape (n, d)
        Force of the pair potential.
    thermal : Thermal
        At (S_i, V_i).
    account : Account
    hidden : HiddenState or None
        Hidden vectors of pairs, for models with memory; drawn by the first step.
    """

    positions: torch.Tensor
    velocities: torch.Tensor
    species: torch.Tensor
    internal: torch.Tensor
    reference: torch.Tensor
    entropy: torch.Tensor
    time: float
    neighbours: NeighbourList = field(repr=False)
    direction: torch.Tensor
    distance: torch.Tensor
    radial: RadialValues
    volume: torch.Tensor | None
    potential_force: torch.Tensor
    thermal: Thermal
    account: Account
    hidden: HiddenState | None = None

    @property
    def pairs(self) -> Pairs:
        """Pairs of the neighbour list; those beyond the cutoff have functions of zero."""
        return self.neighbours.pairs

    @property
    def cell(self) -> Cell:
        """Cell of the simulation."""
        return self.neighbours.cell

    def relative(self, vectors: torch.Tensor, *, duration: float = 1.0) -> torch.Tensor:
        """Return x_i - x_j of velocities (n, d), or of displacements during ``duration``, shape (d, p)."""
        return self.cell.relative(self.pairs.difference(vectors), self.pairs.image * duration)


def phase_state(
    model: MetriplecticModel,
    positions: torch.Tensor,
    velocities: torch.Tensor,
    *,
    cell: Cell,
    entropy: torch.Tensor | None = None,
    species: torch.Tensor | None = None,
    time: float = 0.0,
    skin: float | None = None,
) -> PhaseState:
    """Return the state of ``model`` at given positions, velocities (n, d) and entropies (n,), zero if not given.

    Raises
    ------
    InputError
        If shapes or precisions do not agree, a value is not finite, species are no whole numbers, particles are beyond
        an open box, or the cutoff exceeds half of a periodic edge.
    """
    n = len(positions)
    species = torch.zeros(n, dtype=torch.long, device=positions.device) if species is None else species
    entropy = positions.new_zeros(n) if entropy is None else entropy
    _check(model, positions, velocities, entropy, species, cell)
    cell.check(model.cutoff)
    reach = SKIN * model.cutoff if skin is None else skin
    neighbours = neighbour_list(cell, positions, cutoff=model.cutoff, skin=reach, time=time)
    zero = positions.new_zeros(())
    found = configuration(model, positions, species, neighbours, time)
    thermal = model.energy.at(entropy, found["volume"], model.kinds(species))
    return PhaseState(
        positions=positions, velocities=velocities, species=species, internal=torch.zeros_like(entropy),
        reference=thermal.energy, entropy=entropy, time=time, thermal=thermal,
        account=Account(work=zero, bath=zero, absorbed=zero), **found,
    )  # fmt: skip


def configuration(
    model: MetriplecticModel, positions: torch.Tensor, species: torch.Tensor, neighbours: NeighbourList, time: float
) -> dict[str, Any]:
    """Return the fields of a state that depend on positions alone: pairs, vectors, radial functions, volumes, force."""
    neighbours = neighbours.at(positions, time)
    pairs = neighbours.pairs
    direction, distance = separations(positions, pairs, neighbours.cell, time)
    radial = model.radial.evaluate(distance, model.pair_kinds(species, pairs.first, pairs.second))
    density = local_density(model, radial, pairs, model.kinds(species))
    return {
        "neighbours": neighbours,
        "direction": direction,
        "distance": distance,
        "radial": radial,
        "volume": None if density is None else 1.0 / density,
        "potential_force": potential_force(radial, pairs, direction),
    }


def moved_to(model: MetriplecticModel, state: PhaseState, positions: torch.Tensor, time: float) -> PhaseState:
    """Return the state at other positions, at the same velocities and entropies."""
    found = configuration(model, positions, state.species, state.neighbours, time)
    thermal = state.thermal
    if found["volume"] is not None:
        thermal = model.energy.at(state.entropy, found["volume"], model.kinds(state.species))
    return replace(state, positions=positions, time=time, thermal=thermal, **found)


def kinetic_energy(model: MetriplecticModel, state: PhaseState) -> torch.Tensor:
    """Return m_i v_i^2/2, shape (n,); zero for prescribed particles."""
    return 0.5 * model.inertia(state.species) * state.velocities.square().sum(dim=1)


def total_energy(model: MetriplecticModel, state: PhaseState) -> torch.Tensor:
    """Return E relative to the internal energy at the start, shape ()."""
    energy = kinetic_energy(model, state).sum() + state.internal.sum()
    if state.radial.potential is not None:
        energy = energy + state.radial.potential.sum()
    if model.external is not None:
        energy = energy + model.external.at(state.positions, model.kinds(state.species))[0].sum()
    if state.hidden is not None:
        energy = energy + state.hidden.energy
    return energy


def momentum(model: MetriplecticModel, state: PhaseState) -> torch.Tensor:
    """Return sum_i m_i v_i over the particles that are not prescribed, shape (d,)."""
    return (model.inertia(state.species)[:, None] * state.velocities).sum(dim=0)


def _check(
    model: MetriplecticModel,
    positions: torch.Tensor,
    velocities: torch.Tensor,
    entropy: torch.Tensor,
    species: torch.Tensor,
    cell: Cell,
) -> None:
    n, d = len(positions), cell.box.dimension
    for name, value, shape in (
        ("positions", positions, (n, d)),
        ("velocities", velocities, (n, d)),
        ("entropy", entropy, (n,)),
        ("species", species, (n,)),
    ):
        if tuple(value.shape) != shape:
            raise InputError(
                f"{name} of shape {tuple(value.shape)}", expected=f"shape {shape}", action="check the axes"
            )
        if not bool(torch.isfinite(value).all()):
            row = int((~torch.isfinite(value)).nonzero()[0, 0])
            raise InputError(
                f"NaN or infinite {name} of particle {row}", expected="finite numbers", action="repair the state"
            )
    _check_types(model, positions, velocities, entropy, species)
    if len(species) and not 0 <= int(species.min()) <= int(species.max()) < model.n_species:
        raise InputError(
            f"species {int(species.min())} to {int(species.max())}",
            expected=f"0 to {model.n_species - 1}, the species of the model",
            action="use a model fitted to all species",
        )
    beyond = torch.as_tensor(cell.box.edge_distance(positions.detach().cpu().numpy()) < 0)
    if bool(beyond.any()):
        raise InputError(
            f"particle {int(beyond.nonzero()[0, 0])} beyond an open face of the box",
            expected="particles inside the box along open axes",
            action="enlarge the box, or make the axis periodic",
        )


def _check_types(
    model: MetriplecticModel,
    positions: torch.Tensor,
    velocities: torch.Tensor,
    entropy: torch.Tensor,
    species: torch.Tensor,
) -> None:
    types = {"positions": positions.dtype, "velocities": velocities.dtype, "entropy": entropy.dtype}
    types["masses of the model"] = model.masses.dtype
    if len(set(types.values())) > 1 or positions.dtype not in (torch.float64, torch.float32):
        raise InputError(
            "precisions " + ", ".join(f"{name} {dtype}" for name, dtype in types.items()),
            expected="torch.float64 or torch.float32, one for all",
            action="convert the state and the model to one of them",
        )
    if species.dtype not in (torch.int64, torch.int32):
        raise InputError(
            f"species of type {species.dtype}", expected="whole numbers, torch.int64", action="use species.long()"
        )
