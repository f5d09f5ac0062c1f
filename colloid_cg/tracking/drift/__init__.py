"""Common motion of all particles: estimated from tracks, checked against the pictures, removed."""

from colloid_cg.tracking.drift.estimate import MotionEstimator, estimate_motion, remove_common_motion
from colloid_cg.tracking.drift.images import check_with_images, compare_drift, image_drift
from colloid_cg.tracking.drift.translation import DRIFT_COLUMNS, estimate_drift, remove_drift, subtract_drift

__all__ = [
    "DRIFT_COLUMNS",
    "MotionEstimator",
    "check_with_images",
    "compare_drift",
    "estimate_drift",
    "estimate_motion",
    "image_drift",
    "remove_common_motion",
    "remove_drift",
    "subtract_drift",
]
