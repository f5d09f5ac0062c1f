"""What a reader of an assessment has to know before believing it."""

from __future__ import annotations

from typing import Any

from colloid_cg.assessment.agreement import STATIONARY_Z
from colloid_cg.records import Trajectories

EXTRAPOLATED = 0.01
RESIDUAL_PER_PARTICLE = 1e-9

_NAMES = {
    "rdf": "pair correlation function",
    "msd": "mean squared displacement",
    "van_hove": "displacement distribution",
}


def warnings_of(result: dict[str, Any], test: Trajectories) -> list[str]:
    """Return whole sentences, most important first; none if there is nothing to warn of."""
    sentences = [
        f"The {name} of the rollouts differs from the experiment by {100 * result[key]['rrmse']:.2g} % "
        f"where {100 * result[key]['allowed_rrmse']:.2g} % would be agreement."
        for key, name in _NAMES.items()
        if result[key]["verdict"] == "bad"
    ]
    sentences += [
        f"The {_NAMES[key]} of the first half of the test block differs from the second by "
        f"{result[key]['reference_rms_z']:.2g} standard errors: the experiment is not stationary, "
        "or its structure outlives the block; error bars were enlarged accordingly."
        for key in ("rdf", "msd")
        if (result[key]["reference_rms_z"] or 0.0) > STATIONARY_Z
    ]
    sentences += _of_rollout(result)
    if test.table["species"].nunique() > 1:
        sentences.append("All species are pooled in these comparisons; agreement species by species was not tested.")
    return sentences


def _of_rollout(result: dict[str, Any]) -> list[str]:
    sentences = []
    extrapolated = result["extrapolation"]["fraction"]
    if not result["extrapolation"]["applies"]:
        sentences.append("The model has no pair force: rollouts are free diffusion from the first frame of the block.")
    elif extrapolated is None:
        sentences.append("Whether rollouts leave the range of the training data is unknown: no range was recorded.")
    elif extrapolated > EXTRAPOLATED:
        sentences.append(
            f"{100 * extrapolated:.2g} % of the pair distances in rollouts are shorter than any seen in training: "
            "the force there is an extrapolation."
        )
    if result["noise_is_negative"]:
        sentences.append(
            "The fitted localisation variance is negative (blur or correlated frames exceed the noise): rollouts were "
            "observed without blur and without noise, so that their displacements at short lags come out too large."
        )
    residual = result["ledger"]["first_law_residual_per_particle"]
    if not residual <= RESIDUAL_PER_PARTICLE:
        sentences.append(f"The first law is violated by up to {residual:.2g} k_B T0 per particle.")
    if result["frames"]["replicas"] == 1:
        sentences.append("A single rollout was made: the spread of the model is not known; use several replicas.")
    frames = result["frames"]
    if frames["rollout"] < frames["experiment"]:
        sentences.append(
            f"Rollouts are shorter ({frames['rollout']} frames) than the test block ({frames['experiment']})."
        )
    return sentences
