"""One self-contained page, and its figures as files beside it."""

from __future__ import annotations

import base64
import os
from importlib import resources
from pathlib import Path

import jinja2

from colloid_cg.provenance import package_version
from colloid_cg.reporting.checks import checklist
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.figures.style import png_bytes
from colloid_cg.reporting.quality import tracking_quality
from colloid_cg.reporting.sections import all_sections
from colloid_cg.reporting.summary import summary
from colloid_cg.reporting.units import is_simulation

FIGURES = "figures"


def write_report(content: ReportContent, to: Path) -> None:
    """Write the page to ``to`` and every figure as PNG into ``figures/`` beside it.

    The page needs no network, no script and no other file. Equal content gives equal bytes. Files are written under
    a temporary name and renamed, the page last; figures of an earlier report that no longer belong to it are removed.
    """
    page, figures = render(content)
    folder = to.parent / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in figures.items():
        _replace(folder / f"{name}.png", data)
    _replace(to, page.encode())
    for stale in folder.glob("*.png"):
        if stale.stem not in figures and stale.stem.split("_")[0] in _OWN_PREFIXES:
            stale.unlink()


_OWN_PREFIXES = frozenset(
    ("movie", "suggestion", "tracking", "drift", "structure", "dynamics", "comparison", "ledger", "events")
)


def render(content: ReportContent) -> tuple[str, dict[str, bytes]]:
    """Return the page as HTML and its figures as PNG by name."""
    quality = content.tracking
    simulated = is_simulation(content)
    if quality is None and content.tracks is not None and len(content.tracks) and not simulated:
        quality = tracking_quality(content.tracks)
    checks = checklist(content, quality)
    parts = all_sections(content, quality)
    figures = {picture.name: png_bytes(picture.figure) for part in parts for picture in part.pictures}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("colloid_cg.reporting").joinpath("page.html.j2").read_text(encoding="utf-8")
    page = environment.from_string(source).render(
        origin="positions and velocities" if simulated else "pixels",
        title=content.title or "Untitled movie",
        version=package_version(),
        summary=summary(content, checks),
        checks=checks,
        sections=parts,
        images={name: base64.b64encode(data).decode() for name, data in figures.items()},
    )
    return page, figures


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
