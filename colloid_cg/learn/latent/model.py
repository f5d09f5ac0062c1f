"""The fitted dynamics with a hidden variable, and how a bundle holds it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from colloid_cg.dynamics import OverdampedModel
from colloid_cg.learn.bundle import model_from_bundle
from colloid_cg.learn.latent.law import LatentLaw
from colloid_cg.learn.latent.living import Reliability
from colloid_cg.learn.latent.rows import force_factor
from colloid_cg.records import ModelBundle
from colloid_cg.structure import StructureModel


@dataclass(frozen=True, kw_only=True, eq=False)
class HiddenModel:
    """Dynamics with a hidden variable.

    ``plain`` was fitted without it; ``dynamics`` has the pair force at the mean mobility; ``law`` says how the mobility
    depends on structure and memory, ``ablation`` is the law without s, both of displacements as measured (drift removal
    left ``kept_share`` of the motion in them), ``living`` that of rollouts. ``structure`` is the encoder,
    ``reliability`` says how well it knows structure. ``used``: s is worth having.
    """

    plain: OverdampedModel
    dynamics: OverdampedModel
    law: LatentLaw
    ablation: LatentLaw
    structure: StructureModel
    used: bool
    reliability: Reliability
    kept_share: float = 1.0

    @property
    def living(self) -> LatentLaw:
        """The law of all of the motion."""
        return self.law.corrected(self.kept_share)


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
    share = float(bundle.config.get("drift_kept_share", 1.0))
    diffusion = law.corrected(share).diffusion
    factor = force_factor(diffusion, plain.diffusion)
    return HiddenModel(
        dynamics=replace(plain, diffusion=diffusion, coefficients=plain.coefficients * factor),
        law=law,
        plain=plain,
        ablation=law_of_arrays(bundle.weights, prefix="ablation."),
        structure=StructureModel.from_arrays(arrays, settings["structure"]),
        used=bool(settings["used"]),
        kept_share=share,
        reliability=Reliability(
            share=bundle.weights["hidden.structure_share"], kept=bundle.weights["hidden.structure_kept"]
        ),
    )


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
