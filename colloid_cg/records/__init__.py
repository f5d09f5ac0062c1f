"""Records: frozen, validated on construction and on loading; what the layers hand to each other."""

from colloid_cg.records.box import Box
from colloid_cg.records.events import EVENT_COLUMNS, EventTable
from colloid_cg.records.frames import FrameReader, FrameStack
from colloid_cg.records.graph import NeighborGraph
from colloid_cg.records.model import (
    EQUATION_OF_STATE_COLUMNS,
    METRIC_KEYS,
    PAIR_FORCE_COLUMNS,
    PAIR_FRICTION_COLUMNS,
    ModelBundle,
    metric,
)
from colloid_cg.records.motion import CommonMotion
from colloid_cg.records.phase import PhaseSeries
from colloid_cg.records.reference import ReferenceCurves
from colloid_cg.records.simulated import REDUCED, SimulatedFrames
from colloid_cg.records.states import Ledger, Rollout, State, StateSeries
from colloid_cg.records.trajectories import (
    COLUMNS,
    FLAG_AFTER_GAP,
    FLAG_EDGE,
    FLAG_POOR_FIT,
    FLAG_REFOUND,
    MICROMETRE,
    Trajectories,
)

__all__ = [
    "COLUMNS",
    "EQUATION_OF_STATE_COLUMNS",
    "EVENT_COLUMNS",
    "FLAG_AFTER_GAP",
    "FLAG_EDGE",
    "FLAG_POOR_FIT",
    "FLAG_REFOUND",
    "METRIC_KEYS",
    "MICROMETRE",
    "PAIR_FORCE_COLUMNS",
    "PAIR_FRICTION_COLUMNS",
    "REDUCED",
    "Box",
    "CommonMotion",
    "EventTable",
    "FrameReader",
    "FrameStack",
    "Ledger",
    "ModelBundle",
    "NeighborGraph",
    "PhaseSeries",
    "ReferenceCurves",
    "Rollout",
    "SimulatedFrames",
    "State",
    "StateSeries",
    "Trajectories",
    "metric",
]
