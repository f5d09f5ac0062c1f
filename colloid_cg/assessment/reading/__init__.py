"""Reading hidden variables: what they mean, what they predict, how long they last, and how good they could be."""

from colloid_cg.assessment.reading.association import information_terms, mutual_information, pearson, spearman
from colloid_cg.assessment.reading.futures import d2min_ahead, displacements, in_events, in_partings, p_hop_ahead
from colloid_cg.assessment.reading.oracle import (
    against_ceiling,
    displacements_of_runs,
    oracle_areas,
    single_run_areas,
)
from colloid_cg.assessment.reading.persistence import persistence
from colloid_cg.assessment.reading.ranking import (
    area_under_curve,
    average_precision,
    compare_areas,
    precision_recall_curve,
    roc_curve,
)
from colloid_cg.assessment.reading.rates import compare_slopes, rate_against
from colloid_cg.assessment.reading.reading import read_hidden
from colloid_cg.assessment.reading.resampling import Resampling, resampling, space_time_blocks
from colloid_cg.assessment.reading.settings import ReadingConfig
from colloid_cg.assessment.reading.shifts import permutation_p_value, raster_of

__all__ = [
    "ReadingConfig",
    "Resampling",
    "against_ceiling",
    "area_under_curve",
    "average_precision",
    "compare_areas",
    "compare_slopes",
    "d2min_ahead",
    "displacements",
    "displacements_of_runs",
    "in_events",
    "in_partings",
    "information_terms",
    "mutual_information",
    "oracle_areas",
    "p_hop_ahead",
    "pearson",
    "permutation_p_value",
    "persistence",
    "precision_recall_curve",
    "raster_of",
    "rate_against",
    "read_hidden",
    "resampling",
    "roc_curve",
    "single_run_areas",
    "space_time_blocks",
    "spearman",
]
