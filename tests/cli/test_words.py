"""What the command line says of what was found, of doubts, and of settings that are no options."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import tifffile
from typer.testing import CliRunner

from colloid_cg.cli.announcing import Announcer
from colloid_cg.cli.main import app, main
from colloid_cg.pipeline.stage import Outcome
from colloid_cg.records import metric
from colloid_cg.store import RunFolder
from tests.movies import brownian_movie


@pytest.fixture(scope="module")
def folder_of_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number, frame in enumerate(brownian_movie(n_frames=16)):
        if number != 13:
            tifffile.imwrite(folder / f"img_{number:04d}.tif", frame, photometric="minisblack")
    return folder


def track(movie: Path, folder: Path, pixel_size: str, *more: str) -> tuple[str, str]:
    calibration = ["--pixel-size", pixel_size, "--frame-interval", "20 ms", "--workers", "1"]
    result = CliRunner().invoke(app, ["track", str(movie), "-o", str(folder), *calibration, *more])
    assert result.exit_code == 0, result.stderr
    return result.stdout, result.stderr


def test_track_says_what_it_found_and_repeats_its_doubts(folder_of_images: Path, tmp_path: Path) -> None:
    config = tmp_path / "study.toml"
    config.write_text("[track]\nsearch_range = 14.0\n")
    stdout, first = track(folder_of_images, tmp_path / "RUN", "108 um", "-c", str(config))
    assert stdout == f"{tmp_path / 'RUN'}\n"
    counts = json.loads((tmp_path / "RUN" / "run.json").read_text())["stages"]["track"]["summary"]
    assert f"{counts['detections']:,} detections, {counts['tracks']:,} tracks of" in first
    assert f"kept ({counts['rows']:,} rows)" in first
    assert "bright particles" in first
    assert "search range 14 px; 108 um per px, one frame every 20 ms" in first
    for words in ("0013 is missing", "a pixel size of 108 um", "track.search_range = 14 px is more than half"):
        assert words in first
    _, again = track(folder_of_images, tmp_path / "RUN", "108 um", "-c", str(config))
    assert again.count("up to date") == 2

    def doubts(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith("check: ")]

    assert doubts(again) == doubts(first)
    assert len(set(doubts(first))) == len(doubts(first)) >= 3
    stdout, _ = track(folder_of_images, tmp_path / "RUN", "108 um", "-c", str(config), "--json")
    assert set(json.loads(stdout)["stages"]["track"]) == {"summary", "cached", "seconds", "failed"}


def test_a_warning_of_two_stages_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    announce = Announcer(None)
    for stage in ("inspect", "structure"):
        announce(Outcome(stage, {"warnings": ["the same"]}, cached=stage == "structure", seconds=1.0))
    assert capsys.readouterr().err.count("check: the same") == 1


def test_a_fit_says_its_numbers_with_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {
        "regime": [metric("overdamped", note="")],
        "diffusion_coefficient": [
            metric(0.5, low90=0.4, high90=0.6, unit="um2/s", species=0),
            metric(0.25, low90=0.2, high90=0.3, unit="um2/s", species=1),
        ],
        "localisation_variance": [metric(0.001, unit="um2")],
        "trap_stiffness": [metric(81.3, low90=77.2, high90=85.4, unit="k_B T/um2"), metric(70.0, unit="k_B T/um2")],
        "log_likelihood_gain": [metric(0.1, unit="nats", note="the force is used")],
    }
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "metrics.json").write_text(json.dumps(numbers))
    Announcer(RunFolder(tmp_path))(Outcome("fit", {}, cached=False, seconds=1.0))
    said = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert said[1:] == [
        "overdamped motion",
        "D of species 0 = 0.5 um2/s (90 %: 0.4 to 0.6)",
        "D of species 1 = 0.25 um2/s (90 %: 0.2 to 0.3)",
        "localisation variance s2 = 0.001 um2, no interval",
        "trap stiffness = 81.3 k_B T/um2 (90 %: 77.2 to 85.4)",
        "the force is used",
    ]


@pytest.mark.parametrize(
    ("option", "advice"),
    [("--search-range", "write 'search_range = ...' under [track]"), ("--refind", "write 'refind = ...' under [track]"),
     ("--nonsense", "see 'colloid-cg --help'")],
)  # fmt: skip
def test_an_option_that_is_a_setting(
    option: str, advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["colloid-cg", "track", "movie.tif", "-o", "RUN", option, "5"])
    with pytest.raises(SystemExit):
        main()
    assert advice in capsys.readouterr().err
