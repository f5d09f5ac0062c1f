"""Inference of momentum-conserving pair dynamics (dissipative particle dynamics) from positions and velocities."""

from colloid_cg.learn.momentum.bundle import bundle_of, masses_of_species, pair_dynamics_of, phase_model
from colloid_cg.learn.momentum.config import MomentumFitConfig
from colloid_cg.learn.momentum.fit import fit_pair_dynamics, interaction_reach
from colloid_cg.learn.momentum.from_tracks import fit_simulation, is_simulation, require_velocities
from colloid_cg.learn.momentum.memory import FrictionScan
from colloid_cg.learn.momentum.metriplectic import metriplectic_model
from colloid_cg.learn.momentum.model import PairDynamics

__all__ = [
    "FrictionScan",
    "MomentumFitConfig",
    "PairDynamics",
    "bundle_of",
    "fit_pair_dynamics",
    "fit_simulation",
    "interaction_reach",
    "is_simulation",
    "masses_of_species",
    "metriplectic_model",
    "pair_dynamics_of",
    "phase_model",
    "require_velocities",
]
