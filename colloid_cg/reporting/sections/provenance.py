"""What made the numbers, and what to cite."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from colloid_cg.provenance import package_version
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.numbers import plain
from colloid_cg.reporting.sections.physics import flattened
from colloid_cg.reporting.sections.section import Section, Table, warning_line

CITATIONS = (
    ("method", "Hernandez, Win, O'Connor, Arratia, Trask: Data-driven particle dynamics, arXiv:2508.12569 (2025)"),
    ("tracking", "trackpy, doi:10.5281/zenodo.1213240; Crocker and Grier, J. Colloid Interface Sci. 179, 298 (1996)"),
    ("D2min", "Falk and Langer, Phys. Rev. E 57, 7192 (1998)"),
    ("hop function", "Smessaert and Rottler, Phys. Rev. E 88, 022314 (2013)"),
    ("false-discovery rate", "Benjamini and Hochberg, J. R. Stat. Soc. B 57, 289 (1995)"),
)

_ITSELF = "report"
"""The stage that writes this page: what it did last time is no part of what the page shows."""


def provenance_section(content: ReportContent) -> Section:
    """Show input, stages, versions and settings, and what to cite."""
    run = content.run or {}
    stages = {name: stage for name, stage in (run.get("stages") or {}).items() if name != _ITSELF}
    version = _versions(run, stages).get("colloid_cg", package_version())
    cite = (("this software", f"colloid_cg {version}, BSD-3-Clause"), *CITATIONS)
    tables = [_input_table(run), _stage_table(stages), _version_table(run, stages), _settings_table(run, stages)]
    shown = tuple(table for table in tables if table.rows)
    return Section(
        anchor="provenance",
        title="Provenance and citation",
        text=_mixed_versions(stages),
        tables=(*shown, Table(head=("for", "cite"), rows=cite, caption="How to cite")),
        missing="" if run else "colloid-cg run VIDEO -o RUN",
    )


def _input_table(run: dict[str, Any]) -> Table:
    """Return what is known of the input; its path says more about a computer than about the data."""
    known = {name: value for name, value in (run.get("input") or {}).items() if name != "path"}
    return Table(head=("input", "value"), rows=flattened(known), caption="Input")


def _stage_table(stages: dict[str, Any]) -> Table:
    rows = tuple(
        (
            name,
            str(stage.get("status", "–")),
            str(stage.get("seed", "–")),
            str(stage.get("started", "–")),
            plain(stage.get("seconds")),
            str((stage.get("versions") or {}).get("colloid_cg", "–")),
        )
        for name, stage in stages.items()
    )
    head = ("stage", "status", "seed", "started", "seconds", "code version")
    return Table(head=head, rows=rows, caption="Stages")


def _version_table(run: dict[str, Any], stages: dict[str, Any]) -> Table:
    return Table(
        head=("program", "version"), rows=flattened(_versions(run, stages)), caption="Program versions", folded=True
    )


def _settings_table(run: dict[str, Any], stages: dict[str, Any]) -> Table:
    """Return every setting; of a run without stages everything that has no table of its own."""
    rest = {name: value for name, value in run.items() if name not in ("input", "versions", "stages")}
    settings = {name: stage.get("settings") or {} for name, stage in stages.items()}
    rows = flattened(settings) + flattened(rest)
    return Table(head=("setting", "value"), rows=rows, caption="Every setting", folded=True)


def _versions(run: dict[str, Any], stages: dict[str, Any]) -> dict[str, Any]:
    """Return the versions of the run, else those of its last stage."""
    found = [stage["versions"] for stage in stages.values() if isinstance(stage.get("versions"), dict)]
    if isinstance(run.get("versions"), dict):
        found.append(run["versions"])
    return dict(found[-1]) if found else {}


def _mixed_versions(stages: dict[str, Any]) -> tuple[Markup, ...]:
    versions = {str((stage.get("versions") or {}).get("colloid_cg")) for stage in stages.values()}
    if len(versions) < 2:
        return ()
    return (warning_line("The stages of this run were made by different versions of the code; see the table."),)
