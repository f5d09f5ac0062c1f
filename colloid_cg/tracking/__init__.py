"""Localisation, linking, drift: from frames to trajectories, each step open to inspection."""

from colloid_cg.tracking.assemble import assemble, track
from colloid_cg.tracking.choices import Choice
from colloid_cg.tracking.config import LOCATE_SETTINGS, TrackConfig, check_against
from colloid_cg.tracking.drift import (
    estimate_drift,
    estimate_motion,
    remove_common_motion,
    remove_drift,
    subtract_drift,
)
from colloid_cg.tracking.faults import dropped_frames, localisation_error, lost_tracks
from colloid_cg.tracking.importing import ImportConfig, import_table
from colloid_cg.tracking.linking import keep_good, keep_long, link
from colloid_cg.tracking.locate import locate
from colloid_cg.tracking.quality import camera_positions, quality, tracking_faults
from colloid_cg.tracking.suggest import Suggestion, resolve, suggest

__all__ = [
    "LOCATE_SETTINGS",
    "Choice",
    "ImportConfig",
    "Suggestion",
    "TrackConfig",
    "assemble",
    "camera_positions",
    "check_against",
    "dropped_frames",
    "estimate_drift",
    "estimate_motion",
    "import_table",
    "keep_good",
    "keep_long",
    "link",
    "localisation_error",
    "locate",
    "lost_tracks",
    "quality",
    "remove_common_motion",
    "remove_drift",
    "resolve",
    "subtract_drift",
    "suggest",
    "track",
    "tracking_faults",
]
