"""How good tracks are where the truth is known: detections, links and whole tracks against their reference."""

from colloid_cg.tracking.scores.detections import DetectionScores, score_detections
from colloid_cg.tracking.scores.links import LinkScores, links_by_step, score_links, score_links_of_rows
from colloid_cg.tracking.scores.matching import match_detections
from colloid_cg.tracking.scores.tables import Gate
from colloid_cg.tracking.scores.tracks import TrackScores, score_tracks

__all__ = [
    "DetectionScores",
    "Gate",
    "LinkScores",
    "TrackScores",
    "links_by_step",
    "match_detections",
    "score_detections",
    "score_links",
    "score_links_of_rows",
    "score_tracks",
]
