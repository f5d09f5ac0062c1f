"""Pure functions of positions and trajectories: pair correlation, displacements, local rearrangement, order."""

from colloid_cg.observables.affine import without_affine_motion
from colloid_cg.observables.cagerelative import cage_relative_displacement, cage_relative_noise_floor
from colloid_cg.observables.curve import Curve
from colloid_cg.observables.displacements import msd, non_gaussian_parameter, pairs_at_lag, van_hove
from colloid_cg.observables.hops import p_hop, p_hop_noise_floor, p_hop_of_rows
from colloid_cg.observables.nonaffine import (
    NonaffineMotion,
    bond_statistics,
    d2min,
    d2min_noise_floor,
    deformation_gradient,
    local_strain,
    nonaffine_motion,
)
from colloid_cg.observables.order import bond_order
from colloid_cg.observables.paircorrelation import rdf
from colloid_cg.observables.phase import (
    kinetic_temperature,
    rdf_of_frames,
    thermal_speed_squared,
    unwrapped_msd,
    vacf,
    without_common_motion,
)
from colloid_cg.observables.strain import local_rotation, max_shear_strain, volumetric_strain
from colloid_cg.observables.streamed import MsdSums, TrackLengths, streamed_msd
from colloid_cg.observables.voronoicells import voronoi

__all__ = [
    "Curve",
    "MsdSums",
    "NonaffineMotion",
    "TrackLengths",
    "bond_order",
    "bond_statistics",
    "cage_relative_displacement",
    "cage_relative_noise_floor",
    "d2min",
    "d2min_noise_floor",
    "deformation_gradient",
    "kinetic_temperature",
    "local_rotation",
    "local_strain",
    "max_shear_strain",
    "msd",
    "non_gaussian_parameter",
    "nonaffine_motion",
    "p_hop",
    "p_hop_noise_floor",
    "p_hop_of_rows",
    "pairs_at_lag",
    "rdf",
    "rdf_of_frames",
    "streamed_msd",
    "thermal_speed_squared",
    "unwrapped_msd",
    "vacf",
    "van_hove",
    "volumetric_strain",
    "voronoi",
    "without_affine_motion",
    "without_common_motion",
]
