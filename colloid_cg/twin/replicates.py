"""One configuration, run again and again with other thermal noise: the isoconfigurational ensemble.

The mean over runs of how far a particle moves is its propensity, Widmer-Cooper, Harrowell and Fynewever,
doi:10.1103/PhysRevLett.93.135701: what the start says about the motion. What it leaves open no variable can predict.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.errors import ConfigError
from colloid_cg.records import Box, Trajectories
from colloid_cg.seeding import generator
from colloid_cg.twin.glass import filmed_glass, prepared_glass
from colloid_cg.twin.settings import TwinConfig
from colloid_cg.twin.truth import TwinTruth


def isoconfigurational_runs(config: TwinConfig, *, runs: int, first: int = 0) -> tuple[TwinTruth, ...]:
    """Film the soft glass of ``config`` several times from the same equilibrated positions.

    Parameters
    ----------
    config : TwinConfig
        Of the case soft_glass; its seed fixes the configuration. Run 0 is the movie of
        ``simulate_case("soft_glass", config)``.
    runs : int
        Number of runs.
    first : int
        Number of the first one: each number has its own noise, whatever the others are.

    Returns
    -------
    tuple of TwinTruth

    Raises
    ------
    ConfigError
        If there is no run to make.
    """
    if runs < 1 or first < 0:
        raise ConfigError(
            f"{runs} runs from number {first}", expected="at least one run, numbers from 0", action="ask for a run"
        )
    glass = prepared_glass(config)
    names = [("film",) if number == 0 else ("film", number) for number in range(first, first + runs)]
    return tuple(filmed_glass(glass, rng=generator(glass.config.seed, "twin", *name)) for name in names)


def truth_trajectories(truth: TwinTruth, *, driven: bool = True) -> Trajectories:
    """Return the true positions of all particles at the frame times, as if a camera saw the whole cell without error.

    Particle numbers are rows of ``truth.instants`` (those of ``truth.partings``), positions unwrapped in px, the view
    is the periodic cell. A sample that is not periodic has the field of view of its camera.

    Parameters
    ----------
    truth : TwinTruth
    driven : bool
        Prescribed particles, which come last, are included.
    """
    kept = np.ones(len(truth.species), dtype=bool)
    if truth.prescribed is not None and not driven:
        kept = ~truth.prescribed
    pixel = truth.config.pixel_size
    places = truth.instants[:, kept] / pixel
    frames, n, _ = places.shape
    table = pd.DataFrame(
        {
            "frame": np.repeat(np.arange(frames), n),
            "particle": np.tile(np.flatnonzero(kept), frames),
            "x": places[..., 0].ravel(),
            "y": places[..., 1].ravel(),
            "species": np.tile(truth.species[kept], frames),
        }
    )
    if truth.cell is None:
        view = Box(
            lower=(-0.5, -0.5), upper=(truth.config.width - 0.5, truth.config.height - 0.5), periodic=(False, False)
        )
    else:
        lower, lengths = truth.cell / pixel
        view = Box(lower=tuple(lower), upper=tuple(lower + lengths), periodic=(True, True))
    return Trajectories(
        table=table, pixel_size=pixel, frame_interval=truth.config.frame_interval, field_of_view=view,
        n_frames=frames,
    )  # fmt: skip
