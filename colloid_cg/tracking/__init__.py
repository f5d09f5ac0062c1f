"""Localisation, linking, drift: from frames to trajectories, each step open to inspection."""

from colloid_cg.tracking.assemble import assemble, track
from colloid_cg.tracking.choices import Choice
from colloid_cg.tracking.config import LOCATE_SETTINGS, TrackConfig, check_against
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.drift import (
    estimate_drift,
    estimate_motion,
    remove_common_motion,
    remove_drift,
    subtract_drift,
)
from colloid_cg.tracking.image_model import ImageModel, SpotClass
from colloid_cg.tracking.importing import ImportConfig, import_table
from colloid_cg.tracking.linking import keep_good, keep_long, link
from colloid_cg.tracking.locate import locate
from colloid_cg.tracking.noise_model import estimate_image_model
from colloid_cg.tracking.quality import camera_positions, quality
from colloid_cg.tracking.scores import (
    DetectionScores,
    LinkScores,
    TrackScores,
    links_by_step,
    match_detections,
    score_detections,
    score_links,
    score_links_of_rows,
    score_tracks,
)
from colloid_cg.tracking.suggest import Suggestion, resolve, suggest

__all__ = [
    "LOCATE_SETTINGS",
    "Choice",
    "DetectionScores",
    "Detections",
    "ImageModel",
    "ImportConfig",
    "LinkScores",
    "SpotClass",
    "Suggestion",
    "TrackConfig",
    "TrackScores",
    "assemble",
    "camera_positions",
    "check_against",
    "estimate_drift",
    "estimate_image_model",
    "estimate_motion",
    "import_table",
    "keep_good",
    "keep_long",
    "link",
    "links_by_step",
    "locate",
    "match_detections",
    "quality",
    "remove_common_motion",
    "remove_drift",
    "resolve",
    "score_detections",
    "score_links",
    "score_links_of_rows",
    "score_tracks",
    "subtract_drift",
    "suggest",
    "track",
]
