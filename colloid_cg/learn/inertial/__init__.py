"""Inference of inertial (underdamped) motion from noisy positions: friction, thermal speed, pair friction and force."""

from colloid_cg.learn.inertial.fit import fit_inertial
from colloid_cg.learn.inertial.model import InertialModel

__all__ = ["InertialModel", "fit_inertial"]
