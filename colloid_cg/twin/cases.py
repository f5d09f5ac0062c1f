"""The physics a twin can film; each case is one function from settings to the truth, listed in CASES."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import ConfigError
from colloid_cg.seeding import generator
from colloid_cg.twin.forces import Force, HarmonicTraps, PairForces, no_force
from colloid_cg.twin.glass import soft_glass
from colloid_cg.twin.inertial import inertial_fluid
from colloid_cg.twin.motion import equilibrate, film, quench
from colloid_cg.twin.potentials import (
    SpeciesPotentials,
    largest_cutoff,
    pair_force_table,
    soft_discs,
    yukawa,
)
from colloid_cg.twin.settings import TwinConfig
from colloid_cg.twin.solid import quiet_solid
from colloid_cg.twin.start import (
    SIZE_RATIO,
    STIFFEST_STEP,
    check_cell,
    clock_of,
    count_at,
    filled,
    given,
    halves,
    lattice,
    random_start,
)
from colloid_cg.twin.truth import TwinTruth

STRONGEST_CONTACT = 4.0
"""Pair energy in k_B T, above that of neighbours at their mean distance, up to which the curvature of the potential
sets the time step; closer pairs are rare."""


def brownian(config: TwinConfig) -> TwinTruth:
    """Free diffusion; particles come and go through the edges of the view."""
    config = filled(config, particles=count_at(config, 0.05), margin=5.0, equilibration=0.0)
    cell, start = random_start(config)
    diffusion = np.full(len(start), config.diffusion_coefficient)
    instants, means = _film(no_force, start, diffusion, config, stiffness=0.0)
    parameters = {"msd_slope": 4.0 * config.diffusion_coefficient}
    return TwinTruth(
        instants=instants,
        means=means,
        species=np.zeros(len(start), dtype=np.int64),
        cell=cell,
        config=config,
        parameters=parameters,
    )


def traps(config: TwinConfig) -> TwinTruth:
    """Harmonic traps on a square lattice, one particle each, started at equilibrium."""
    config = filled(config, particles=count_at(config, 0.125), equilibration=0.0)
    rng = generator(config.seed, "twin", "start")
    centres = lattice(config) + config.pixel_size * (rng.random(2) - 0.5)
    start = centres + rng.standard_normal(centres.shape) / math.sqrt(config.trap_stiffness)
    diffusion = np.full(len(start), config.diffusion_coefficient)
    force = HarmonicTraps(centres=centres, stiffness=config.trap_stiffness)
    instants, means = _film(force, start, diffusion, config, stiffness=config.trap_stiffness)
    parameters = {
        "trap_stiffness": config.trap_stiffness,
        "position_variance": 1.0 / config.trap_stiffness,
        "relaxation_time": 1.0 / (config.trap_stiffness * config.diffusion_coefficient),
        "trap_centres_px": (centres / config.pixel_size).tolist(),
    }
    return TwinTruth(
        instants=instants,
        means=means,
        species=np.zeros(len(start), dtype=np.int64),
        cell=None,
        config=config,
        parameters=parameters,
        tables={"traps": pd.DataFrame(centres / config.pixel_size, columns=["x", "y"])},
    )


def yukawa_fluid(config: TwinConfig) -> TwinTruth:
    """Screened repulsion phi(r) = A exp(-(r - a)/l) a/r of one species, shifted to zero force at a + 8 l."""
    config = filled(config, particles=count_at(config, 0.34), repulsion=35.0, contact=1.0)
    amplitude, contact = given(config.repulsion), given(config.contact)
    potential = yukawa(
        amplitude=amplitude,
        screening_length=config.screening_length,
        contact=contact,
        cutoff=contact + 8.0 * config.screening_length,
    )
    parameters = {
        "repulsion": amplitude,
        "contact": contact,
        "screening_length": config.screening_length,
        "kappa": 1.0 / config.screening_length,
    }
    return _pair_case(config, {(0, 0): potential}, parameters=parameters, n_species=1)


def soft_disc_mixture(config: TwinConfig) -> TwinTruth:
    """Harmonic contact repulsion phi(r) = (A/2)(1 - r/a)^2 of small and large discs, half each, size 1 : 1.4."""
    config = filled(config, particles=count_at(config, 0.23), repulsion=200.0, contact=1.6)
    amplitude, contact = given(config.repulsion), given(config.contact)
    contacts = {(0, 0): contact, (0, 1): contact * (1.0 + SIZE_RATIO) / 2.0, (1, 1): contact * SIZE_RATIO}
    potentials = {pair: soft_discs(amplitude=amplitude, contact=value) for pair, value in contacts.items()}
    parameters = {"repulsion": amplitude, "contacts": {f"{a}{b}": value for (a, b), value in contacts.items()}}
    return _pair_case(config, potentials, parameters=parameters, n_species=2)


CASES: dict[str, Callable[[TwinConfig], TwinTruth]] = {
    "brownian": brownian,
    "traps": traps,
    "yukawa": yukawa_fluid,
    "soft_discs": soft_disc_mixture,
    "soft_glass": soft_glass,
    "quiet_solid": quiet_solid,
    "inertial": inertial_fluid,
}
"""Name of each case -> function that simulates it."""


def simulate_case(case: str, config: TwinConfig | None = None) -> TwinTruth:
    """Simulate one of :data:`CASES`.

    Raises
    ------
    ConfigError
        If there is no such case, or its settings contradict each other.
    """
    if case not in CASES:
        raise ConfigError(f"the twin case {case!r}", expected=f"one of {', '.join(CASES)}", action="choose one of them")
    return CASES[case](config or TwinConfig())


def _pair_case(
    config: TwinConfig, potentials: SpeciesPotentials, *, parameters: dict[str, Any], n_species: int
) -> TwinTruth:
    """Quench a random start, equilibrate and film particles that interact in pairs."""
    cutoff = largest_cutoff(potentials)
    spacing = math.sqrt(config.view[0] * config.view[1] / given(config.particles))
    config = filled(
        config, margin=max(1.5 * cutoff, 3.0 * spacing), equilibration=spacing**2 / config.diffusion_coefficient
    )
    cell, start = random_start(config)
    check_cell(cell, cutoff)
    species = np.arange(len(start), dtype=np.int64) % n_species
    diffusion = config.diffusion_coefficient / np.where(species == 0, 1.0, SIZE_RATIO)
    force = PairForces(potentials, species=species, lengths=cell[1])
    levels = [float(potential.energy(spacing)) + STRONGEST_CONTACT for potential in potentials.values()]
    curvatures = [potential.curvature(level) for potential, level in zip(potentials.values(), levels, strict=True)]
    # two neighbours on opposite sides
    stiffness = 2.0 * max(curvatures)
    longest = STIFFEST_STEP / (stiffness * config.diffusion_coefficient)
    start = quench(force, start, diffusion=diffusion, dt=longest, longest_move=0.05 * spacing)
    start = equilibrate(
        force,
        start,
        diffusion=diffusion,
        dt=2.0 * longest,
        duration=given(config.equilibration),
        rng=generator(config.seed, "twin", "equilibrate"),
    )
    instants, means = _film(force, start, diffusion, config, stiffness=stiffness)
    energy = np.array([force.energy(positions) for positions in instants]) / len(start)
    return TwinTruth(
        instants=instants,
        means=means,
        species=species,
        cell=cell,
        config=config,
        parameters=parameters | {"cutoff": cutoff, "energy_per_particle": halves(energy)},
        pair_force=pair_force_table(potentials),
    )


def _film(
    force: Force, start: np.ndarray, diffusion: np.ndarray, config: TwinConfig, *, stiffness: float
) -> tuple[np.ndarray, np.ndarray]:
    longest = STIFFEST_STEP / (stiffness * float(diffusion.max())) if stiffness > 0.0 else config.frame_interval
    rng = generator(config.seed, "twin", "film")
    clock = clock_of(config, longest_step=longest)
    return film(force, start, diffusion=diffusion, clock=clock, n_frames=config.n_frames, rng=rng)
