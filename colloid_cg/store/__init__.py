"""Files of the run folder: atomic writes, tables, models, rollouts, provenance."""

from colloid_cg.store.arrays import read_model, read_rollout, read_weights, write_model, write_rollout, write_weights
from colloid_cg.store.atomic import atomic_path, read_json, write_json
from colloid_cg.store.parquet import (
    read_events,
    read_table,
    read_trajectories,
    write_events,
    write_table,
    write_trajectories,
)
from colloid_cg.store.run_folder import SCHEMA_VERSION, RunFolder

__all__ = [
    "SCHEMA_VERSION",
    "RunFolder",
    "atomic_path",
    "read_events",
    "read_json",
    "read_model",
    "read_rollout",
    "read_table",
    "read_trajectories",
    "read_weights",
    "write_events",
    "write_json",
    "write_model",
    "write_rollout",
    "write_table",
    "write_trajectories",
    "write_weights",
]
