"""Sections of the page, each built from what a run has produced so far."""

from __future__ import annotations

from typing import Any

from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.sections.findings import events_section
from colloid_cg.reporting.sections.physics import (
    comparison_section,
    dynamics_section,
    ledger_section,
    structure_section,
)
from colloid_cg.reporting.sections.provenance import provenance_section
from colloid_cg.reporting.sections.recording import movie_section, suggestion_section, tracking_section
from colloid_cg.reporting.sections.section import Picture, Section, Table

__all__ = ["Picture", "Section", "Table", "all_sections"]


def all_sections(content: ReportContent, quality: dict[str, Any] | None) -> list[Section]:
    """Return the sections in the order of the page."""
    return [
        movie_section(content),
        suggestion_section(content),
        tracking_section(content, quality),
        structure_section(content),
        dynamics_section(content),
        comparison_section(content),
        ledger_section(content),
        events_section(content),
        provenance_section(content),
    ]
