"""All checks in the order in which a reader asks them."""

from __future__ import annotations

from typing import Any

from colloid_cg.reporting.checks.check import Check
from colloid_cg.reporting.checks.comparison import comparison_checks, event_checks, structure_checks
from colloid_cg.reporting.checks.dynamics import dynamics_checks, unmodelled_checks
from colloid_cg.reporting.checks.hidden_variables import reading_checks
from colloid_cg.reporting.checks.simulation import simulation_checks
from colloid_cg.reporting.checks.tracking import tracking_checks
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.units import is_simulation


def checklist(content: ReportContent, quality: dict[str, Any] | None) -> list[Check]:
    """Return every check of a report; parts that are missing give one line "not run" each."""
    if is_simulation(content):
        return simulation_checks(content)
    metadata = None if content.rollout is None else dict(content.rollout.metadata)
    return [
        *tracking_checks(content, quality),
        *structure_checks(content),
        *reading_checks(content),
        *dynamics_checks(content.model),
        *comparison_checks(content.assessment),
        *event_checks(content),
        *unmodelled_checks(content.model, metadata),
    ]
