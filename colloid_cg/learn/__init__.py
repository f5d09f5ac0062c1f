"""Learning dynamics from noisy trajectories."""

from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.field_tables import FieldTables
from colloid_cg.learn.fit import fit, model_from_bundle
from colloid_cg.learn.momentum import MomentumFitConfig

__all__ = ["FieldTables", "FitConfig", "MomentumFitConfig", "fit", "model_from_bundle"]
