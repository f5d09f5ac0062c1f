"""The demo takes a real movie where one is found, else a downloaded one, else a twin."""

from __future__ import annotations

from pathlib import Path

import pooch
import pytest

from colloid_cg.cli import demo


def test_real_data_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    movie = tmp_path / "bulk_water" / "bulk_water_green.tif"
    movie.parent.mkdir()
    movie.touch()
    monkeypatch.setenv("COLLOID_CG_DATA", str(tmp_path))
    found, tables = demo.find_movie()
    assert found == movie
    assert set(tables["video"]) == {"pixel_size", "frame_interval"}


def test_then_the_download_with_its_sha256(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def retrieve(url: str, *, known_hash: str, fname: str, path: Path) -> str:
        asked.append((url, known_hash))
        return str(tmp_path / fname)

    monkeypatch.delenv("COLLOID_CG_DATA", raising=False)
    monkeypatch.setattr(pooch, "retrieve", retrieve)
    found, tables = demo.find_movie()
    assert found.name == "colloids.mp4"
    assert tables["video"]["pixel_size"] == "1 um"
    assert asked[0][0].startswith("https://")
    assert asked[0][1].startswith("sha256:")


def test_then_a_twin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*args: object, **rest: object) -> str:
        raise OSError("no network")

    monkeypatch.delenv("COLLOID_CG_DATA", raising=False)
    monkeypatch.setattr(pooch, "retrieve", refuse)
    monkeypatch.setattr(demo, "_twin", lambda: tmp_path / "movie.ome.tif")
    assert demo.find_movie() == (tmp_path / "movie.ome.tif", {})
