"""Real files: frame counts, shapes and pixels against readers that share no code with ours."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from colloid_cg.errors import InputError
from colloid_cg.video import VideoConfig, open_video

pytestmark = pytest.mark.data

CASES = [
    ("videos/hydrogel.mp4", {}, (50, 720, 1280), "uint8"),
    ("videos/discs.mp4", {}, (60, 960, 1280), "uint8"),
    ("videos/colloids.mp4", {}, (51, 302, 324), "uint8"),
    ("readers/cine_781.cine", {}, (15, 256, 256), "uint16"),
    ("readers/cluster.nd2", {"channel": 0, "plane": 4}, (3, 31, 38), "uint16"),
    ("readers/sample_norpix6.seq", {}, (6, 32, 36), "uint8"),
    ("readers/stuck.tif", {}, (5, 512, 512), "uint16"),
    ("bulk_water/bulk_water_green.tif", {}, (300, 424, 640), "uint8"),
]


@pytest.mark.parametrize(("file", "settings", "shape", "dtype"), CASES)
def test_real_file_opens_with_its_shape(data: Path, file: str, settings: dict, shape: tuple, dtype: str) -> None:
    stack = open_video(data / file, config=VideoConfig(**settings))
    assert stack.shape == shape
    assert stack.dtype == np.dtype(dtype)
    last = stack[-1]
    assert last.shape == shape[1:]
    assert last.dtype == np.dtype(dtype)
    assert last.std() > 0


def test_cine_pixels_are_those_in_the_file(data: Path) -> None:
    path = data / "readers/cine_781.cine"
    stack = open_video(path)
    raw = path.read_bytes()
    (offsets_at,) = struct.unpack_from("<I", raw, 0x20)
    (start,) = struct.unpack_from("<Q", raw, offsets_at + 8 * 7)
    (annotation,) = struct.unpack_from("<I", raw, start)
    rows = np.frombuffer(raw, "<u2", 256 * 256, start + annotation).reshape(256, 256)
    # a device-independent bitmap stores its rows from the bottom
    np.testing.assert_array_equal(stack[7], rows[::-1])


def test_cine_interval_comes_from_time_stamps(data: Path) -> None:
    stack = open_video(data / "readers/cine_781.cine")
    # every tenth frame of a recording at 90000 frames/s was saved
    assert stack.frame_interval == pytest.approx(10 / 90000, rel=1e-3)
    assert stack.exposure == pytest.approx(9.7e-6, rel=1e-2)
    assert "time stamps" in stack.metadata["frame_interval_source"]
    assert any("90000" in note for note in stack.metadata["notes"])


def test_seq_pixels_and_times(data: Path) -> None:
    path = data / "readers/sample_norpix6.seq"
    stack = open_video(path)
    raw = path.read_bytes()
    block = struct.unpack_from("<I", raw, 580)[0]
    frame = np.frombuffer(raw, "u1", 32 * 36, 8192 + 3 * block).reshape(32, 36)
    np.testing.assert_array_equal(stack[3], frame)
    times = [
        struct.unpack_from("<LHH", raw, 8192 + k * block + 32 * 36)[0]
        + struct.unpack_from("<LHH", raw, 8192 + k * block + 32 * 36)[1] * 1e-3
        + struct.unpack_from("<LHH", raw, 8192 + k * block + 32 * 36)[2] * 1e-6
        for k in range(6)
    ]
    assert stack.frame_interval == pytest.approx(float(np.median(np.diff(times))), abs=1e-6)


def test_nd2_needs_its_choices_and_gives_the_right_plane(data: Path) -> None:
    import nd2

    path = data / "readers/cluster.nd2"
    whole = nd2.imread(path)  # (3 times, 10 planes, 2 channels, 31, 38)
    with pytest.raises(InputError, match="plane"):
        open_video(path)
    with pytest.raises(InputError, match="FM 4-64"):
        open_video(path, config=VideoConfig(plane=4))
    by_name = open_video(path, config=VideoConfig(plane=7, channel="FM 4-64/2% CHAPS"))
    for time in (2, 0, 1):
        np.testing.assert_array_equal(by_name[time], whole[time, 7, 1])
    mean = open_video(path, config=VideoConfig(plane=2, channel="mean"))
    np.testing.assert_allclose(mean[1], whole[1, 2].mean(axis=0))
    assert by_name.pixel_size == pytest.approx(0.167809, rel=1e-5)
    assert by_name.frame_interval == pytest.approx(10.6475, rel=1e-4)
    assert by_name.exposure is None


def test_tiff_pixels_against_another_reader(data: Path) -> None:
    import cv2

    for file, index in (("readers/stuck.tif", 3), ("bulk_water/bulk_water_green.tif", 217)):
        stack = open_video(data / file)
        good, (frame,) = cv2.imreadmulti(str(data / file), index, 1, flags=cv2.IMREAD_UNCHANGED)
        assert good
        np.testing.assert_array_equal(stack[index], frame)


def test_bulk_water_knows_its_pixel_size(data: Path) -> None:
    stack = open_video(data / "bulk_water/bulk_water_green.tif")
    assert stack.pixel_size == pytest.approx(1 / 2.85)
    assert stack.frame_interval is None


@pytest.mark.parametrize("name", ["hydrogel", "discs", "colloids"])
def test_video_frames_at_random_equal_frames_in_order(data: Path, name: str) -> None:
    import cv2

    path = data / f"videos/{name}.mp4"
    capture = cv2.VideoCapture(str(path))
    in_order = []
    while (read := capture.read())[0]:
        in_order.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2GRAY))
    stack = open_video(path)
    assert len(stack) == len(in_order)
    order = np.random.default_rng(7).permutation(len(stack))[:12]
    for index in (len(stack) - 1, 0, *order):
        np.testing.assert_array_equal(stack[int(index)], in_order[int(index)])


@pytest.mark.parametrize(
    "file", ["videos/colloids.mp4", "readers/cine_781.cine", "readers/cluster.nd2", "readers/sample_norpix6.seq"]
)
@pytest.mark.parametrize("kept", [0.0, 0.0005, 0.3, 0.5, 0.97])
def test_cut_files_are_refused(data: Path, tmp_path: Path, file: str, kept: float) -> None:
    raw = (data / file).read_bytes()
    cut = tmp_path / Path(file).name
    cut.write_bytes(raw[: int(len(raw) * kept)])
    with pytest.raises(InputError, match=cut.name):
        list(open_video(cut, config=VideoConfig(plane=0, channel=0)))
