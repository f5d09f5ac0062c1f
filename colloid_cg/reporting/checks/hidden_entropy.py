"""Checks of the fit of hidden entropies."""

from __future__ import annotations

from typing import Any

from colloid_cg.records import ModelBundle
from colloid_cg.reporting.checks.check import BAD, GOOD, LOOK, Check, entries, judged
from colloid_cg.reporting.numbers import percent, plain, with_interval

INNOVATION_GOOD, INNOVATION_LOOK = 0.05, 0.2
CERTAIN_GOOD, CERTAIN_LOOK = 0.2, 0.5
RESOLVED_GOOD, RESOLVED_LOOK = 0.1, 0.2


def hidden_entropy_checks(model: ModelBundle) -> list[Check]:
    """Return the checks of the fit: its certainty, the width of its innovations, fast enough frames, convergence."""
    found = model.diagnostics
    square, rate, settled = found["innovation_square"], found["friction_per_frame"], bool(found["converged"])
    return [
        *(_certain(entry) for entry in entries(model, "heat_capacity")),
        _check(
            "Do impulses scatter as the model says?",
            f"squared deviation over variance {plain(square, 4)} on the selection block",
            f"1 within {percent(INNOVATION_GOOD)}: above it friction is overestimated",
            judged(abs(square - 1.0), good=INNOVATION_GOOD, look=INNOVATION_LOOK),
        ),
        _check(
            "Is the motion resolved?", f"friction rate x frame interval {plain(rate, 2)}",
            f"at most {plain(RESOLVED_GOOD, 1)}", judged(rate, good=RESOLVED_GOOD, look=RESOLVED_LOOK),
        ),
        _check(
            "Did the fit converge?",
            f"{len(found['scores'])} rounds, the selection block got better {'before' if settled else 'to'} the last",
            "before the last", GOOD if settled else LOOK,
        ),
    ]  # fmt: skip


def _certain(entry: dict[str, Any]) -> Check:
    """Is the heat capacity known? Short recordings leave it open while all else is well."""
    low, high, value = entry["low90"], entry["high90"], entry["value"]
    of = "" if entry["species"] is None else f" of species {entry['species']}"
    known = low is not None and high is not None
    return _check(
        f"Is the heat capacity{of} certain?",
        with_interval(value, low, high, entry["unit"]) + ("" if known else ", without an interval"),
        f"90 % interval within {percent(CERTAIN_GOOD)} of it",
        judged(0.5 * (high - low) / value, good=CERTAIN_GOOD, look=CERTAIN_LOOK) if known else LOOK,
    )


def learned_there(kinetic: dict[str, Any]) -> Check:
    """Was U learned at the temperature of the test block?"""
    (low, high), seen = kinetic["learned"], kinetic["thermal_energy"]
    return Check(
        question="Was U(S, V) learned at the temperature of the test block?",
        found=f"its motion has k_B T = {plain(seen)}, 90 % of the particles had {plain(low)} to {plain(high)}",
        expected="within", verdict=GOOD if low <= seen <= high else BAD, section="comparison",
    )  # fmt: skip


def _check(question: str, found: str, expected: str, verdict: str) -> Check:
    return Check(question=question, found=found, expected=expected, verdict=verdict, section="dynamics")
