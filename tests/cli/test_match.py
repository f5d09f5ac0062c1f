"""The verb match: planted rearrangements against true tables, other runs and reviews."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from colloid_cg.cli.main import app
from colloid_cg.pipeline.matching import on_camera
from colloid_cg.pipeline.run import import_tracks, run_stage
from colloid_cg.pipeline.study import Study
from colloid_cg.records import EventTable
from colloid_cg.store import RunFolder, read_events, read_json, write_events
from tests.cli.test_bad_input import assert_refused, invoke
from tests.events.movies import SPACING, cluster_jump, crystal
from tests.events.tables import event_table

JUMP = 15


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a crystal in which seven particles jump in frame 15, events found."""
    scratch = tmp_path_factory.mktemp("match")
    tracks = crystal(1, noise=0.3, planted=cluster_jump(20, length=7.0, seed=2), jump_at=JUMP)
    tracks.table[["frame", "particle", "x", "y"]].to_csv(scratch / "tracks.csv", index=False)
    folder = RunFolder(scratch / "run")
    import_tracks(
        scratch / "tracks.csv", folder, Study({"import": {"pixel_size": "0.1 um", "frame_interval": "100 ms"}})
    )
    run_stage("events", folder)
    middle = (10 * SPACING, 10 * SPACING * np.sqrt(0.75))
    truth = event_table(
        [JUMP, JUMP, 25], [middle[0], 40.0, -60.0], [middle[1], 40.0, -60.0], amplitude=[0.7, 0.01, 0.7]
    )
    (scratch / "twin").mkdir()
    write_events(scratch / "twin" / "events.parquet", truth)
    return scratch


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"


def test_planted_events_are_matched_with_the_truth_of_a_twin(made: Path, run: Path) -> None:
    code, stdout, stderr = invoke("match", str(run), str(made / "twin"))
    assert code == 0, stderr
    assert stdout.splitlines()[-1] == str(run / "match.json")
    assert "precision 1.000" in stdout
    found = read_json(run / "match.json")
    n = len(read_events(run / "events.parquet"))
    assert (found["n_found"], found["n_matched"], found["n_recalled"]) == (n, 1, 1)
    # The event beyond the edge could not be found; the small one was missed.
    assert [row["counted"] for row in found["reference_events"]] == [True, True, False]
    assert found["n_reference"] == 2
    assert "nothing could be tested" in stderr
    assert abs(found["peak_error"]["mean"]) <= 2
    record = read_json(run / "run.json")["stages"]["match"]
    assert record["status"] == "complete"
    assert {"products", "inputs", "versions", "summary"} <= set(record)
    _, _, again = invoke("match", str(run), str(made / "twin"))
    assert "up to date" in again
    assert "nothing could be tested" in again


def test_tiers_and_limits_are_options(made: Path, run: Path) -> None:
    command = ["match", str(run), str(made / "twin" / "events.parquet"), "--json"]
    code, stdout, _ = invoke(*command, "--amplitude-recall", "0.5 um", "--amplitude-false", "100 nm")
    assert code == 0
    told = json.loads(stdout)
    assert told["run"] == str(run)
    summary = told["stages"]["match"]["summary"]
    assert (summary["n_reference"], summary["recall"]["value"]) == (1, 1.0)
    assert summary["settings"]["amplitude_false_um"] == pytest.approx(0.1)
    summary = json.loads(invoke(*command, "--frames", "0", "--distance", "1 nm")[1])["stages"]["match"]["summary"]
    assert summary["n_matched"] == 0
    assert summary["settings"]["max_distance_um"] == pytest.approx(0.001)


def test_a_run_matches_itself_and_a_review_is_scored(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "other")
    assert invoke("match", str(run), str(tmp_path / "other"))[0] == 0
    found = read_json(run / "match.json")
    assert found["reference"]["kind"] == "run"
    assert found["f1"]["value"] == 1.0
    assert found["distance_um"]["value"] == 0.0
    event = int(read_events(run / "events.parquet").table["event"].iloc[0])
    review = pd.DataFrame({"event": [event, None], "label": ["confirmed", "missed"], "frame": [None, 3]})
    review.assign(x=[None, 50.0], y=[None, 60.0]).to_csv(tmp_path / "review.csv", index=False)
    assert invoke("match", str(run), str(tmp_path / "review.csv"))[0] == 0
    found = read_json(run / "match.json")
    assert found["reference"]["kind"] == "review"
    assert (found["precision"]["value"], found["recall"]["value"]) == (1.0, 0.5)


def test_what_is_no_reference_is_refused(run: Path, tmp_path: Path) -> None:
    code, _, stderr = invoke("match", str(run), str(tmp_path))
    assert_refused(code, stderr, "no events in")
    (tmp_path / "labels.csv").write_text("number,verdict\n1,good\n")
    code, _, stderr = invoke("match", str(run), str(tmp_path / "labels.csv"))
    assert_refused(code, stderr, "event and label")
    assert not (run / "match.json").exists()
    result = CliRunner().invoke(app, ["match", str(run), str(tmp_path / "labels.csv"), "--distance", "far"])
    assert_refused(result.exit_code, result.stderr, "'far' as a length")


def test_events_are_put_back_to_where_the_camera_saw_them() -> None:
    drift = {"removed": True, "frame": [0, 1, 2], "dx": [0.0, 1.0, 2.0], "dy": [0.0, -1.0, -2.0]}
    seen = on_camera(event_table([0, 2], [10.0, 10.0], [20.0, 20.0]), drift)
    assert seen.table["x"].tolist() == [10.0, 12.0]
    assert seen.table["y"].tolist() == [20.0, 18.0]
    assert len(on_camera(EventTable.empty(), drift)) == 0
