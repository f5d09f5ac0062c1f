"""Rearrangement events in experiments and rollouts alike: local fields, their null laws, significance, grouping."""

from colloid_cg.events.comparison import compare_events, observe, pinned, rollout_views
from colloid_cg.events.config import EventConfig
from colloid_cg.events.correlation import event_correlation
from colloid_cg.events.detect import detect_events
from colloid_cg.events.distributions import before_events, case_control, distribution, event_sizes
from colloid_cg.events.exposure import event_exposure
from colloid_cg.events.fields import event_fields
from colloid_cg.events.matching import match_events
from colloid_cg.events.rates import event_rate, pooled_rate, rate_above, rate_over_time
from colloid_cg.events.review import match_review
from colloid_cg.events.waiting import fit_exponential, survival, waiting_times

__all__ = ["EventConfig", "detect_events", "event_fields"]
__all__ += ["before_events", "case_control", "compare_events", "distribution", "event_correlation", "event_exposure"]
__all__ += ["event_rate", "event_sizes", "fit_exponential", "match_events", "match_review", "observe", "pinned"]
__all__ += ["pooled_rate", "rate_above", "rate_over_time", "rollout_views", "survival", "waiting_times"]
