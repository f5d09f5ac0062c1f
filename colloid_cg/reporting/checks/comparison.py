"""Checks of experiment against rollouts, of the ledger, and of the structure and event stages."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.records import EventTable
from colloid_cg.reporting.checks.check import BAD, GOOD, LOOK, NOT_RUN, Check, judged
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.event_evidence import flags_of
from colloid_cg.reporting.numbers import percent, plain

RESIDUAL_GOOD, RESIDUAL_LOOK = 1e-8, 1e-3
EXTRAPOLATION_GOOD, EXTRAPOLATION_LOOK = 0.001, 0.02
NULL_GOOD, NULL_LOOK = 0.2, 0.5
INVERSION_GOOD, INVERSION_LOOK = 0.25, 1.0
FLAGGED_GOOD, FLAGGED_LOOK = 0.1, 0.3

_AGREEMENT = {
    "rdf": "Does the pair correlation agree?",
    "msd": "Does the mean squared displacement agree?",
    "van_hove": "Do the displacement distributions agree?",
}


def comparison_checks(assessment: dict[str, Any] | None) -> list[Check]:
    """Return the checks of rollouts against the test block."""
    if not assessment:
        question, found = "Do rollouts behave like the experiment?", "not compared yet"
        return [Check(question=question, found=found, expected="", verdict=NOT_RUN, section="comparison")]
    checks = [_agreement(question, assessment.get(name) or {}) for name, question in _AGREEMENT.items()]
    others = [network_check(assessment), inversion_line(assessment), residual_check(assessment)]
    return [*checks, *others, extrapolation_check(assessment), *model_event_checks(assessment)]


def model_event_checks(assessment: dict[str, Any]) -> list[Check]:
    """Does the model rearrange as often as the experiment, and does that depend on structure alike?"""
    events, question = assessment.get("events") or {}, "Does the model rearrange as often as the experiment?"
    expected = "ratio of rates within a factor of 1.5"
    if events.get("status") != "compared":
        found = events.get("status") or "not compared"
        return [Check(question=question, found=found, expected=expected, verdict=NOT_RUN, section="comparison")]
    found, verdict = events["sentences"][0], events["verdict"]
    checks = [Check(question=question, found=found, expected=expected, verdict=verdict, section="comparison")]
    for name, coupling in events["coupling"].items():
        difference = coupling["difference"]
        interval = f"{plain(difference['low90'], 2)} to {plain(difference['high90'], 2)}"
        checks.append(
            Check(
                question=f"Are events of the model preceded by the same {name} as those of the experiment?",
                found=f"{name} before events, over others: model less experiment {interval}"
                if difference["low90"] is not None
                else "too few events to tell",
                expected="ratio within a factor of 1.5 where the experiment shows a difference",
                verdict=coupling["verdict"],
                section="comparison",
            )
        )
    return checks


def network_check(assessment: dict[str, Any]) -> Check:
    """Is there anything in the motion that the pair potential does not predict?"""
    models = assessment.get("models") or {}
    question = "Does the model miss anything that a free network predicts?"
    reference = "pair potential" if len(models.get("models", ())) == 3 else "free diffusion"
    gains = [gain for gain in models.get("gains", ()) if (gain["model"], gain["over"]) == ("network", reference)]
    if not gains:
        found = models.get("note") or "not compared"
        return Check(question=question, found=found, expected="", verdict=NOT_RUN, section="comparison")
    low, high = float(gains[0]["low90"]), float(gains[0]["high90"])
    return Check(
        question=question,
        found=f"network over {reference}: {plain(low, 2)} to {plain(high, 2)} nats per particle and step",
        expected="not above zero",
        verdict=GOOD if low <= 0.0 else LOOK,
        section="comparison",
    )


def _agreement(question: str, comparison: dict[str, Any]) -> Check:
    error, reference = comparison.get("rrmse"), comparison.get("reference_rrmse")
    return Check(
        question=question,
        found=f"RRMSE {percent(error)}; experiment against itself {percent(reference)}",
        expected=f"at most {percent(comparison.get('allowed_rrmse'))}",
        verdict=comparison.get("verdict") or NOT_RUN,
        section="comparison",
    )


def inversion_line(assessment: dict[str, Any]) -> Check:
    """Does the fitted potential agree with -ln g(r) where that means something?"""
    inversion = assessment.get("inversion") or {}
    question = "Does the potential agree with the inversion of g(r)?"
    if inversion.get("status") != "compared":
        found = f"not applicable: {inversion.get('status') or 'not computed'}"
        return Check(question=question, found=found, expected="", verdict="not modelled", section="dynamics")
    difference, z = float(inversion["rms_difference"]), inversion.get("rms_z")
    verdict = judged(difference, good=INVERSION_GOOD, look=INVERSION_LOOK)
    if z is not None and z <= 2.0:
        verdict = GOOD
    return Check(
        question=question,
        found=f"root-mean-square difference {plain(difference, 2)} kT ({plain(z, 2)} standard errors)",
        expected=f"below {INVERSION_GOOD:g} kT or two errors (approximate: lowest order in density)",
        verdict=verdict,
        section="dynamics",
    )


def residual_check(assessment: dict[str, Any]) -> Check:
    """First law: energy + heat - work, per particle."""
    ledger = assessment.get("ledger") or {}
    residual = ledger.get("first_law_residual_per_particle")
    return Check(
        question="Does the ledger close (first law)?",
        found=f"largest residual {plain(residual, 2)} kT per particle",
        expected=f"below {plain(RESIDUAL_GOOD, 1)} (bookkeeping alone for overdamped motion)",
        verdict=NOT_RUN if residual is None else judged(residual, good=RESIDUAL_GOOD, look=RESIDUAL_LOOK),
        section="ledger",
    )


def extrapolation_check(assessment: dict[str, Any]) -> Check:
    """How much of a rollout is outside the range of the training data?"""
    found = assessment.get("extrapolation") or {}
    fraction, question = found.get("fraction"), "Do rollouts stay where the force was learned?"
    expected = f"below {percent(EXTRAPOLATION_GOOD)} of close pairs outside"
    if found.get("applies") is False:
        text = "the model has no pair force"
        return Check(question=question, found=text, expected=expected, verdict=GOOD, section="comparison")
    if fraction is None:
        text = "unknown: no range of training distances recorded, or no close pairs"
        return Check(question=question, found=text, expected=expected, verdict=LOOK, section="comparison")
    text = f"{percent(fraction)} of {found['pairs']:,} close pairs nearer than {plain(found['r_min'])} µm"
    verdict = judged(fraction, good=EXTRAPOLATION_GOOD, look=EXTRAPOLATION_LOOK)
    return Check(question=question, found=text, expected=expected, verdict=verdict, section="comparison")


def event_checks(content: ReportContent) -> list[Check]:
    """Return the checks on the null model behind the events, and on tracking errors among them."""
    if content.events is None:
        question, found = "Are rearrangements real?", "not searched for yet"
        return [Check(question=question, found=found, expected="", verdict=NOT_RUN, section="events")]
    fields = content.event_fields
    columns = [] if fields is None else p_value_columns(list(fields.columns))
    laws = content.events.metadata.get("fields") or {}
    if fields is None or not columns:
        question = "Does the null model describe quiet particles?"
        unknown = Check(question=question, found="no p-values", expected="", verdict=NOT_RUN, section="events")
        return [unknown, *flag_check(content.events)]
    checks = [null_check(name, fields[name].to_numpy(dtype=float), laws.get(name[:-2])) for name in columns]
    return [*checks, *flag_check(content.events)]


def flag_check(events: EventTable) -> list[Check]:
    """How many of the events may be errors of tracking? Nothing where no marks were looked for or nothing was found."""
    if not len(events) or "flags" not in events.table.columns:
        return []
    share = float((flags_of(events) != "").mean())
    found = f"{percent(share)} of {len(events):,} carry a mark of a suspected tracking error"
    return [
        Check(
            question="Are the events free of tracking errors?", found=found,
            expected=f"below {percent(FLAGGED_GOOD)}", section="events",
            verdict=judged(share, good=FLAGGED_GOOD, look=FLAGGED_LOOK),
        )
    ]  # fmt: skip


def p_value_columns(columns: list[str]) -> list[str]:
    """Return the names of the columns that hold p-values of single particles."""
    return [name for name in columns if name.endswith("_p") and name != "t1_p"]


def null_check(name: str, values: np.ndarray, law: dict[str, Any] | None = None) -> Check:
    """Are the p-values of quiet particles flat? Their density above one half is one if the null model is right.

    ``law`` is what the detector itself found on its null (``null_fit``, ``warnings``): where that says no, the
    verdict is not better than look.
    """
    values = values[np.isfinite(values)]
    density = float(2.0 * np.mean(values > 0.5)) if len(values) else np.nan
    verdict = judged(abs(density - 1.0), good=NULL_GOOD, look=NULL_LOOK) if len(values) else NOT_RUN
    found = f"density of p-values above ½: {plain(density)}"
    warnings = list((law or {}).get("warnings") or [])
    if warnings:
        found += f"; {warnings[0]}"
    if verdict == GOOD and law is not None and not law.get("null_fit", True):
        verdict = LOOK
    return Check(
        question=f"Does the null model of {name.removesuffix('_p')} describe quiet particles?",
        found=found,
        expected=f"1 within {NULL_GOOD:g} (below: p-values too small; above: cautious)",
        verdict=verdict,
        section="events",
    )


def structure_checks(content: ReportContent) -> list[Check]:
    """Return whether structural variables were computed."""
    question = "Is there hidden structure?"
    if content.fields is None:
        return [Check(question=question, found="not computed yet", expected="", verdict=NOT_RUN, section="structure")]
    species = (content.structure or {}).get("species")
    if not isinstance(species, dict):
        return []
    return [collapse_check(name, found) for name, found in sorted(species.items()) if "collapse" in found]


def collapse_check(species: str, found: dict[str, Any]) -> Check:
    """Does the latent carry information, or has it collapsed to a constant?"""
    collapse = found["collapse"]
    gain, over = collapse.get("gain_over_mean"), collapse.get("gain_over_principal_components")
    moves = collapse.get("gain_in_displacement") or 0.0
    ahead = (over or 0.0) >= 0.0 or moves > 0.0
    verdict = BAD if collapse.get("collapsed") else GOOD if ahead else LOOK
    return Check(
        question=f"Does the structural variable carry information (species {species})?",
        found=f"explains {percent(gain)} of held-out structure, {percent(over)} more than principal components; adds "
        f"{moves:.3f} nats to the log-likelihood of a displacement",
        expected="not collapsed; ahead of principal components or of particles that all move alike",
        verdict=verdict,
        section="structure",
    )
