"""Does the model behave like the experiment it has not seen? Figures, errors and verdicts, no pictures."""

from colloid_cg.assessment.assessment import assess
from colloid_cg.assessment.extrapolation import force_is_used
from colloid_cg.assessment.inversion import interaction_range, potential_from_force
from colloid_cg.assessment.phase import assess_phase
from colloid_cg.assessment.settings import AssessConfig

__all__ = ["AssessConfig", "assess", "assess_phase", "force_is_used", "interaction_range", "potential_from_force"]
