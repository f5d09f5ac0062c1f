"""A digital twin as a whole: the movie, rendered frame by frame on demand, beside its truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.records import EventTable, FrameStack
from colloid_cg.seeding import generator
from colloid_cg.twin.bounds import localisation_bound
from colloid_cg.twin.camera import SPOT_RADIUS, expose, mean_image, pixel_type, spot_image
from colloid_cg.twin.cases import simulate_case
from colloid_cg.twin.driven_truth import driven_table, event_table
from colloid_cg.twin.readme import describe
from colloid_cg.twin.settings import TwinConfig
from colloid_cg.twin.start import SIZE_RATIO
from colloid_cg.twin.truth import IMAGE, TwinTruth, numbered_rows, per_species


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
        Columns frame, particle, x, y, species, x_start, y_start, visible, and with some cases prescribed or vx, vy
        (see :func:`truth_table`); px, um/s.
    parameters : dict
        JSON-able: everything a measurement should find, with the settings and the seed.
    pair_force : pandas.DataFrame or None
        Columns r (um), force (k_B T/um), species_a, species_b.
    readme : str
        Says what the case is, what its files hold and how to use them.
    events : EventTable or None
        The true rearrangements, None where the case defines none.
    tables : dict
        Further tables of the case by the name of their file: traps, driven, flow, deformation, pair_friction.
    """

    case: str
    truth: TwinTruth
    truth_table: pd.DataFrame
    parameters: dict[str, Any]
    pair_force: pd.DataFrame | None
    readme: str
    events: EventTable | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

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
    rows = numbered_rows(truth, visible=[visible(truth, frame) for frame in range(truth.n_frames)])
    parameters = all_parameters(case, truth)
    tables = dict(truth.tables)
    if truth.prescribed is not None and truth.prescribed.any():
        tables["driven"] = driven_table(truth, rows, reach=float(truth.parameters["cutoff"]))
    events = event_table(truth, rows)
    return Twin(
        case=case,
        truth=truth,
        truth_table=rows.drop(columns=IMAGE),
        parameters=parameters,
        pair_force=truth.pair_force,
        readme=describe(case, parameters, tables=written_tables(truth.pair_force, tables, events)),
        events=events,
        tables=tables,
    )


def written_tables(
    pair_force: pd.DataFrame | None, tables: dict[str, pd.DataFrame], events: EventTable | None
) -> tuple[str, ...]:
    """Return the names of the tables of a twin that not every case has, as in FILES."""
    names = ["pair_force"] if pair_force is not None else []
    names += sorted(tables)
    return tuple(names + (["events"] if events is not None else []))


def all_parameters(case: str, truth: TwinTruth) -> dict[str, Any]:
    """Return every true value as a JSON-able dictionary: the case's own, the camera's, and the settings."""
    config, camera = truth.config, truth.config.camera
    free = truth.species if truth.prescribed is None else truth.species[~truth.prescribed]
    kinds = np.unique(truth.species)
    n_free = len(np.unique(free))
    diffusion = [config.diffusion_coefficient / (SIZE_RATIO if kind else 1.0) for kind in range(n_free)]
    # over one frame and over the exposure, um2
    steps = [2.0 * value * config.frame_interval for value in diffusion]
    blurs = [value * config.exposure / 3.0 for value in diffusion]
    if truth.velocities is not None:
        steps = [config.thermal_speed_squared * config.frame_interval**2] * n_free
        blurs = [config.thermal_speed_squared * config.exposure**2 / 12.0] * n_free
    widths = per_species(camera.psf_sigma, kinds, name="psf_sigma")
    heights = per_species(camera.amplitude, kinds, name="amplitude")
    bounds = [
        localisation_bound(
            camera,
            sigma=float(width),
            amplitude=float(height),
            motion_variance=blurs[kind] / config.pixel_size**2 if kind < n_free else 0.0,
        )
        for kind, width, height in zip(kinds, widths, heights, strict=True)
    ]
    general = {
        "case": case,
        "seed": config.seed,
        "frame_interval": config.frame_interval,
        "pixel_size": config.pixel_size,
        "exposure": config.exposure,
        "diffusion_coefficient": diffusion,
        "blur_coefficient": camera.exposure / 6.0,
        "step_px": [float(np.sqrt(value)) / config.pixel_size for value in steps],
        "localisation_bound_px": bounds,
        "drift_px_per_frame": list(camera.drift),
        **truth.parameters,
        "settings": config.as_dict(),
    }
    if truth.velocities is not None:
        # a Brownian particle with inertia has no diffusion coefficient of its own in the settings
        general.pop("diffusion_coefficient")
    return general
