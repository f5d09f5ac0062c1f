"""save_movie: what goes in comes out, for us and for other readers, and never half of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from colloid_cg.errors import InputError, StorageError
from colloid_cg.video import open_video, save_movie

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "bool", "float16")
VALUES = st.one_of(st.none(), st.floats(1e-3, 40.0))


@st.composite
def movies(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)))
    order = draw(st.sampled_from("<>")) if dtype.itemsize > 1 else "="
    elements = {"allow_nan": False, "allow_infinity": False, "allow_subnormal": True} if dtype.kind == "f" else {}
    return draw(npst.arrays(dtype.newbyteorder(order), shape, elements=npst.from_dtype(dtype, **elements)))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    movie=movies(),
    pixel_size=VALUES,
    interval=VALUES,
    blur=st.floats(0.01, 1.0),
    streamed=st.booleans(),
    compress=st.booleans(),
)
def test_round_trip(tmp_path_factory, movie, pixel_size, interval, blur, streamed, compress) -> None:
    path = tmp_path_factory.mktemp("round") / "movie.ome.tif"
    exposure = None if interval is None else interval * blur
    frames: Iterator[np.ndarray] | np.ndarray = iter(movie) if streamed else movie
    save_movie(path, frames, pixel_size=pixel_size, frame_interval=interval, exposure=exposure, compress=compress)
    stack = open_video(path)
    assert stack.shape == movie.shape
    read = np.stack(list(stack))
    np.testing.assert_array_equal(read, movie)
    if movie.dtype.name not in ("bool", "float16"):
        assert stack.dtype == movie.dtype.newbyteorder("=")
    for value, stated in ((stack.pixel_size, pixel_size), (stack.frame_interval, interval), (stack.exposure, exposure)):
        assert value == (None if stated is None else pytest.approx(stated, rel=1e-12))
    np.testing.assert_array_equal(tifffile.imread(path).reshape(movie.shape), movie)


MOVIE = np.random.default_rng(5).integers(0, 60000, (6, 10, 12)).astype(np.uint16)


def test_other_readers_find_the_calibration(tmp_path: Path) -> None:
    save_movie(tmp_path / "m.ome.tif", MOVIE, pixel_size="108 nm", frame_interval="10 ms", exposure="4 ms")
    with tifffile.TiffFile(tmp_path / "m.ome.tif") as file:
        assert file.is_ome
        assert file.series[0].axes == "TYX"
        root = ElementTree.fromstring(file.ome_metadata)
    namespace = {"o": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}
    pixels = root.find("o:Image/o:Pixels", namespace)
    assert pixels is not None
    assert (pixels.get("SizeT"), pixels.get("SizeY"), pixels.get("SizeX")) == ("6", "10", "12")
    assert float(pixels.get("PhysicalSizeX")) == pytest.approx(0.108)
    assert pixels.get("PhysicalSizeXUnit") == "µm"
    assert float(pixels.get("TimeIncrement")) == pytest.approx(0.01)
    exposures = [float(plane.get("ExposureTime")) for plane in pixels.findall("o:Plane", namespace)]
    assert exposures == pytest.approx([0.004] * 6)


def test_another_library_reads_the_pages(tmp_path: Path) -> None:
    import cv2

    save_movie(tmp_path / "m.ome.tif", MOVIE, pixel_size=None, frame_interval=None)
    good, pages = cv2.imreadmulti(str(tmp_path / "m.ome.tif"), flags=cv2.IMREAD_UNCHANGED)
    assert good
    np.testing.assert_array_equal(np.stack(pages), MOVIE)


@pytest.mark.parametrize("compress", [False, True])
def test_same_frames_give_the_same_bytes(tmp_path: Path, compress: bool) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        save_movie(
            tmp_path / folder / "m.tif",
            iter(MOVIE),
            pixel_size=0.1,
            frame_interval=0.01,
            exposure=0.01,
            compress=compress,
        )
    assert (tmp_path / "one/m.tif").read_bytes() == (tmp_path / "two/m.tif").read_bytes()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "m.ome.tif"
    save_movie(path, MOVIE, pixel_size=0.1, frame_interval=0.01)
    before = path.read_bytes()

    def broken() -> Iterator[np.ndarray]:
        yield MOVIE[0]
        yield MOVIE[1]
        raise RuntimeError("camera unplugged")

    with pytest.raises(RuntimeError, match="unplugged"):
        save_movie(path, broken(), pixel_size=0.1, frame_interval=0.01)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.ome.tif"]


def test_frames_are_streamed(tmp_path: Path) -> None:
    alive = []

    def frames() -> Iterator[np.ndarray]:
        for number in range(50):
            # the file grows while frames are still being made
            alive.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
            yield np.full((200, 300), number, np.uint16)

    save_movie(tmp_path / "m.tif", frames(), pixel_size=None, frame_interval=None)
    assert alive[40] > 30 * 200 * 300 * 2


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "no frames"),
        ([np.zeros((3, 4), np.int64)], "int64"),
        ([np.zeros((3, 4), complex)], "complex128"),
        ([np.zeros((3, 4, 3), np.uint8)], "shape"),
        ([np.zeros((3, 4), np.uint8), np.zeros((3, 5), np.uint8)], "frame 1 of shape"),
        ([np.zeros((3, 4), np.uint8), np.zeros((3, 4), np.uint16)], "frame 1 of type uint16"),
    ],
)
def test_frames_that_cannot_be_stored(tmp_path: Path, frames: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        save_movie(tmp_path / "m.tif", frames, pixel_size=None, frame_interval=None)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        save_movie(tmp_path / "missing/m.tif", MOVIE, pixel_size=None, frame_interval=None)
    with pytest.raises(InputError, match=r"m\.avi"):
        save_movie(tmp_path / "m.avi", MOVIE, pixel_size=None, frame_interval=None)


@pytest.mark.parametrize("missing", [1, 50, 400])
def test_a_saved_movie_that_is_cut_is_refused(tmp_path: Path, missing: int) -> None:
    save_movie(tmp_path / "m.tif", MOVIE, pixel_size=0.1, frame_interval=0.1)
    raw = (tmp_path / "m.tif").read_bytes()
    (tmp_path / "m.tif").write_bytes(raw[:-missing])
    with pytest.raises(InputError, match="cut off"):
        open_video(tmp_path / "m.tif")
