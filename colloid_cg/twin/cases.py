"""The physics a twin can film; each case is one function from settings to the truth, listed in CASES."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from colloid_cg.errors import ConfigError
from colloid_cg.seeding import generator
from colloid_cg.twin.camera import SPOT_RADIUS
from colloid_cg.twin.forces import Force, HarmonicTraps, PairForces, no_force
from colloid_cg.twin.motion import Clock, equilibrate, film, quench
from colloid_cg.twin.potentials import (
    SpeciesPotentials,
    largest_cutoff,
    pair_force_table,
    soft_discs,
    yukawa,
)
from colloid_cg.twin.settings import TwinConfig
from colloid_cg.twin.truth import TwinTruth

SIZE_RATIO = 1.4
"""Large to small diameter of the soft discs, the usual choice against crystallisation."""
STIFFEST_STEP = 0.05
"""Largest k D dt of a time step: the Heun scheme then errs by (k D dt)^2/4 = .06 % in an equilibrium variance."""
STRONGEST_CONTACT = 4.0
"""Pair energy in k_B T, above that of neighbours at their mean distance, up to which the curvature of the potential
sets the time step; closer pairs are rare."""


def brownian(config: TwinConfig) -> TwinTruth:
    """Free diffusion; particles come and go through the edges of the view."""
    config = _filled(config, particles=_count(config, 0.05), margin=5.0, equilibration=0.0)
    cell, start = _random_start(config)
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
    config = _filled(config, particles=_count(config, 0.125), equilibration=0.0)
    rng = generator(config.seed, "twin", "start")
    centres = _lattice(config) + config.pixel_size * (rng.random(2) - 0.5)
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
    )


def yukawa_fluid(config: TwinConfig) -> TwinTruth:
    """Screened repulsion phi(r) = A exp(-(r - a)/l) a/r of one species, shifted to zero force at a + 8 l."""
    config = _filled(config, particles=_count(config, 0.34), repulsion=35.0, contact=1.0)
    amplitude, contact = _given(config.repulsion), _given(config.contact)
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
    config = _filled(config, particles=_count(config, 0.23), repulsion=200.0, contact=1.6)
    amplitude, contact = _given(config.repulsion), _given(config.contact)
    contacts = {(0, 0): contact, (0, 1): contact * (1.0 + SIZE_RATIO) / 2.0, (1, 1): contact * SIZE_RATIO}
    potentials = {pair: soft_discs(amplitude=amplitude, contact=value) for pair, value in contacts.items()}
    parameters = {"repulsion": amplitude, "contacts": {f"{a}{b}": value for (a, b), value in contacts.items()}}
    return _pair_case(config, potentials, parameters=parameters, n_species=2)


CASES: dict[str, Callable[[TwinConfig], TwinTruth]] = {
    "brownian": brownian,
    "traps": traps,
    "yukawa": yukawa_fluid,
    "soft_discs": soft_disc_mixture,
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
    spacing = math.sqrt(config.view[0] * config.view[1] / _given(config.particles))
    config = _filled(
        config, margin=max(1.5 * cutoff, 3.0 * spacing), equilibration=spacing**2 / config.diffusion_coefficient
    )
    cell, start = _random_start(config)
    _check_cell(cell, cutoff)
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
        duration=_given(config.equilibration),
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
        parameters=parameters | {"cutoff": cutoff, "energy_per_particle": _halves(energy)},
        pair_force=pair_force_table(potentials),
    )


def _film(
    force: Force, start: np.ndarray, diffusion: np.ndarray, config: TwinConfig, *, stiffness: float
) -> tuple[np.ndarray, np.ndarray]:
    longest = config.frame_interval / (config.substeps or 1)
    if stiffness > 0.0:
        longest = min(longest, STIFFEST_STEP / (stiffness * float(diffusion.max())))
    clock = Clock(
        frame_interval=config.frame_interval,
        exposure=config.exposure,
        parts=config.exposure_parts if config.exposure > 0.0 else 1,
        longest_step=longest,
    )
    rng = generator(config.seed, "twin", "film")
    return film(force, start, diffusion=diffusion, clock=clock, n_frames=config.n_frames, rng=rng)


def _filled(config: TwinConfig, **defaults: float) -> TwinConfig:
    """Replace settings that are None by the values of the case."""
    return config.model_copy(update={name: value for name, value in defaults.items() if getattr(config, name) is None})


def _count(config: TwinConfig, density: float) -> int:
    """Return the number of particles in view at ``density`` per um2."""
    return max(1, round(density * config.view[0] * config.view[1]))


def _given(value: float | None) -> float:
    if value is None:
        raise ConfigError("a case without a default", expected="a value", action="set it in the twin settings")
    return value


def _random_start(config: TwinConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the periodic cell (lower corner, lengths) and uniformly random positions in it, um."""
    margin = _given(config.margin)
    widest = SPOT_RADIUS * max(np.atleast_1d(config.camera.psf_sigma)) + 2.0
    if margin < widest * config.pixel_size:
        raise ConfigError(
            f"twin.margin = {margin:.3g} um",
            expected=f"at least {widest * config.pixel_size:.3g} um, so that no spot is cut where the cell repeats",
            action="use a wider margin",
        )
    view = np.array(config.view)
    lower = -0.5 * config.pixel_size - margin * np.ones(2)
    lengths = view + 2.0 * margin
    count = round(_given(config.particles) * float(np.prod(lengths) / np.prod(view)))
    rng = generator(config.seed, "twin", "start")
    return np.stack([lower, lengths]), lower + lengths * rng.random((max(count, 1), 2))


def _lattice(config: TwinConfig) -> np.ndarray:
    """Return the centres of a square lattice that fills the view, shape (particles, 2), um."""
    width, height = config.view
    count = int(_given(config.particles))
    columns = max(1, math.ceil(math.sqrt(count * width / height)))
    rows = math.ceil(count / columns)
    index = np.arange(count)
    place = np.stack([(index % columns + 0.5) * width / columns, (index // columns + 0.5) * height / rows], axis=1)
    return np.asarray(place - 0.5 * config.pixel_size)


def _check_cell(cell: np.ndarray, cutoff: float) -> None:
    if float(cell[1].min()) <= 2.0 * cutoff:
        raise ConfigError(
            f"a periodic cell of {cell[1][0]:.3g} x {cell[1][1]:.3g} um",
            expected=f"edges above twice the cutoff of {cutoff:.3g} um",
            action="use a larger view or margin",
        )


def _halves(energy: np.ndarray) -> dict[str, float]:
    """Return the mean energy of both halves of a movie (equal in equilibrium) and the spread over its frames."""
    half = len(energy) // 2
    return {
        "first_half": float(energy[:half].mean()),
        "second_half": float(energy[half:].mean()),
        "standard_deviation": float(energy.std()),
    }
