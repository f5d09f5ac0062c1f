"""Checks of a run that was imported from a simulation."""

from __future__ import annotations

from typing import Any

from colloid_cg.assessment import interaction_range
from colloid_cg.learn.kinds import HIDDEN_ENTROPY, in_phase_space
from colloid_cg.records import ModelBundle
from colloid_cg.reporting.checks.check import BAD, GOOD, LOOK, NOT_MODELLED, NOT_RUN, Check, entries, judged
from colloid_cg.reporting.checks.comparison import comparison_checks
from colloid_cg.reporting.checks.dynamics import dynamics_checks, unmodelled_checks
from colloid_cg.reporting.checks.hidden_entropy import hidden_entropy_checks, learned_there
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.numbers import percent, plain, with_interval

TEMPERATURE_GOOD, TEMPERATURE_LOOK = 0.01, 0.05
HEAT_GOOD, HEAT_LOOK = 0.02, 0.05
PLATEAU_GOOD, PLATEAU_LOOK = 0.15, 0.4
VELOCITY_GOOD, VELOCITY_LOOK = 0.02, 0.1
RESIDUAL_GOOD, RESIDUAL_LOOK = 1e-10, 1e-6
MOMENTUM_GOOD, MOMENTUM_LOOK = 1e-12, 1e-6
ABSORBED_GOOD, ABSORBED_LOOK = 0.01, 0.05
REDRAWN_GOOD, REDRAWN_LOOK = 1e-4, 1e-2
_SIGNIFICANT = 3.0
_REFERENCE = {"rdf": ("pair correlation", 0.03), "msd": ("mean squared displacement", 0.03),
              "vacf": ("velocity autocorrelation", 0.05)}  # fmt: skip
_AGREEMENT = {
    "rdf": "Does the pair correlation agree?",
    "msd": "Does the mean squared displacement agree?",
    "vacf": "Does the velocity autocorrelation agree?",
}


def simulation_checks(content: ReportContent) -> list[Check]:
    """Return the checks in the order in which a reader asks them."""
    model, metadata = content.model, None if content.rollout is None else dict(content.rollout.metadata)
    if model is None:
        return dynamics_checks(None)
    if not in_phase_space(model.config):
        left = unmodelled_checks(model, metadata)
        return [*dynamics_checks(model), *comparison_checks(content.assessment), *left]
    rows = [(item[:1].upper() + item[1:], "left out by the fit") for item in model.diagnostics["not_modelled"]]
    rows.append(("Do rollouts carry the uncertainty of the parameters?", "best values only"))
    return [
        *fit_checks(model),
        *(_rollout_checks(content.assessment) if content.assessment else [_not_compared()]),
        *(_check(question, found, "", NOT_MODELLED, "dynamics") for question, found in rows),
    ]


def fit_checks(model: ModelBundle) -> list[Check]:
    """Return the checks of the data and the fit."""
    found = model.diagnostics
    slope = found.get("velocity_slope")
    checks = [] if slope is None else [_check(
        "Are the velocities those of the positions?", f"displacements are {plain(slope, 4)} times velocity x time",
        f"1 within {percent(VELOCITY_GOOD)}: else units or frame interval are wrong",
        judged(abs(slope - 1.0), good=VELOCITY_GOOD, look=VELOCITY_LOOK), "dynamics",
    )]  # fmt: skip
    if model.config["kind"] == HIDDEN_ENTROPY:
        return [*checks, *hidden_entropy_checks(model)]
    return [*checks, _temperature(model), _levels_off(model), _settled(model), _resolved(model)]


def _temperature(model: ModelBundle) -> Check:
    seen, energy = model.diagnostics["kinetic_temperature"], float(model.config["thermal_energy"])
    value, error = float(seen["value"]) / energy, (seen["standard_error"] or 0.0) / energy
    apart = abs(value - 1.0)
    verdict = GOOD if apart <= _SIGNIFICANT * error else judged(apart, good=TEMPERATURE_GOOD, look=TEMPERATURE_LOOK)
    known = model.config["thermal_energy_from"] == "given"
    return _check(
        "Is the training block at its temperature?",
        f"kinetic temperature {plain(value, 4)} k_B T, standard error {plain(error, 2)}"
        + ("" if known else " (k_B T is taken from it)"),
        f"1 within three errors or {percent(TEMPERATURE_GOOD)}" + ("" if known else ", of a k_B T given with the data"),
        verdict if known else LOOK, "dynamics",
    )  # fmt: skip


def _levels_off(model: ModelBundle) -> Check:
    scan, fitted = model.diagnostics["friction_scan"], entries(model, "friction")[0]
    apart = abs(fitted["value"] / scan["plateau"] - 1.0) if scan["plateau"] > 0.0 else 1.0
    return _check(
        "Does the friction level off with the lag?",
        f"fit {with_interval(fitted['value'], fitted['low90'], fitted['high90'])}, plateau of exponential memory "
        f"{plain(scan['plateau'])}, one frame alone {plain(scan['value'][0])}",
        f"fit and plateau within {percent(PLATEAU_GOOD)}", judged(apart, good=PLATEAU_GOOD, look=PLATEAU_LOOK),
        "dynamics",
    )  # fmt: skip


def _settled(model: ModelBundle) -> Check:
    settled = bool(model.diagnostics["converged"])
    found = "they settled" if settled else "they did not"
    return _check("Did friction and random impulses settle?", found, "yes", GOOD if settled else BAD, "dynamics")


def _resolved(model: ModelBundle) -> Check:
    reach = interaction_range(model.pair_force)
    found = f"90 % band off zero up to r = {plain(reach)}" if reach > 0.0 else "its band holds zero everywhere"
    return _check(
        "Is a pair force resolved?", found, "off zero if a force is claimed", GOOD if reach > 0.0 else LOOK, "dynamics"
    )


def _rollout_checks(assessment: dict[str, Any]) -> list[Check]:
    checks = [
        _check(
            question,
            f"RRMSE {percent(assessment[name]['rrmse'])}; test block against itself "
            f"{percent(assessment[name]['reference_rrmse'])}",
            f"at most {percent(assessment[name]['allowed_rrmse'])}", assessment[name]["verdict"], "comparison",
        )
        for name, question in _AGREEMENT.items()
    ]  # fmt: skip
    for reference in assessment["references"]:
        checks += [_of_reference(reference, name) for name in _REFERENCE if name in reference]
    return [
        *checks,
        *_kinetic_checks(assessment["kinetic"]),
        *_law_checks(assessment["ledger"]),
        *([_extrapolation(assessment)] if assessment["extrapolation"].get("applies", True) else []),
    ]


def _of_reference(reference: dict[str, Any], name: str) -> Check:
    words, allowed = _REFERENCE[name]
    curve, short = reference[name], name in reference["too_short"]
    noise = curve["model_rrmse_of_noise"]
    verdict = NOT_RUN if curve["rrmse"] is None else judged(curve["rrmse"], good=allowed, look=2.0 * allowed)
    if verdict == BAD and noise is not None and curve["rrmse"] <= 2.0 * noise:
        verdict = LOOK
    return _check(
        f"Does the {words} agree with {reference['source']}?",
        f"RRMSE {percent(curve['rrmse'])}, of which standard errors of the rollouts make {percent(noise)}"
        + ("; the rollouts do not reach its end" if short else ""),
        f"at most {percent(allowed)}", LOOK if short and verdict == GOOD else verdict, "comparison",
    )  # fmt: skip


def _kinetic_checks(found: dict[str, Any]) -> list[Check]:
    error, apart = found["temperature_error"] or 0.0, abs(found["temperature"] - 1.0)
    if "learned" in found:
        return [_as_hot(found, apart, error), learned_there(found)]
    hot = GOOD if apart <= _SIGNIFICANT * error else judged(apart, good=TEMPERATURE_GOOD, look=TEMPERATURE_LOOK)
    return [
        _check(
            "Is VACF(0) that of equipartition?",
            f"{plain(found['ratio'])} times kT⟨1/m⟩, standard error {plain(found['ratio_error'], 2)}", "1 within 2 %",
            found["verdict"], "comparison",
        ),
        _check(
            "Do rollouts keep their temperature?",
            f"kinetic temperature {plain(found['temperature'], 4)} k_B T, standard error {plain(error, 2)}",
            f"1 within three errors or {percent(TEMPERATURE_GOOD)}", hot, "ledger",
        ),
    ]  # fmt: skip


def _as_hot(found: dict[str, Any], apart: float, error: float) -> Check:
    return _check(
        "Are rollouts as hot as the test block?",
        f"kinetic temperature {plain(found['temperature'], 4)} times that of the test block, standard error "
        f"{plain(error, 2)}",
        f"1 within three errors or {percent(HEAT_GOOD)}",
        GOOD if apart <= _SIGNIFICANT * error else judged(apart, good=HEAT_GOOD, look=HEAT_LOOK), "comparison",
    )  # fmt: skip


def _law_checks(ledger: dict[str, Any]) -> list[Check]:
    limits = (
        ("Is energy conserved (first law)?", "first_law_residual_over_kinetic", "of the kinetic energy", RESIDUAL_GOOD,
         RESIDUAL_LOOK),
        ("Is momentum conserved?", "momentum_drift", "of Σ m|v|", MOMENTUM_GOOD, MOMENTUM_LOOK),
        ("Is the noise what it should be?", "redrawn_share", "of particle-steps drawn again", REDRAWN_GOOD,
         REDRAWN_LOOK),
    )  # fmt: skip
    checks = [
        _check(
            question, f"{plain(ledger[name], 2)} {words}", f"at most {plain(good, 1)}",
            NOT_RUN if ledger[name] is None else judged(ledger[name], good=good, look=look), "ledger",
        )
        for question, name, words, good, look in limits
    ]  # fmt: skip
    return [*checks[:2], _absorbed(ledger), *checks[2:]]


def _absorbed(ledger: dict[str, Any]) -> Check:
    """Does the drift of the conservative steps stay small? A short run may not be able to tell."""
    rate = abs(ledger["absorbed_per_10000_steps_over_kinetic"])
    error = ledger["absorbed_per_10000_steps_over_kinetic_error"] or 0.0
    verdict = judged(rate, good=ABSORBED_GOOD, look=ABSORBED_LOOK)
    if verdict == BAD and rate - 2.0 * error <= ABSORBED_LOOK:
        verdict = LOOK
    return _check(
        "How much error do the conservative steps hide in the internal energy?",
        f"{plain(rate, 2)} of the kinetic energy in 10⁴ steps, standard error {plain(error, 2)}",
        f"at most {plain(ABSORBED_GOOD, 1)}", verdict, "ledger",
    )  # fmt: skip


def _extrapolation(assessment: dict[str, Any]) -> Check:
    found = assessment["extrapolation"]
    question, expected = "Do rollouts stay where the force was learned?", "below 0.1 % of close pairs outside"
    if found["fraction"] is None:
        return _check(question, "no close pairs", expected, LOOK, "comparison")
    text = f"{percent(found['fraction'])} of {found['pairs']:,} close pairs nearer than {plain(found['r_min'])}"
    return _check(question, text, expected, judged(found["fraction"], good=0.001, look=0.02), "comparison")


def _not_compared() -> Check:
    return _check("Do rollouts behave like the simulation?", "not compared yet", "", NOT_RUN, "comparison")


def _check(question: str, found: str, expected: str, verdict: str, section: str) -> Check:
    return Check(question=question, found=found, expected=expected, verdict=verdict, section=section)
