"""Files of the run folder: atomic writes, tables, models, rollouts, provenance."""

from colloid_cg.store.arrays import read_model, read_rollout, read_weights, write_model, write_rollout, write_weights
from colloid_cg.store.atomic import atomic_path, read_json, write_json
from colloid_cg.store.checkpoint import Kept, read_arrays, write_arrays
from colloid_cg.store.parquet import (
    read_columns,
    read_events,
    read_frames,
    read_table,
    table_writer,
    write_events,
    write_table,
)
from colloid_cg.store.reference import read_reference
from colloid_cg.store.run_folder import SCHEMA_VERSION, RunFolder
from colloid_cg.store.trajectories import (
    TrajectoryFile,
    iterate_trajectories,
    open_trajectories,
    read_trajectories,
    trajectory_writer,
    write_trajectories,
)

__all__ = [
    "SCHEMA_VERSION",
    "Kept",
    "RunFolder",
    "TrajectoryFile",
    "atomic_path",
    "iterate_trajectories",
    "open_trajectories",
    "read_arrays",
    "read_columns",
    "read_events",
    "read_frames",
    "read_json",
    "read_model",
    "read_reference",
    "read_rollout",
    "read_table",
    "read_trajectories",
    "read_weights",
    "table_writer",
    "trajectory_writer",
    "write_arrays",
    "write_events",
    "write_json",
    "write_model",
    "write_rollout",
    "write_table",
    "write_trajectories",
    "write_weights",
]
