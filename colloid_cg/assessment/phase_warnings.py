"""What a reader of an assessment of rollouts with velocities has to know before believing it."""

from __future__ import annotations

from typing import Any

from colloid_cg.assessment.agreement import BAD, STATIONARY_Z
from colloid_cg.assessment.warnings import EXTRAPOLATED

RESIDUAL = 1e-10
MOMENTUM = 1e-12
ABSORBED = 0.01
REDRAWN = 1e-4
TEMPERATURE = 0.02
_SIGNIFICANT, _RESOLVED = 3.0, 2.0
_NAMES = {
    "rdf": "pair correlation function",
    "msd": "mean squared displacement",
    "vacf": "velocity autocorrelation",
}


def phase_warnings(result: dict[str, Any]) -> list[str]:
    """Return whole sentences, most important first; none if there is nothing to warn of."""
    return [*_of_agreement(result), *_of_kinetics(result), *_of_laws(result["ledger"]), *_of_rollout(result)]


def _of_agreement(result: dict[str, Any]) -> list[str]:
    sentences = [
        f"The {name} of the rollouts differs from the test block by {100 * result[key]['rrmse']:.2g} % where "
        f"{100 * result[key]['allowed_rrmse']:.2g} % would be agreement."
        for key, name in _NAMES.items()
        if result[key]["verdict"] == BAD
    ]
    sentences += [
        f"The {name} of the first half of the test block differs from the second by "
        f"{result[key]['reference_rms_z']:.2g} standard errors: it is not stationary, or its structure outlives the "
        "block; error bars were enlarged accordingly."
        for key, name in _NAMES.items()
        if (result[key]["reference_rms_z"] or 0.0) > STATIONARY_Z
    ]
    return sentences


def _of_kinetics(result: dict[str, Any]) -> list[str]:
    found, sentences = result["kinetic"], []
    if "learned" in found:
        return _of_temperatures(found)
    if found["verdict"] == BAD:
        sentences.append(
            f"VACF(0) of the rollouts is {found['ratio']:.3f}({found['ratio_error']:.1g}) times that of equipartition."
        )
    apart = abs(found["temperature"] - 1.0)
    if apart > TEMPERATURE and not apart <= _SIGNIFICANT * found["temperature_error"]:
        sentences.append(
            f"The kinetic temperature of the rollouts is {found['temperature']:.3f} k_B T: "
            "they are too short to reach equilibrium from their first frame (simulate.frames), the time step is too "
            "long (simulate.substeps), or the dynamics does not keep equilibrium."
        )
    return sentences


def _of_temperatures(found: dict[str, Any]) -> list[str]:
    """Return what to say of a model without a single temperature: k_B T is that of the test block."""
    sentences, (low, high), seen = [], found["learned"], found["thermal_energy"]
    apart = abs(found["temperature"] - 1.0)
    if apart > TEMPERATURE and not apart <= _SIGNIFICANT * found["temperature_error"]:
        sentences.append(
            f"The kinetic temperature of the rollouts is {found['temperature']:.3f} times that of the test block: "
            "pressure, friction or heat capacity are off."
        )
    if not low <= seen <= high:
        sentences.append(
            f"The motion of the test block has k_B T = {seen:.3g}, and 90 % of the particles of the fit had {low:.3g} "
            f"to {high:.3g}: U(S, V) is an extrapolation there."
        )
    return sentences


def _of_laws(ledger: dict[str, Any]) -> list[str]:
    sentences = []
    if not ledger["first_law_residual_over_kinetic"] <= RESIDUAL:
        sentences.append(
            f"The first law is violated by up to {ledger['first_law_residual_over_kinetic']:.2g} of the kinetic energy."
        )
    if ledger["momentum_drift"] > MOMENTUM:
        sentences.append(f"Momentum drifts by up to {ledger['momentum_drift']:.2g} of sum m |v|.")
    share, error = (ledger[f"absorbed_per_10000_steps_over_kinetic{end}"] for end in ("", "_error"))
    if abs(share) - _RESOLVED * error > ABSORBED:
        sentences.append(
            f"The conservative steps err by {100 * abs(share):.2g} % of the kinetic energy in 10 000 steps, which the "
            "internal energy takes up: raise simulate.substeps."
        )
    if ledger["redrawn_share"] > REDRAWN:
        sentences.append(
            f"Noise was drawn again for {ledger['redrawn_share']:.2g} of all particle steps: the rollouts are biased."
        )
    return sentences


def _of_rollout(result: dict[str, Any]) -> list[str]:
    sentences, frames = [], result["frames"]
    fraction = result["extrapolation"]["fraction"]
    if fraction is not None and fraction > EXTRAPOLATED:
        sentences.append(
            f"{100 * fraction:.2g} % of the pair distances in rollouts are shorter than any seen in training: the "
            "force there is an extrapolation."
        )
    if frames["replicas"] == 1:
        sentences.append("A single rollout was made: the spread of the model is not known; use several replicas.")
    for reference in result["references"]:
        cut = [_NAMES[name] for name in reference["too_short"]]
        if cut:
            sentences.append(
                f"The rollouts are too short for the whole {' and '.join(cut)} of {reference['source']}: simulate "
                "longer (simulate.frames)."
            )
    return sentences
