"""Bad input: one sentence of three parts, exit code 2, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from colloid_cg.cli.main import app
from tests.movies import brownian_movie, write_movie

CALIBRATION = ["--pixel-size", "0.1 um", "--frame-interval", "20 ms"]
SENTENCE = re.compile(r"^error: Found .+; expected .+; .+\.$", re.MULTILINE)


def missing_file(folder: Path) -> Path:
    return folder / "nowhere.tif"


def truncated_tiff(folder: Path) -> Path:
    path = write_movie(folder / "movie.tif", brownian_movie(n_frames=10))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def zero_frames(folder: Path) -> Path:
    np.save(folder / "movie.npy", np.zeros((0, 64, 64), dtype=np.uint8))
    return folder / "movie.npy"


def one_frame(folder: Path) -> Path:
    return write_movie(folder / "movie.tif", brownian_movie(n_frames=1))


def all_black(folder: Path) -> Path:
    return write_movie(folder / "movie.tif", np.zeros((10, 64, 64), dtype=np.uint8))


def nan_pixels(folder: Path) -> Path:
    movie = brownian_movie(n_frames=10).astype(np.float32)
    movie[5, 10, 10] = np.nan
    return write_movie(folder / "movie.tif", movie)


def rgb(folder: Path) -> Path:
    movie = brownian_movie(n_frames=4).astype(np.uint8)
    coloured = np.stack([movie, movie // 2, 255 - movie], axis=-1)
    tifffile.imwrite(folder / "movie.tif", coloured, photometric="rgb")
    return folder / "movie.tif"


def text_file(folder: Path) -> Path:
    path = folder / "movie.txt"
    path.write_text("no movie")
    return path


CASES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing file": (missing_file, "nowhere.tif"),
    "truncated TIFF": (truncated_tiff, "movie.tif"),
    "zero frames": (zero_frames, "no frames|0 frames"),
    "one frame": (one_frame, "1 frame|one frame"),
    "all black": (all_black, "every pixel"),
    "NaN pixels": (nan_pixels, "NaN"),
    "RGB": (rgb, "channel"),
    "no movie": (text_file, "movie.txt"),
}


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def assert_refused(code: int, stderr: str, pattern: str) -> None:
    assert code == 2, stderr
    sentences = SENTENCE.findall(stderr)
    assert len(sentences) == 1, stderr
    assert re.search(pattern, sentences[0]), sentences[0]
    assert "Traceback" not in stderr


def assert_nothing_half_written(folder: Path) -> None:
    """Neither a product nor a temporary file is there; at most the record of what was tried."""
    left = {path.name for path in folder.rglob("*") if path.is_file()} if folder.exists() else set()
    assert not {name for name in left if ".tmp-" in name}
    assert not left & {"trajectories.parquet", "events.parquet", "fields.parquet", "report.html", "weights.safetensors"}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("verb", ["run", "track"])
def test_bad_movies(name: str, verb: str, tmp_path: Path) -> None:
    make, pattern = CASES[name]
    movie = make(tmp_path)
    code, _, stderr = invoke(verb, str(movie), "-o", str(tmp_path / "RUN"), *CALIBRATION)
    assert_refused(code, stderr, pattern)
    assert_nothing_half_written(tmp_path / "RUN")
    if name != "NaN pixels":  # those show only when the frame is read
        assert not (tmp_path / "RUN").exists()


def good_movie(folder: Path) -> Path:
    return write_movie(folder / "movie.tif", brownian_movie(n_frames=12))


def test_missing_pixel_size(tmp_path: Path) -> None:
    code, _, stderr = invoke("run", str(good_movie(tmp_path)), "-o", str(tmp_path / "RUN"))
    assert_refused(code, stderr, "pixel size.*--pixel-size")
    assert not (tmp_path / "RUN").exists()


def test_missing_frame_interval(tmp_path: Path) -> None:
    arguments = ("run", str(good_movie(tmp_path)), "-o", str(tmp_path / "RUN"), "--pixel-size", "0.1 um")
    code, _, stderr = invoke(*arguments)
    assert_refused(code, stderr, "frame interval.*--frame-interval")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("[track]\ndiametr = 9\n", r"'track\.diametr'.*did you mean 'track\.diameter'"),
        ("[trak]\ndiameter = 9\n", r"'trak'.*did you mean 'track'"),
        ("[track]\ndiameter = 10\n", "even.*11"),
        ("[track]\ndiameter = 501\n", "frames of 128 x 128 px"),
        ("[track]\ndiameter = 'big'\n", r"track\.diameter = 'big'"),
        ("seed = -1\n", "seed"),
        ("fractions = [0.9, 0.2, 0.2]\n", "adding up to 1"),
        ("[track\n", "not TOML"),
    ],
)
def test_bad_settings(text: str, pattern: str, tmp_path: Path) -> None:
    config = tmp_path / "study.toml"
    config.write_text(text)
    arguments = ("run", str(good_movie(tmp_path)), "-o", str(tmp_path / "RUN"), "--config", str(config), *CALIBRATION)
    code, _, stderr = invoke(*arguments)
    assert_refused(code, stderr, pattern)
    assert not (tmp_path / "RUN").exists()


def test_a_run_folder_of_another_schema_version(tmp_path: Path) -> None:
    folder = tmp_path / "RUN"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"schema_version": 99, "stages": {}}))
    code, _, stderr = invoke("run", str(good_movie(tmp_path)), "-o", str(folder), *CALIBRATION)
    assert_refused(code, stderr, "schema version 99")
    assert json.loads((folder / "run.json").read_text()) == {"schema_version": 99, "stages": {}}


@pytest.mark.parametrize("verb", ["structure", "fit", "simulate", "events", "assess", "report", "cite"])
def test_verbs_without_a_run_folder(verb: str, tmp_path: Path) -> None:
    code, _, stderr = invoke(verb, str(tmp_path / "nothing"))
    assert_refused(code, stderr, "run.json")
    assert not (tmp_path / "nothing").exists()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    movie, original = good_movie(tmp_path), os.fsync

    def full(descriptor: int) -> None:
        if "trajectories" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    code, _, stderr = invoke("run", str(movie), "-o", str(tmp_path / "RUN"), *CALIBRATION)
    assert_refused(code, stderr, "no space left")
    assert_nothing_half_written(tmp_path / "RUN")
    monkeypatch.setattr(os, "fsync", original)
    assert invoke("track", str(movie), "-o", str(tmp_path / "RUN"), *CALIBRATION)[0] == 0


def test_a_full_disk_for_real(tmp_path: Path) -> None:
    """The kernel refuses to let any file of the process grow beyond 6 kB."""
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)); from colloid_cg.cli import main; main()"
    )
    arguments = ["track", str(good_movie(tmp_path)), "-o", str(tmp_path / "RUN"), *CALIBRATION]
    result = subprocess.run(
        [sys.executable, "-c", limited, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "numba")},
    )
    assert_refused(result.returncode, result.stderr, "no space left")
    assert_nothing_half_written(tmp_path / "RUN")


def test_json_errors_are_machine_readable(tmp_path: Path) -> None:
    code, stdout, _ = invoke("run", str(tmp_path / "nowhere.tif"), "-o", str(tmp_path / "RUN"), "--json")
    assert code == 2
    assert set(json.loads(stdout)["error"]) == {"kind", "message", "found", "expected", "action"}
