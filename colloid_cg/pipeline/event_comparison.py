"""Events of the test block against those of the rollouts, for assessment.json."""

from __future__ import annotations

from typing import Any

import pandas as pd

from colloid_cg.errors import DataError
from colloid_cg.events import EventConfig
from colloid_cg.events.comparison import Hidden, compare_events, observe, pinned, rollout_views
from colloid_cg.pipeline.blocks import Blocks
from colloid_cg.pipeline.stage import Job, out_of_date
from colloid_cg.progress import Progress
from colloid_cg.records import Rollout, Trajectories
from colloid_cg.store.arrays import read_structure
from colloid_cg.structure import StructureModel, encode

MADE_BY = ("events.parquet", "structure")
"""Products that decide whether there is something to compare."""


def compare_run_events(job: Job, used: Blocks, rollout: Rollout, progress: Progress) -> dict[str, Any]:
    """Return the comparison of events, or ``status`` says why there is none.

    The detector runs anew on the test block and on each replica, with the lengths and times of the test block and over
    equally many frames: both are then looked at in the same way. Structural variables come from the encoder of the run.
    """
    folder = job.folder
    if not (folder.path / MADE_BY[0]).exists() or out_of_date(MADE_BY[0], folder):
        return {"status": "no events were looked for in this run: run 'colloid-cg events', then 'colloid-cg assess'"}
    if rollout.velocities is not None:
        return {"status": "not compared: events of simulations with velocities are not looked for in rollouts"}
    first = int(used.test.table["frame"].min())
    frames = min(int(used.test.table["frame"].max()) - first + 1, rollout.positions.shape[1])
    experiment = used.test.between(first, first + frames)
    config = pinned(job.study.section(EventConfig), experiment)
    views, hidden = rollout_views(rollout, pixel_size=experiment.pixel_size, frames=frames), _hidden(job)
    seen = []
    try:
        for done, tracks in enumerate((experiment, *views)):
            seen.append(observe(tracks, config, hidden=hidden))
            progress(done + 1, len(views) + 1)
    except DataError as error:
        return {"status": f"not compared: {error}"}
    found = compare_events(seen[0], seen[1:], rng=job.rng("events of rollouts"))
    return found | {"frames": frames, "replicas": len(views), "detector": config.as_dict()}


def _hidden(job: Job) -> Hidden | None:
    """Return what tells structural variables of tracks, None for a run without."""
    folder = job.folder
    if not (folder.path / MADE_BY[1]).exists() or out_of_date(MADE_BY[1], folder):
        return None
    model = StructureModel.from_arrays(*read_structure(folder.path / MADE_BY[1]))

    def told(tracks: Trajectories) -> pd.DataFrame:
        return encode(model, tracks)

    return told
