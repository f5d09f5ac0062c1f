"""Folders of images: order, depth, parts, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from colloid_cg.errors import InputError
from colloid_cg.video import VideoConfig, open_video

RNG = np.random.default_rng(2)
MOVIE = RNG.integers(0, 65536, (12, 9, 14)).astype(np.uint16)


def write(folder: Path, suffix: str, frames: np.ndarray) -> None:
    for number, frame in enumerate(frames):
        # frame2 must come before frame10
        path = folder / f"frame{number}{suffix}"
        if suffix.lower() == ".tif":
            tifffile.imwrite(path, frame, photometric="minisblack")
        else:
            assert cv2.imwrite(str(path), frame)


@pytest.mark.parametrize(("suffix", "bits"), [(".png", 16), (".png", 8), (".bmp", 8), (".tif", 16), (".TIF", 8)])
def test_frames_in_natural_order_with_their_depth(tmp_path: Path, suffix: str, bits: int) -> None:
    movie = MOVIE if bits == 16 else (MOVIE >> 8).astype(np.uint8)
    write(tmp_path, suffix, movie)
    (tmp_path / "notes.txt").write_text("exposure 3 ms")
    (tmp_path / f"._frame0{suffix}").write_bytes(b"left by a file manager")
    stack = open_video(tmp_path)
    assert stack.shape == movie.shape
    assert stack.dtype == movie.dtype
    np.testing.assert_array_equal(np.stack(list(stack)), movie)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack))[10], movie[10])


def test_jpeg_folder(tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    write(tmp_path, ".jpg", np.stack([smooth, smooth[:, ::-1]]))
    stack = open_video(tmp_path)
    assert np.abs(stack[1].astype(int) - smooth[:, ::-1]).max() <= 4


def test_a_pattern_chooses_among_kinds(tmp_path: Path) -> None:
    write(tmp_path, ".png", MOVIE[:3])
    write(tmp_path, ".bmp", (MOVIE[:2] >> 8).astype(np.uint8))
    with pytest.raises(InputError, match="several kinds"):
        open_video(tmp_path)
    assert len(open_video(str(tmp_path / "*.png"))) == 3
    with pytest.raises(InputError, match="no images"):
        open_video(str(tmp_path / "*.jpg"))


def test_sixteen_bit_colours_keep_their_order_and_depth(tmp_path: Path) -> None:
    colours = RNG.integers(0, 65536, (2, 9, 14, 3)).astype(np.uint16)
    write(tmp_path, ".png", colours[..., ::-1])  # OpenCV takes blue, green, red
    with pytest.raises(InputError, match="red, green, blue"):
        open_video(tmp_path)
    for index, name in enumerate(("red", "green", "blue")):
        np.testing.assert_array_equal(open_video(tmp_path, channel=name)[1], colours[1, ..., index])


def test_transparency_is_no_colour(tmp_path: Path) -> None:
    grey = (MOVIE[:2] >> 8).astype(np.uint8)
    write(tmp_path, ".png", np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=-1))
    np.testing.assert_array_equal(open_video(tmp_path)[1], grey[1])


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        open_video(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("odd", [1, 3])
def test_images_that_change_size_are_refused(tmp_path: Path, suffix: str, odd: int) -> None:
    for number in range(4):
        frame = MOVIE[number, : 8 if number == odd else 9]
        path = tmp_path / f"f{number}{suffix}"
        cv2.imwrite(str(path), frame) if suffix == ".png" else tifffile.imwrite(path, frame)
    with pytest.raises(InputError, match=rf"frame {odd} of shape \(8, 14\)"):
        list(open_video(tmp_path))


def test_images_that_change_depth_are_refused(tmp_path: Path) -> None:
    write(tmp_path, ".png", MOVIE[:3])
    cv2.imwrite(str(tmp_path / "frame1.png"), (MOVIE[1] >> 8).astype(np.uint8))
    with pytest.raises(InputError, match="frame 1 of type uint8"):
        list(open_video(tmp_path))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("kept", [0.0, 0.2, 0.6, 0.95])
def test_a_cut_image_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    frames = RNG.integers(0, 255, (3, 64, 64)).astype(np.uint8)
    write(tmp_path, suffix, frames)
    path = tmp_path / f"frame1{suffix}"
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    with pytest.raises(InputError, match="frame1"):
        list(open_video(tmp_path))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("missing", [2, 8, 60])
def test_an_image_without_its_last_bytes_is_refused(tmp_path: Path, suffix: str, missing: int) -> None:
    write(tmp_path, suffix, RNG.integers(0, 255, (1, 64, 64)).astype(np.uint8))
    path = tmp_path / f"frame0{suffix}"
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(InputError, match="frame0"):
        open_video(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_a_decoder_that_fills_in_is_not_trusted(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, suffix, np.zeros((1, 64, 64), np.uint8))
    path = tmp_path / f"frame0{suffix}"
    path.write_bytes(path.read_bytes()[:-20])
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: np.full((64, 64), 128, np.uint8))
    with pytest.raises(InputError, match="cut off"):
        open_video(tmp_path)


def test_a_damaged_png_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ".png", MOVIE[:3])
    path = tmp_path / "frame1.png"
    raw = bytearray(path.read_bytes())
    raw[60:120] = bytes(60)
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"frame1\.png"):
        list(open_video(tmp_path))


@pytest.mark.parametrize("imagej", [False, True])
def test_tiff_parts_of_many_frames_are_joined(tmp_path: Path, imagej: bool) -> None:
    for number, (start, stop) in enumerate([(0, 5), (5, 10), (10, 12)]):
        metadata = {"axes": "TYX", "unit": "um", "finterval": 0.5} if imagej else None
        tifffile.imwrite(
            tmp_path / f"part_{number + 9}.tif", MOVIE[start:stop], imagej=imagej, metadata=metadata,
            resolution=(8.0, 8.0), photometric="minisblack",
        )  # fmt: skip
    stack = open_video(tmp_path)
    assert len(stack) == 12
    for index in (11, 0, 5, 4, 10, 9):
        np.testing.assert_array_equal(stack[index], MOVIE[index])
    assert stack.pixel_size == (pytest.approx(0.125) if imagej else None)
    part = open_video(tmp_path, config=VideoConfig(first_frame=4, last_frame=11))
    np.testing.assert_array_equal(np.stack(list(part)), MOVIE[4:11])


def test_one_image_is_a_movie_of_one_frame(tmp_path: Path) -> None:
    write(tmp_path, ".png", MOVIE[:1])
    assert open_video(tmp_path / "frame0.png").shape == (1, 9, 14)
