"""Localisation, linking, drift: from frames to trajectories, each step open to inspection."""

from colloid_cg.tracking.assemble import assemble, track
from colloid_cg.tracking.choices import Choice
from colloid_cg.tracking.config import LOCATE_SETTINGS, TrackConfig, check_against
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.drift import estimate_drift, remove_drift, subtract_drift
from colloid_cg.tracking.image_model import ImageModel, SpotClass
from colloid_cg.tracking.importing import ImportConfig, import_table
from colloid_cg.tracking.linking import keep_good, keep_long, link
from colloid_cg.tracking.locate import locate
from colloid_cg.tracking.noise_model import estimate_image_model
from colloid_cg.tracking.quality import camera_positions, quality
from colloid_cg.tracking.suggest import Suggestion, resolve, suggest

__all__ = [
    "LOCATE_SETTINGS",
    "Choice",
    "Detections",
    "ImageModel",
    "ImportConfig",
    "SpotClass",
    "Suggestion",
    "TrackConfig",
    "assemble",
    "camera_positions",
    "check_against",
    "estimate_drift",
    "estimate_image_model",
    "import_table",
    "keep_good",
    "keep_long",
    "link",
    "locate",
    "quality",
    "remove_drift",
    "resolve",
    "subtract_drift",
    "suggest",
    "track",
]
