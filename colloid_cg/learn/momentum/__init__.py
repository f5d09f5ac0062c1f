"""Inference of momentum-conserving pair dynamics (dissipative particle dynamics) from positions and velocities."""

from colloid_cg.learn.momentum.config import MomentumFitConfig
from colloid_cg.learn.momentum.fit import fit_pair_dynamics
from colloid_cg.learn.momentum.memory import FrictionScan
from colloid_cg.learn.momentum.metriplectic import metriplectic_model
from colloid_cg.learn.momentum.model import PairDynamics

__all__ = ["FrictionScan", "MomentumFitConfig", "PairDynamics", "fit_pair_dynamics", "metriplectic_model"]
