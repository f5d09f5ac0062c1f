"""The metriplectic model: masses, internal energy, radial functions and dissipative law, with its surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch

from colloid_cg.dynamics.metriplectic.bath import Bath
from colloid_cg.dynamics.metriplectic.energy import InternalEnergy
from colloid_cg.dynamics.metriplectic.friction import PairLaw
from colloid_cg.dynamics.metriplectic.memory import PairMemory
from colloid_cg.dynamics.metriplectic.radial import RadialFunctions
from colloid_cg.dynamics.model import species_pair_index
from colloid_cg.errors import InputError


class ExternalPotential(Protocol):
    """A potential psi(r) of every particle by itself."""

    def at(self, positions: torch.Tensor, species: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energies (n,) and forces -d psi/dr (n, d)."""


class BodyForce(Protocol):
    """A force on every particle by itself that need not have a potential; it does work on the system."""

    def at(self, positions: torch.Tensor, time: float) -> torch.Tensor:
        """Return forces, shape (n, d)."""


class Drive(Protocol):
    """Paths of the particles that move as prescribed."""

    def at(self, time: float) -> torch.Tensor:
        """Return the positions of the prescribed particles in their order in the state, shape (k, d)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MetriplecticModel:
    """E = sum_i [m_i v_i^2/2 + U(S_i, V_i)] + sum_{i<j} phi_ab(r_ij) + psi, S = sum_i S_i; GENERIC dynamics of both.

    dx = [L gradE + M gradS + k_B div M] dt + noise of covariance 2 k_B M dt, with M gradE = 0 and L gradS = 0
    (arXiv:2508.12569; Oettinger 2005, doi:10.1002/0471727903). With g_perp > 0 and without spins, angular momentum is
    not conserved; linear momentum is.

    Parameters
    ----------
    masses : tensor, shape (n_species,)
        Infinite for species that move as prescribed: they push and are not pushed.
    energy : InternalEnergy
    radial : RadialFunctions
        Potential phi, density kernel W, radial parts of the dissipative functions.
    law : PairLaw
        Frictions and heat exchange and how they depend on temperature.
    boltzmann : float
        k_B; 1 unless the model says otherwise.
    bath, external, body, drive : optional
        A solvent at fixed temperature; a potential of every particle; a force of every particle without a potential;
        paths of the prescribed particles.
    memory : PairMemory, optional
        Hidden vectors of pairs: friction that comes late and random forces that remember themselves.
    """

    masses: torch.Tensor
    energy: InternalEnergy
    radial: RadialFunctions
    law: PairLaw
    boltzmann: float = 1.0
    bath: Bath | None = None
    external: ExternalPotential | None = None
    body: BodyForce | None = None
    drive: Drive | None = None
    memory: PairMemory | None = None

    def __post_init__(self) -> None:
        if self.masses.ndim != 1 or not bool((self.masses > 0).all()):
            raise InputError(
                f"masses {self.masses.tolist()}", expected="one positive mass per species", action="check the model"
            )
        if not self.boltzmann > 0:
            raise InputError(f"k_B = {self.boltzmann}", expected="a positive number", action="check the model")
        if self.memory is not None and self.memory.cutoff > self.radial.cutoff:
            raise InputError(
                f"memory up to a distance of {self.memory.cutoff:g} in a model with the cutoff {self.radial.cutoff:g}",
                expected="no more than that of the other functions",
                action="extend the splines of the model",
            )

    @cached_property
    def _pair_index(self) -> torch.Tensor:
        """Number of the pair of two species, shape (n_species, n_species)."""
        return torch.as_tensor(species_pair_index(self.n_species), device=self.masses.device)

    @property
    def n_species(self) -> int:
        """Number of species, the prescribed ones included."""
        return len(self.masses)

    @property
    def cutoff(self) -> float:
        """Distance at and beyond which particles do not know of each other."""
        return self.radial.cutoff

    def kinds(self, species: torch.Tensor) -> torch.Tensor | None:
        """Return ``species``, or None where there is but one: nothing has to be looked up then."""
        return species if self.n_species > 1 else None

    def pair_kinds(self, species: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor | None:
        """Return the number of the species pair of every pair, shape (p,), or None for one species."""
        if self.n_species == 1:
            return None
        return self._pair_index[species[first], species[second]]

    def inertia(self, species: torch.Tensor) -> torch.Tensor:
        """Return the mass of every particle that can be pushed, zero for prescribed ones; shape (n,) or (1,)."""
        inertia = torch.where(torch.isfinite(self.masses), self.masses, 0.0)
        return inertia if self.n_species == 1 else inertia[species]

    def inverse_mass(self, species: torch.Tensor) -> torch.Tensor:
        """Return 1/m, shape (n, 1), or (1, 1) for one species; zero for prescribed particles."""
        inverse = (1.0 / self.masses)[:, None]
        return inverse if self.n_species == 1 else inverse[species]
