"""An amorphous solid that only deforms affinely and vibrates: whatever a detector finds in it is wrong."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from colloid_cg.errors import ConfigError
from colloid_cg.seeding import generator
from colloid_cg.twin.forces import PairForces
from colloid_cg.twin.glass import (
    AREA_FRACTION,
    disc_diameters,
    disc_potentials,
    even_start,
    free_count,
    no_particle_count,
    sized_spots,
)
from colloid_cg.twin.motion import quench
from colloid_cg.twin.potentials import largest_cutoff
from colloid_cg.twin.settings import TwinConfig
from colloid_cg.twin.start import SIZE_RATIO, cell_of, check_cell, filled, given
from colloid_cg.twin.truth import TwinTruth

QUENCH_STEPS = 3000
"""Steps of steepest descent from a random start, each of a tenth of the relaxation time of one contact."""
FARTHEST_DRIFT = 5.0
"""Drift of the whole movie over the larger edge of the view: the solid must be that much larger."""


def quiet_solid(config: TwinConfig) -> TwinTruth:
    """Particles on springs at the sites of a packing under x(t) = c + F(t) (X - c), F = [[1, gamma(t)], [0, 1]].

    gamma(t) = strain_amplitude sin(2 pi t/drive_period), c the middle of the view. Every particle vibrates about its
    moving site as an Ornstein-Uhlenbeck process of variance 1/site_stiffness per axis, sampled exactly, exposure
    averages included. Nothing rearranges: the table of events is empty.
    """
    no_particle_count(config)
    config = filled(config, area_fraction=AREA_FRACTION, contact=1.6, equilibration=0.0)
    config = config.model_copy(update={"drive": "none"})
    diameters_of = disc_diameters(config)
    config = sized_spots(config, diameters_of)
    config = filled(config, margin=_margin(config, contact=float(diameters_of.max())))
    species, sites = packing(config, diameters_of)
    rng = generator(config.seed, "twin", "film")
    parts = config.exposure_parts if config.exposure > 0.0 else 1
    diffusion = config.diffusion_coefficient / np.where(species == 0, 1.0, SIZE_RATIO)
    rates = config.site_stiffness * diffusion
    centre = 0.5 * (np.array(config.view) - config.pixel_size)
    instants, means = vibrations(
        rates,
        variance=1.0 / config.site_stiffness,
        durations=(config.exposure / parts, config.frame_interval - config.exposure),
        shape=(config.n_frames, parts),
        rng=rng,
    )
    times = config.frame_interval * np.arange(config.n_frames)
    strain = shear(times, 0.0, config)
    instants += sheared(sites, strain, centre=centre)
    if config.exposure > 0.0:
        starts = times[:, None] + config.exposure / parts * np.arange(parts)
        means += sheared(sites, shear(starts, config.exposure / parts, config), centre=centre)
    deformation = {"frame": np.arange(config.n_frames), "F_xx": 1.0, "F_xy": strain, "F_yx": 0.0, "F_yy": 1.0}
    return TwinTruth(
        instants=instants,
        means=means,
        species=species,
        cell=None,
        config=config,
        parameters={
            "site_stiffness": config.site_stiffness,
            "position_variance": 1.0 / config.site_stiffness,
            "relaxation_time": [float(1.0 / (config.site_stiffness * value)) for value in sorted(set(diffusion))[::-1]],
            "strain_amplitude": config.strain_amplitude,
            "drive_period": config.drive_period,
            "shear_centre_px": (centre / config.pixel_size).tolist(),
            "area_fraction": config.area_fraction,
        },
        partings=pd.DataFrame({"i": [], "j": [], "t_on": [], "t_peak": [], "t_off": []}),
        diameters=diameters_of[species],
        tables={"deformation": pd.DataFrame(deformation)},
    )


def packing(config: TwinConfig, diameters_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return species and positions (um) of soft discs brought from a random start towards the least energy."""
    cell = cell_of(config)
    count = free_count(config, cell, diameters_of, prescribed=0.0) // 2
    species, start = even_start((count, count), cell, rng=generator(config.seed, "twin", "start"))
    contact = given(config.contact)
    potentials = disc_potentials(contact**2, diameters_of)  # a stiffness of 1 in whatever unit
    check_cell(cell, largest_cutoff(potentials))
    force = PairForces(potentials, species=species, lengths=cell[1])
    sites = quench(force, start, diffusion=np.ones(len(start)), dt=0.1, longest_move=0.05 * contact, steps=QUENCH_STEPS)
    # back into the cell, which from now on has an edge like any other piece of matter
    lower, lengths = cell
    return species, lower + np.mod(sites - lower, lengths)


def shear(start: np.ndarray, duration: float, config: TwinConfig) -> np.ndarray:
    """Return gamma(t) = g sin(w t) averaged from ``start`` (s) over ``duration`` (s, may be 0)."""
    rate = 2.0 * math.pi / config.drive_period
    half = 0.5 * rate * duration
    return np.asarray(config.strain_amplitude * np.sin(rate * start + half) * np.sinc(half / math.pi))


def sheared(sites: np.ndarray, strain: np.ndarray, *, centre: np.ndarray) -> np.ndarray:
    """Return c + F (X - c) with F = [[1, strain], [0, 1]], shape (*strain.shape, n, 2)."""
    moved = np.empty((*strain.shape, *sites.shape))
    moved[..., 0] = sites[:, 0] + strain[..., None] * (sites[:, 1] - centre[1])
    moved[..., 1] = sites[:, 1]
    return moved


def vibrations(
    rates: np.ndarray,
    *,
    variance: float,
    durations: tuple[float, float],
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return stationary Ornstein-Uhlenbeck displacements at the frame times and averaged over parts of the exposure.

    Parameters
    ----------
    rates : array, shape (n,)
        1/relaxation time, 1/s.
    variance : float
        Per axis, um2.
    durations : tuple of float
        Of one part of the exposure and of the dark rest of the frame, s.
    shape : tuple of int
        Frames, parts.

    Returns
    -------
    instants : array, shape (frames, n, 2)
    means : array, shape (frames, parts, n, 2)
        A view of the instants where the exposure is 0.
    """
    (n_frames, parts), (part, dark) = shape, durations
    instants = np.empty((n_frames, len(rates), 2))
    means = np.empty((n_frames, parts, len(rates), 2)) if part > 0.0 else instants[:, None]
    place = math.sqrt(variance) * rng.standard_normal((len(rates), 2))
    for frame in range(n_frames):
        instants[frame] = place
        for k in range(parts if part > 0.0 else 0):
            place, means[frame, k] = ornstein_uhlenbeck(place, rates, variance=variance, dt=part, rng=rng)
        if dark > 0.0:
            place, _ = ornstein_uhlenbeck(place, rates, variance=variance, dt=dark, rng=rng)
    return instants, means


def ornstein_uhlenbeck(
    place: np.ndarray, rates: np.ndarray, *, variance: float, dt: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the displacement after ``dt`` and its average over ``dt``, drawn from their joint Gaussian.

    With a = rate dt and c = exp(-a), given x: x' has mean c x and variance s2 (1 - c^2); the average has mean
    x (1 - c)/a and variance s2 (2 a - 3 + 4 c - c^2)/a^2; their covariance is s2 (1 - c)^2/a
    (Gillespie, DOI 10.1103/PhysRevE.54.2084).
    """
    a = (rates * dt)[:, None]
    lost = -np.expm1(-a)  # 1 - c
    after_variance = variance * lost * (2.0 - lost)
    covariance = variance * lost**2 / a
    # 2 a - 3 + 4 c - c^2 = 2 (a - lost) - lost^2, which loses digits below a = 1e-3: its series is 2 a^3/3 - a^4/2
    rest = np.where(a > 1e-3, 2.0 * (a - lost) - lost**2, 2.0 * a**3 / 3.0 - 0.5 * a**4)
    first, second = rng.standard_normal((2, *place.shape))
    after_noise = np.sqrt(after_variance) * first
    own = np.clip(variance * rest / a**2 - covariance**2 / after_variance, 0.0, None)
    mean_noise = covariance / after_variance * after_noise + np.sqrt(own) * second
    return (1.0 - lost) * place + after_noise, lost / a * place + mean_noise


def _margin(config: TwinConfig, *, contact: float) -> float:
    """Return how far the solid reaches beyond the view (um), so that neither shear nor drift uncovers an edge."""
    height = config.view[1]
    reach = config.n_frames * max(map(abs, config.camera.drift)) * config.pixel_size
    if reach > FARTHEST_DRIFT * max(config.view):
        raise ConfigError(
            f"a drift of {reach:.3g} um in a solid with an edge",
            expected=f"at most {FARTHEST_DRIFT:g} times the view, {FARTHEST_DRIFT * max(config.view):.3g} um",
            action="lower twin.camera.drift or twin.n_frames",
        )
    outside = 3.0 * contact + reach
    return outside + config.strain_amplitude * (0.5 * height + outside)
