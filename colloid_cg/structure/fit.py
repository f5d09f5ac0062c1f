"""Fit of the hidden structural variables: describe, pair over a lag, fit each species, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.nets import single_thread
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Trajectories
from colloid_cg.seeding import generator
from colloid_cg.structure.config import MOST_LATENTS, StructureConfig
from colloid_cg.structure.descriptors import descriptor_names
from colloid_cg.structure.model import StructureModel
from colloid_cg.structure.neighbourhood import Neighbourhood, typical_neighbourhood
from colloid_cg.structure.sampling import (
    LaggedRows,
    described,
    half_correlation_lag,
    joined,
    lagged_rows,
    thinned,
    time_blocks,
)
from colloid_cg.structure.species import Fitted, chosen_latents, fit_species
from colloid_cg.structure.windows import window_volume

MINIMUM_ROWS = 100
"""Training rows below which a species gets no encoder."""
FEW_PARTICLES = 50
MANY_ALONE = 0.05
"""Share of particles without a neighbour above which a warning is given."""


def fit_structure(
    tracks: Trajectories | Sequence[Trajectories],
    config: StructureConfig | None = None,
    *,
    rng: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> StructureModel:
    """Learn hidden structural variables: how a particle is surrounded, now and later, and how far it will move.

    Parameters
    ----------
    tracks : Trajectories or sequence of them
        The training part of a movie; its last ``config.validation_fraction`` only stops the training. Of several movies
        of the same system that many of the last movies do (``config.lag`` must be given).
    config : StructureConfig, optional
    rng : int or numpy.random.Generator
        Seed, or the stream to draw it from.
    progress : callable

    Returns
    -------
    StructureModel
        The same bytes for the same input, settings and seed, on any number of threads.

    Raises
    ------
    DataError
        If there are too few frames, particles or linked pairs, or every particle is too close to the edge.
    ConfigError
        If several movies come without a lag.
    """
    config = config or StructureConfig()
    stream = generator(rng, "structure") if isinstance(rng, int) else rng
    source = _blocks_of_one(tracks, config) if isinstance(tracks, Trajectories) else _blocks_of_several(tracks, config)
    first, neighbourhood, lag = source.training[0][0], source.neighbourhood, source.lag
    training, validation = (
        _rows(part, source, window=config.window, stream=noise, progress=progress, most=most)
        for part, most, noise in (
            (source.training, config.max_rows, stream if config.noise_augmentation else None),
            (source.validation, max(config.max_rows // 4, 1), None),
        )
    )
    metadata = {
        "neighbourhood": neighbourhood.as_dict(),
        "descriptors": list(descriptor_names(neighbourhood)),
        "lag": lag,
        "lag_seconds": lag * first.frame_interval,
        "blocks": source.described,
        "seed": rng if isinstance(rng, int) else None,
        "warnings": _warnings(source, training),
    }
    return fit_rows(training, validation, config, metadata=metadata, stream=stream, progress=progress)


def fit_rows(
    training: LaggedRows,
    validation: LaggedRows,
    config: StructureConfig,
    *,
    metadata: dict[str, Any],
    stream: np.random.Generator,
    progress: Progress = silent,
) -> StructureModel:
    """Return the model of rows that are described already; ``metadata`` holds their ``neighbourhood`` and ``lag``."""
    neighbourhood = Neighbourhood(**metadata["neighbourhood"])
    tried = range(1, MOST_LATENTS + 1) if config.latents == "auto" else (config.latents,)
    fits: dict[int, dict[int, Fitted]] = {}
    choices: dict[int, int] = {}
    found: dict[str, Any] = {}
    for species in range(neighbourhood.n_species):
        own, held = (rows.take(rows.species == species) for rows in (training, validation))
        if len(own) < MINIMUM_ROWS or len(held) == 0:
            found[str(species)] = {"left_out": f"{len(own)} training rows, {MINIMUM_ROWS} needed"}
            continue
        with single_thread():
            fits[species] = {
                k: fit_species(
                    own, held, config=config, latents=k, dimension=neighbourhood.dimension, stream=stream,
                    progress=progress,
                )
                for k in tried
            }  # fmt: skip
        choices[species], candidates = chosen_latents({k: f.losses for k, f in fits[species].items()}, held.particle)
        found[str(species)] = {"latents_tried": candidates, "latents_chosen": choices[species]}
    if not fits:
        raise DataError(
            f"{len(training)} rows to train on, {len(validation)} to check against",
            expected=f"at least {MINIMUM_ROWS} particles seen at both ends of a lag of {metadata['lag']} frames",
            action="use a longer movie or a wider view, or lower structure.lag, structure.window or structure.cutoff",
        )
    latents = max(choices.values())
    weights: dict[str, np.ndarray] = {}
    for species, fitted in fits.items():
        weights |= {f"species{species}.{name}": array for name, array in fitted[latents].arrays.items()}
        found[str(species)] |= fitted[latents].report
    return StructureModel(config=config, weights=weights, metadata=metadata | {"latents": latents, "species": found})


def _warnings(source: _Source, training: LaggedRows) -> list[str]:
    """Return sentences on what the movies lack."""
    movies, neighbourhood = [movie for movie, _ in source.training], source.neighbourhood
    sentences = []
    particles = sum(movie.n_particles for movie in movies)
    if particles < FEW_PARTICLES:
        sentences.append(
            f"Found {particles} different particles; at least {FEW_PARTICLES} are needed for more than an anecdote: "
            "track a wider view or a longer movie."
        )
    if neighbourhood.n_species == 1:
        sentences.append(
            "All detections carry species 0 (the value where none is stated): one species is assumed. A mixture "
            "needs its species in the trajectories."
        )
    volume = window_volume(neighbourhood.cutoff, neighbourhood.dimension)
    alone = float((training.density * volume < 1.0 + 1e-9).mean()) if len(training) else 0.0
    if alone > MANY_ALONE:
        sentences.append(
            f"{alone:.0%} of the particles have no neighbour within {neighbourhood.cutoff:.3g} um and are all "
            "described alike: raise structure.cutoff."
        )
    return sentences


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Movies with the frames to start from, to train on and to check against."""

    training: list[tuple[Trajectories, np.ndarray]]
    validation: list[tuple[Trajectories, np.ndarray]]
    neighbourhood: Neighbourhood
    lag: int
    described: dict[str, list[int]]


def _blocks_of_one(tracks: Trajectories, config: StructureConfig) -> _Source:
    blocks = time_blocks(tracks, config)
    neighbourhood = typical_neighbourhood(tracks.between(*blocks.training), config)
    lag = config.lag or half_correlation_lag(tracks, blocks, neighbourhood=neighbourhood)
    training, validation = blocks.starts(lag, window=config.window)
    return _Source(
        training=[(tracks, training)], validation=[(tracks, validation)], neighbourhood=neighbourhood, lag=lag,
        described={"training": list(blocks.training), "validation": list(blocks.validation)},
    )  # fmt: skip


def _blocks_of_several(movies: Sequence[Trajectories], config: StructureConfig) -> _Source:
    if config.lag is None:
        raise ConfigError(
            f"{len(movies)} movies and no lag", expected="structure.lag in frames", action="set structure.lag"
        )
    if len(movies) < 2:
        raise DataError(f"a list of {len(movies)} movies", expected="two or more", action="give a movie itself")
    spans = [(int(movie.table["frame"].min()), int(movie.table["frame"].max()) + 1) for movie in movies]
    shortest = min(last - first for first, last in spans)
    if shortest < config.lag + config.window:
        raise DataError(
            f"a movie of {shortest} frames", expected=f"at least {config.lag + config.window}: lag and window",
            action="lower structure.lag or structure.window, or leave the movie out",
        )  # fmt: skip
    held = min(max(1, round(config.validation_fraction * len(movies))), len(movies) - 1)
    starts = [
        (movie, np.arange(a + config.window - 1, b - config.lag)) for movie, (a, b) in zip(movies, spans, strict=True)
    ]
    return _Source(
        training=starts[:-held], validation=starts[-held:], lag=config.lag,
        neighbourhood=typical_neighbourhood(movies[0], config),
        described={"training_movies": [0, len(movies) - held], "validation_movies": [len(movies) - held, len(movies)]},
    )  # fmt: skip


def _rows(
    movies: list[tuple[Trajectories, np.ndarray]],
    source: _Source,
    *,
    window: int,
    stream: np.random.Generator | None,
    progress: Progress,
    most: int,
) -> LaggedRows:
    """Describe the needed frames of every movie and return its rows; shown with localisation noise from ``stream``."""
    parts: list[LaggedRows] = []
    before = 0
    neighbourhood, lag = source.neighbourhood, source.lag
    for tracks, starts in movies:
        per_frame = len(tracks) / tracks.table["frame"].nunique()
        chosen = thinned(starts, rows_per_frame=per_frame, max_rows=max(most // len(movies), 1))
        wanted = [*chosen, *(chosen + lag)]
        frames = described(tracks, wanted, neighbourhood=neighbourhood, window=window, progress=progress)
        if not any(len(rows.particle) for rows in frames.values()):
            raise DataError(
                f"every particle closer than {neighbourhood.reach:.3g} um to the edge of the view",
                expected="particles whose whole neighbourhood is in view",
                action=f"set structure.cutoff (now {neighbourhood.cutoff:.3g} um) or structure.generations lower",
            )
        shown = None
        if stream is not None:
            shifts = _localisation_shifts(tracks, stream)
            shown = described(tracks, wanted, neighbourhood=neighbourhood, window=window, shifts=shifts)
        rows = lagged_rows(frames, chosen, lag=lag, box=tracks.box, shown=shown)
        movie = np.full_like(rows.movie, len(parts))
        parts.append(replace(rows, particle=rows.particle + before, movie=movie))
        before += int(tracks.table["particle"].max()) + 1
    return joined(parts)


def _localisation_shifts(tracks: Trajectories, stream: np.random.Generator) -> np.ndarray:
    sigma = tracks.table[["sigma_x", "sigma_y"]].to_numpy(dtype=float) * tracks.pixel_size
    if tracks.dimension != 2 or not np.isfinite(sigma).all():
        raise DataError(
            "detections without a stated localisation error",
            expected="sigma_x and sigma_y for every detection (2-D)",
            action="switch structure.noise_augmentation off, or track with errors",
        )
    return np.asarray(stream.standard_normal(sigma.shape) * sigma)
