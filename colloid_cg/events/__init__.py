"""Rearrangement events in experiments and rollouts alike: local fields, their null laws, significance, grouping."""

from colloid_cg.events.candidates import candidates, tested
from colloid_cg.events.config import EventConfig, Scales, scales_of
from colloid_cg.events.detect import detect_events, events_of
from colloid_cg.events.fields import event_fields

__all__ = [
    "EventConfig",
    "Scales",
    "candidates",
    "detect_events",
    "event_fields",
    "events_of",
    "scales_of",
    "tested",
]
