"""Pure functions of positions and trajectories: pair correlation, displacements, local rearrangement, order."""

from colloid_cg.observables.curve import Curve
from colloid_cg.observables.displacements import msd, non_gaussian_parameter, pairs_at_lag, van_hove
from colloid_cg.observables.hops import p_hop, p_hop_noise_floor, p_hop_of_rows
from colloid_cg.observables.nonaffine import (
    bond_statistics,
    d2min,
    d2min_noise_floor,
    deformation_gradient,
    local_strain,
)
from colloid_cg.observables.order import bond_order
from colloid_cg.observables.paircorrelation import rdf
from colloid_cg.observables.streamed import MsdSums, TrackLengths, streamed_msd
from colloid_cg.observables.voronoicells import voronoi

__all__ = [
    "Curve",
    "MsdSums",
    "TrackLengths",
    "bond_order",
    "bond_statistics",
    "d2min",
    "d2min_noise_floor",
    "deformation_gradient",
    "local_strain",
    "msd",
    "non_gaussian_parameter",
    "p_hop",
    "p_hop_noise_floor",
    "p_hop_of_rows",
    "pairs_at_lag",
    "rdf",
    "streamed_msd",
    "van_hove",
    "voronoi",
]
