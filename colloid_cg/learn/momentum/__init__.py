"""Inference of momentum-conserving pair dynamics (dissipative particle dynamics) from positions and velocities."""

from colloid_cg.learn.momentum.bundle import KIND, bundle_of, masses_of_species, pair_dynamics_of, phase_model
from colloid_cg.learn.momentum.config import MomentumFitConfig
from colloid_cg.learn.momentum.fit import fit_pair_dynamics
from colloid_cg.learn.momentum.from_tracks import fit_simulation, is_simulation
from colloid_cg.learn.momentum.memory import FrictionScan
from colloid_cg.learn.momentum.metriplectic import metriplectic_model
from colloid_cg.learn.momentum.model import PairDynamics

__all__ = [
    "KIND",
    "FrictionScan",
    "MomentumFitConfig",
    "PairDynamics",
    "bundle_of",
    "fit_pair_dynamics",
    "fit_simulation",
    "is_simulation",
    "masses_of_species",
    "metriplectic_model",
    "pair_dynamics_of",
    "phase_model",
]
