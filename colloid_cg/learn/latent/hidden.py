"""A hidden structural variable on top of fitted overdamped dynamics: learned, weighed against its absence, kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.learn.bundle import model_from_bundle
from colloid_cg.learn.checkpoint import Checkpoint
from colloid_cg.learn.latent.ablation import LAWS, Gain, as_table, fit_laws, shuffled_worth, worth
from colloid_cg.learn.latent.law import LatentLaw
from colloid_cg.learn.latent.living import followed, reliability
from colloid_cg.learn.latent.maximum import Found, with_errors
from colloid_cg.learn.latent.metrics import latent_metrics, left_out
from colloid_cg.learn.latent.model import law_arrays, law_of_arrays
from colloid_cg.learn.latent.prepare import at_the_end, last_frames, leading, rows_of, structure_of
from colloid_cg.learn.latent.refine import FEWEST_PARTICLES, refined
from colloid_cg.learn.latent.rows import (
    LatentRows,
)
from colloid_cg.progress import Progress, silent
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.seeding import generator
from colloid_cg.states import from_trajectories
from colloid_cg.structure import StructureConfig, fit_structure

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
    block = _Blocks(bundle, train, select, structure or StructureConfig(), seed)
    block.enough()
    progress(1, len(LAWS) + 3)
    plain = _laws(ABLATIONS, block.train, bundle, checkpoint, progress)
    block.refine(plain["memory"].law)
    laws = plain | _laws(("full",), block.train, bundle, checkpoint, progress)
    gains = worth(laws, block.select)
    full = with_errors(laws["full"], block.train)
    gains |= shuffled_worth(laws, block.train, block.select, rng=generator(seed, "shuffled hidden variable"))
    progress(len(LAWS) + 3, len(LAWS) + 3)
    return _stored(block, full, laws, gains, start=block.end(full.law, select))


class _Blocks:
    """Both blocks as the filter reads them, and the encoder their structure is from."""

    def __init__(
        self, bundle: ModelBundle, train: Trajectories, select: Trajectories, structure: StructureConfig, seed: int
    ) -> None:
        self.bundle, self.model, self.seed = bundle, model_from_bundle(bundle), seed
        self.most = int(bundle.config["fit"]["maximum_detections"])
        self.tracks = tuple(leading(each, self.most) for each in (train, select))
        self.encoder = fit_structure(self.tracks[0], structure, rng=seed)
        self.present = np.ones(int(bundle.config["n_species"]), dtype=bool)
        self._read(structure_of(self.encoder, self.tracks[0]))

    def _read(self, structure: np.ndarray) -> None:
        """Read both blocks; ``structure`` (n, k) is that of the training block."""
        share = float(self.bundle.config.get("drift_kept_share", 1.0))
        self.structure = structure
        self.reliability = reliability(
            self.encoder, self.tracks[0], structure, n_species=len(self.present),
            localisation_variance=float(self.bundle.weights["localisation_variance"][0]) / share,
            rng=generator(self.seed, "noise of structure"),
        )  # fmt: skip
        self.train, self.present = self._rows(self.tracks[0], structure).without_rare(FEWEST_PARTICLES)
        self.select = self._rows(self.tracks[1], structure_of(self.encoder, self.tracks[1]))

    def _rows(self, tracks: Trajectories, structure: np.ndarray) -> LatentRows:
        known = followed(structure, from_trajectories(tracks), self.reliability)
        rows = rows_of(self.bundle, self.model, tracks, known)
        return rows.taken(self.present[rows.species])

    def refine(self, memory: LatentLaw) -> None:
        """Train the encoder on the posterior that memory alone finds, where it has one latent and there is memory."""
        if self.encoder.latents > 1 or not float(memory.memory_slope.max()) > 0.0:
            return
        better = refined(self.encoder, self.tracks[0], self.structure, self.train, memory)
        if better is not None:
            self.encoder = better[0]
            self._read(better[1])

    def enough(self) -> None:
        """Raise a DataError where there are too few steps."""
        both = (("training", self.train, FEWEST_ROWS), ("selection", self.select, FEWEST_ROWS // 2))
        for name, rows, least in both:
            joined = int(rows.joined.sum())
            if joined < least:
                raise DataError(
                    f"{joined} consecutive steps with a complete neighbourhood in the {name} block",
                    expected=f"at least {least} to learn a hidden variable from",
                    action="record longer or a wider view, lower structure.cutoff, or set fit.hidden_variables = 0",
                )

    def end(self, law: LatentLaw, select: Trajectories) -> dict[str, np.ndarray]:
        """Return what is known of z at the end of the selection block, all of which is ``select``."""
        late = last_frames(select, self.most)
        rows = self.select if late is select else self._rows(late, structure_of(self.encoder, late))
        stride = int(self.bundle.config["stride"])
        return at_the_end(law, rows, first=int(late.table["frame"].min()), stride=stride)


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


def _stored(
    block: _Blocks, full: Found, laws: dict[str, Found], gains: dict[str, Gain], *, start: dict[str, np.ndarray]
) -> ModelBundle:
    bundle, known, used = block.bundle, block.reliability, gains["full"].low90 > 0.0
    arrays, document = block.encoder.to_arrays()
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
        | {"hidden.structure_share": known.share, "hidden.structure_kept": known.kept}
        | law_arrays(laws["spread"].law, prefix="ablation."),
        metrics=bundle.metrics | latent_metrics(full, gains, step=step, used=used, present=block.present),
        diagnostics=bundle.diagnostics
        | {"hidden_variable": _diagnostics(laws, gains, used=used)}
        | {"warnings": [*bundle.diagnostics.get("warnings", []), *left_out(block.present)]},
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
