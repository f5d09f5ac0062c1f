"""Does the model behave like the experiment it has not seen? Figures, errors and verdicts, no pictures."""

from colloid_cg.assessment.assessment import assess
from colloid_cg.assessment.inversion import interaction_range, potential_from_force
from colloid_cg.assessment.settings import AssessConfig

__all__ = ["AssessConfig", "assess", "interaction_range", "potential_from_force"]
