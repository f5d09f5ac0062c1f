"""Linking: detections into tracks, tracks across gaps, and how far each link can be trusted."""

from colloid_cg.tracking.linking.bridges import measured_step_variance
from colloid_cg.tracking.linking.closing import Joins, close_gaps, find_joins, joined_ids
from colloid_cg.tracking.linking.linker import Linker, Links
from colloid_cg.tracking.linking.refinding import GAP_COLUMNS, find_gaps, gaps_by_part, refind
from colloid_cg.tracking.linking.summary import TrackSummary
from colloid_cg.tracking.linking.tables import (
    LinkReport,
    joined,
    keep_good,
    keep_long,
    link,
    link_report,
    link_reported,
    mark_gaps,
    renumbered,
)

__all__ = [
    "GAP_COLUMNS",
    "Joins",
    "LinkReport",
    "Linker",
    "Links",
    "TrackSummary",
    "close_gaps",
    "find_gaps",
    "find_joins",
    "gaps_by_part",
    "joined",
    "joined_ids",
    "keep_good",
    "keep_long",
    "link",
    "link_report",
    "link_reported",
    "mark_gaps",
    "measured_step_variance",
    "refind",
    "renumbered",
]
