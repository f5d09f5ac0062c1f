"""Compressed video: the right frame, the right count, no depth lost, damage refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from colloid_cg.errors import InputError
from colloid_cg.video import VideoConfig, open_video

BITS = 8


def write(path: Path, frames: list[np.ndarray], codec: str, *, rate: float = 25.0, deep: bool = False) -> Path:
    height, width = frames[0].shape[:2]
    options = [cv2.VIDEOWRITER_PROP_IS_COLOR, int(frames[0].ndim == 3)]
    if deep:
        options += [cv2.VIDEOWRITER_PROP_DEPTH, cv2.CV_16U]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), rate, (width, height), options)
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def barcode(number: int) -> np.ndarray:
    """A frame that shows its own number in bars, on a background that moves so that frames are predicted."""
    frame = np.roll(np.tile(np.linspace(60, 120, 128), (64, 1)), number, axis=1)
    for bit in range(BITS):
        frame[:, 16 * bit + 2 : 16 * bit + 14] = 230 if number >> bit & 1 else 20
    return cv2.cvtColor(frame.astype(np.uint8), cv2.COLOR_GRAY2BGR)


def number_of(frame: np.ndarray) -> int:
    return sum((frame[20:44, 16 * bit + 5 : 16 * bit + 11].mean() > 125) << bit for bit in range(BITS))


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "mp4v"), (".avi", "MJPG"), (".mov", "mp4v"), (".avi", "XVID")])
def test_every_frame_shows_its_own_number(tmp_path: Path, suffix: str, codec: str) -> None:
    stack = open_video(write(tmp_path / f"bars{suffix}", [barcode(k) for k in range(120)], codec))
    assert len(stack) == 120
    for index in (119, 0, 60, 59, 61, 118, 13, 12, 11, *np.random.default_rng(3).integers(0, 120, 20)):
        assert number_of(stack[int(index)]) == index


def test_frames_leave_the_memory_but_stay_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from colloid_cg.video import sequential

    monkeypatch.setattr(sequential, "_CACHE_BYTES", 3 * 64 * 128 * 3)
    stack = open_video(write(tmp_path / "bars.mp4", [barcode(k) for k in range(40)], "mp4v"))
    for index in (5, 4, 3, 39, 5, 38, 0, 39):
        assert number_of(stack[index]) == index


def test_a_frame_handed_out_can_be_changed(tmp_path: Path) -> None:
    stack = open_video(write(tmp_path / "bars.mp4", [barcode(k) for k in range(5)], "mp4v"))
    stack[2][:] = 0
    assert number_of(stack[2]) == 2


def test_reader_survives_pickling(tmp_path: Path) -> None:
    stack = open_video(write(tmp_path / "bars.mp4", [barcode(k) for k in range(9)], "mp4v"))
    assert number_of(stack[7]) == 7
    assert number_of(pickle.loads(pickle.dumps(stack))[3]) == 3


@pytest.mark.parametrize("deep", [False, True])
def test_lossless_grey_keeps_every_bit(tmp_path: Path, deep: bool) -> None:
    top = 65536 if deep else 256
    frames = list(np.random.default_rng(0).integers(0, top, (5, 48, 64)).astype(np.uint16 if deep else np.uint8))
    stack = open_video(write(tmp_path / "grey.avi", frames, "FFV1", deep=deep))
    assert stack.dtype == frames[0].dtype
    for index in (4, 0, 2):
        np.testing.assert_array_equal(stack[index], frames[index])


def test_colours_can_be_chosen(tmp_path: Path) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[..., 2], frame[..., 1], frame[..., 0] = 200, 100, 50  # OpenCV writes blue, green, red
    path = write(tmp_path / "colour.avi", [frame] * 3, "FFV1")
    expected = {"red": 200, "green": 100, "blue": 50, 0: 200, "2": 50, "mean": 350 / 3}
    for channel, value in expected.items():
        assert open_video(path, channel=channel)[1].mean() == pytest.approx(value, abs=1.5)
    assert open_video(path)[1].mean() == pytest.approx(0.299 * 200 + 0.587 * 100 + 0.114 * 50, abs=1.5)
    assert "luminance" in open_video(path).metadata["channel"]
    with pytest.raises(InputError, match="violet"):
        open_video(path, channel="violet")


def test_playback_rate_is_said_to_be_one(tmp_path: Path) -> None:
    stack = open_video(write(tmp_path / "slow.mp4", [barcode(k) for k in range(10)], "mp4v", rate=12.5))
    assert stack.frame_interval == pytest.approx(0.08)
    assert stack.metadata["frame_interval_source"].startswith("playback rate")
    stated = open_video(tmp_path / "slow.mp4", frame_interval="2 ms")
    assert stated.frame_interval == pytest.approx(0.002)
    assert stated.metadata["frame_interval_source"] == "setting"


def test_count_is_what_decodes_not_what_the_container_says(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.avi", [barcode(k) for k in range(20)], "MJPG")
    raw = bytearray(path.read_bytes())
    at = raw.index(b"strh") + 8 + 32  # dwLength of the stream header
    assert int.from_bytes(raw[at : at + 4], "little") == 20
    raw[at : at + 4] = (57).to_bytes(4, "little")
    avih = raw.index(b"avih") + 8 + 16  # dwTotalFrames
    raw[avih : avih + 4] = (57).to_bytes(4, "little")
    path.write_bytes(raw)
    stack = open_video(path)
    assert len(stack) == 20
    assert "57" in stack.metadata["frame_count_note"]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mov", ".mkv"])
def test_garbage_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"noise{suffix}"
    for content in (b"", b"RIFF", np.random.default_rng(1).bytes(5000)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=path.name):
            open_video(path)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "mp4v"), (".avi", "MJPG")])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_cut_video_is_refused(tmp_path: Path, suffix: str, codec: str, kept: float) -> None:
    path = write(tmp_path / f"bars{suffix}", [barcode(k) for k in range(30)], codec)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    with pytest.raises(InputError, match=path.name):
        open_video(path)


def test_part_of_a_movie(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.mp4", [barcode(k) for k in range(30)], "mp4v")
    stack = open_video(path, config=VideoConfig(first_frame=10, last_frame=14))
    assert [number_of(frame) for frame in stack] == [10, 11, 12, 13]
    assert number_of(stack[-1]) == 13
    assert stack.metadata["frames_in_file"] == 30
    with pytest.raises(InputError, match="which has 30"):
        open_video(path, config=VideoConfig(last_frame=31))
    with pytest.raises(InputError, match="which has 30"):
        open_video(path, config=VideoConfig(first_frame=30))
