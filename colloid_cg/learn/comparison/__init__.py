"""Is a pair potential enough? Free diffusion, the pair potential and an unconstrained network on unseen frames."""

from colloid_cg.learn.comparison.compare import compare_models
from colloid_cg.learn.comparison.config import ComparisonConfig

__all__ = ["ComparisonConfig", "compare_models"]
