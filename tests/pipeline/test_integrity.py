"""What a run folder never does: lose data, mix trackings, show stale products, forget settings."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from colloid_cg.cli.main import app
from colloid_cg.errors import ConfigError, StorageError
from colloid_cg.pipeline import event_windows
from colloid_cg.pipeline.report_stage import gather
from colloid_cg.pipeline.run import import_tracks, run_stage, track_video
from colloid_cg.pipeline.stage import out_of_date
from colloid_cg.pipeline.study import Study
from colloid_cg.store import RunFolder, read_json, read_table, read_trajectories, write_table, write_trajectories
from tests.movies import brownian_movie, write_movie

CALIBRATION = {"pixel_size": "0.1 um", "frame_interval": "20 ms"}


def random_walks(folder: Path, *, n: int = 100, frames: int = 30, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    side = int(np.sqrt(n))
    grid = 20.0 * np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    paths = grid + np.cumsum(rng.normal(0, 0.5, (frames, len(grid), 2)), axis=0)
    table = pd.DataFrame(
        {
            "frame": np.repeat(np.arange(frames), len(grid)),
            "particle": np.tile(np.arange(len(grid)), frames),
            "x": paths[..., 0].ravel(),
            "y": paths[..., 1].ravel(),
        }
    )
    path = folder / f"walks{seed}.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scratch = tmp_path_factory.mktemp("imported")
    folder = RunFolder(scratch / "run")
    import_tracks(random_walks(scratch), folder, Study({"import": CALIBRATION}))
    run_stage("events", folder)
    return folder.path


@pytest.fixture
def run(imported: Path, tmp_path: Path) -> RunFolder:
    shutil.copytree(imported, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def test_a_folder_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    movie = write_movie(tmp_path / "movie.tif", brownian_movie(n_frames=6))
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("thesis")
    result = CliRunner().invoke(app, ["inspect", str(movie), "--figure", str(precious)])
    assert result.exit_code == 2
    assert "a folder at" in result.stderr
    assert (precious / "thesis.txt").read_text() == "thesis"


def test_a_stage_that_was_killed_leaves_no_current_product(run: RunFolder) -> None:
    assert out_of_date("events.parquet", run) == ""
    record = run.manifest()["stages"]["events"]
    run.record_stage("events", {**record, "status": "running"})
    assert "when it stopped" in out_of_date("events.parquet", run)
    assert gather(run).events is None


def test_one_setting_replaces_only_itself(run: RunFolder) -> None:
    before = read_json(run.manifest_path)["study"]
    run_stage("events", run, {"seed": 5, "events": {"fdr": 0.1}})
    after = read_json(run.manifest_path)["study"]
    assert after == {**before, "seed": 5, "events": {"fdr": 0.1}}
    run_stage("events", run, {"events": {"min_cluster": 2}})
    assert read_json(run.manifest_path)["study"]["events"] == {"fdr": 0.1, "min_cluster": 2}


def test_a_failed_stage_does_not_change_the_study(run: RunFolder) -> None:
    before = read_json(run.manifest_path)["study"]
    with pytest.raises(ConfigError):
        run_stage("events", run, {"events": {"fdr": 7.0}})
    assert read_json(run.manifest_path)["study"] == before


def test_trajectories_changed_by_hand_are_noticed_downstream(run: RunFolder) -> None:
    path = run.path / "trajectories.parquet"
    tracks = read_trajectories(path)
    write_trajectories(path, tracks.with_table(tracks.table.assign(x=tracks.table["x"] + 1.0)))
    with pytest.raises(StorageError, match="was changed since 'import' wrote it"):
        run_stage("events", run)


def test_new_trajectories_make_the_old_events_stale(run: RunFolder, tmp_path: Path) -> None:
    import_tracks(random_walks(tmp_path, seed=1), run, Study({"import": CALIBRATION}))
    assert "another trajectories.parquet" in out_of_date("events.parquet", run)
    assert gather(run).events is None
    assert gather(run).event_fields is None


def test_deleted_fields_are_made_again(run: RunFolder) -> None:
    before = (run.path / "fields.parquet").read_bytes()
    (run.path / "fields.parquet").unlink()
    run_stage("events", run)
    assert (run.path / "fields.parquet").read_bytes() == before


def test_fields_of_another_tracking_are_left_out(run: RunFolder, tmp_path: Path) -> None:
    fields, _ = read_table(run.path / "fields" / "events.parquet")
    write_table(run.path / "fields" / "structure.parquet", fields[["frame", "particle"]].assign(s0=1.0))
    import_tracks(random_walks(tmp_path, seed=1), run, Study({"import": CALIBRATION}))
    run_stage("events", run)
    assert "s0" not in read_table(run.path / "fields.parquet")[0].columns


def test_structural_variables_enter_fields_and_events(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    fields, metadata = read_table(run.path / "fields" / "events.parquet"), run.manifest()["stages"]["events"]["summary"]
    write_table(run.path / "fields" / "structure.parquet", fields[0][["frame", "particle"]].assign(s0=1.0))
    monkeypatch.setattr(event_windows, "out_of_date", lambda product, folder: "")
    (outcome,) = run_stage("events", run, {"seed": 5}).outcomes
    assert outcome.summary["metadata"]["fields"] == metadata["metadata"]["fields"]
    after = read_table(run.path / "fields" / "events.parquet")[0]
    assert set(after.columns) - set(fields[0].columns) >= {"s0_jump"}


def test_an_import_takes_the_movie_with_it(tmp_path: Path) -> None:
    movie = write_movie(tmp_path / "movie.tif", brownian_movie(n_frames=12))
    folder = RunFolder(tmp_path / "run")
    track_video(movie, folder, Study({"video": CALIBRATION}))
    assert len(gather(folder).frames) == 3
    import_tracks(random_walks(tmp_path), folder, Study({"import": CALIBRATION}))
    assert gather(folder).frames == ()
    assert gather(folder).suggestion is None
    assert folder.manifest()["input"]["name"] == "walks0.csv"


def test_a_failed_track_leaves_the_record_of_the_input(tmp_path: Path) -> None:
    good = write_movie(tmp_path / "good.tif", brownian_movie(n_frames=12))
    noise = np.random.default_rng(0).poisson(100, (12, 64, 64)).astype(np.uint16)
    noise[5, 3, 3] = 0
    empty = noise * 0 + np.arange(12, dtype=np.uint16)[:, None, None]
    bad = write_movie(tmp_path / "bad.tif", empty)
    folder = RunFolder(tmp_path / "run")
    track_video(good, folder, Study({"video": CALIBRATION}))
    with pytest.raises(Exception, match="Found"):
        track_video(bad, folder, Study({"video": CALIBRATION}))
    assert folder.manifest()["input"]["name"] == "good.tif"


def test_the_report_tells_a_failure_and_is_made_again_for_it(run: RunFolder) -> None:
    run_stage("report", run)
    first = (run.path / "report.html").read_text()
    record = run.manifest()["stages"]["events"]
    run.record_stage("events", {**record, "status": "failed", "failed": "Found a reason; expected none; look here."})
    outcome = run_stage("report", run).outcomes[0]
    assert not outcome.cached
    assert "look here" not in first
    assert "Found a reason; expected none; look here." in (run.path / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"frame": [0, 10**6, 2 * 10**6]}, "frame numbers up to"),
        ({"particle": [0.0, np.inf, 0.0]}, "inf in column"),
        ({"sigma_x": [-1.0, 0.1, 0.1]}, "below zero"),
        ({"x": [np.nan, 1.0, 2.0]}, "no number in column"),
    ],
)
def test_a_refused_table_leaves_nothing(change: dict[str, list[float]], pattern: str, tmp_path: Path) -> None:
    table = pd.DataFrame({"frame": [0, 1, 2], "particle": [0, 0, 0], "x": [0.0, 1.0, 2.0], "y": [0.0, 0.0, 0.0]})
    table.assign(**change).to_csv(tmp_path / "table.csv", index=False)
    arguments = ["import", str(tmp_path / "table.csv"), "-o", str(tmp_path / "RUN"), "--pixel-size", "1 um"]
    result = CliRunner().invoke(app, [*arguments, "--frame-interval", "1 s"])
    assert result.exit_code == 2
    assert pattern in result.stderr
    assert not (tmp_path / "RUN").exists()


def test_particles_called_by_name_are_numbered(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"frame": [0, 1, 0, 1], "particle": ["b", "b", "a", "a"], "x": [0.0, 1, 5, 6], "y": [0.0, 0, 0, 0]}
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    folder = RunFolder(tmp_path / "run")
    import_tracks(tmp_path / "table.csv", folder, Study({"import": CALIBRATION}))
    assert read_trajectories(folder.path / "trajectories.parquet").n_particles == 2


def test_a_negative_seed_is_refused_before_it_is_stored(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seed = -1"):
        Study(seed=-1)


def test_a_twin_does_not_replace_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["twin", "brownian", "-o", "."])
    assert result.exit_code == 2
    assert "current folder" in result.stderr
