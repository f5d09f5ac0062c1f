"""Gaps in the numbers of image files, and what is hard to believe of a calibration."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from colloid_cg.video import doubts, open_video
from colloid_cg.video.numbering import missing_numbers, numbering_warnings


def names(numbers: list[int], pattern: str = "img_{:04d}.tif") -> list[str]:
    return [pattern.format(number) for number in numbers]


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        (names([*range(10, 13), *range(14, 20)]), ["0013"]),
        (names([0, 10, 20, 40, 50]), ["0030"]),
        (names([1, 2, 3, 7, 8], "frame{}.png"), ["4", "5", "6"]),
        (names([0, 1, 3], "img_channel000_position001_time{:09d}_z000.tif"), ["000000002"]),
        (names(list(range(5))), []),
        (names([1, 500]), []),
        (names([]), []),
        (["dark.png", "light.png"], []),
        (names([0, 2, 4, 6, 9, 11]), []),
        (names([1003, 1043, 1084, 1123]), []),  # times in ms
        (["a1b7.png", "a2b8.png", "a3b9.png"], []),
        (["movie.tif", "movie_1.tif", "movie_3.tif"], []),
    ],
)
def test_missing_numbers(files: list[str], missing: list[str]) -> None:
    assert missing_numbers(files) == missing


def test_the_warning_names_runs_of_missing_numbers() -> None:
    (warning,) = numbering_warnings(names([0, 1, 3, 4, 5, 9, 10]))
    assert "0002, 0006 to 0008 are missing (4 of 11)" in warning
    assert numbering_warnings(names([0, 1, 2])) == []


def test_a_folder_with_a_gap_opens_with_a_warning(tmp_path: Path) -> None:
    for number in (1, 2, 4):
        cv2.imwrite(str(tmp_path / f"img_{number:04d}.png"), np.full((8, 8), number, np.uint8))
    stack = open_video(tmp_path, pixel_size=0.1, frame_interval=0.01)
    assert len(stack) == 3
    (warning,) = stack.metadata["warnings"]
    assert "0003 is missing" in warning


@pytest.mark.parametrize(("pixel_size", "count"), [(0.108, 0), (50.0, 0), (51.0, 1), (0.0009, 1), (None, 0)])
def test_a_pixel_size_that_cannot_be_meant_is_doubted(pixel_size: float | None, count: int) -> None:
    assert len(doubts(pixel_size, "setting")) == count
    stack = open_video(np.zeros((3, 8, 8), np.uint8), pixel_size=pixel_size)
    assert stack.metadata["warnings"] == doubts(pixel_size, "setting")


def test_a_playback_rate_is_doubted_until_the_interval_is_given(tmp_path: Path) -> None:
    path = tmp_path / "movie.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 24, (64, 48))
    for level in range(0, 200, 40):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    (warning,) = open_video(path, channel="mean").metadata["warnings"]
    assert "playback rate of the file (24 frames/s)" in warning
    assert open_video(path, channel="mean", frame_interval="10 ms").metadata["warnings"] == []
