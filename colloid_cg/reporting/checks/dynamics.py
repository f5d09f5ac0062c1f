"""Checks on the fitted dynamics."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from colloid_cg.assessment import force_is_used, interaction_range
from colloid_cg.records import ModelBundle
from colloid_cg.reporting.checks.check import (
    BAD,
    GOOD,
    LOOK,
    NORMAL_90,
    NOT_MODELLED,
    NOT_RUN,
    Check,
    entries,
    judged,
    standard_error,
)
from colloid_cg.reporting.figures.style import floats
from colloid_cg.reporting.numbers import exact, percent, plain, with_interval

LEAST_GAIN = 6.0
SIGMA_GOOD, SIGMA_LOOK = 1.25, 2.0
INNOVATION_GOOD, INNOVATION_LOOK = 0.02, 0.05
KURTOSIS_GOOD, KURTOSIS_LOOK = 0.3, 1.5
FLAT_GOOD, FLAT_LOOK = 0.05, 0.15
Z_GOOD, Z_LOOK = 2.0, 4.0


def dynamics_checks(model: ModelBundle | None) -> list[Check]:
    """Return the checks on regime, diffusion, noise, innovations and force."""
    if model is None:
        missing = "no model yet"
        return [
            Check(
                question="Is the dynamics known?", found=missing, expected="a fit", verdict=NOT_RUN, section="dynamics"
            )
        ]
    found = [regime_check(model), half_rate_check(model), flat_check(model), sigma_check(model)]
    found += [stride_check(model), innovation_check(model), kurtosis_check(model), gain_check(model)]
    return [check for check in found if check is not None]


def regime_check(model: ModelBundle) -> Check | None:
    """Overdamped or underdamped: does the decision follow from the gain in log-likelihood of the inertial law?

    The overdamped law is a limit of the inertial one, so the gain is never negative; it has to exceed the margin that
    the fit derives from its spread over blocks of time (at least six nats) to speak for inertia.
    """
    regime = entries(model, "regime")
    if not regime:
        return None
    evidence, name = model.diagnostics.get("regime") or {}, str(regime[0]["value"])
    scores, verdict, found = evidence.get("log_likelihood") or {}, LOOK, name
    if scores.get("overdamped") is not None and scores.get("underdamped") is not None:
        gain = float(scores["underdamped"]) - float(scores["overdamped"])
        needed = float(evidence.get("margin") or LEAST_GAIN)
        found += f"; an inertial law gains {plain(gain)} nats, {plain(needed)} would speak for it"
        significant = gain > needed
        verdict = GOOD if significant == name.startswith("under") else LOOK
    return Check(
        question="Which regime is the motion in?",
        found=found,
        expected="a gain on the side of the decision; else see why the fit decided otherwise",
        verdict=verdict,
        section="dynamics",
    )


def stride_check(model: ModelBundle) -> Check | None:
    """Could consecutive frames be used, or do they repeat each other (temporal filters, compression, slow flow)?"""
    stride = model.diagnostics.get("stride") or {}
    frames = stride.get("frames")
    if frames is None:
        return None
    found = "every frame is used" if frames == 1 else f"one frame in {frames} is used: {stride.get('reason', '')}"
    return Check(
        question="Are consecutive frames independent recordings?",
        found=found,
        expected="yes: else a filter or compression mixes frames, or a flow carries the particles",
        verdict=GOOD if frames == 1 else LOOK,
        section="dynamics",
    )


def half_rate_check(model: ModelBundle) -> Check | None:
    """Does every other frame give the same D? (The variance of the difference is at most that at half rate.)"""
    half, fitted = model.diagnostics.get("half_rate") or {}, entries(model, "diffusion_coefficient")
    if half.get("value") is None or not fitted:
        return None
    difference, error = abs(float(half["value"]) - fitted[0]["value"]), standard_error(half)
    relative = difference / abs(fitted[0]["value"])
    verdict = judged(relative, good=FLAT_GOOD, look=FLAT_LOOK)
    if error:
        verdict = min(verdict, judged(difference / error, good=Z_GOOD, look=Z_LOOK), key=(GOOD, LOOK, BAD).index)
    return Check(
        question="Is D the same at half the frame rate of the fit?",
        found=f"{_half_rate_text(half)}, {percent(relative)} off",
        expected=f"{plain(fitted[0]['value'])} µm²/s within errors or {percent(FLAT_GOOD)}",
        verdict=verdict,
        section="dynamics",
    )


def flat_check(model: ModelBundle) -> Check | None:
    """Is D the same at every lag? Interactions and confinement bend it, so it is a question, not a law."""
    curve, fitted = model.diagnostics.get("diffusion_against_lag") or {}, entries(model, "diffusion_coefficient")
    values = floats(curve.get("value"))
    if not np.isfinite(values).any() or not fitted:
        return None
    # The curve pools all species: with several it can only be compared with itself.
    centre = fitted[0]["value"] if len(fitted) == 1 else float(np.nanmedian(values))
    error = (floats(curve.get("high90")) - floats(curve.get("low90"))) / (2.0 * NORMAL_90)
    relative = np.abs(values - centre) / abs(centre)
    scores = np.abs(values - centre) / np.where(error > 0, error, np.nan) if len(error) == len(values) else relative / 0
    worst = int(np.nanargmax(relative))
    verdicts = [
        min(
            judged(float(share), good=FLAT_GOOD, look=FLAT_LOOK),
            judged(float(score), good=Z_GOOD, look=Z_LOOK) if np.isfinite(score) else BAD,
            key=(GOOD, LOOK, BAD).index,
        )
        for share, score in zip(relative, scores, strict=True)
        if np.isfinite(share)
    ]
    verdict = max(verdicts, key=(GOOD, LOOK, BAD).index)
    expected = "flat within errors: else forces, confinement or memory that the model must explain"
    if model.diagnostics.get("trap_warnings") and not model.config.get("fields"):
        expected = (
            'flat within errors; it falls as in a trap: where each particle sits in a well, use fit.traps = "each"'
        )
    if force_is_used(model) and verdict == BAD:
        # A pair force bends the curve by itself; whether it explains the bend is what the rollouts' MSD says.
        verdict = LOOK
        expected = "bent by the pair force that was found: the mean squared displacement of the rollouts must agree"
    return Check(
        question="Is D the same at every lag?",
        found=f"between {plain(np.nanmin(values))} and {plain(np.nanmax(values))} µm²/s; largest deviation "
        f"{percent(float(relative[worst]))}",
        expected=expected,
        verdict=verdict,
        section="dynamics",
    )


def sigma_check(model: ModelBundle) -> Check | None:
    """Does the localisation error that tracking states agree with the one the dynamics sees?"""
    sigma = model.diagnostics.get("stated_sigma") or {}
    stated, fitted = sigma.get("stated_variance"), sigma.get("fitted_variance")
    question = "Is the stated localisation error right?"
    if fitted is None:
        return None
    if not stated or fitted <= 0.0:
        found = "tracking states none" if not stated else "fitted variance not above zero"
        found += f"; fitted variance {plain(float(fitted))} µm²"
        return Check(question=question, found=found, expected="both, equal", verdict=LOOK, section="dynamics")
    ratio = float(np.sqrt(stated / fitted))
    return Check(
        question=question,
        found=f"stated {_nanometres(stated)}, fitted {_nanometres(fitted)}: ratio {plain(ratio)}",
        expected=f"ratio between {plain(1 / SIGMA_GOOD, 2)} and {plain(SIGMA_GOOD, 3)}",
        verdict=judged(max(ratio, 1 / ratio), good=SIGMA_GOOD, look=SIGMA_LOOK),
        section="dynamics",
    )


def innovation_check(model: ModelBundle) -> Check | None:
    """Are the one-step prediction errors white?"""
    innovations = model.diagnostics.get("innovations") or {}
    values = np.abs(floats(innovations.get("autocorrelation")))
    lags = floats(innovations.get("lags"))
    values = values[lags != 0] if len(lags) == len(values) else values
    if not np.isfinite(values).any():
        return None
    band = float(np.nanmax(floats(np.atleast_1d(innovations.get("band") or 0.0))))
    worst = float(np.nanmax(values))
    return Check(
        question="Are the innovations white?",
        found=f"largest autocorrelation {plain(worst, 2)} (90 % band of white noise ± {plain(band, 2)})",
        expected=f"below {plain(max(INNOVATION_GOOD, 1.3 * band), 2)}",
        verdict=judged(worst, good=max(INNOVATION_GOOD, 1.3 * band), look=max(INNOVATION_LOOK, 2.5 * band)),
        section="dynamics",
    )


def kurtosis_check(model: ModelBundle) -> Check | None:
    """Are the one-step prediction errors Gaussian? Mixtures of fast and slow particles have fat tails."""
    value = (model.diagnostics.get("innovations") or {}).get("kurtosis")
    if value is None:
        return None
    return Check(
        question="Are the innovations Gaussian?",
        found=f"kurtosis {plain(float(value))}",
        expected=f"3 within {KURTOSIS_GOOD:g}: fat tails are different particles, wrong links or hops",
        verdict=judged(abs(float(value) - 3.0), good=KURTOSIS_GOOD, look=KURTOSIS_LOOK),
        section="dynamics",
    )


def pair_gain(model: ModelBundle) -> dict[str, Any] | None:
    """Return the held-out gain of pair terms: of an inertial fit over free inertial particles, not over diffusion."""
    found = model.diagnostics.get("pair_gain")
    if found is not None:
        return {"unit": "nats per particle and step", **found}
    gain = entries(model, "log_likelihood_gain")
    return gain[0] if gain else None


def force_resolved(model: ModelBundle) -> bool:
    """Return whether a pair force is supported: held-out gain above zero with its interval, band off zero somewhere."""
    gain = pair_gain(model)
    if not gain or gain["value"] <= 0.0 or (gain["low90"] is not None and gain["low90"] <= 0.0):
        return False
    return interaction_range(model.pair_force) > 0.0


def imitates_wells(model: ModelBundle) -> bool:
    """Return whether the fit warned that its pair force stands for wells that were not given."""
    return bool(model.diagnostics.get("trap_warnings")) and not model.config.get("fields")


def gain_measured(entry: dict[str, Any]) -> bool:
    """Return whether a pair force was fitted at all: without one the gain is 0 and has no interval."""
    return bool(entry["value"] != 0.0 or entry["low90"] is not None)


def gain_check(model: ModelBundle) -> Check | None:
    """Does the pair force predict frames it was not fitted to better than no force?"""
    entry = pair_gain(model)
    if not entry:
        return None
    text = with_interval(entry["value"], entry["low90"], entry["high90"], entry["unit"])
    question = "Does a pair force predict held-out frames better?"
    if not gain_measured(entry):
        return Check(
            question=question,
            found=entry.get("note") or "no pair force could be fitted",
            expected="above zero if a force is claimed",
            verdict=NOT_MODELLED,
            section="dynamics",
        )
    resolved = force_resolved(model)
    if resolved and imitates_wells(model):
        return Check(
            question=question,
            found=Markup("gain {}, but the force may only imitate wells").format(exact(entry["value"], text)),
            expected='a gain over wells too: fit again with fit.traps = "each"',
            verdict=BAD,
            section="dynamics",
        )
    return Check(
        question=question,
        found=Markup("gain {}: {}").format(
            exact(entry["value"], text), "a pair force is resolved" if resolved else "no pair force is resolved"
        ),
        expected="above zero if a force is claimed",
        verdict=GOOD if resolved or entry["value"] == 0.0 else LOOK,
        section="dynamics",
    )


def _half_rate_text(half: dict[str, Any]) -> str:
    return with_interval(half["value"], half.get("low90"), half.get("high90"), "um2/s")


def _nanometres(variance: float) -> str:
    """Return the root of a variance in um2 as nanometres."""
    return f"{plain(float(np.sqrt(variance)) * 1e3)} nm"


QUESTIONS = {
    "non-conservative": ("Are there non-conservative or active forces?", "every force comes from a potential"),
    "hydrodynamic": ("Do hydrodynamic interactions and walls matter?", "one mobility per species, no coupling"),
    "memory": ("Do the particles remember (memory kernel)?", "Markov between frames"),
    "movies": ("Do several movies agree?", "one movie per run"),
}
"""What a referee asks beyond the checks: keyword, question, and the answer where the fit gives none of its own."""


def unmodelled_checks(model: ModelBundle | None, rollout_metadata: dict[str, Any] | None) -> list[Check]:
    """Return the questions that this version answers with "not modelled"; what the fit says itself comes first."""
    stated = [] if model is None else [str(item) for item in model.diagnostics.get("not_modelled") or []]
    rows = [(item[:1].upper() + item[1:], "left out by the fit") for item in stated]
    rows += [row for keyword, row in QUESTIONS.items() if not any(keyword in item.lower() for item in stated)]
    if not (rollout_metadata or {}).get("parameter_uncertainty"):
        rows.append(("Do rollouts carry the uncertainty of the parameters?", "best values only"))
    return [
        Check(question=question, found=found, expected="", verdict=NOT_MODELLED, section="dynamics")
        for question, found in rows
    ]
