"""Digital twin: simulate known physics and film it through a camera model; the truth comes with the movie."""

from colloid_cg.twin.bounds import localisation_bound
from colloid_cg.twin.cases import CASES, simulate_case
from colloid_cg.twin.movie import Twin, make_twin, noiseless_frame, render, render_frame
from colloid_cg.twin.readme import FILES
from colloid_cg.twin.replicates import isoconfigurational_runs, truth_trajectories
from colloid_cg.twin.settings import CameraConfig, TwinConfig
from colloid_cg.twin.truth import TwinTruth, truth_table

__all__ = [
    "CASES",
    "FILES",
    "CameraConfig",
    "Twin",
    "TwinConfig",
    "TwinTruth",
    "isoconfigurational_runs",
    "localisation_bound",
    "make_twin",
    "noiseless_frame",
    "render",
    "render_frame",
    "simulate_case",
    "truth_table",
    "truth_trajectories",
]
