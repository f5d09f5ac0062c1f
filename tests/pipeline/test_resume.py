"""A run that is killed at any moment goes on and ends with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from colloid_cg.pipeline.run import run_stage, run_video
from colloid_cg.pipeline.study import Study
from colloid_cg.provenance import sha256_of_tree
from colloid_cg.store import RunFolder, read_json
from tests.movies import brownian_movie, write_movie

TABLES = ("trajectories.parquet", "events.parquet")
CALIBRATION = {"video": {"pixel_size": "0.1 um", "frame_interval": "20 ms"}}


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movie(
        tmp_path_factory.mktemp("movie") / "movie.tif", brownian_movie(n_frames=90, size=256, particles=121, step=0.35)
    )


def command(movie: Path, folder: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "colloid_cg",
        "run",
        str(movie),
        "-o",
        str(folder),
        "--pixel-size",
        "0.1 um",
        "--frame-interval",
        "20 ms",
    ]


@pytest.fixture(scope="module")
def undisturbed(movie: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    result = subprocess.run(command(movie, folder), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(folder / "report.html")
    return folder


def written(folder: Path) -> int:
    # files and folders come and go meanwhile: os.walk passes over what has vanished
    return sum(len(folders) + len(files) for _, folders, files in os.walk(folder))


@pytest.mark.slow
def test_kill_at_random_moments(movie: Path, undisturbed: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng()
    folder, kills, reference = tmp_path / "run", 0, undisturbed
    # moments are counted in files, not in seconds: how fast a machine is changes while it works
    for files in np.sort(rng.integers(4, written(reference) - 4, 3)):
        process = subprocess.Popen(command(movie, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and written(folder) < files:
            time.sleep(0.02)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    result = subprocess.run(command(movie, folder), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert kills >= 1
    for name in TABLES:
        assert (folder / name).read_bytes() == (reference / name).read_bytes(), name
    assert not list(folder.rglob("*.tmp-*"))


def test_a_second_run_does_nothing_again(movie: Path, undisturbed: Path) -> None:
    folder = undisturbed
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != "run.json"}
    result = run_video(movie, RunFolder(folder), Study(CALIBRATION))
    assert [outcome.stage for outcome in result.outcomes if not outcome.cached] == []
    after = {path: path.stat().st_mtime_ns for path in before}
    before.pop(folder / ".lock", None), after.pop(folder / ".lock", None)
    assert after == before


def test_an_interrupted_location_goes_on_at_the_last_part(
    movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from colloid_cg import tracking

    seen: list[int] = []
    original = tracking.locate

    def counted(*args: object, start: int, **rest: object) -> object:
        seen.append(start)
        if start == 50 and seen.count(50) == 1:
            raise RuntimeError("killed")
        return original(*args, start=start, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(tracking, "locate", counted)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(RuntimeError, match="killed"):
        run_video(movie, folder, Study(CALIBRATION))
    assert not (folder.path / "trajectories.parquet").exists()
    assert folder.manifest()["stages"]["track"]["status"] == "running"
    run_video(movie, folder, Study(CALIBRATION))
    parts = [start for start in seen if start % 25 == 0]
    assert parts.count(0) == 1
    assert parts.count(25) == 1
    assert parts.count(50) == 2


def test_provenance_is_complete(undisturbed: Path, movie: Path) -> None:
    folder = undisturbed
    content = read_json(folder / "run.json")
    assert content["schema_version"] == 1
    assert content["input"]["sha256"] == sha256_of_tree(movie)
    assert content["units"]["pixel_size_um"] == pytest.approx(0.1)
    names = ["inspect", "track", "structure", "fit", "simulate", "events", "reading", "assess", "report"]
    assert list(content["stages"]) == names
    for name in names:
        entry = content["stages"][name]
        assert entry["status"] == "complete"
        assert entry["versions"]["trackpy"]
        assert entry["seconds"] > 0
        assert "seed" in entry
        for product, digest in entry["products"].items():
            assert sha256_of_tree(folder / product) == digest


def test_every_product_of_the_contract_is_there(undisturbed: Path) -> None:
    folder = undisturbed
    for name in (
        "run.json",
        "trajectories.parquet",
        "fields.parquet",
        "events.parquet",
        "model/config.json",
        "model/weights.safetensors",
        "model/pair_force.csv",
        "model/metrics.json",
        "rollout.zarr",
        "report.html",
    ):
        assert (folder / name).exists(), name
    assert list((folder / "figures").glob("*.png"))


def test_a_changed_setting_redoes_only_what_depends_on_it(movie: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run_video(movie, folder, Study(CALIBRATION))
    result = run_video(movie, folder, Study({**CALIBRATION, "simulate": {"replicas": 2}}))
    again = [outcome.stage for outcome in result.outcomes if not outcome.cached]
    assert again == ["simulate", "assess", "report"]


def test_a_table_changed_by_hand_is_not_overwritten(movie: Path, tmp_path: Path) -> None:
    from colloid_cg.errors import StorageError

    folder = RunFolder(tmp_path / "run")
    run_video(movie, folder, Study(CALIBRATION))
    path = folder.path / "events.parquet"
    path.write_bytes(path.read_bytes() + b"note")
    with pytest.raises(StorageError, match="changed since"):
        run_stage("events", folder)
    assert path.read_bytes().endswith(b"note")


def test_a_model_of_other_trajectories_is_not_used(movie: Path, tmp_path: Path) -> None:
    from colloid_cg.errors import StorageError
    from colloid_cg.pipeline.run import track_video

    folder = RunFolder(tmp_path / "run")
    run_video(movie, folder, Study(CALIBRATION))
    track_video(movie, folder, Study({**CALIBRATION, "track": {"diameter": 13}}))
    with pytest.raises(StorageError, match="colloid-cg fit"):
        run_stage("simulate", folder)
