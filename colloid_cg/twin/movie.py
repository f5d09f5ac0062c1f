"""A digital twin as a whole: the movie, rendered frame by frame on demand, beside its truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.records import FrameStack
from colloid_cg.seeding import generator
from colloid_cg.twin.bounds import localisation_bound
from colloid_cg.twin.camera import SPOT_RADIUS, expose, mean_image, pixel_type, spot_image
from colloid_cg.twin.cases import SIZE_RATIO, simulate_case
from colloid_cg.twin.readme import describe
from colloid_cg.twin.settings import TwinConfig
from colloid_cg.twin.truth import TwinTruth, per_species, truth_table


def noiseless_frame(truth: TwinTruth, frame: int) -> np.ndarray:
    """Return the expected counts of one frame, shape (height, width)."""
    config, camera = truth.config, truth.config.camera
    _, parts, _ = truth.in_image(frame)
    sigma = per_species(camera.psf_sigma, truth.species, name="psf_sigma")
    amplitude = per_species(camera.amplitude, truth.species, name="amplitude")
    reach = SPOT_RADIUS * sigma[:, None] + 1.0
    limits = np.array([config.width, config.height])
    near = ((parts.max(axis=0) > -reach) & (parts.min(axis=0) < limits + reach)).all(axis=1)
    lit = near & visible(truth, frame)
    spots = spot_image(
        parts[:, lit], sigma=sigma[lit], amplitude=amplitude[lit], height=config.height, width=config.width
    )
    return mean_image(spots, camera)


def visible(truth: TwinTruth, frame: int) -> np.ndarray:
    """Return which particles the camera can see in one frame, shape (n,): False where one drops out."""
    return ~truth.missing(frame, rng=generator(truth.config.seed, "twin", "drop_out", frame))


def render_frame(truth: TwinTruth, frame: int) -> np.ndarray:
    """Return one recorded frame; its noise depends on the seed and the frame number alone."""
    rng = generator(truth.config.seed, "twin", "camera", frame)
    return expose(noiseless_frame(truth, frame), truth.config.camera, rng=rng)


def render(truth: TwinTruth) -> Iterator[np.ndarray]:
    """Yield every recorded frame in order."""
    return (render_frame(truth, frame) for frame in range(truth.n_frames))


@dataclass(frozen=True)
class TwinReader:
    """Renders frames when a FrameStack asks for them."""

    truth: TwinTruth

    def read(self, index: int) -> np.ndarray:
        """Return one frame."""
        return render_frame(self.truth, index)


@dataclass(frozen=True, kw_only=True, eq=False)
class Twin:
    """A movie of known physics.

    Parameters
    ----------
    case : str
    truth : TwinTruth
        The simulated sample.
    truth_table : pandas.DataFrame
        Columns frame, particle, x, y, species, x_start, y_start, visible (see :func:`truth_table`); px.
    parameters : dict
        JSON-able: everything a measurement should find, with the settings and the seed.
    pair_force : pandas.DataFrame or None
        Columns r (um), force (k_B T/um), species_a, species_b.
    readme : str
        Says what the case is, what its files hold and how to use them.
    """

    case: str
    truth: TwinTruth
    truth_table: pd.DataFrame
    parameters: dict[str, Any]
    pair_force: pd.DataFrame | None
    readme: str

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the frames from the first; each call renders the same pixels."""
        return render(self.truth)

    def stack(self) -> FrameStack:
        """Return the movie as a lazy stack that renders each frame when it is read."""
        config = self.truth.config
        return FrameStack(
            reader=TwinReader(self.truth),
            n_frames=config.n_frames,
            height=config.height,
            width=config.width,
            dtype=pixel_type(config.camera),
            pixel_size=config.pixel_size,
            frame_interval=config.frame_interval,
            exposure=config.exposure,
            source=f"twin {self.case}",
            metadata={"case": self.case, "seed": config.seed},
        )


def make_twin(case: str, config: TwinConfig | None = None) -> Twin:
    """Simulate a case and return its movie and truth.

    Raises
    ------
    ConfigError
        If there is no such case, or its settings contradict each other.
    """
    truth = simulate_case(case, config)
    table = truth_table(truth, visible=[visible(truth, frame) for frame in range(truth.n_frames)])
    parameters = all_parameters(case, truth)
    return Twin(
        case=case,
        truth=truth,
        truth_table=table,
        parameters=parameters,
        pair_force=truth.pair_force,
        readme=describe(case, parameters, has_pair_force=truth.pair_force is not None),
    )


def all_parameters(case: str, truth: TwinTruth) -> dict[str, Any]:
    """Return every true value as a JSON-able dictionary: the case's own, the camera's, and the settings."""
    config, camera = truth.config, truth.config.camera
    species = sorted({int(value) for value in truth.species})
    diffusion = [config.diffusion_coefficient / (SIZE_RATIO if kind else 1.0) for kind in species]
    kinds = np.asarray(species)
    widths = per_species(camera.psf_sigma, kinds, name="psf_sigma")
    heights = per_species(camera.amplitude, kinds, name="amplitude")
    bounds = [
        localisation_bound(
            camera,
            sigma=float(width),
            amplitude=float(height),
            motion_variance=value * config.exposure / 3.0 / config.pixel_size**2,
        )
        for width, height, value in zip(widths, heights, diffusion, strict=True)
    ]
    return {
        "case": case,
        "seed": config.seed,
        "frame_interval": config.frame_interval,
        "pixel_size": config.pixel_size,
        "exposure": config.exposure,
        "diffusion_coefficient": diffusion,
        "blur_coefficient": camera.exposure / 6.0,
        "step_px": [float(np.sqrt(2.0 * value * config.frame_interval)) / config.pixel_size for value in diffusion],
        "localisation_bound_px": bounds,
        "drift_px_per_frame": list(camera.drift),
        **truth.parameters,
        "settings": config.as_dict(),
    }
