"""Events of the test block against rollouts: what ``assess`` writes, and when it says there is nothing to compare."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from colloid_cg.pipeline.blocks import blocks
from colloid_cg.pipeline.event_comparison import compare_run_events
from colloid_cg.pipeline.from_tracks import ASSESS
from colloid_cg.pipeline.run import import_tracks, run_stage
from colloid_cg.pipeline.stage import Job
from colloid_cg.pipeline.study import Study
from colloid_cg.progress import silent
from colloid_cg.records import Rollout
from colloid_cg.store import RunFolder
from tests.events.movies import cluster_jump, crystal
from tests.events.test_comparison import rollout_of

FRAMES, LENGTH = 60, 30
STUDY = Study(
    {"import": {"pixel_size": "0.1 um", "frame_interval": "100 ms"}, "events": {"lag": 1, "half_window": 3}},
    fractions=(0.25, 0.25, 0.5),
)


def jumps(seed: int, at: int, *, frames: int):
    return crystal(seed, noise=0.3, n_frames=frames, planted=cluster_jump(20, length=7.0, seed=2), jump_at=at)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A run of a crystal in which particles jump in the test block, events not yet looked for."""
    scratch = tmp_path_factory.mktemp("compared")
    jumps(1, 45, frames=FRAMES).table[["frame", "particle", "x", "y"]].to_csv(scratch / "tracks.csv", index=False)
    folder = RunFolder(scratch / "run")
    import_tracks(scratch / "tracks.csv", folder, STUDY)
    return Job(folder=folder, study=STUDY)


@pytest.fixture(scope="module")
def rollout() -> Rollout:
    return rollout_of([jumps(seed, 12, frames=LENGTH + 5) for seed in (2, 3)], sigma=0.03)


def test_events_of_both_are_compared_once_they_were_looked_for(job: Job, rollout: Rollout) -> None:
    used = blocks(job)
    missing = compare_run_events(job, used, rollout, silent)
    assert "colloid-cg events" in missing["status"]
    run_stage("events", job.folder)
    found = compare_run_events(job, used, rollout, silent)
    assert found["status"] == "compared"
    assert (found["frames"], found["replicas"]) == (LENGTH, 2)
    assert found["detector"]["half_window"] == 3
    assert found["detector"]["cutoff"] > 0
    assert found["rate"]["experiment"]["n_events"] >= 1
    assert found["rate"]["model"]["n_events"] >= 2
    ratio = found["rate"]["ratio"]
    assert ratio["low90"] < 1 < ratio["high90"]
    assert found["coupling"] == {}
    json.dumps(found, allow_nan=False)
    assert json.dumps(found) == json.dumps(compare_run_events(job, used, rollout, silent))
    moving = replace(rollout, velocities=np.zeros_like(rollout.positions))
    assert "velocities" in compare_run_events(job, used, moving, silent)["status"]


def test_assess_depends_on_the_events_and_their_settings(job: Job) -> None:
    assert "events.parquet" in ASSESS.optional
    assert "structure" in ASSESS.optional
    assert "events" in {kind.table for kind in ASSESS.sections}


def test_stale_events_are_not_compared(job: Job, rollout: Rollout, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(job.folder.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    if "events" not in folder.manifest()["stages"]:
        run_stage("events", folder)
    record = folder.manifest()["stages"]["events"]
    folder.record_stage("events", {**record, "status": "running"})
    stale = compare_run_events(replace(job, folder=folder), blocks(job), rollout, silent)
    assert "no events were looked for" in stale["status"]
