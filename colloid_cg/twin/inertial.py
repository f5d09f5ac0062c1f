"""An underdamped fluid of soft discs with friction between the particles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.seeding import generator
from colloid_cg.twin.forces import PairForces
from colloid_cg.twin.langevin import (
    FrictionPairs,
    Inertial,
    PairFriction,
    film_inertial,
    friction_kernel,
    settle,
)
from colloid_cg.twin.motion import quench
from colloid_cg.twin.potentials import pair_force_table, soft_discs
from colloid_cg.twin.settings import TwinConfig
from colloid_cg.twin.start import check_cell, clock_of, count_at, filled, given, halves, random_start
from colloid_cg.twin.truth import TwinTruth

STEP_ANGLE = 0.1
"""Largest w dt of a step: <v^2> of the stiffest contact is then low by (w dt)^2/4 = .25 %, of the fluid by less."""
STEP_FRICTION = 0.1
"""Largest rate * dt of the friction between two particles or with the bath in a step."""
STEP_MOVE = 0.05
"""Largest thermal move of a step over the range of force or friction."""


def inertial_fluid(config: TwinConfig) -> TwinTruth:
    """Soft discs of one size and mass, phi(r) = (A/2)(1 - r/a)^2, with friction in the bath and between pairs.

    The equation of motion stands in :mod:`colloid_cg.twin.langevin`; g(r) = amplitude (1 - r/friction_range)^2.
    """
    config, longest, spacing = _settled(config)
    cell, start = random_start(config)
    check_cell(cell, max(given(config.contact), given(config.friction_range)))
    species = np.zeros(len(start), dtype=np.int64)
    potentials = {(0, 0): soft_discs(amplitude=given(config.repulsion), contact=given(config.contact))}
    force = PairForces(potentials, species=species, lengths=cell[1])
    motion = _motion(config, force, cell[1])
    relaxation = 0.05 * given(config.contact) ** 2 / given(config.repulsion)
    start = quench(force, start, diffusion=np.ones(len(start)), dt=relaxation, longest_move=0.05 * spacing)
    start, velocities = settle(
        motion,
        start,
        dt=longest,
        duration=given(config.equilibration),
        rng=generator(config.seed, "twin", "equilibrate"),
    )
    instants, means, velocities = film_inertial(
        motion,
        start,
        velocities,
        clock=clock_of(config, longest_step=longest),
        n_frames=config.n_frames,
        rng=generator(config.seed, "twin", "film"),
    )
    energy = np.array([force.energy(positions) for positions in instants]) / len(start)
    return TwinTruth(
        instants=instants,
        means=means,
        species=species,
        cell=cell,
        config=config,
        parameters=_parameters(config)
        | {
            "time_step": longest,
            "mean_square_velocity": np.square(velocities).mean(axis=(0, 1)).tolist(),
            "energy_per_particle": halves(energy),
        },
        pair_force=pair_force_table(potentials),
        velocities=velocities,
        tables={"pair_friction": _friction_table(config)},
    )


def _settled(config: TwinConfig) -> tuple[TwinConfig, float, float]:
    """Return the settings with every default filled in, the longest time step (s) and the mean spacing (um)."""
    config = filled(config, particles=count_at(config, 0.23), repulsion=50.0, contact=1.6)
    # pairs hardly come closer than contact: a friction that ended there would act on nobody
    config = filled(config, friction_range=2.0 * given(config.contact))
    contact, reach = given(config.contact), given(config.friction_range)
    spacing = math.sqrt(config.view[0] * config.view[1] / given(config.particles))
    margin = max(1.5 * max(contact, reach), 3.0 * spacing)
    return filled(config, margin=margin, equilibration=_mixing_time(config, spacing)), longest_step(config), spacing


def _motion(config: TwinConfig, force: PairForces, lengths: np.ndarray) -> Inertial:
    reach = given(config.friction_range)
    friction = PairFriction(
        parallel=config.pair_friction_parallel, perpendicular=config.pair_friction_perpendicular, reach=reach
    )
    rubbing = friction.parallel > 0.0 or friction.perpendicular > 0.0
    return Inertial(
        force=force,
        thermal=config.thermal_speed_squared,
        bath_friction=config.bath_friction,
        pairs=FrictionPairs(reach=reach, lengths=lengths) if rubbing else None,
        friction=friction if rubbing else None,
    )


def _parameters(config: TwinConfig) -> dict[str, Any]:
    return {
        "repulsion": config.repulsion,
        "contact": config.contact,
        "cutoff": config.contact,
        "thermal_speed_squared": config.thermal_speed_squared,
        "bath_friction": config.bath_friction,
        "pair_friction_parallel": config.pair_friction_parallel,
        "pair_friction_perpendicular": config.pair_friction_perpendicular,
        "friction_range": config.friction_range,
    }


def _friction_table(config: TwinConfig) -> pd.DataFrame:
    """Return g_par and g_perp (1/s) at 200 distances up to their range (um)."""
    reach = given(config.friction_range)
    r = np.linspace(0.0, reach, 200)
    amplitudes = {"gamma_par": config.pair_friction_parallel, "gamma_perp": config.pair_friction_perpendicular}
    curves = {name: friction_kernel(r, amplitude=size, reach=reach) for name, size in amplitudes.items()}
    return pd.DataFrame({"r": r, **curves})


def longest_step(config: TwinConfig) -> float:
    """Return the longest time step (s) that keeps the errors of force, friction and drift small.

    The stiffest mode is taken to be that of a particle between two others: w^2 = theta 2 A/a^2.
    """
    frequency = math.sqrt(config.thermal_speed_squared * 2.0 * given(config.repulsion) / given(config.contact) ** 2)
    friction = max(config.bath_friction, config.pair_friction_parallel, config.pair_friction_perpendicular)
    reach = min(given(config.contact), given(config.friction_range))
    steps = [STEP_ANGLE / frequency, STEP_MOVE * reach / math.sqrt(config.thermal_speed_squared)]
    return min([*steps, STEP_FRICTION / friction] if friction > 0.0 else steps)


def _mixing_time(config: TwinConfig, spacing: float) -> float:
    """Return how long (s) the fluid takes to forget the random start: 30 collisions, or diffusion over a spacing."""
    friction = config.bath_friction + config.pair_friction_parallel + config.pair_friction_perpendicular
    thermal = config.thermal_speed_squared
    return 30.0 * spacing / math.sqrt(thermal) + spacing**2 * friction / thermal
