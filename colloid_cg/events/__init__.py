"""Rearrangement events in experiments and rollouts alike: local fields, their null laws, significance, grouping."""

from colloid_cg.events.config import EventConfig
from colloid_cg.events.detect import detect_events
from colloid_cg.events.fields import event_fields

__all__ = ["EventConfig", "detect_events", "event_fields"]
