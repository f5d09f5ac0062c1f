"""Metriplectic models with hidden entropies, learned from positions and velocities."""

from colloid_cg.learn.thermal.bundle import hidden_entropy_model
from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.fields import thermal_fields
from colloid_cg.learn.thermal.fit import ThermalDynamics, energies_of, fit_thermal
from colloid_cg.learn.thermal.from_tracks import fit_hidden_entropy
from colloid_cg.learn.thermal.hidden import HiddenEnergies

__all__ = [
    "HiddenEnergies",
    "ThermalDynamics",
    "ThermalFitConfig",
    "energies_of",
    "fit_hidden_entropy",
    "fit_thermal",
    "hidden_entropy_model",
    "thermal_fields",
]
