"""Rollouts of fitted models."""

from colloid_cg.simulate.config import SimulateConfig
from colloid_cg.simulate.rollout import simulate

__all__ = ["SimulateConfig", "simulate"]
