"""Test kit: hold any model to the laws of metriplectic dynamics. Nothing in it is needed to run a model."""

from colloid_cg.dynamics.metriplectic.gauges import (
    boltzmann_fixed,
    density_fixed,
    density_shifted,
    entropy_rescaled,
    offsets_fixed,
    offsets_shifted,
)
from colloid_cg.testing.energy import (
    assert_angular_momentum,
    assert_energy_function,
    assert_first_law,
    assert_force,
    assert_momentum,
    assert_reversible,
)
from colloid_cg.testing.equivalence import assert_density_gauge, assert_entropy_gauge, assert_offset_gauge
from colloid_cg.testing.friction import (
    assert_drift,
    assert_friction_degenerate,
    assert_friction_positive,
    assert_friction_symmetric,
    assert_law_slopes,
    assert_noise_covariance,
)
from colloid_cg.testing.metriplectic import assert_metriplectic
from colloid_cg.testing.strategies import models, states
from colloid_cg.testing.symmetry import (
    assert_galilean,
    assert_images,
    assert_orientation,
    assert_relabelling,
    assert_translation,
)
from colloid_cg.testing.systems import example_system, random_cell, random_model, random_state

__all__ = [
    "assert_angular_momentum",
    "assert_density_gauge",
    "assert_drift",
    "assert_energy_function",
    "assert_entropy_gauge",
    "assert_first_law",
    "assert_force",
    "assert_friction_degenerate",
    "assert_friction_positive",
    "assert_friction_symmetric",
    "assert_galilean",
    "assert_images",
    "assert_law_slopes",
    "assert_metriplectic",
    "assert_momentum",
    "assert_noise_covariance",
    "assert_offset_gauge",
    "assert_orientation",
    "assert_relabelling",
    "assert_reversible",
    "assert_translation",
    "boltzmann_fixed",
    "density_fixed",
    "density_shifted",
    "entropy_rescaled",
    "example_system",
    "models",
    "offsets_fixed",
    "offsets_shifted",
    "random_cell",
    "random_model",
    "random_state",
    "states",
]
