"""The second look in a run: parts and kills leave no trace, and it gives what tracking in memory gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from colloid_cg import tracking
from colloid_cg.errors import InputError
from colloid_cg.pipeline import locating
from colloid_cg.pipeline.run import run_stage, track_video
from colloid_cg.pipeline.study import Study
from colloid_cg.records import FLAG_REFOUND
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.quality import tracking_quality
from colloid_cg.reporting.sections.recording import tracking_section
from colloid_cg.store import RunFolder, read_json, read_trajectories, write_trajectories
from colloid_cg.tracking import ImageModel, TrackConfig
from colloid_cg.video import open_video
from tests.movies import brownian_movie, write_movie

STUDY = {
    "video": {"pixel_size": "0.1 um", "frame_interval": "20 ms"},
    "track": {"refind": True, "refine": "likelihood", "shape": "spot", "minmass": 2500.0, "close_gaps": 5, "memory": 2},
}


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = brownian_movie(n_frames=34, size=140, particles=36, step=0.4)
    # the lamp is weak in some frames, four of them in a row across the border between two parts
    for frame in (3, 9, 10, 23, 24, 25, 26, 31):
        frames[frame] = np.random.default_rng(frame).binomial(frames[frame], 0.4)
    frames[12] = np.random.default_rng(0).poisson(20, frames[12].shape)  # nothing in focus
    return write_movie(tmp_path_factory.mktemp("movie") / "movie.tif", frames)


@pytest.fixture(scope="module")
def reference(movie: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder(tmp_path_factory.mktemp("reference") / "run")
    track_video(movie, folder, Study(STUDY))
    return folder


def trajectories(folder: RunFolder) -> bytes:
    return (folder.path / "trajectories.parquet").read_bytes()


def test_particles_are_found_again_in_the_frames_that_missed_them(reference: RunFolder) -> None:
    tracks = read_trajectories(reference.path / "trajectories.parquet")
    counts = tracks.metadata["counts"]
    again = tracks.table[(tracks.table["flags"] & FLAG_REFOUND) != 0]
    assert counts["n_missing"] > counts["n_refound"] == len(again)
    assert again["frame"].isin([3, 9, 10, 23, 24, 25, 26, 31]).sum() > 0.97 * 8 * 36
    assert not (again["frame"] == 12).any()
    assert reference.manifest()["stages"]["track"]["summary"]["refound"] == len(again)


def test_the_pipeline_writes_what_tracking_in_memory_gives(movie: Path, reference: RunFolder, tmp_path: Path) -> None:
    stack = open_video(movie, pixel_size="0.1 um", frame_interval="20 ms")
    inspected = read_json(reference.path / "inspect.json")
    config, model = TrackConfig.parse(inspected["settings"]), ImageModel.parse(inspected["suggestion"]["image_model"])
    metadata = {"subpixel_bias": inspected["subpixel_bias"]}
    assert metadata["subpixel_bias"]["found"] > 0.9
    tracks = tracking.assemble(tracking.locate(stack, config, model), stack, config, model, metadata=metadata)
    write_trajectories(tmp_path / "t.parquet", tracks)
    assert (tmp_path / "t.parquet").read_bytes() == trajectories(reference)


@pytest.mark.parametrize("frames_per_part", [1, 7, 100])
def test_the_length_of_the_parts_leaves_no_trace(
    frames_per_part: int, movie: Path, reference: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locating, "FRAMES_PER_PART", frames_per_part)
    folder = RunFolder(tmp_path / "run")
    track_video(movie, folder, Study(STUDY))
    assert trajectories(folder) == trajectories(reference)


def test_it_goes_on_after_the_last_part(
    movie: Path, reference: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locating, "FRAMES_PER_PART", 6)
    folder, original, looked = RunFolder(tmp_path / "run"), tracking.look_again, []

    def stopped(*args: object, **rest: object) -> object:
        looked.append(len(looked))
        if len(looked) == 4:
            raise InputError("a stop", expected="none", action="go on")
        return original(*args, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(tracking, "look_again", stopped)
    with pytest.raises(InputError, match="a stop"):
        track_video(movie, folder, Study(STUDY))
    assert not (folder.path / "trajectories.parquet").exists()
    track_video(movie, folder, Study(STUDY))
    # six parts, three of them before the stop and the fourth once more
    assert len(looked) == 4 + 3
    assert trajectories(folder) == trajectories(reference)


@pytest.mark.slow
def test_kills_while_it_writes_cost_nothing_but_time(movie: Path, reference: RunFolder, tmp_path: Path) -> None:
    seed = np.random.default_rng().integers(10**6)
    command = [sys.executable, "-m", "tests.pipeline.killed", str(movie), str(tmp_path / "run"), str(seed), "refind"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"seed {seed}: {result.stderr}"
    assert int(result.stdout) >= 2, f"seed {seed}"
    assert trajectories(RunFolder(tmp_path / "run")) == trajectories(reference), f"seed {seed}"
    assert not list((tmp_path / "run").rglob("*.tmp-*"))


def test_without_it_nothing_of_it_stays(movie: Path, reference: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    track_video(movie, folder, Study(STUDY))
    assert list(folder.cache.glob("refind-*"))
    track_video(movie, folder, Study({**STUDY, "track": {**STUDY["track"], "refind": False}}))
    assert not list(folder.cache.glob("refind-*"))
    tracks = read_trajectories(folder.path / "trajectories.parquet")
    assert not (tracks.table["flags"] & FLAG_REFOUND).any()


def test_what_comes_after_takes_them_as_any_other(reference: RunFolder) -> None:
    assert run_stage("events", reference).outcomes[-1].failed is None
    tracks = read_trajectories(reference.path / "trajectories.parquet")
    section = tracking_section(ReportContent(tracks=tracks), tracking_quality(tracks))
    rows, counts = dict(section.tables[0].rows), tracks.metadata["counts"]
    assert rows["found on a second look, of those missing within tracks"] == (
        f"{counts['n_refound']:,} of {counts['n_missing']:,}"
    )
    assert 0.0 <= tracks.metadata["subpixel_bias"]["largest"] < 0.05
    assert rows["sub-pixel bias (root mean square; what chance gives)"].endswith(" px")
    assert "tracking_subpixel_bias" in {picture.name for picture in section.pictures}
