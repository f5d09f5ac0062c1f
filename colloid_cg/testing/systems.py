"""Random models and states from a seed, and a small one for examples."""

from __future__ import annotations

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.dynamics.metriplectic.state import PhaseState, phase_state
from colloid_cg.errors import InputError
from colloid_cg.records import Box
from colloid_cg.seeding import generator

MASSES = (1.0, 2.7)
HEAT_CAPACITIES = (3.0, 7.5)
"""In units of k_B T per particle at k_B = 1: small, so that terms of order k_B/C count."""
FUNCTIONS = ("force", "kernel", "par", "perp", "heat")
CELLS = ("open", "periodic", "slab", "sheared")


def random_model(
    seed: int,
    *,
    n_species: int = 2,
    functions: tuple[str, ...] = FUNCTIONS,
    powers: tuple[str, ...] = ("par", "perp", "heat"),
    boltzmann: float = 1.0,
    cutoff: float = 1.0,
) -> MetriplecticModel:
    """Return a model with random splines, masses 1 : 2.7 and unequal heat capacities.

    Parameters
    ----------
    seed : int
    n_species : {1, 2}
    functions : tuple of str
        Which of force, kernel, par, perp and heat exist; with a kernel U depends on the volume.
    powers : tuple of str
        Which of par, perp and heat depend on temperature.
    boltzmann, cutoff : float
    """
    rng = generator(seed, "testing", "model")
    n_pairs = n_species * (n_species + 1) // 2
    n_knots = int(rng.integers(4, 9))
    lower = float(rng.uniform(0.0, 0.3)) * cutoff
    coefficients = {
        name: _tensor(
            rng.normal(0.0, 5.0, (n_pairs, n_knots)) if name == "force" else rng.uniform(0.05, 1.0, (n_pairs, n_knots))
        )
        for name in functions
    }
    exponents = {name: _tensor(rng.uniform(-1.0, 1.5, n_species)) for name in powers}
    volumes = {}
    if "kernel" in functions:
        volumes = {
            "volume": _tensor(rng.uniform(0.5, 1.5, n_species)),
            "amount": _tensor(rng.uniform(0.3, 2.0, n_species)),
        }
    return MetriplecticModel(
        masses=_tensor(np.array(MASSES[:n_species])),
        energy=ConstantHeatCapacity(
            heat_capacity=_tensor(np.array(HEAT_CAPACITIES[:n_species])),
            temperature=_tensor(rng.uniform(0.7, 1.4, n_species)),
            boltzmann=boltzmann,
            **volumes,
        ),
        radial=SplineRadial(lower=lower, cutoff=cutoff, **coefficients),
        law=PowerLaw(temperature=1.0, **exponents),
        boltzmann=boltzmann,
    )


def random_cell(kind: str, *, dimension: int, edge: float) -> Box:
    """Return an open, periodic or sheared box, or one that is open along its last axis ("slab"), edges unequal."""
    if kind not in CELLS or dimension not in (2, 3):
        raise InputError(
            f"a cell {kind!r} of {dimension} axes", expected=f"one of {CELLS}, 2 or 3 axes", action="choose one of them"
        )
    lower = (-0.3, 0.2, 0.1)[:dimension]
    lengths = (edge, 1.13 * edge, 1.07 * edge)[:dimension]
    periodic = tuple(kind != "open" and not (kind == "slab" and axis == dimension - 1) for axis in range(dimension))
    upper = tuple(corner + length for corner, length in zip(lower, lengths, strict=True))
    return Box(lower=lower, upper=upper, periodic=periodic, shear_rate=0.7 if kind == "sheared" else 0.0)


def random_state(model: MetriplecticModel, seed: int, *, cell: Cell, n_particles: int) -> PhaseState:
    """Return a state with particles anywhere in the cell, or in one of its images, none closer than .08 cutoffs."""
    rng = generator(seed, "testing", "state")
    box = cell.box
    places = _scattered(rng, n_particles, box, apart=0.08 * model.cutoff)
    species = rng.integers(0, model.n_species, n_particles)
    time = float(rng.uniform(0.0, 9.0)) if box.shear_rate else 0.0
    speed = np.sqrt(model.boltzmann / model.masses.cpu().numpy()[species])[:, None]
    velocities = speed * rng.normal(size=places.shape)
    cells = np.where(box.periodic, rng.integers(-2, 3, places.shape), 0)
    places = places + cells * box.lengths
    places[:, 0] += cells[:, 1] * cell.face_speed * time
    velocities[:, 0] += cells[:, 1] * cell.face_speed
    return phase_state(
        model,
        _tensor(places),
        _tensor(velocities),
        cell=cell,
        entropy=_tensor(rng.normal(0.0, 1.0, n_particles)),
        species=torch.as_tensor(species),
        time=time,
    )


def example_system() -> tuple[MetriplecticModel, PhaseState]:
    """Return a model of two species with every function a model can have, and a state of six particles, periodic."""
    model = random_model(1)
    cell = Cell(box=random_cell("periodic", dimension=2, edge=2.1))
    return model, random_state(model, 1, cell=cell, n_particles=6)


def _scattered(rng: np.random.Generator, count: int, box: Box, *, apart: float) -> np.ndarray:
    """Return points in a box, shape (count, d), none closer to another (or its image) than ``apart``."""
    found = np.empty((0, box.dimension))
    while len(found) < count:
        point = np.asarray(box.lower) + box.lengths * rng.uniform(size=box.dimension)
        if not len(found) or np.linalg.norm(box.shortest(found - point), axis=1).min() > apart:
            found = np.vstack([found, point])
    return found


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)
