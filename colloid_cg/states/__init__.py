"""From trajectories (px, frames) to states (um, s), and from rollouts back to trajectories."""

from colloid_cg.states.convert import from_trajectories, rollout_trajectories
from colloid_cg.states.phase import phase_series
from colloid_cg.states.split import MINIMUM_FRAMES, blocks_of_frames, check_fractions, split_by_time

__all__ = [
    "MINIMUM_FRAMES",
    "blocks_of_frames",
    "check_fractions",
    "from_trajectories",
    "phase_series",
    "rollout_trajectories",
    "split_by_time",
]
