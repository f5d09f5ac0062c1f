"""What the cases share: defaults filled in, the periodic cell, random starts, the division of time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from colloid_cg.errors import ConfigError
from colloid_cg.seeding import generator
from colloid_cg.twin.camera import SPOT_RADIUS
from colloid_cg.twin.motion import Clock
from colloid_cg.twin.settings import TwinConfig

SIZE_RATIO = 1.4
"""Large to small diameter of the soft discs, the usual choice against crystallisation."""
STIFFEST_STEP = 0.05
"""Largest k D dt of a time step: the Heun scheme then errs by (k D dt)^2/4 = .06 % in an equilibrium variance."""


def filled(config: TwinConfig, **defaults: Any) -> TwinConfig:
    """Replace settings that are None by the values of the case."""
    return config.model_copy(update={name: value for name, value in defaults.items() if getattr(config, name) is None})


def count_at(config: TwinConfig, density: float) -> int:
    """Return the number of particles in view at ``density`` per um2."""
    return max(1, round(density * config.view[0] * config.view[1]))


def given(value: float | None) -> float:
    """Return a setting that the case has filled in.

    Raises
    ------
    ConfigError
        If it has not.
    """
    if value is None:
        raise ConfigError("a case without a default", expected="a value", action="set it in the twin settings")
    return value


def cell_of(config: TwinConfig) -> np.ndarray:
    """Return the periodic cell round the view: lower corner and edge lengths in um, shape (2, 2).

    Raises
    ------
    ConfigError
        If the margin is narrower than half a spot.
    """
    margin = given(config.margin)
    widest = SPOT_RADIUS * max(np.atleast_1d(config.camera.psf_sigma)) + 2.0
    if margin < widest * config.pixel_size:
        raise ConfigError(
            f"twin.margin = {margin:.3g} um",
            expected=f"at least {widest * config.pixel_size:.3g} um, so that no spot is cut where the cell repeats",
            action="use a wider margin",
        )
    lower = -0.5 * config.pixel_size - margin * np.ones(2)
    return np.stack([lower, np.array(config.view) + 2.0 * margin])


def random_start(config: TwinConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the periodic cell (lower corner, lengths) and uniformly random positions in it, um."""
    lower, lengths = cell_of(config)
    count = round(given(config.particles) * float(np.prod(lengths) / np.prod(np.array(config.view))))
    rng = generator(config.seed, "twin", "start")
    return np.stack([lower, lengths]), lower + lengths * rng.random((max(count, 1), 2))


def lattice(config: TwinConfig) -> np.ndarray:
    """Return the centres of a square lattice that fills the view, shape (particles, 2), um."""
    width, height = config.view
    count = int(given(config.particles))
    columns = max(1, math.ceil(math.sqrt(count * width / height)))
    rows = math.ceil(count / columns)
    index = np.arange(count)
    place = np.stack([(index % columns + 0.5) * width / columns, (index // columns + 0.5) * height / rows], axis=1)
    return np.asarray(place - 0.5 * config.pixel_size)


def check_cell(cell: np.ndarray, cutoff: float) -> None:
    """Refuse a periodic cell in which a particle could meet two images of another.

    Raises
    ------
    ConfigError
        If an edge is no longer than twice the cutoff.
    """
    if float(cell[1].min()) <= 2.0 * cutoff:
        raise ConfigError(
            f"a periodic cell of {cell[1][0]:.3g} x {cell[1][1]:.3g} um",
            expected=f"edges above twice the cutoff of {cutoff:.3g} um",
            action="use a larger view or margin",
        )


def halves(energy: np.ndarray) -> dict[str, float]:
    """Return the mean energy of both halves of a movie (equal in equilibrium) and the spread over its frames."""
    half = len(energy) // 2
    return {
        "first_half": float(energy[:half].mean()),
        "second_half": float(energy[half:].mean()),
        "standard_deviation": float(energy.std()),
    }


def clock_of(config: TwinConfig, *, longest_step: float) -> Clock:
    """Return how a frame interval is divided into steps no longer than ``longest_step`` (s) or the settings allow."""
    return Clock(
        frame_interval=config.frame_interval,
        exposure=config.exposure,
        parts=config.exposure_parts if config.exposure > 0.0 else 1,
        longest_step=min(longest_step, config.frame_interval / (config.substeps or 1)),
    )
