"""Localisation, linking, drift: from frames to trajectories, each step open to inspection."""

from colloid_cg.tracking.assemble import assemble, finish, require_detections, track
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
from colloid_cg.tracking.faults import dropped_frames, localisation_error, lost_tracks, poor_fits
from colloid_cg.tracking.finishing import Survey, closes_gaps, survey, survey_columns, survey_joined, surveyed
from colloid_cg.tracking.image_model import ImageModel, SpotClass
from colloid_cg.tracking.importing import ImportConfig, import_table
from colloid_cg.tracking.link_parts import LINK_SETTINGS, LINKED_BY, Attempt, attempts, with_links
from colloid_cg.tracking.linking import keep_good, keep_long, link
from colloid_cg.tracking.locate import locate
from colloid_cg.tracking.noise_model import estimate_image_model
from colloid_cg.tracking.quality import camera_positions, quality, tracking_faults
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
from colloid_cg.tracking.second_look import (
    PRESENT,
    longest_gap,
    look_again,
    missing_by_part,
    surveyed_again,
    with_refound,
)
from colloid_cg.tracking.simulated import import_simulation
from colloid_cg.tracking.subpixel_bias import bias_of_movie, measured_bias
from colloid_cg.tracking.suggest import Suggestion, resolve, suggest
from colloid_cg.tracking.trackpy_engine import OversizedSubnet

__all__ = [
    "LINKED_BY",
    "LINK_SETTINGS",
    "LOCATE_SETTINGS",
    "PRESENT",
    "Attempt",
    "Choice",
    "DetectionScores",
    "Detections",
    "ImageModel",
    "ImportConfig",
    "LinkScores",
    "OversizedSubnet",
    "SpotClass",
    "Suggestion",
    "Survey",
    "TrackConfig",
    "TrackScores",
    "assemble",
    "attempts",
    "bias_of_movie",
    "camera_positions",
    "check_against",
    "closes_gaps",
    "dropped_frames",
    "estimate_drift",
    "estimate_image_model",
    "estimate_motion",
    "finish",
    "import_simulation",
    "import_table",
    "keep_good",
    "keep_long",
    "link",
    "links_by_step",
    "localisation_error",
    "locate",
    "longest_gap",
    "look_again",
    "lost_tracks",
    "match_detections",
    "measured_bias",
    "missing_by_part",
    "poor_fits",
    "quality",
    "remove_common_motion",
    "remove_drift",
    "require_detections",
    "resolve",
    "score_detections",
    "score_links",
    "score_links_of_rows",
    "score_tracks",
    "subtract_drift",
    "suggest",
    "survey",
    "survey_columns",
    "survey_joined",
    "surveyed",
    "surveyed_again",
    "track",
    "tracking_faults",
    "with_links",
    "with_refound",
]
