"""Fit of the hidden structural variables: describe, pair over a lag, train, fix the gauge, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.nets import single_thread, to_arrays, torch_generator
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Trajectories
from colloid_cg.seeding import generator
from colloid_cg.structure.autoencoder import Block, Scores, Trained, principal_start, scores, train
from colloid_cg.structure.config import StructureConfig
from colloid_cg.structure.descriptors import descriptor_names
from colloid_cg.structure.gauge import Gauge, fix_gauge
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

MINIMUM_ROWS = 100
"""Training rows below which a species gets no encoder."""
COLLAPSED_VARIANCE = 1e-6
COLLAPSED_GAIN = 0.01
"""A latent whose variance vanishes has collapsed, or that predicts less than this share of it and no displacement."""


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
        _rows(part, lag, neighbourhood=neighbourhood, stream=noise, progress=progress, most=most)
        for part, most, noise in (
            (source.training, config.max_rows, stream if config.noise_augmentation else None),
            (source.validation, max(config.max_rows // 4, 1), None),
        )
    )
    weights: dict[str, np.ndarray] = {}
    found: dict[str, Any] = {}
    for species in range(neighbourhood.n_species):
        own = [rows.take(rows.species == species) for rows in (training, validation)]
        if len(own[0]) < MINIMUM_ROWS or len(own[1]) == 0:
            found[str(species)] = {"left_out": f"{len(own[0])} training rows, {MINIMUM_ROWS} needed"}
            continue
        with single_thread():
            arrays, report = _fit_species(
                own[0], own[1], config=config, dimension=first.dimension, stream=stream, progress=progress
            )
        weights |= {f"species{species}.{name}": array for name, array in arrays.items()}
        found[str(species)] = report
    if not weights:
        raise DataError(
            f"{len(training)} rows to train on, {len(validation)} to check against",
            expected=f"at least {MINIMUM_ROWS} particles seen at both ends of a lag of {lag} frames",
            action="use a longer movie or a wider view, or lower structure.lag or structure.cutoff",
        )
    metadata = {
        "neighbourhood": neighbourhood.as_dict(),
        "descriptors": list(descriptor_names(neighbourhood)),
        "lag": lag,
        "lag_seconds": lag * first.frame_interval,
        "blocks": source.described,
        "seed": rng if isinstance(rng, int) else None,
        "species": found,
    }
    return StructureModel(config=config, weights=weights, metadata=metadata)


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
    training, validation = blocks.starts(lag)
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
    if shortest <= config.lag:
        raise DataError(
            f"a movie of {shortest} frames", expected=f"more than the lag of {config.lag}",
            action="lower structure.lag or leave the movie out",
        )  # fmt: skip
    held = min(max(1, round(config.validation_fraction * len(movies))), len(movies) - 1)
    starts = [(movie, np.arange(a, b - config.lag)) for movie, (a, b) in zip(movies, spans, strict=True)]
    return _Source(
        training=starts[:-held], validation=starts[-held:], lag=config.lag,
        neighbourhood=typical_neighbourhood(movies[0], config),
        described={"training_movies": [0, len(movies) - held], "validation_movies": [len(movies) - held, len(movies)]},
    )  # fmt: skip


def _rows(
    source: list[tuple[Trajectories, np.ndarray]],
    lag: int,
    *,
    neighbourhood: Neighbourhood,
    stream: np.random.Generator | None,
    progress: Progress,
    most: int,
) -> LaggedRows:
    """Describe the needed frames of every movie and return its rows; shown with localisation noise from ``stream``."""
    parts = []
    for tracks, starts in source:
        per_frame = len(tracks) / tracks.table["frame"].nunique()
        chosen = thinned(starts, rows_per_frame=per_frame, max_rows=max(most // len(source), 1))
        frames = described(tracks, [*chosen, *(chosen + lag)], neighbourhood=neighbourhood, progress=progress)
        if not any(len(rows.particle) for rows in frames.values()):
            raise DataError(
                f"every particle closer than {neighbourhood.reach:.3g} um to the edge of the view",
                expected="particles whose whole neighbourhood is in view",
                action=f"set structure.cutoff (now {neighbourhood.cutoff:.3g} um) or structure.generations lower",
            )
        shown = None
        if stream is not None:
            shifts = _localisation_shifts(tracks, stream)
            shown = described(tracks, chosen, neighbourhood=neighbourhood, shifts=shifts)
        parts.append(lagged_rows(frames, chosen, lag=lag, box=tracks.box, shown=shown))
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


def _fit_species(
    training: LaggedRows,
    validation: LaggedRows,
    *,
    config: StructureConfig,
    dimension: int,
    stream: np.random.Generator,
    progress: Progress,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Train the network of one species; return its weights by name and what was found."""
    mean, inverse = training.present.mean(axis=0), _inverse(training.present.std(axis=0))
    if not (inverse > 0).any():
        raise DataError(
            "neighbourhoods that are all the same",
            expected="some variation between particles or in time",
            action="leave out the structure stage: there is no structure to learn",
        )
    typical = float(training.moved.mean()) or 1.0
    blocks = [_standardised(rows, mean, inverse, typical, dimension) for rows in (training, validation)]
    trained = train(blocks[0], blocks[1], config=config, generator=torch_generator(stream), progress=progress)
    linear_start = principal_start(
        blocks[0], latents=config.latents, hidden=config.hidden, generator=torch_generator(np.random.default_rng(0))
    )
    with torch.no_grad():
        code, later = (
            trained.network.encoder(torch.from_numpy((values - mean) * inverse))
            for values in (training.present, training.later)
        )
    gauge = fix_gauge(code, later, torch.from_numpy(training.density))
    arrays = {"mean": mean, "inverse_scale": inverse, **to_arrays(trained.network)}
    arrays |= {"latent_mean": gauge.mean.numpy().copy(), "latent_map": gauge.matrix.numpy().copy()}
    linear, network = scores(linear_start, blocks[1]), scores(trained.network, blocks[1])
    return arrays, _report(trained, gauge, linear=linear, network=network, sizes=(len(training), len(validation)))


def _inverse(scale: np.ndarray) -> np.ndarray:
    """Return 1 / scale, and 0 for columns that never vary: they carry nothing, and must not in another movie."""
    return np.where(scale > 1e-9, 1.0 / np.where(scale > 1e-9, scale, 1.0), 0.0)


def _standardised(rows: LaggedRows, mean: np.ndarray, inverse: np.ndarray, typical: float, dimension: int) -> Block:
    shown, present, later = ((values - mean) * inverse for values in (rows.shown, rows.present, rows.later))
    return Block(
        shown=torch.from_numpy(shown),
        target=torch.from_numpy(np.concatenate([present, later], axis=1)),
        moved=torch.from_numpy(rows.moved / typical),
        dimension=dimension,
    )


def _report(
    trained: Trained, gauge: Gauge, *, linear: Scores, network: Scores, sizes: tuple[int, int]
) -> dict[str, Any]:
    """Return the JSON-able findings of one species, the collapse check among them."""
    says_nothing = network.mean < COLLAPSED_GAIN and network.mobility <= 0.0
    collapsed = min(gauge.code_variance) < COLLAPSED_VARIANCE or says_nothing
    return {
        "training_rows": sizes[0],
        "validation_rows": sizes[1],
        "epochs": len(trained.losses) - 1,
        "best_epoch": trained.best_epoch,
        "validation_losses": list(trained.losses),
        "validation_scores": asdict(network),
        "principal_component_scores": asdict(linear),
        "collapse": {
            "code_variance": list(gauge.code_variance),
            "gain_over_mean": network.mean,
            "gain_over_principal_components": network.mean - linear.mean,
            "gain_in_displacement": network.mobility,
            "collapsed": bool(collapsed),
        },
        "persistence": list(gauge.persistence),
        "density_correlation": list(gauge.density_correlation),
    }
