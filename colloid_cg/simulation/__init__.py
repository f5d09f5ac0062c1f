"""Rollouts of a fitted model, seen through the same camera as the experiment."""

from colloid_cg.simulation.config import SimulateConfig
from colloid_cg.simulation.phase import phase_rollout, two_stage
from colloid_cg.simulation.rollout import simulate

__all__ = ["SimulateConfig", "phase_rollout", "simulate", "two_stage"]
