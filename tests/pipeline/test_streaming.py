"""Tracking part by part: the parts, the processes and the kills leave no trace in the trajectories."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from colloid_cg import tracking
from colloid_cg.cli.main import app
from colloid_cg.errors import ConfigError, DataError, InputError, StorageError, WorkerError
from colloid_cg.pipeline import crew as crew_module
from colloid_cg.pipeline import locating
from colloid_cg.pipeline.crew import Crew, Task, results
from colloid_cg.pipeline.run import track_video
from colloid_cg.pipeline.study import Study
from colloid_cg.store import RunFolder, parquet, read_json, read_trajectories, write_trajectories
from colloid_cg.tracking import ImageModel, TrackConfig
from colloid_cg.video import open_video
from tests.movies import brownian_movie, write_movie

CALIBRATION = {"video": {"pixel_size": "0.1 um", "frame_interval": "20 ms"}}
OPTIONS = ["--pixel-size", "0.1 um", "--frame-interval", "20 ms"]


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = brownian_movie(n_frames=34, size=140, particles=36, step=0.4)
    frames[12] = np.random.default_rng(0).poisson(20, frames[12].shape)  # nothing in focus
    return write_movie(tmp_path_factory.mktemp("movie") / "movie.tif", frames)


@pytest.fixture(scope="module")
def reference(movie: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder(tmp_path_factory.mktemp("reference") / "run")
    track_video(movie, folder, Study(CALIBRATION))
    return folder


def trajectories(folder: RunFolder) -> bytes:
    return (folder.path / "trajectories.parquet").read_bytes()


def test_the_pipeline_writes_what_tracking_in_memory_gives(movie: Path, reference: RunFolder, tmp_path: Path) -> None:
    stack = open_video(movie, pixel_size="0.1 um", frame_interval="20 ms")
    inspected = read_json(reference.path / "inspect.json")
    config, model = TrackConfig.parse(inspected["settings"]), ImageModel.parse(inspected["suggestion"]["image_model"])
    detections = tracking.locate(stack, config, model)
    assert 12 not in set(detections["frame"])
    metadata = {"subpixel_bias": inspected["subpixel_bias"]}
    write_trajectories(tmp_path / "t.parquet", tracking.assemble(detections, stack, config, metadata=metadata))
    assert (tmp_path / "t.parquet").read_bytes() == trajectories(reference)


@pytest.mark.parametrize("frames_per_part", [1, 7, 100])
def test_the_length_of_the_parts_leaves_no_trace(
    frames_per_part: int, movie: Path, reference: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locating, "FRAMES_PER_PART", frames_per_part)
    folder = RunFolder(tmp_path / "run")
    track_video(movie, folder, Study(CALIBRATION))
    assert trajectories(folder) == trajectories(reference)


def test_parts_leave_no_trace_with_trackpy_either(movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for frames_per_part in (5, 25):
        monkeypatch.setattr(locating, "FRAMES_PER_PART", frames_per_part)
        folder = RunFolder(tmp_path / f"run{frames_per_part}")
        track_video(movie, folder, Study({**CALIBRATION, "track": {"engine": "trackpy"}}))
        found.add(trajectories(folder))
    assert len(found) == 1


@pytest.mark.slow
def test_processes_leave_no_trace_and_end_with_the_run(movie: Path, reference: RunFolder, tmp_path: Path) -> None:
    import psutil

    command = [sys.executable, "-m", "colloid_cg", "track", str(movie), "-o", str(tmp_path / "run"), *OPTIONS]
    result = subprocess.run([*command, "--workers", "2", "--json"], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["stages"]["track"]["summary"]["workers"] == 2
    assert "located by 2 workers" in result.stderr
    counts = read_trajectories(tmp_path / "run" / "trajectories.parquet").metadata["counts"]
    assert [line.split()[0] for line in result.stderr.splitlines()] == [
        *("inspect", "inspect", "locate", "link", "tracks", "drift", "write", "track"),
        *(f"{counts['n_detections']:,}", "diameter"),  # what was found, and with what
    ]
    assert trajectories(RunFolder(tmp_path / "run")) == trajectories(reference)
    assert [item.name for item in tmp_path.iterdir()] == ["run"]
    assert not [p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]


@pytest.mark.slow
def test_kills_in_every_pass_cost_nothing_but_time(movie: Path, reference: RunFolder, tmp_path: Path) -> None:
    seed = np.random.default_rng().integers(10**6)
    command = [sys.executable, "-m", "tests.pipeline.killed", str(movie), str(tmp_path / "run"), str(seed)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"seed {seed}: {result.stderr}"
    assert int(result.stdout) >= 2, f"seed {seed}"
    assert trajectories(RunFolder(tmp_path / "run")) == trajectories(reference), f"seed {seed}"
    assert not list((tmp_path / "run").rglob("*.tmp-*"))


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a dask cluster whose worker lives in this process."""
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set({"temporary-directory": str(tmp_path_factory.mktemp("dask"))}),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            protocol="tcp",
            silence_logs=50,
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_a_cluster_by_address_gives_the_same_bytes(
    scheduler: str, movie: Path, reference: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locating, "FRAMES_PER_PART", 6)
    folder = RunFolder(tmp_path / "run")
    track_video(movie, folder, Study(CALIBRATION), crew=Crew(None, scheduler))
    assert trajectories(folder) == trajectories(reference)


def refuse() -> None:
    raise DataError("a thing", expected="another", action="change it")


def test_errors_of_workers_come_out_as_they_are(scheduler: str) -> None:
    with pytest.raises(DataError, match="Found a thing; expected another; change it"):
        list(results([Task("frames 0 to 3", refuse, ())], Crew(None, scheduler), workers=1))
    with pytest.raises(WorkerError, match=r"frames 0 to 3 \(ZeroDivisionError: integer division or modulo by zero\)"):
        list(results([Task("frames 0 to 3", divmod, (1, 0))], Crew(None, scheduler), workers=1))


def test_results_do_not_pile_up(scheduler: str) -> None:
    handed_out, ahead = 0, []

    def tasks() -> Iterator[Task]:
        nonlocal handed_out
        for number in range(12):
            handed_out += 1
            yield Task(str(number), abs, (-number,))

    found = []
    for task, value in results(tasks(), Crew(None, scheduler), workers=1):
        found.append((task.words, value))
        ahead.append(handed_out - len(found))
    assert sorted(found, key=lambda item: item[1]) == [(str(number), number) for number in range(12)]
    assert max(ahead) <= crew_module.LOOK_AHEAD


def test_workers_with_other_code_are_refused() -> None:
    class Other:
        def run(self, function: object, **options: object) -> dict[str, str]:
            return {"tcp://there:1": "0.0+older"}

    with pytest.raises(WorkerError, match=r"0\.0\+older on the worker tcp://there:1 of here.*the same version"):
        crew_module._checked(Other(), "here")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_worker_that_dies_is_said_in_one_sentence() -> None:
    import os

    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        pytest.raises(WorkerError, match="died again and again on frames 0 to 24"),
    ):
        list(results([Task("frames 0 to 24", os._exit, (1,))], Crew(2), workers=1))


def test_no_cluster_at_the_address(movie: Path, tmp_path: Path) -> None:
    arguments = ["track", str(movie), "-o", str(tmp_path / "run"), *OPTIONS, "--scheduler", "tcp://127.0.0.1:9"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "error: Found no dask cluster with workers at tcp://127.0.0.1:9; expected" in result.stderr
    assert not (tmp_path / "run" / "trajectories.parquet").exists()


@pytest.mark.parametrize(("workers", "scheduler"), [(0, None), (2, "tcp://host:1")])
def test_crews_that_make_no_sense_are_refused(workers: int, scheduler: str | None) -> None:
    with pytest.raises(ConfigError):
        Crew(workers, scheduler)


@pytest.mark.parametrize("shared", [False, True])
def test_frames_that_change_size_leave_nothing_half_written(shared: bool, scheduler: str, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for index, frame in enumerate(brownian_movie(n_frames=60, size=96, particles=16).astype(np.uint8)):
        cv2.imwrite(str(images / f"{index:03d}.png"), frame[:90] if index == 31 else frame)
    arguments = ["track", str(images), "-o", str(tmp_path / "run"), *OPTIONS]
    result = CliRunner().invoke(app, [*arguments, *(["--scheduler", scheduler] if shared else ["--workers", "1"])])
    assert result.exit_code == 2, result.output
    assert "error: Found frame 31 of shape (90, 96)" in result.stderr
    assert result.stderr.count("error:") == 1
    assert not (tmp_path / "run" / "trajectories.parquet").exists()
    assert not list(tmp_path.rglob("*.tmp-*"))


def test_a_full_disk_during_a_part_is_said_and_the_run_goes_on(
    movie: Path, reference: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locating, "FRAMES_PER_PART", 6)
    folder = RunFolder(tmp_path / "run")
    original = parquet.TableWriter.append
    for full_at in (3, 5, 9):
        count = 0

        def failing(self: parquet.TableWriter, table: object) -> None:
            nonlocal count
            count += 1
            if count == full_at:  # noqa: B023
                raise OSError(errno.ENOSPC, "No space left on device")
            original(self, table)  # type: ignore[arg-type]

        monkeypatch.setattr(parquet.TableWriter, "append", failing)
        with pytest.raises(StorageError, match=r"no space left.*it goes on where it stopped"):
            track_video(movie, folder, Study(CALIBRATION))
        assert not list(folder.path.rglob("*.tmp-*"))
    monkeypatch.setattr(parquet.TableWriter, "append", original)
    track_video(movie, folder, Study(CALIBRATION))
    assert trajectories(folder) == trajectories(reference)


def test_linking_goes_on_after_the_last_part(
    movie: Path, reference: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from colloid_cg.pipeline import linking

    monkeypatch.setattr(locating, "FRAMES_PER_PART", 6)
    folder, original, linked = RunFolder(tmp_path / "run"), linking.write_table, []

    def stopped(path: Path, table: object) -> None:
        linked.append(path.name)
        original(path, table)  # type: ignore[arg-type]
        if len(linked) == 3:
            raise InputError("a stop", expected="none", action="go on")

    monkeypatch.setattr(linking, "write_table", stopped)
    with pytest.raises(InputError, match="a stop"):
        track_video(movie, folder, Study(CALIBRATION))
    track_video(movie, folder, Study(CALIBRATION))
    # the third part was written but not yet its state: it is made once more
    assert [int(name.split(".")[0]) for name in linked] == [0, 1, 2, 2, 3, 4, 5]
    assert trajectories(folder) == trajectories(reference)
