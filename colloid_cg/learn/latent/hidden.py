"""A hidden structural variable on top of fitted overdamped dynamics: learned, weighed against its absence, kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from colloid_cg.dynamics import OverdampedModel
from colloid_cg.errors import DataError
from colloid_cg.learn.bundle import model_from_bundle
from colloid_cg.learn.checkpoint import Checkpoint
from colloid_cg.learn.latent.ablation import LAWS, Gain, as_table, fit_laws, shuffled_worth, worth
from colloid_cg.learn.latent.law import FULL, LatentLaw
from colloid_cg.learn.latent.living import Reliability, reliability
from colloid_cg.learn.latent.maximum import Found, with_errors
from colloid_cg.learn.latent.refine import refined
from colloid_cg.learn.latent.rows import (
    LatentRows,
    filtered,
    force_factor,
    latent_rows,
    moments,
    structure_of_rows,
)
from colloid_cg.learn.noise_form import with_noise_form
from colloid_cg.learn.problem import prepare
from colloid_cg.learn.series import every_nth_frame, frame_of_rows
from colloid_cg.progress import Progress, silent
from colloid_cg.records import ModelBundle, StateSeries, Trajectories
from colloid_cg.records.model import metric
from colloid_cg.seeding import generator
from colloid_cg.states import from_trajectories
from colloid_cg.structure import StructureConfig, StructureModel, encode, fit_structure

ABLATIONS = ("none", "spread", "memory")
"""Laws that know nothing of the neighbourhood."""
LEAST_SLOPE = 0.02
"""Of ln lambda on z: below it z has no effect, and its persistence no meaning."""
FEWEST_ROWS = 2000
"""Linked steps with a complete neighbourhood, in the training block; half of it in the selection block."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HiddenModel:
    """Dynamics with a hidden variable.

    ``plain`` was fitted without it; ``dynamics`` has the pair force at the mean mobility, ``law`` says how the mobility
    depends on structure as it was measured a frame before, ``living`` how on true structure now; ``ablation`` is the
    law without s, ``structure`` the encoder. ``used``: s is worth having. ``reliability``: how well f is known.
    """

    plain: OverdampedModel
    dynamics: OverdampedModel
    law: LatentLaw
    ablation: LatentLaw
    structure: StructureModel
    used: bool
    reliability: Reliability

    @property
    def living(self) -> LatentLaw:
        """The law of rollouts."""
        return self.reliability.living(self.law)


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
    late = _last_frames(whole, most)
    rows = parts[1] if late is select else rows_of(bundle, model, late, structure_of(encoder, late))
    start = _at_the_end(full.law, rows, first=int(late.table["frame"].min()), stride=int(bundle.config["stride"]))
    start |= {"hidden.structure_share": sure.share, "hidden.structure_kept": sure.kept}
    return _stored(bundle, encoder, full, laws, gains, used=used, start=start, present=parts[0].present)


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


def law_arrays(law: LatentLaw, *, prefix: str) -> dict[str, np.ndarray]:
    """Return a law as named arrays."""
    return {
        f"{prefix}diffusion": law.diffusion,
        f"{prefix}localisation_variance": np.array([law.localisation_variance]),
        f"{prefix}structure_slope": law.structure_slope,
        f"{prefix}memory_slope": law.memory_slope,
        f"{prefix}persistence": np.array([law.persistence]),
    }


def law_of_arrays(arrays: dict[str, np.ndarray], *, prefix: str) -> LatentLaw:
    """Return the law that :func:`law_arrays` was given."""
    return LatentLaw(
        diffusion=arrays[f"{prefix}diffusion"],
        localisation_variance=float(arrays[f"{prefix}localisation_variance"][0]),
        structure_slope=arrays[f"{prefix}structure_slope"],
        memory_slope=arrays[f"{prefix}memory_slope"],
        persistence=float(arrays[f"{prefix}persistence"][0]),
    )


def leading(tracks: Trajectories, most: int) -> Trajectories:
    """Return the first frames that hold at most ``most`` detections (at least three frames)."""
    if len(tracks) <= most:
        return tracks
    first, last = int(tracks.table["frame"].min()), int(np.searchsorted(tracks.frame_offsets(), most, side="right")) - 1
    return tracks.between(first, max(last, first + 3))


def structure_of(encoder: StructureModel, tracks: Trajectories) -> np.ndarray:
    """Return the structural variables of every detection, shape (n, k)."""
    return structure_of_rows(encode(encoder, tracks), latents=encoder.latents)


def rows_of(bundle: ModelBundle, model: OverdampedModel, tracks: Trajectories, structure: np.ndarray) -> LatentRows:
    """Return the steps of a block with the structural variables one frame of the movie before each of them.

    ``structure`` (n, k): those of every detection.
    """
    stride = int(bundle.config["stride"])
    whole = from_trajectories(tracks)
    before = np.where((whole.previous >= 0)[:, None], structure[whole.previous], np.nan)
    block = prepare(
        every_nth_frame(whole, stride),
        n_species=int(bundle.config["n_species"]),
        drift_velocity=np.asarray(bundle.diagnostics["drift_velocity_um_per_s"]),
        cutoff=float(bundle.config["cutoff"]) if model.n_knots else None,
        diffusion=float(model.diffusion.max()),
        resolution=float(bundle.config.get("resolution", 0.0)),
    )
    form = bundle.diagnostics["stated_sigma"].get("form", "constant")
    block = with_noise_form(block, form)
    kept = kept_rows(whole, stride)
    return latent_rows(block, model, before[kept], kept)


def kept_rows(series: StateSeries, stride: int) -> np.ndarray:
    """Return the rows of a series that :func:`every_nth_frame` keeps."""
    return np.flatnonzero(frame_of_rows(series) % stride == 0)


def _enough(parts: list[LatentRows]) -> None:
    for name, rows, least in zip(("training", "selection"), parts, (FEWEST_ROWS, FEWEST_ROWS // 2), strict=True):
        joined = int(rows.joined.sum())
        if joined < least:
            raise DataError(
                f"{joined} consecutive steps with a complete neighbourhood in the {name} block",
                expected=f"at least {least} to learn a hidden variable from",
                action="record longer or a wider view, lower structure.cutoff, or set fit.hidden_variables = 0",
            )


def _last_frames(tracks: Trajectories, most: int) -> Trajectories:
    """Return the last frames that hold at most ``most`` detections, the block itself where all do."""
    if len(tracks) <= most:
        return tracks
    frame = tracks.table["frame"].to_numpy()
    return tracks.between(int(frame[-most]) + 1, int(frame.max()) + 1)


def _at_the_end(law: LatentLaw, rows: LatentRows, *, first: int, stride: int) -> dict[str, np.ndarray]:
    """Return what is known of z at the last step of every track of a block, and when: where rollouts begin.

    ``first``: frame of the movie in which the block begins.
    """
    found = filtered(law, rows)
    mean, deviation = moments(found.filtered, found.grid)
    last = np.append(~rows.joined[1:], True) & (rows.frame >= rows.frame.max() - 1)
    return {
        "hidden.start_particles": rows.particle[last].astype(float),
        "hidden.start_frames": (first + stride * rows.frame[last]).astype(float),
        "hidden.start_mean": mean[last],
        "hidden.start_deviation": deviation[last],
    }


def _stored(
    bundle: ModelBundle, encoder: StructureModel, full: Found, laws: dict[str, Found],
    gains: dict[str, Gain], *, used: bool, start: dict[str, np.ndarray], present: np.ndarray,
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
        | law_arrays(laws["spread"].law, prefix="ablation."),
        metrics=bundle.metrics | latent_metrics(full, gains, step=step, used=used, present=present),
        diagnostics=bundle.diagnostics
        | {"hidden_variable": _diagnostics(laws, gains, used=used)}
        | {"warnings": [*bundle.diagnostics.get("warnings", []), *_left_out(present)]},
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


def _left_out(present: np.ndarray) -> list[str]:
    return [
        f"Species {species} has no steps with a known neighbourhood (too few particles for an encoder?): its particles "
        "have no hidden variable and the same mobility all; record a wider view or set fit.hidden_variables = 0."
        for species in np.flatnonzero(~present)
    ]


def latent_metrics(
    full: Found, gains: dict[str, Gain], *, step: float, used: bool, present: np.ndarray
) -> dict[str, list[dict[str, Any]]]:
    """Return what metrics.json says of the hidden variable; of species that are ``present``."""
    law, widths, unit = full.law, full.half_widths, "nats per particle and step"
    said = "selection block, over mobilities that differ by chance from step to step"
    verdict = "" if used else "; no hidden variable worth having: rollouts do without it"

    def of(name: str, note: str) -> list[dict[str, Any]]:
        found = gains[name]
        return [metric(found.value, low90=found.low90, high90=found.high90, unit=unit, note=note)]

    low = high = None
    if widths is not None and full.free == FULL and law.memory_slope.max() > LEAST_SLOPE:
        low, high = (law.persistence * step * float(np.exp(sign * min(widths[-1], 50.0))) for sign in (-1, 1))
    metrics = {
        "latent_gain": of("full", f"{said}{verdict}"),
        "latent_gain_shuffled": of("shuffled", f"{said}; predicted s exchanged among particles of a frame, refitted"),
        "latent_gain_predicted": of("predicted", f"{said}; s predicted from the past, as a given variable"),
        "latent_gain_memory": of("memory", f"{said}; memory alone, without structure"),
        "latent_gain_over_one_mobility": of("over_none", "selection block, over one mobility per species"),
        "latent_persistence_time": [
            metric(law.persistence * step, low90=low, high90=high, unit="s", note="of the memory variable z")
        ],
    }
    metrics["latent_structure_share"] = [
        metric(float(share), species=species, note="of the variance of s, explained by the present structure")
        for species, share in enumerate(law.structure_share)
        if present[species]
    ]
    metrics["latent_spread"] = [
        metric(float(spread), species=species, note="standard deviation of the logarithm of the mobility")
        for species, spread in enumerate(law.spread)
        if present[species]
    ]
    return metrics


def hidden_model(bundle: ModelBundle) -> HiddenModel | None:
    """Return the dynamics with a hidden variable that a bundle holds, None where it was fitted without."""
    settings = bundle.config.get("hidden_variable")
    if settings is None:
        return None
    law = law_of_arrays(bundle.weights, prefix="hidden.")
    plain = model_from_bundle(bundle)
    arrays = {
        name.removeprefix("structure."): array
        for name, array in bundle.weights.items()
        if name.startswith("structure.")
    }
    factor = force_factor(law.diffusion, plain.diffusion, np.ones(len(plain.diffusion), dtype=bool))
    return HiddenModel(
        dynamics=replace(plain, diffusion=law.diffusion, coefficients=plain.coefficients * factor),
        law=law,
        plain=plain,
        ablation=law_of_arrays(bundle.weights, prefix="ablation."),
        structure=StructureModel.from_arrays(arrays, settings["structure"]),
        used=bool(settings["used"]),
        reliability=Reliability(
            share=bundle.weights["hidden.structure_share"], kept=bundle.weights["hidden.structure_kept"]
        ),
    )
