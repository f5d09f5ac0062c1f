"""First-level hidden structural variables: invariant neighbourhood descriptors and a time-lagged autoencoder."""

from colloid_cg.structure.config import StructureConfig
from colloid_cg.structure.descriptors import Description, describe, descriptor_names
from colloid_cg.structure.encode import encode, encode_positions
from colloid_cg.structure.fit import fit_structure
from colloid_cg.structure.model import StructureModel
from colloid_cg.structure.neighbourhood import Neighbourhood, typical_neighbourhood

__all__ = [
    "Description",
    "Neighbourhood",
    "StructureConfig",
    "StructureModel",
    "describe",
    "descriptor_names",
    "encode",
    "encode_positions",
    "fit_structure",
    "typical_neighbourhood",
]
