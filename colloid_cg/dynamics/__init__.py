"""Overdamped dynamics: the model, its terms, its time steps, and the flow over one frame used to learn it."""

from colloid_cg.dynamics.background import GridFlow, SplineFlow, flow_basis
from colloid_cg.dynamics.external import External, no_field
from colloid_cg.dynamics.flow import Flow, FramePairs, closure_flow
from colloid_cg.dynamics.model import OverdampedModel, species_pair_index
from colloid_cg.dynamics.pairs import close_pairs, series_pairs
from colloid_cg.dynamics.spline import force_design, potential_design
from colloid_cg.dynamics.steps import Increments, metropolis_sweep, overdamped_step
from colloid_cg.dynamics.surroundings import Surroundings, Wells, displacement, well_forces_and_energy
from colloid_cg.dynamics.terms import forces, forces_and_energy, pair_force, potential_energy

__all__ = [
    "External",
    "Flow",
    "FramePairs",
    "GridFlow",
    "Increments",
    "OverdampedModel",
    "SplineFlow",
    "Surroundings",
    "Wells",
    "close_pairs",
    "closure_flow",
    "displacement",
    "flow_basis",
    "force_design",
    "forces",
    "forces_and_energy",
    "metropolis_sweep",
    "no_field",
    "overdamped_step",
    "pair_force",
    "potential_design",
    "potential_energy",
    "series_pairs",
    "species_pair_index",
    "well_forces_and_energy",
]
