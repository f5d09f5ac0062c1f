"""The report reads the frames of its gallery from the movie of the run, if that is still there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from colloid_cg.pipeline.event_evidence import movie_of, run_evidence
from colloid_cg.pipeline.report_stage import gather
from colloid_cg.pipeline.run import run_stage, track_video
from colloid_cg.pipeline.study import Study
from colloid_cg.provenance import sha256_of_tree
from colloid_cg.records import EventTable
from colloid_cg.store import RunFolder, open_trajectories, read_table, write_events
from tests.events.tables import event_table
from tests.movies import brownian_movie, write_movie

VIDEO = {"pixel_size": "0.1 um", "frame_interval": "20 ms", "first_frame": 2}
FRAMES = 16


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunFolder]:
    scratch = tmp_path_factory.mktemp("tracked")
    movie = write_movie(scratch / "movie.tif", brownian_movie(n_frames=FRAMES + 2, size=140, particles=36, step=0.4))
    folder = RunFolder(scratch / "run")
    track_video(movie, folder, Study({"video": VIDEO}))
    return movie, folder


@pytest.fixture
def run(tracked: tuple[Path, RunFolder], tmp_path: Path) -> RunFolder:
    """A copy of the run, whose movie lies beside it."""
    shutil.copytree(tracked[1].path, tmp_path / "run")
    shutil.copy(tracked[0], tmp_path / "movie.tif")
    folder = RunFolder(tmp_path / "run")
    entry = folder.manifest()["input"]
    folder.update(input=entry | {"path": str(tmp_path / "movie.tif")})
    return folder


def some_events(folder: RunFolder) -> EventTable:
    tracks = open_trajectories(folder.path / "trajectories.parquet").read()
    row = tracks.at(7).iloc[len(tracks.at(7)) // 2]
    return event_table(np.array([7]), [row["x"]], [row["y"]], particles=[[int(row["particle"])]])


def test_the_gallery_shows_the_frames_of_the_movie(run: RunFolder) -> None:
    """The numbers of frames count from the first one that was asked for; a picture is cut out where the event is."""
    events, manifest = some_events(run), run.manifest()
    file = open_trajectories(run.path / "trajectories.parquet")
    video, why = movie_of(manifest, FRAMES, gather(run).frames)
    assert why == ""
    assert video is not None
    found = run_evidence(
        file, events, run.path / "fields.parquet", manifest=manifest, preview=gather(run).frames, frames_at_once=5
    )
    assert found.no_pictures == ""
    assert found.exposure is None
    (view,) = found.views
    assert [moment.frame for moment in view.moments] == [6, 7, 8]
    (particle,) = view.row["particles"]
    for moment in view.moments:
        assert moment.picture is not None
        place = moment.places.set_index("particle").loc[particle, ["x", "y"]].to_numpy(dtype=float)
        column, row = np.floor((place - moment.corner) / 0.1).astype(int)
        spot = moment.picture[row - 1 : row + 2, column - 1 : column + 2]
        assert spot.mean() > np.percentile(moment.picture, 80)


def test_a_movie_that_went_away_or_changed_is_not_shown(run: RunFolder) -> None:
    manifest, frames = run.manifest(), gather(run).frames
    path = Path(manifest["input"]["path"])
    table = {"input": {"name": "tracks.csv", "path": str(path)}}
    assert movie_of(table, FRAMES, frames) == (None, "the run was made from a table, without a movie")
    assert "another movie" in movie_of(manifest, FRAMES - 1, frames)[1]
    other = brownian_movie(n_frames=FRAMES + 2, size=140, particles=36, step=0.4)[::-1]
    write_movie(path, other)
    assert "another movie" in movie_of(manifest, FRAMES, frames)[1]
    path.write_bytes(b"no movie at all")
    assert "cannot be read any more" in movie_of(manifest, FRAMES, frames)[1]
    path.unlink()
    assert "no longer where it was" in movie_of(manifest, FRAMES, frames)[1]


def test_the_report_is_made_again_when_the_movie_is_gone(run: RunFolder) -> None:
    run_stage("events", run)
    record = run.manifest()["stages"]["events"]
    table, metadata = some_events(run).table, read_table(run.path / "events.parquet")[1]
    write_events(run.path / "events.parquet", EventTable(table=table, metadata=metadata))
    digests = {"events.parquet": sha256_of_tree(run.path / "events.parquet")}
    run.record_stage("events", record | {"products": record["products"] | digests})
    assert not run_stage("report", run).outcomes[0].cached
    assert run_stage("report", run).outcomes[0].cached
    page = run.path / "report.html"
    assert "one grey scale for the three pictures" in page.read_text(encoding="utf-8")
    exposure = gather(run).event_evidence.exposure  # type: ignore[union-attr]
    assert exposure is not None
    assert exposure.particles.sum() == metadata["n_tests"]
    Path(run.manifest()["input"]["path"]).unlink()
    assert not run_stage("report", run).outcomes[0].cached
    assert "positions alone: movie.tif is no longer where it was" in page.read_text(encoding="utf-8")
