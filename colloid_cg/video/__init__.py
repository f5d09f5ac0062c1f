"""Lazy access to movies of any common format, with calibration and where it came from."""

from colloid_cg.video.calibration import doubts
from colloid_cg.video.config import VideoConfig
from colloid_cg.video.correction import corrected
from colloid_cg.video.opening import open_video
from colloid_cg.video.saving import save_movie

__all__ = ["VideoConfig", "corrected", "doubts", "open_video", "save_movie"]
