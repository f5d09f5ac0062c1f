"""Sections of the page, each built from what a run has produced so far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.sections.findings import events_section
from colloid_cg.reporting.sections.hidden_variables import hidden_variables_section
from colloid_cg.reporting.sections.physics import (
    comparison_section,
    dynamics_section,
    ledger_section,
    structure_section,
)
from colloid_cg.reporting.sections.provenance import provenance_section
from colloid_cg.reporting.sections.recording import movie_section, suggestion_section, tracking_section
from colloid_cg.reporting.sections.section import Picture, Section, Table
from colloid_cg.reporting.sections.simulation import simulation_sections
from colloid_cg.reporting.units import is_simulation

__all__ = ["Picture", "Section", "Table", "all_sections"]


def all_sections(content: ReportContent, quality: dict[str, Any] | None) -> list[Section]:
    """Return the sections in the order of the page."""
    if is_simulation(content):
        sections = simulation_sections(content)
        sections += [events_section(content)] if content.events is not None else []
        sections.append(provenance_section(content))
        return [replace(section, reason=failure_of(section, content)) for section in sections]
    sections = [
        movie_section(content),
        suggestion_section(content),
        tracking_section(content, quality),
        structure_section(content),
        hidden_variables_section(content),
        dynamics_section(content),
        comparison_section(content),
        ledger_section(content),
        events_section(content),
        provenance_section(content),
    ]
    return [replace(section, reason=failure_of(section, content)) for section in sections]


_STAGES = {
    "structure": ("structure",),
    "hidden": ("structure", "reading"),
    "dynamics": ("fit",),
    "comparison": ("fit", "simulate", "assess"),
    "ledger": ("fit", "simulate"),
    "events": ("events",),
}


def failure_of(section: Section, content: ReportContent) -> str:
    """Return why the stages behind an empty section gave no result, as run.json recorded it."""
    stages = (content.run or {}).get("stages", {})
    if not section.missing:
        return ""
    reasons = (stages.get(name, {}).get("failed") for name in _STAGES.get(section.anchor, ()))
    return next((str(reason) for reason in reasons if reason), "")
