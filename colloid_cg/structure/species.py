"""Fit of the encoder of one species: standardise, start, train, fix the gauge, report."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from colloid_cg.errors import DataError
from colloid_cg.nets import to_arrays, torch_generator
from colloid_cg.progress import Progress, silent
from colloid_cg.seeding import generator
from colloid_cg.structure.autoencoder import Block, LaggedAutoencoder, Trained, joined_blocks, row_losses, scores, train
from colloid_cg.structure.config import StructureConfig
from colloid_cg.structure.displacements import typical
from colloid_cg.structure.gauge import Gauge, fix_gauge
from colloid_cg.structure.sampling import LaggedRows, persistence
from colloid_cg.structure.starts import (
    SURE,
    Evidence,
    Stability,
    Start,
    best_start,
    paired_error,
    principal_start,
    within_one_error,
)

COLLAPSED_VARIANCE = 1e-6
COLLAPSED_GAIN = 0.01
"""A latent whose variance vanishes has collapsed, or that predicts less than this share of it and no displacement."""

LEAST_TRUST = 0.05
"""Of a column that keeps nothing of itself: a regression needs some scale for it."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """An encoder of one species: weights by name, findings, and the loss of every validation row that decides on k.

    ``losses`` are -ln p of the displacements, or the squared errors of the descriptors where no weight is on mobility.
    """

    arrays: dict[str, np.ndarray]
    report: dict[str, Any]
    losses: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """Means and inverse standard deviations of what is seen and of what is told; the typical squared displacement.

    ``moved`` is None with several movies to learn from: each has its own, for a run that is faster as a whole says
    nothing about which of its particles are.
    """

    seen: tuple[np.ndarray, np.ndarray]
    told: tuple[np.ndarray, np.ndarray]
    moved: float | None

    def block(self, rows: LaggedRows, dimension: int) -> Block:
        """Return standardised rows."""
        mean, inverse = self.told
        present, later = ((values - mean) * inverse for values in (rows.present, rows.later))
        return Block(
            shown=self.input(rows.shown), target=torch.from_numpy(np.concatenate([present, later], axis=1)),
            moved=torch.from_numpy(self._relative(rows)), dimension=dimension,
        )  # fmt: skip

    def _relative(self, rows: LaggedRows) -> np.ndarray:
        if self.moved is not None:
            return np.asarray(rows.moved / self.moved)
        member = np.unique(rows.movie, return_inverse=True)[1]
        each = [typical(rows.moved[member == m]) for m in range(member.max() + 1)]
        return np.asarray(rows.moved / np.array(each)[member])

    def input(self, values: np.ndarray) -> torch.Tensor:
        """Return standardised input of the encoder."""
        return torch.from_numpy((values - self.seen[0]) * self.seen[1])


def fit_species(
    training: LaggedRows,
    validation: LaggedRows,
    *,
    config: StructureConfig,
    latents: int,
    dimension: int,
    stream: np.random.Generator,
    progress: Progress = silent,
) -> Fitted:
    """Train the network of one species.

    Run inside :func:`colloid_cg.nets.single_thread` for repeatable bytes.

    Raises
    ------
    DataError
        If no descriptor varies.
    """
    scale = _scale(training)
    rows, held = scale.block(training, dimension), scale.block(validation, dimension)
    backward = scale.block(training.reversed(), dimension) if config.both_directions else None
    random = torch_generator(stream)
    stability = Stability(particle=training.particle, least=config.stability, rng=generator(0, "structure stability"))
    unit = validation.movie if _several(training) else validation.particle
    start = best_start(
        rows, backward, Evidence(block=held, unit=unit), weight=config.mobility_weight, latents=latents,
        stability=stability, trust=_trust(training),
    )  # fmt: skip
    trained = _trained(start, held, validation.particle, config=config, random=random, progress=progress)
    final = trained.network
    if trained.best_epoch == 0 and start.penalty > 0.0:
        everything = (
            [rows, held] if start.rows is rows else [start.rows, held, scale.block(validation.reversed(), dimension)]
        )
        final = start.refitted(joined_blocks(*everything)).network(hidden=config.hidden, generator=random)
    with torch.no_grad():
        code, later = (final.encoder(scale.input(v)) for v in (training.seen, training.seen_later))
    gauge = fix_gauge(code, later, torch.from_numpy(training.density))
    arrays = {"mean": scale.seen[0], "inverse_scale": scale.seen[1], **to_arrays(final)}
    arrays |= {"latent_mean": gauge.mean.numpy().copy(), "latent_map": gauge.matrix.numpy().copy()}
    linear = principal_start(
        rows, latents=latents, hidden=config.hidden, generator=torch_generator(np.random.default_rng(0))
    )
    report = {"training_rows": len(training), "validation_rows": len(validation)}
    report |= _report(trained, start, gauge, linear=linear, held=held)
    return Fitted(arrays=arrays, report=report, losses=_deciding(trained.network, held, config))


def _trained(
    start: Start,
    held: Block,
    particle: np.ndarray,
    *,
    config: StructureConfig,
    random: torch.Generator,
    progress: Progress,
) -> Trained:
    """Train from ``start``; where that is not surely better on the validation block, keep the start itself.

    Better is what tells displacements better where the start tells them, else the loss as a whole: a network that
    describes the neighbourhood better has not found what it is good for.
    """
    network = start.network(hidden=config.hidden, generator=random)
    network.calibrate(start.rows.shown)
    untrained = copy.deepcopy(network)
    trained = train(network, start.rows, held, config=config, generator=random, progress=progress)
    decide = _deciding if start.penalty > 0.0 else _everything
    before, after = (decide(each, held, config) for each in (untrained, trained.network))
    gain = before - after
    if float(gain.mean()) < SURE * paired_error(gain, particle):
        return Trained(network=untrained, losses=trained.losses, best_epoch=0)
    return trained


def _several(rows: LaggedRows) -> bool:
    return len(np.unique(rows.movie)) > 1


def _trust(training: LaggedRows) -> torch.Tensor:
    """Return how well each column of the input keeps until the displacement is over, at least ``LEAST_TRUST``."""
    return torch.from_numpy(np.clip(persistence(training.seen, training.seen_later)[0], LEAST_TRUST, 1.0))


def _scale(training: LaggedRows) -> _Scale:
    seen, told = ((v.mean(axis=0), _inverse(v.std(axis=0))) for v in (training.seen, training.present))
    if not (told[1] > 0).any():
        raise DataError(
            "neighbourhoods that are all the same",
            expected="some variation between particles or in time",
            action="leave out the structure stage: there is no structure to learn (a perfect lattice, or no particle "
            "with a neighbour: then raise structure.cutoff)",
        )
    return _Scale(seen=seen, told=told, moved=None if _several(training) else float(training.moved.mean()) or 1.0)


def _inverse(scale: np.ndarray) -> np.ndarray:
    """Return 1 / scale, and 0 for columns that never vary: they carry nothing, and must not in another movie."""
    return np.where(scale > 1e-9, 1.0 / np.where(scale > 1e-9, scale, 1.0), 0.0)


def _everything(network: LaggedAutoencoder, held: Block, config: StructureConfig) -> np.ndarray:
    return np.asarray(row_losses(network, held, config.mobility_weight).numpy())


def _deciding(network: LaggedAutoencoder, held: Block, config: StructureConfig) -> np.ndarray:
    everything = row_losses(network, held, config.mobility_weight)
    if config.mobility_weight == 0.0:
        return np.asarray(everything.numpy())
    return np.asarray(((everything - row_losses(network, held, 0.0)) / config.mobility_weight).numpy())


def _report(trained: Trained, start: Start, gauge: Gauge, *, linear: LaggedAutoencoder, held: Block) -> dict[str, Any]:
    """Return the JSON-able findings of one species, the collapse check among them."""
    network, untrained, principal = (
        scores(each, held)
        for each in (trained.network, start.network(hidden=(1,), generator=torch.Generator()), linear)
    )
    says_nothing = network.mean < COLLAPSED_GAIN and network.mobility <= 0.0
    collapsed = min(gauge.code_variance) < COLLAPSED_VARIANCE or says_nothing
    return {
        "start": start.name,
        "epochs": len(trained.losses) - 1,
        "best_epoch": trained.best_epoch,
        "validation_losses": list(trained.losses),
        "validation_scores": asdict(network),
        "start_scores": asdict(untrained),
        "principal_component_scores": asdict(principal),
        "collapse": {
            "code_variance": list(gauge.code_variance),
            "gain_over_mean": network.mean,
            "gain_over_principal_components": network.mean - principal.mean,
            "gain_in_displacement": network.mobility,
            "collapsed": bool(collapsed),
        },
        "persistence": list(gauge.persistence),
        "density_correlation": list(gauge.density_correlation),
    }


def chosen_latents(losses: dict[int, np.ndarray], particle: np.ndarray) -> tuple[int, list[dict[str, float]]]:
    """Return the smallest k whose mean loss is within one standard error of the lowest, and the candidates.

    The standard error is that of the paired difference, rows of the same particle counted as one.

    Parameters
    ----------
    losses : dict of int to array, shape (n,)
        Loss of every validation row for each k.
    particle : int array, shape (n,)
    """
    counts = sorted(losses)
    chosen = counts[within_one_error([losses[k] for k in counts], particle)]
    best = losses[min(counts, key=lambda k: float(losses[k].mean()))]
    candidates = [
        {
            "latents": k,
            "loss": float(losses[k].mean()),
            "excess": float((losses[k] - best).mean()),
            "standard_error": paired_error(losses[k] - best, particle),
        }
        for k in counts
    ]
    return chosen, candidates
