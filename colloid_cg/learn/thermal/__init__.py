"""Metriplectic models with hidden entropies, learned from positions and velocities."""

from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.fit import ThermalDynamics, energies_of, fit_thermal
from colloid_cg.learn.thermal.hidden import HiddenEnergies

__all__ = ["HiddenEnergies", "ThermalDynamics", "ThermalFitConfig", "energies_of", "fit_thermal"]
