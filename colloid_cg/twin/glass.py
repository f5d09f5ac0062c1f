"""A glass of soft discs, pushed by a needle or sheared between walls that follow a prescribed path."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from colloid_cg.errors import ConfigError
from colloid_cg.seeding import generator
from colloid_cg.twin.drive import Driven, Flow, FlowBetweenRows, FlowRoundPoint, FlowRoundRow, Oscillation
from colloid_cg.twin.driven_truth import flow_table
from colloid_cg.twin.forces import Force, PairForces
from colloid_cg.twin.motion import equilibrate, film_motion, quench
from colloid_cg.twin.potentials import SpeciesPotentials, largest_cutoff, pair_force_table, soft_discs
from colloid_cg.twin.rearrangements import RULE, partings
from colloid_cg.twin.settings import TwinConfig
from colloid_cg.twin.start import SIZE_RATIO, STIFFEST_STEP, cell_of, check_cell, clock_of, filled, given, halves
from colloid_cg.twin.truth import TwinTruth

AREA_FRACTION = 0.9
"""Above random close packing of bidisperse discs, .84."""
HIGHEST_OVERLAP = 0.2
"""The true force is tabulated up to this overlap, over the contact distance."""
DRIVEN = 2
"""Species of the prescribed discs."""


def soft_glass(config: TwinConfig) -> TwinTruth:
    """Jammed small and large discs, half each, size 1 : 1.4, phi(r) = (A/2)(1 - r/a)^2, with a needle or walls.

    The temperature is set by ``repulsion``: k_B T/A = 1/repulsion. A prescribed disc repels the others with the same A
    at a = (sum of the diameters)/2. The drive starts from rest at equilibrium with the first frame.
    """
    prepared = prepared_glass(config)
    return filmed_glass(prepared, rng=generator(prepared.config.seed, "twin", "film"))


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedGlass:
    """A glass at equilibrium, about to be filmed; ``config`` with the values of the case, lengths in um."""

    config: TwinConfig
    cell: np.ndarray
    path: Oscillation | None
    species: np.ndarray
    start: np.ndarray
    diameters: np.ndarray
    potentials: SpeciesPotentials
    force: PairForces
    motion: Driven
    longest_step: float


def prepared_glass(config: TwinConfig) -> PreparedGlass:
    """Return the glass of :func:`soft_glass` before the first frame."""
    config = _completed(config)
    diameters_of = disc_diameters(config)
    cell = cell_of(config)
    path = prescribed_path(config, cell)
    species, start = _random_mixture(config, cell, path, diameters_of)
    potentials = disc_potentials(given(config.repulsion), diameters_of)
    check_cell(cell, largest_cutoff(potentials))
    force = PairForces(potentials, species=species, lengths=cell[1], skin=0.1)
    motion = Driven(
        force=force,
        diffusion=config.diffusion_coefficient / np.where(species[species < DRIVEN] == 0, 1.0, SIZE_RATIO),
        path=path,
        flow=solvent_flow(config, path, cell),
    )
    # two neighbours of a small disc on opposite sides, as in the other cases
    longest = STIFFEST_STEP / (
        2.0 * given(config.repulsion) / given(config.contact) ** 2 * config.diffusion_coefficient
    )
    start = relaxed(force, start, motion.diffusion, config=config, longest_step=longest)
    return PreparedGlass(
        config=config, cell=cell, path=path, species=species, start=start, diameters=diameters_of[species],
        potentials=potentials, force=force, motion=motion, longest_step=longest,
    )  # fmt: skip


def filmed_glass(glass: PreparedGlass, *, rng: np.random.Generator) -> TwinTruth:
    """Film a prepared glass; ``rng`` gives the thermal noise."""
    config, species, cell = glass.config, glass.species, glass.cell
    clock = clock_of(config, longest_step=glass.longest_step)
    instants, means = film_motion(glass.motion, glass.start, clock=clock, n_frames=config.n_frames, rng=rng)
    free = species < DRIVEN
    energy = np.array([glass.force.energy(positions) for positions in instants]) / int(free.sum())
    return TwinTruth(
        instants=instants,
        means=means,
        species=species,
        cell=cell,
        config=config,
        parameters=_parameters(config, path=glass.path, diameters=glass.diameters, cell=cell)
        | {"cutoff": largest_cutoff(glass.potentials), "energy_per_particle": halves(energy)},
        pair_force=pair_force_table(
            glass.potentials, highest_energy=max(10.0, 0.5 * given(config.repulsion) * HIGHEST_OVERLAP**2)
        ),
        prescribed=~free,
        partings=partings(instants[:, free], diameters=glass.diameters[free], lengths=cell[1]),
        diameters=glass.diameters[free],
        tables={} if glass.motion.flow is None else {"flow": flow_table(glass.motion.flow, config)},
    )


def disc_diameters(config: TwinConfig) -> np.ndarray:
    """Return the diameter of each species in um: small, large, and prescribed where there is a drive."""
    small = given(config.contact)
    sizes = [small, SIZE_RATIO * small]
    if config.drive != "none":
        sizes.append(2.0 * config.needle_radius if config.drive == "needle" else SIZE_RATIO * small)
    return np.array(sizes)


def disc_potentials(amplitude: float, diameters: np.ndarray) -> SpeciesPotentials:
    """Return the soft-disc potential of every pair of species that can act: two prescribed discs never do."""
    pairs = [(a, b) for b in range(len(diameters)) for a in range(b + 1) if (a, b) != (DRIVEN, DRIVEN)]
    return {(a, b): soft_discs(amplitude=amplitude, contact=0.5 * float(diameters[a] + diameters[b])) for a, b in pairs}


def sized_spots(config: TwinConfig, diameters: np.ndarray) -> TwinConfig:
    """Return the settings with one psf_sigma per species, in proportion to the diameters where one value was given."""
    sigma = config.camera.psf_sigma
    if isinstance(sigma, tuple):
        return config
    sizes = tuple(float(sigma * (diameter / diameters[0])) for diameter in diameters)
    return config.model_copy(update={"camera": config.camera.model_copy(update={"psf_sigma": sizes})})


def prescribed_path(config: TwinConfig, cell: np.ndarray) -> Oscillation | None:
    """Return the path of the needle in the middle of the view or of the rows of the wall, None without a drive."""
    if config.drive == "none":
        return None
    middle = 0.5 * (np.array(config.view) - config.pixel_size)
    amplitude = given(config.drive_amplitude)
    if config.drive == "needle":
        return Oscillation(sites=middle[None], signs=np.ones(1), amplitude=amplitude, period=config.drive_period)
    heights = [0.0] if config.wall_rows == 1 else [-0.5 * given(config.wall_gap), 0.5 * given(config.wall_gap)]
    if heights[-1] - heights[0] >= cell[1, 1] - SIZE_RATIO * given(config.contact):
        raise ConfigError(
            f"twin.wall_gap = {config.wall_gap:.3g} um in a cell of height {cell[1, 1]:.3g} um",
            expected="rows further than a disc from each other round the cell",
            action="use a smaller wall_gap or a wider margin",
        )
    count = math.ceil(cell[1, 0] / (SIZE_RATIO * given(config.contact)))
    x = cell[0, 0] + cell[1, 0] * (np.arange(count) + 0.5) / count
    sites = np.concatenate([np.stack([x, np.full(count, middle[1] + height)], axis=1) for height in heights])
    signs = np.ones(count) if len(heights) == 1 else np.repeat([-1.0, 1.0], count)
    return Oscillation(sites=sites, signs=signs, amplitude=amplitude, period=config.drive_period)


def solvent_flow(config: TwinConfig, path: Oscillation | None, cell: np.ndarray) -> Flow | None:
    """Return the flow of the solvent, None where it does not follow."""
    share, decay = config.solvent_follows, config.solvent_decay
    if path is None or share == 0.0:
        return None
    if config.drive == "needle":
        return FlowRoundPoint(path=path, share=share, decay=decay, lengths=cell[1])
    if config.wall_rows == 1:
        return FlowRoundRow(path=path, share=share, decay=decay, lengths=cell[1])
    return FlowBetweenRows(path=path, share=share, lengths=cell[1])


def relaxed(
    force: Force, start: np.ndarray, diffusion: np.ndarray, *, config: TwinConfig, longest_step: float
) -> np.ndarray:
    """Return the start quenched and equilibrated; prescribed particles, last in the array, are at rest."""
    still = np.concatenate([diffusion, np.zeros(len(start) - len(diffusion))])
    move = 0.05 * given(config.contact)
    start = quench(force, start, diffusion=still, dt=longest_step, longest_move=move, steps=600)
    return equilibrate(
        force,
        start,
        diffusion=still,
        dt=2.0 * longest_step,
        duration=given(config.equilibration),
        rng=generator(config.seed, "twin", "equilibrate"),
    )


def even_start(counts: tuple[int, ...], cell: np.ndarray, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return species and random positions of ``counts`` particles of each species, evenly spread along y.

    Of each species one particle starts in each of equal layers of the cell, so that walls along x cut it into parts
    of equal density.
    """
    lower, lengths = cell
    parts = []
    for count in counts:
        x = rng.random(count)
        y = (rng.permutation(count) + rng.random(count)) / count
        parts.append(lower + lengths * np.stack([x, y], axis=1))
    return np.repeat(np.arange(len(counts)), counts), np.concatenate(parts)


def free_count(config: TwinConfig, cell: np.ndarray, diameters: np.ndarray, *, prescribed: float) -> int:
    """Return how many free discs, half small and half large, give the area fraction; ``prescribed``: area in um2."""
    area = given(config.area_fraction) * float(np.prod(cell[1])) - prescribed
    return max(2, 2 * round(area / float(0.25 * math.pi * np.square(diameters[:2]).sum())))


def _random_mixture(
    config: TwinConfig, cell: np.ndarray, path: Oscillation | None, diameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the species and positions of free discs at random and prescribed ones at their sites."""
    sites = np.zeros((0, 2)) if path is None else path.sites
    blocked = 0.25 * math.pi * float(diameters[-1]) ** 2 * len(sites)
    half = free_count(config, cell, diameters, prescribed=blocked) // 2
    species, free = even_start((half, half), cell, rng=generator(config.seed, "twin", "start"))
    return np.concatenate([species, np.full(len(sites), DRIVEN)]), np.concatenate([free, sites])


def _completed(config: TwinConfig) -> TwinConfig:
    """Return the settings with the values of the case."""
    no_particle_count(config)
    config = filled(config, area_fraction=AREA_FRACTION, repulsion=5000.0, contact=1.6)
    contact = given(config.contact)
    config = filled(config, drive_amplitude=contact, wall_gap=0.8 * config.view[1])
    config = sized_spots(config, disc_diameters(config))
    cutoff = 0.5 * (SIZE_RATIO * contact + float(disc_diameters(config).max()))
    margin = 3.0 * cutoff
    if config.drive == "wall" and config.wall_rows == 2:
        # the material outside the rows, periodic, then is as thick as that between them
        margin = max(margin, given(config.wall_gap) - 0.5 * config.view[1])
    return filled(config, margin=margin, equilibration=0.25 * contact**2 / config.diffusion_coefficient)


def no_particle_count(config: TwinConfig) -> None:
    """Refuse a number of particles where the area fraction sets it.

    Raises
    ------
    ConfigError
        If twin.particles is given.
    """
    if config.particles is not None:
        raise ConfigError(
            f"twin.particles = {config.particles} in a packed case",
            expected="the area fraction, from which the number follows",
            action="set twin.area_fraction instead",
        )


def _parameters(
    config: TwinConfig, *, path: Oscillation | None, diameters: np.ndarray, cell: np.ndarray
) -> dict[str, Any]:
    """Return what a measurement should find."""
    sizes = disc_diameters(config)
    contacts = {
        f"{a}{b}": 0.5 * float(sizes[a] + sizes[b])
        for b in range(len(sizes))
        for a in range(b + 1)
        if (a, b) != (DRIVEN, DRIVEN)
    }
    parameters: dict[str, Any] = {
        "repulsion": config.repulsion,
        "reduced_temperature": 1.0 / given(config.repulsion),
        "area_fraction": float(0.25 * math.pi * np.square(diameters).sum() / np.prod(cell[1])),
        "contacts": contacts,
        "drive": config.drive,
        "event_rule": RULE,
    }
    if path is None:
        return parameters
    parameters |= {
        "drive_amplitude": path.amplitude,
        "drive_period": path.period,
        "drive_sites_px": (path.sites / config.pixel_size).tolist(),
        "drive_signs": path.signs.tolist(),
        "solvent_follows": config.solvent_follows,
    }
    if config.drive == "wall" and config.wall_rows == 2:
        parameters["strain_amplitude"] = 2.0 * path.amplitude / given(config.wall_gap)
    return parameters
