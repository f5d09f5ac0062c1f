"""Learning dynamics from noisy trajectories."""

from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.field_tables import FieldTables
from colloid_cg.learn.fit import fit, model_from_bundle
from colloid_cg.learn.momentum import MomentumFitConfig
from colloid_cg.learn.thermal import ThermalFitConfig

__all__ = ["FieldTables", "FitConfig", "MomentumFitConfig", "ThermalFitConfig", "fit", "model_from_bundle"]
