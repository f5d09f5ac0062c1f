"""A hidden structural variable on top of fitted overdamped dynamics: learned, weighed against its absence, kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.learn.bundle import model_from_bundle
from colloid_cg.learn.checkpoint import Checkpoint
from colloid_cg.learn.latent.ablation import LAWS, Gain, as_table, fit_laws, shuffled_worth, worth
from colloid_cg.learn.latent.living import Reliability, reliability
from colloid_cg.learn.latent.maximum import Found, with_errors
from colloid_cg.learn.latent.metrics import latent_metrics, left_out
from colloid_cg.learn.latent.model import law_arrays, law_of_arrays
from colloid_cg.learn.latent.prepare import at_the_end, last_frames, leading, rows_of, structure_of
from colloid_cg.learn.latent.refine import refined
from colloid_cg.learn.latent.rows import (
    LatentRows,
)
from colloid_cg.progress import Progress, silent
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.seeding import generator
from colloid_cg.structure import StructureConfig, StructureModel, fit_structure

ABLATIONS = ("none", "spread", "memory")
"""Laws that know nothing of the neighbourhood."""
FEWEST_ROWS = 2000
"""Linked steps with a complete neighbourhood, in the training block; half of it in the selection block."""


def with_hidden_variable(
    bundle: ModelBundle,
    train: Trajectories,
    select: Trajectories,
    structure: StructureConfig | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Checkpoint,
) -> ModelBundle:
    """Return the bundle with a hidden variable per particle on which its mobility depends.

    The encoder learns structural variables f from ``train`` alone, at first by itself, then (one latent) from the
    posterior of the mobility that memory alone finds (:mod:`~colloid_cg.learn.latent.refine`); f and a memory variable
    z (integrated out along every track) enter the likelihood of the observed positions. Without s, with memory alone,
    with both and with a shuffled s are fitted to ``train`` and scored on ``select``: s is used in rollouts where its
    gain over the ablation without s exceeds its 90 % interval.

    Parameters
    ----------
    bundle : ModelBundle
        An overdamped fit to the same blocks.
    train, select : Trajectories
    structure : StructureConfig or None
        Settings of the encoder, its number of latents included.
    seed : int
    progress : callable
    checkpoint : Checkpoint
        Keeps what was fitted, for a call with the same arguments.

    Raises
    ------
    DataError
        If there are too few linked steps with a complete neighbourhood.
    """
    model = model_from_bundle(bundle)
    most = int(bundle.config["fit"]["maximum_detections"])
    whole, train, select = select, leading(train, most), leading(select, most)
    encoder = fit_structure(train, structure or StructureConfig(), rng=seed)
    parts = [rows_of(bundle, model, tracks, structure_of(encoder, tracks)) for tracks in (train, select)]
    _enough(parts)
    progress(1, len(LAWS) + 3)
    plain = _laws(ABLATIONS, parts[0], bundle, checkpoint, progress)
    better = None
    if encoder.latents == 1 and float(plain["memory"].law.memory_slope.max()) > 0.0:
        stride = int(bundle.config["stride"])
        better = refined(encoder, train, parts[0], plain["memory"].law, stride=stride)
    if better is not None:
        encoder, parts[0] = better
        parts[1] = rows_of(bundle, model, select, structure_of(encoder, select))
    laws = plain | _laws(("full",), parts[0], bundle, checkpoint, progress)
    gains = worth(laws, parts[1])
    full = with_errors(laws["full"], parts[0])
    gains |= shuffled_worth(laws, parts[0], parts[1], rng=generator(seed, "shuffled hidden variable"))
    progress(len(LAWS) + 3, len(LAWS) + 3)
    used = gains["full"].low90 > 0.0
    sure = reliability(
        encoder, select, structure_of(encoder, select),
        localisation_variance=full.law.localisation_variance, n_species=parts[0].n_species,
        rng=generator(seed, "noise of structure"),
    )  # fmt: skip
    late = last_frames(whole, most)
    rows = parts[1] if late is select else rows_of(bundle, model, late, structure_of(encoder, late))
    start = at_the_end(full.law, rows, first=int(late.table["frame"].min()), stride=int(bundle.config["stride"]))
    return _stored(bundle, encoder, full, laws, gains, used=used, start=start, present=parts[0].present, sure=sure)


def _laws(
    names: tuple[str, ...], rows: LatentRows, bundle: ModelBundle, checkpoint: Checkpoint, progress: Progress
) -> dict[str, Found]:
    name = f"hidden-variable-{'-'.join(names)}-rows-{len(rows)}"
    kept = checkpoint.load(name)
    if kept is not None:
        return {law: _found(law, kept) for law in names}
    laws = fit_laws(rows, bundle.weights["diffusion"], float(bundle.weights["localisation_variance"][0]),
                    progress=progress, names=names)  # fmt: skip
    checkpoint.save(name, {key: value for law in names for key, value in _arrays(law, laws[law]).items()})
    return laws


def _arrays(name: str, found: Found) -> dict[str, np.ndarray]:
    return {f"{name}.likelihood": np.array(found.log_likelihood)} | law_arrays(found.law, prefix=f"{name}.")


def _found(name: str, arrays: dict[str, np.ndarray]) -> Found:
    law = law_of_arrays(arrays, prefix=f"{name}.")
    return Found(law=law, free=LAWS[name], log_likelihood=float(arrays[f"{name}.likelihood"]))


def _enough(parts: list[LatentRows]) -> None:
    for name, rows, least in zip(("training", "selection"), parts, (FEWEST_ROWS, FEWEST_ROWS // 2), strict=True):
        joined = int(rows.joined.sum())
        if joined < least:
            raise DataError(
                f"{joined} consecutive steps with a complete neighbourhood in the {name} block",
                expected=f"at least {least} to learn a hidden variable from",
                action="record longer or a wider view, lower structure.cutoff, or set fit.hidden_variables = 0",
            )


def _stored(
    bundle: ModelBundle, encoder: StructureModel, full: Found, laws: dict[str, Found],
    gains: dict[str, Gain], *, used: bool, start: dict[str, np.ndarray], present: np.ndarray, sure: Reliability,
) -> ModelBundle:  # fmt: skip
    share = float(bundle.config.get("drift_kept_share", 1.0))
    full = replace(full, law=full.law.corrected(share))
    laws = {name: replace(found, law=found.law.corrected(share)) for name, found in laws.items()}
    arrays, document = encoder.to_arrays()
    weights = {f"structure.{name}": np.asarray(array, dtype=float) for name, array in arrays.items()}
    step = float(bundle.config["frame_interval"]) * int(bundle.config["stride"])
    settings = {"used": used, "structure": document, "step": step}
    return replace(
        bundle,
        config=bundle.config | {"hidden_variable": settings},
        weights=bundle.weights
        | weights
        | law_arrays(full.law, prefix="hidden.")
        | start
        | {"hidden.structure_share": sure.share, "hidden.structure_kept": sure.kept}
        | law_arrays(laws["spread"].law, prefix="ablation."),
        metrics=bundle.metrics
        | latent_metrics(full, gains, sure.living(full.law), step=step, used=used, present=present),
        diagnostics=bundle.diagnostics
        | {"hidden_variable": _diagnostics(laws, gains, used=used)}
        | {"warnings": [*bundle.diagnostics.get("warnings", []), *left_out(present)]},
    )


def _diagnostics(laws: dict[str, Found], gains: dict[str, Gain], *, used: bool) -> dict[str, Any]:
    return {
        "used": used,
        "gains": as_table(gains),
        "laws": {
            name: {key: value.tolist() for key, value in law_arrays(found.law, prefix="").items()}
            | {"log_likelihood": found.log_likelihood}
            for name, found in laws.items()
        },
    }
