"""Rollouts of a fitted model, seen through the same camera as the experiment."""

from colloid_cg.simulation.config import SimulateConfig
from colloid_cg.simulation.rollout import simulate

__all__ = ["SimulateConfig", "simulate"]
