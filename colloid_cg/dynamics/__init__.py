"""Overdamped dynamics: the model, its terms, its time steps, and the flow over one frame used to learn it."""

from colloid_cg.dynamics.flow import Flow, FramePairs, closure_flow
from colloid_cg.dynamics.model import OverdampedModel, species_pair_index
from colloid_cg.dynamics.pairs import close_pairs, series_pairs
from colloid_cg.dynamics.spline import force_design
from colloid_cg.dynamics.steps import Increments, metropolis_sweep, overdamped_step
from colloid_cg.dynamics.terms import forces, forces_and_energy, pair_force, potential_energy

__all__ = [
    "Flow",
    "FramePairs",
    "Increments",
    "OverdampedModel",
    "close_pairs",
    "closure_flow",
    "force_design",
    "forces",
    "forces_and_energy",
    "metropolis_sweep",
    "overdamped_step",
    "pair_force",
    "potential_energy",
    "series_pairs",
    "species_pair_index",
]
