"""Runs larger than the memory: stated blocks, windows, and every detection still counted."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from colloid_cg.errors import ConfigError
from colloid_cg.events import EventConfig, detect_events
from colloid_cg.pipeline.blocks import blocks, spans
from colloid_cg.pipeline.run import import_tracks, run_stage
from colloid_cg.pipeline.stage import Job
from colloid_cg.pipeline.study import Study, study_from_dict
from colloid_cg.states import split_by_time
from colloid_cg.store import RunFolder, read_events, read_json, read_table, read_trajectories
from tests.pipeline.test_integrity import CALIBRATION, random_walks

FRAMES = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    scratch = tmp_path_factory.mktemp("large")
    folder = RunFolder(scratch / "run")
    import_tracks(random_walks(scratch, n=100, frames=FRAMES), folder, Study({"import": CALIBRATION}))
    return folder


def job(run: RunFolder, memory_rows: int) -> Job:
    return Job(folder=run, study=Study(memory_rows=memory_rows))


def test_all_frames_are_used_where_they_fit(run: RunFolder) -> None:
    used = blocks(job(run, 100 * FRAMES))
    whole = split_by_time(read_trajectories(run.path / "trajectories.parquet"))
    for block, expected in zip((used.train, used.select, used.test), whole, strict=True):
        assert block.table.equals(expected.table)
    assert used.shortened is None
    assert list(spans(job(run, 100 * FRAMES))) == [(0, FRAMES)]


def test_blocks_of_a_larger_run_are_stated_and_fit(run: RunFolder) -> None:
    used = blocks(job(run, 2500))
    assert used.shortened is not None
    assert used.shortened["frames_used"] == {"train": (0, 15), "select": (36, 41), "test": (48, 53)}
    for block, (first, last) in zip(
        (used.train, used.select, used.test), used.shortened["frames_used"].values(), strict=True
    ):
        assert sorted(block.table["frame"].unique()) == list(range(first, last))
    assert sum(len(block) for block in (used.train, used.select, used.test)) <= 2500
    assert "test (frames 48 to 59) only frames 48 to 52" in used.shortened["warnings"][0]
    assert list(spans(job(run, 2500))) == [(0, 25), (25, 50), (50, 60)]
    assert list(spans(job(run, 10))) == [(frame, frame + 1) for frame in range(FRAMES)]


def test_events_and_report_of_a_larger_run(run: RunFolder) -> None:
    result = run_stage("events", run, {"memory_rows": 25_000, "events": {"half_window": 2, "lag": 2}})
    summary = result.outcomes[0].summary
    assert "3 windows" in summary["warnings"][0]
    tracks = read_trajectories(run.path / "trajectories.parquet")
    fields, _ = read_table(run.path / "fields.parquet")
    np.testing.assert_array_equal(fields[["frame", "particle"]], tracks.table[["frame", "particle"]])
    config = EventConfig(half_window=2, lag=2)
    whole = detect_events(tracks, config).metadata
    found = read_events(run.path / "events.parquet").metadata
    assert found["n_tests"] == whole["n_tests"] > 1000
    assert [window["frames"] for window in found["windows"]] == [[0, 25], [25, 50], [50, 60]]
    assert found["fields"]["mean_spacing_um"] == whole["fields"]["mean_spacing_um"]
    run_stage("report", run, {"memory_rows": 2500})
    page = (run.path / "report.html").read_text()
    assert re.search(rf"tracked through {FRAMES} frames", page)
    assert "6,000" in page
    assert read_json(run.manifest_path)["study"]["memory_rows"] == 2500


def test_fields_do_not_depend_on_the_windows_but_for_their_p_values(run: RunFolder, tmp_path: Path) -> None:
    from colloid_cg.events import event_fields

    run_stage("events", run, {"memory_rows": 25_000, "events": {"half_window": 2, "lag": 2}})
    fields, _ = read_table(run.path / "fields.parquet")
    tracks = read_trajectories(run.path / "trajectories.parquet")
    whole = event_fields(tracks, EventConfig(half_window=2, lag=2))
    np.testing.assert_allclose(fields["d2min"], whole["d2min"], rtol=1e-12)


@pytest.mark.parametrize("value", [0, 2.5, True, "many"])
def test_memory_that_is_no_number_of_rows(value: object) -> None:
    with pytest.raises(ConfigError, match="memory_rows"):
        study_from_dict({"memory_rows": value})
