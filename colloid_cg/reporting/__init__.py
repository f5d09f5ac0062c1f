"""The report: one self-contained page that answers "can I trust this?", and figures for people to look at."""

from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.figures.inspection import inspect_figure
from colloid_cg.reporting.figures.style import png_bytes
from colloid_cg.reporting.quality import streamed_quality, tracking_quality
from colloid_cg.reporting.write import render, write_report

__all__ = [
    "ReportContent",
    "inspect_figure",
    "png_bytes",
    "render",
    "streamed_quality",
    "tracking_quality",
    "write_report",
]
