"""Linking: detections into tracks, tracks across gaps, and how far each link can be trusted."""

from colloid_cg.tracking.linking.linker import Linker, Links
from colloid_cg.tracking.linking.tables import (
    LinkReport,
    keep_good,
    keep_long,
    link,
    link_report,
    link_reported,
    mark_gaps,
    renumbered,
)

__all__ = [
    "LinkReport",
    "Linker",
    "Links",
    "keep_good",
    "keep_long",
    "link",
    "link_report",
    "link_reported",
    "mark_gaps",
    "renumbered",
]
