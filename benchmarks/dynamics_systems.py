"""Systems for the benchmark of the metriplectic core and its tests: published, random and fitted weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch

from benchmarks.record import data_folder
from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.published.model import published_model
from colloid_cg.dynamics.metriplectic.published.reader import read_published
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.dynamics.metriplectic.state import PhaseState, phase_state
from colloid_cg.learn.momentum import PairDynamics, fit_pair_dynamics, metriplectic_model
from colloid_cg.records import Box, PhaseSeries
from colloid_cg.testing import random_cell, random_model, random_state

STAR_MASS = 11.0
HEAT_CAPACITIES = (12.0, 20.0)
"""Of the random models, in k_B: energies that noise does not exhaust in 1e5 steps."""


@dataclass(frozen=True)
class System:
    """A model with a state of it."""

    model: MetriplecticModel
    state: PhaseState


def cube(edge: float) -> Cell:
    return Cell(box=Box(lower=(0.0,) * 3, upper=(edge,) * 3, periodic=(True,) * 3))


def published_system(name: str) -> tuple[System, dict[str, np.ndarray]]:
    """Return published weights in their reference state, and the arrays published with it."""
    folder = data_folder() / "published_models" / name
    with np.load(folder / "reference.npz") as content:
        known = dict(content)
    model = published_model(read_published(folder))
    state = phase_state(
        model,
        torch.as_tensor(known["r"]),
        torch.as_tensor(known["v"]),
        entropy=torch.as_tensor(known["S"][:, 0]),
        cell=cube(float(known["box"])),
    )
    return System(model, state), known


def random_system(seed: int, *, density: bool, n: int = 100) -> System:
    """Return random splines (the test kit's) of two species, masses 1 : 2.7, with heat exchange; 2.8 per cutoff^2."""
    functions = ("force", "kernel", "par", "perp", "heat") if density else ("force", "par", "perp", "heat")
    model = random_model(seed, functions=functions)
    assert isinstance(model.energy, ConstantHeatCapacity)
    capacity = torch.tensor(HEAT_CAPACITIES, dtype=torch.float64)
    model = replace(model, energy=replace(model.energy, heat_capacity=capacity))
    cell = Cell(box=random_cell("periodic", dimension=2, edge=0.56 * np.sqrt(n)))
    return System(model, random_state(model, seed, cell=cell, n_particles=n))


@cache
def star_fit() -> PairDynamics:
    """Return the pair dynamics fitted to the 11-bead melt."""
    with np.load(data_folder() / "star_polymer" / "star11_train.npz") as content:
        positions, velocities, edge = content["pos"], content["vel"], float(content["box"][0])

    def block(start: int, stop: int) -> PhaseSeries:
        n = positions.shape[1]
        return PhaseSeries(
            positions=positions[start:stop].astype(float), velocities=velocities[start:stop].astype(float),
            species=np.zeros(n, dtype=np.int64), masses=np.full(n, STAR_MASS), box=cube(edge).box,
            frame_interval=0.025, thermal_energy=1.0,
        )  # fmt: skip

    return fit_pair_dynamics(block(0, 281), block(281, 401))


def star_system(*, cutoff: float | None = None) -> System:
    """Return the fit in the first frame of its melt of 1000 stars; ``cutoff``: splines with zeros up to there."""
    model = metriplectic_model(star_fit(), np.array([STAR_MASS]), heat_capacity=45.0)
    if cutoff is not None:
        model = replace(model, radial=_longer(model.radial, cutoff))
    with np.load(data_folder() / "star_polymer" / "star11_train.npz") as content:
        positions, velocities, edge = content["pos"][0], content["vel"][0], float(content["box"][0])
    state = phase_state(
        model, torch.as_tensor(positions).double(), torch.as_tensor(velocities).double(), cell=cube(edge)
    )
    return System(model, state)


def small_star_system(*, n: int = 100, seed: int = 1) -> System:
    """Return the fit for ``n`` stars at the density of the melt, on a shaken lattice."""
    large = star_system()
    per_star = float(np.prod(large.state.cell.box.lengths)) / len(large.state.positions)
    edge, side = (n * per_star) ** (1 / 3), int(np.ceil(n ** (1 / 3)))
    rng = np.random.default_rng(seed)
    lattice = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lattice = rng.permutation(lattice)[:n]
    places = (lattice + 0.5 + 0.05 * rng.standard_normal((n, 3))) * edge / side
    velocities = rng.standard_normal((n, 3)) / np.sqrt(STAR_MASS)
    state = phase_state(
        large.model, torch.as_tensor(places), torch.as_tensor(velocities - velocities.mean(axis=0)), cell=cube(edge)
    )
    return System(large.model, state)


def _longer(radial: object, cutoff: float) -> SplineRadial:
    assert isinstance(radial, SplineRadial)
    more = int(np.ceil((cutoff - radial.cutoff) / radial.width))
    names = [name for name in ("force", "par", "perp") if getattr(radial, name) is not None]
    longer = {name: torch.nn.functional.pad(getattr(radial, name), (0, more)) for name in names}
    return SplineRadial(lower=radial.lower, cutoff=radial.cutoff + more * radial.width, **longer)
