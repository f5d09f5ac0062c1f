"""One line of the checklist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from colloid_cg.records import ModelBundle

GOOD, LOOK, BAD, NOT_MODELLED, NOT_RUN = "good", "look", "bad", "not modelled", "not run"
VERDICTS = (GOOD, LOOK, BAD, NOT_MODELLED, NOT_RUN)

NORMAL_90 = 1.6449
"""Half width of a 90 % interval in standard errors."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A question, what was found, what would be expected, and the verdict.

    Parameters
    ----------
    question, found, expected : str
    verdict : str
        One of :data:`VERDICTS`.
    section : str
        Anchor of the section that shows the evidence.
    """

    question: str
    found: str | Markup
    expected: str
    verdict: str
    section: str


def judged(value: float, *, good: float, look: float) -> str:
    """Return good for a value up to ``good``, look up to ``look``, bad above."""
    if value <= good:
        return GOOD
    return LOOK if value <= look else BAD


def standard_error(entry: dict[str, Any]) -> float | None:
    """Return the standard error behind a 90 % interval taken as normal, None where there is no interval."""
    low, high = entry.get("low90"), entry.get("high90")
    if low is None or high is None or not high > low:
        return None
    return float(high - low) / (2.0 * NORMAL_90)


def entries(model: ModelBundle | None, name: str) -> list[dict[str, Any]]:
    """Return the entries of a metric, none where there is no model or no such metric."""
    return [] if model is None else list(model.metrics.get(name, []))
