"""Small torch networks, their weights as plain arrays, and the conditions under which they repeat to the byte."""

from colloid_cg.nets.arrays import from_arrays, to_arrays
from colloid_cg.nets.determinism import single_thread, torch_generator
from colloid_cg.nets.mlp import SkipNetwork, mlp

__all__ = ["SkipNetwork", "from_arrays", "mlp", "single_thread", "to_arrays", "torch_generator"]
