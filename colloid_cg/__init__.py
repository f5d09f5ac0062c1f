"""From high-speed colloid microscopy to a thermodynamically consistent model.

The public names are loaded on first use, so that ``import colloid_cg`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colloid_cg.assessment import AssessConfig, assess
    from colloid_cg.errors import ColloidError, ConfigError, DataError, InputError, StorageError
    from colloid_cg.events import EventConfig, detect_events, event_fields
    from colloid_cg.learn import FitConfig, fit
    from colloid_cg.pipeline.api import report, simulate
    from colloid_cg.pipeline.run import run_video
    from colloid_cg.pipeline.study import Study
    from colloid_cg.records import Box, EventTable, FrameStack, ModelBundle, Rollout, Trajectories
    from colloid_cg.simulation import SimulateConfig
    from colloid_cg.states import rollout_trajectories, split_by_time
    from colloid_cg.store import RunFolder, iterate_trajectories, read_trajectories
    from colloid_cg.structure import StructureConfig, encode, fit_structure
    from colloid_cg.tracking import (
        ImportConfig,
        TrackConfig,
        score_detections,
        score_links,
        score_tracks,
        suggest,
        track,
    )
    from colloid_cg.twin import TwinConfig, make_twin
    from colloid_cg.video import VideoConfig, open_video, save_movie

_HOME = {
    "assessment": ("AssessConfig", "assess"),
    "errors": ("ColloidError", "ConfigError", "DataError", "InputError", "StorageError"),
    "events": ("EventConfig", "detect_events", "event_fields"),
    "learn": ("FitConfig", "fit"),
    "pipeline.api": ("report", "simulate"),
    "pipeline.run": ("run_video",),
    "pipeline.study": ("Study",),
    "records": ("Box", "EventTable", "FrameStack", "ModelBundle", "Rollout", "Trajectories"),
    "simulation": ("SimulateConfig",),
    "states": ("rollout_trajectories", "split_by_time"),
    "store": ("RunFolder", "iterate_trajectories", "read_trajectories"),
    "structure": ("StructureConfig", "encode", "fit_structure"),
    "tracking": ("ImportConfig", "TrackConfig", "score_detections", "score_links", "score_tracks", "suggest", "track"),
    "twin": ("TwinConfig", "make_twin"),
    "video": ("VideoConfig", "open_video", "save_movie"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AssessConfig",
    "Box",
    "ColloidError",
    "ConfigError",
    "DataError",
    "EventConfig",
    "EventTable",
    "FitConfig",
    "FrameStack",
    "ImportConfig",
    "InputError",
    "ModelBundle",
    "Rollout",
    "RunFolder",
    "SimulateConfig",
    "StorageError",
    "StructureConfig",
    "Study",
    "TrackConfig",
    "Trajectories",
    "TwinConfig",
    "VideoConfig",
    "assess",
    "detect_events",
    "encode",
    "event_fields",
    "fit",
    "fit_structure",
    "iterate_trajectories",
    "make_twin",
    "open_video",
    "read_trajectories",
    "report",
    "rollout_trajectories",
    "run_video",
    "save_movie",
    "score_detections",
    "score_links",
    "score_tracks",
    "simulate",
    "split_by_time",
    "suggest",
    "track",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the layer it lives in."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'colloid_cg' has no attribute {name!r}")
    value = getattr(import_module(f"colloid_cg.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted({*globals(), *__all__})
