"""TIFF in its many layouts: frames, calibration, and cuts at any byte."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from colloid_cg.errors import InputError
from colloid_cg.video import VideoConfig, open_video

RNG = np.random.default_rng(11)
MOVIE = RNG.integers(0, 65536, (7, 12, 17)).astype(np.uint16)


def contiguous(path: Path) -> None:
    tifffile.imwrite(path, MOVIE, photometric="minisblack")


def compressed(path: Path) -> None:
    tifffile.imwrite(path, MOVIE, photometric="minisblack", compression="zlib")


def big(path: Path) -> None:
    tifffile.imwrite(path, MOVIE, photometric="minisblack", bigtiff=True, compression="zlib", predictor=True)


def big_endian(path: Path) -> None:
    tifffile.imwrite(path, MOVIE, photometric="minisblack", byteorder=">")


def imagej(path: Path) -> None:
    tifffile.imwrite(path, MOVIE, imagej=True, metadata={"axes": "TYX"})


def one_by_one(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for frame in MOVIE:
            writer.write(frame, photometric="minisblack", contiguous=False)


def plain_pages(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for frame in MOVIE:
            writer.write(frame, photometric="minisblack", metadata=None)


def with_preview(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for frame in MOVIE:
            writer.write(frame, photometric="minisblack", metadata=None)
        writer.write(MOVIE[0, ::2, ::2], photometric="minisblack", metadata=None, subfiletype=1)


def strips(path: Path) -> None:
    tifffile.imwrite(path, MOVIE, photometric="minisblack", rowsperstrip=5, compression="zlib")


def tiles(path: Path) -> None:
    tifffile.imwrite(path, MOVIE, photometric="minisblack", tile=(16, 16))


def pillow(path: Path) -> None:
    from PIL import Image

    first, *rest = [Image.fromarray(frame) for frame in MOVIE]
    first.save(path, save_all=True, append_images=rest)


def ome(path: Path) -> None:
    tifffile.imwrite(path, MOVIE, ome=True, metadata={"axes": "TYX"}, photometric="minisblack")


LAYOUTS = [
    contiguous, compressed, big, big_endian, imagej, one_by_one, plain_pages, with_preview, strips, tiles, pillow, ome,
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_frames(tmp_path: Path, layout) -> None:
    path = tmp_path / ("movie.ome.tif" if layout is ome else "movie.tif")
    layout(path)
    stack = open_video(path)
    assert stack.shape == MOVIE.shape
    assert stack.dtype == np.dtype("uint16")
    assert stack.dtype.isnative
    for index in (6, 0, 3, 2):
        frame = stack[index]
        assert frame.dtype.isnative
        np.testing.assert_array_equal(frame, MOVIE[index])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack))[5], MOVIE[5])


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(fraction=st.floats(0, 0.999))
def test_a_file_cut_anywhere_is_refused_or_whole(tmp_path_factory, layout, fraction: float) -> None:
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    folder = tmp_path_factory.mktemp("cut")
    path = folder / ("movie.ome.tif" if layout is ome else "movie.tif")
    layout(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * fraction)])
    try:
        frames = np.stack(list(open_video(path)))
    except InputError as error:
        assert path.name in str(error)  # noqa: PT017
    else:
        # only padding or the preview was lost
        assert fraction > 0.9
        np.testing.assert_array_equal(frames, MOVIE)


@pytest.mark.parametrize("layout", [contiguous, compressed, imagej, plain_pages, ome])
def test_a_file_cut_in_half_is_refused_at_opening(tmp_path: Path, layout) -> None:
    path = tmp_path / ("movie.ome.tif" if layout is ome else "movie.tif")
    layout(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError, match="cut off"):
        open_video(path)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32", "float64", "float16"])
def test_no_type_is_requantised(tmp_path: Path, dtype: str) -> None:
    movie = (RNG.random((3, 9, 8)) * 100).astype(dtype)
    tifffile.imwrite(tmp_path / "m.tif", movie, photometric="minisblack")
    stack = open_video(tmp_path / "m.tif")
    assert stack.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(np.stack(list(stack)), movie)


def test_one_frame(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", MOVIE[0], photometric="minisblack")
    assert open_video(tmp_path / "m.tif").shape == (1, 12, 17)


def test_nan_pixels_are_refused(tmp_path: Path) -> None:
    movie = np.ones((3, 9, 8), np.float32)
    movie[1, 2, 3] = np.nan
    tifffile.imwrite(tmp_path / "m.tif", movie, photometric="minisblack")
    stack = open_video(tmp_path / "m.tif")
    assert stack[0].sum() == 72
    with pytest.raises(InputError, match="NaN"):
        stack[1]


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", np.ones((3, 9, 8), np.complex64), photometric="minisblack")
    with pytest.raises(InputError, match="complex64"):
        open_video(tmp_path / "m.tif")


@pytest.mark.parametrize("metadata", [None, {}])
def test_frames_that_change_size_are_refused(tmp_path: Path, metadata) -> None:
    with tifffile.TiffWriter(tmp_path / "m.tif") as writer:
        for shape in ((12, 17), (12, 17), (11, 17)):
            writer.write(np.ones(shape, np.uint8), photometric="minisblack", metadata=metadata)
    with pytest.raises(InputError, match=r"frame 2 of shape \(11, 17\)"):
        open_video(tmp_path / "m.tif")


def test_a_tiff_without_pages_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.tif").write_bytes(b"II*\x00\x00\x00\x00\x00")
    with pytest.raises(InputError, match="no pages"):
        open_video(tmp_path / "m.tif")
    (tmp_path / "n.tif").write_bytes(b"this is text")
    with pytest.raises(InputError, match="does not start like a TIFF"):
        open_video(tmp_path / "n.tif")


def test_a_chain_of_pages_that_closes_on_itself_is_refused(tmp_path: Path) -> None:
    plain_pages(tmp_path / "m.tif")
    raw = bytearray((tmp_path / "m.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "m.tif") as file:
        first, last = file.pages[0].offset, file.pages[-1].offset
    n_tags = int.from_bytes(raw[last : last + 2], "little")
    raw[last + 2 + 12 * n_tags : last + 6 + 12 * n_tags] = first.to_bytes(4, "little")
    (tmp_path / "m.tif").write_bytes(raw)
    with pytest.raises(InputError, match="points back"):
        open_video(tmp_path / "m.tif")


def test_a_damaged_page_is_refused_on_reading(tmp_path: Path) -> None:
    compressed(tmp_path / "m.tif")
    with tifffile.TiffFile(tmp_path / "m.tif") as file:
        offset = file.pages[4].dataoffsets[0]
    raw = bytearray((tmp_path / "m.tif").read_bytes())
    raw[offset : offset + 40] = bytes(40)
    (tmp_path / "m.tif").write_bytes(raw)
    stack = open_video(tmp_path / "m.tif")
    np.testing.assert_array_equal(stack[3], MOVIE[3])
    with pytest.raises(InputError, match=r"m\.tif"):
        stack[4]


@pytest.mark.parametrize("layout", [plain_pages, strips])
def test_a_page_that_points_past_the_end_is_refused(tmp_path: Path, layout) -> None:
    layout(tmp_path / "m.tif")
    with tifffile.TiffFile(tmp_path / "m.tif", mode="r+") as file:
        size = file.filehandle.size
        tag = file.pages[4].tags["StripOffsets"]
        tag.overwrite([*tag.value[:-1], size - 8])
    stack = open_video(tmp_path / "m.tif")
    np.testing.assert_array_equal(stack[3], MOVIE[3])
    with pytest.raises(InputError, match=r"cut off \(the data of page 4"):
        stack[4]


def test_a_codec_that_is_not_installed_is_named(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(MOVIE[0]).save(tmp_path / "m.tif", compression="tiff_lzw")
    try:
        frame = open_video(tmp_path / "m.tif")[0]
    except InputError as error:
        assert "imagecodecs" in str(error)  # noqa: PT017
    else:
        np.testing.assert_array_equal(frame, MOVIE[0])


COLOURS = RNG.integers(0, 256, (4, 10, 11, 3)).astype(np.uint8)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_need_a_choice_unless_they_are_equal(tmp_path: Path, planar: str) -> None:
    stored = COLOURS if planar == "contig" else np.moveaxis(COLOURS, -1, 1)
    tifffile.imwrite(tmp_path / "c.tif", stored, photometric="rgb", planarconfig=planar)
    with pytest.raises(InputError, match="red, green, blue, mean"):
        open_video(tmp_path / "c.tif")
    for channel, index in {"red": 0, "green": 1, "blue": 2, 2: 2, "1": 1}.items():
        np.testing.assert_array_equal(open_video(tmp_path / "c.tif", channel=channel)[3], COLOURS[3, ..., index])
    mean = open_video(tmp_path / "c.tif", channel="mean")
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean[2], COLOURS[2].mean(axis=-1), rtol=1e-6)
    with pytest.raises(InputError, match="3 channels"):
        open_video(tmp_path / "c.tif", channel=3)


def test_equal_colours_are_merged_and_watched(tmp_path: Path) -> None:
    grey = np.repeat(COLOURS[..., :1], 3, axis=-1)
    tifffile.imwrite(tmp_path / "g.tif", grey, photometric="rgb")
    stack = open_video(tmp_path / "g.tif")
    np.testing.assert_array_equal(stack[1], grey[1, ..., 0])
    grey[2, 0, 0, 1] ^= 1
    tifffile.imwrite(tmp_path / "g.tif", grey, photometric="rgb")
    stack = open_video(tmp_path / "g.tif")
    with pytest.raises(InputError, match="frame 2"):
        stack[2]


def test_a_channel_of_a_grey_movie_is_refused(tmp_path: Path) -> None:
    contiguous(tmp_path / "m.tif")
    with pytest.raises(InputError, match="is grey"):
        open_video(tmp_path / "m.tif", channel="green")


HYPER = RNG.integers(0, 4096, (3, 4, 2, 6, 5)).astype(np.uint16)


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_hyperstack_needs_plane_and_channel(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"h.{kind}.tif"
    metadata = {"axes": "TZCYX", "Channel": {"Name": ["dye", "tracer"]}} if kind == "ome" else {"axes": "TZCYX"}
    tifffile.imwrite(path, HYPER, photometric="minisblack", metadata=metadata, **{kind: True})
    with pytest.raises(InputError, match="plane"):
        open_video(path, channel=0)
    with pytest.raises(InputError, match="channels that differ"):
        open_video(path, config=VideoConfig(plane=0))
    with pytest.raises(InputError, match="plane = 4"):
        open_video(path, config=VideoConfig(plane=4, channel=0))
    with pytest.raises(InputError, match="channel = 2"):
        open_video(path, config=VideoConfig(plane=1, channel=2))
    stack = open_video(path, config=VideoConfig(plane=3, channel=1))
    np.testing.assert_array_equal(np.stack(list(stack)), HYPER[:, 3, 1])
    name = "tracer" if kind == "ome" else "channel 1"
    by_name = open_video(path, config=VideoConfig(plane=2, channel=name))
    np.testing.assert_array_equal(by_name[2], HYPER[2, 2, 1])


def test_a_movie_stored_as_z_stack_is_read_as_time_and_says_so(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "z.tif", MOVIE, imagej=True, metadata={"axes": "ZYX"})
    stack = open_video(tmp_path / "z.tif")
    assert len(stack) == 7
    assert "axis Z" in stack.metadata["axes_note"]


def test_ome_series_need_a_position(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "p.ome.tif", ome=True) as writer:
        writer.write(MOVIE, metadata={"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5})
        writer.write(MOVIE[:4] + 1, metadata={"axes": "TYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25})
    with pytest.raises(InputError, match="position"):
        open_video(tmp_path / "p.ome.tif")
    stack = open_video(tmp_path / "p.ome.tif", config=VideoConfig(position=1))
    assert len(stack) == 4
    assert stack.pixel_size == pytest.approx(0.25)
    np.testing.assert_array_equal(stack[2], MOVIE[2] + 1)


def test_ome_movie_over_several_files(tmp_path: Path) -> None:
    xml = tifffile.OmeXml(UUID="urn:uuid:00000000-0000-0000-0000-000000000000")
    xml.addimage(np.uint16, (2, 12, 17), (2, 1, 1, 12, 17, 1), axes="TYX")
    pieces = "".join(
        f'<TiffData FirstT="{k}" IFD="0" PlaneCount="1"><UUID FileName="part{k}.ome.tif">'
        f"urn:uuid:00000000-0000-0000-0000-00000000000{k}</UUID></TiffData>"
        for k in range(2)
    )
    text = xml.tostring().replace('<TiffData IFD="0" PlaneCount="2"/>', pieces)
    for k in range(2):
        own = text.replace(
            'UUID="urn:uuid:00000000-0000-0000-0000-000000000000"',
            f'UUID="urn:uuid:00000000-0000-0000-0000-00000000000{k}"',
        )
        tifffile.imwrite(tmp_path / f"part{k}.ome.tif", MOVIE[k], description=own.encode(), metadata=None)
    np.testing.assert_array_equal(np.stack(list(open_video(tmp_path / "part0.ome.tif"))), MOVIE[:2])
    (tmp_path / "part1.ome.tif").unlink()
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with pytest.raises(InputError, match="part0"):
        list(open_video(tmp_path / "part0.ome.tif"))
