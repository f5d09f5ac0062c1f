"""Arrays in memory, NumPy files, Zarr: right frames, little memory, clear refusals."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from colloid_cg.errors import InputError
from colloid_cg.video import VideoConfig, open_video

RNG = np.random.default_rng(4)
MOVIE = RNG.normal(size=(8, 10, 11)).astype(np.float32)


def test_array_in_memory() -> None:
    stack = open_video(MOVIE, pixel_size=0.1)
    assert stack.shape == MOVIE.shape
    assert stack.dtype == np.float32
    frame = stack[3]
    np.testing.assert_array_equal(frame, MOVIE[3])
    frame[:] = 0
    assert MOVIE[3].any()
    assert open_video(MOVIE[0]).shape == (1, 10, 11)
    assert open_video(MOVIE > 0)[2].dtype == np.uint8


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    movie=npst.arrays(
        st.sampled_from([np.dtype(t) for t in ("u1", "<u2", ">u2", ">f4", "<f8", "i4", "u8")]),
        npst.array_shapes(min_dims=3, max_dims=3, max_side=6),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    fortran=st.booleans(),
)
def test_numpy_files_round_trip(tmp_path_factory, movie: np.ndarray, fortran: bool) -> None:
    folder = tmp_path_factory.mktemp("npy")
    np.save(folder / "m.npy", np.asfortranarray(movie) if fortran else movie)
    np.savez(folder / "plain.npz", movie=movie)
    np.savez_compressed(folder / "packed.npz", movie=movie, times=np.arange(3.0))
    for name in ("m.npy", "plain.npz", "packed.npz"):
        stack = open_video(folder / name)
        assert stack.dtype == movie.dtype.newbyteorder("=")
        for index in (*reversed(range(len(movie))), 0):
            np.testing.assert_array_equal(stack[index], movie[index])
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack))[0], movie[0])


@pytest.mark.parametrize("name", ["m.npy", "m.npz", "m.zarr", "m.tif"])
def test_the_movie_never_stands_in_memory(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from colloid_cg.video import save_movie, sequential

    monkeypatch.setattr(sequential, "_CACHE_BYTES", 1 << 20)
    movie = np.zeros((100, 300, 300), np.uint16)
    movie[:, 0, 0] = np.arange(100)
    path = tmp_path / name
    if name == "m.npy":
        np.save(path, movie)
    elif name == "m.npz":
        np.savez_compressed(path, movie=movie)
    elif name == "m.tif":
        save_movie(path, movie, pixel_size=None, frame_interval=None, compress=True)
    else:
        zarr.create_array(str(path), data=movie, chunks=(5, 300, 300))
    open_video(path)[0]
    tracemalloc.start()
    stack = open_video(path)
    assert [int(frame[0, 0]) for frame in stack] == list(range(100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < movie.nbytes / 4


def test_arrays_that_are_no_movie(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames"):
        open_video(np.zeros((0, 5, 5)))
    with pytest.raises(InputError, match=r"\(2, 3, 4, 5\)"):
        open_video(np.zeros((2, 3, 4, 5)))
    with pytest.raises(InputError, match="complex128"):
        open_video(np.zeros((2, 3, 4), complex))
    with pytest.raises(InputError, match="object"):
        open_video(np.empty((2, 3, 4), object))
    np.save(tmp_path / "o.npy", np.empty((2, 3, 4), object), allow_pickle=True)
    with pytest.raises(InputError, match=r"o\.npy"):
        open_video(tmp_path / "o.npy")
    np.save(tmp_path / "z.npy", np.zeros((0, 3, 4)))
    with pytest.raises(InputError, match="no frames"):
        open_video(tmp_path / "z.npy")


def test_nan_pixels_are_refused() -> None:
    movie = MOVIE.copy()
    movie[2, 0, 0] = np.inf
    with pytest.raises(InputError, match="NaN"):
        open_video(movie)[2]


def test_colours_of_arrays() -> None:
    colours = RNG.integers(0, 255, (3, 5, 6, 3)).astype(np.uint8)
    with pytest.raises(InputError, match="red, green, blue"):
        open_video(colours)
    np.testing.assert_array_equal(open_video(colours, channel="blue")[1], colours[1, ..., 2])
    np.testing.assert_array_equal(open_video(np.repeat(colours[..., :1], 3, -1))[2], colours[2, ..., 0])


def test_archives_with_several_movies_need_a_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", raw=MOVIE, dark=MOVIE + 1)
    with pytest.raises(InputError, match="raw, dark"):
        open_video(tmp_path / "m.npz")
    np.testing.assert_array_equal(open_video(tmp_path / "m.npz", config=VideoConfig(array="dark"))[1], MOVIE[1] + 1)
    with pytest.raises(InputError, match="flat"):
        open_video(tmp_path / "m.npz", config=VideoConfig(array="flat"))


@pytest.mark.parametrize("name", ["m.npy", "m.npz"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_cut_numpy_files_are_refused_at_opening(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / name
    np.save(path, MOVIE) if name == "m.npy" else np.savez(path, movie=MOVIE)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    with pytest.raises(InputError, match=name):
        open_video(path)


@pytest.mark.parametrize("chunks", [(1, 10, 11), (3, 5, 4), (8, 10, 11)])
def test_zarr_array(tmp_path: Path, chunks: tuple) -> None:
    zarr.create_array(str(tmp_path / "m.zarr"), data=MOVIE, chunks=chunks)
    stack = open_video(tmp_path / "m.zarr")
    assert stack.shape == MOVIE.shape
    for index in (7, 0, 3, 2, 6):
        np.testing.assert_array_equal(stack[index], MOVIE[index])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack))[5], MOVIE[5])


def test_zarr_axes_channels_and_scale(tmp_path: Path) -> None:
    movie = RNG.integers(0, 4096, (4, 2, 3, 6, 5)).astype(np.uint16)
    group = zarr.open_group(str(tmp_path / "m.ome.zarr"), mode="w")
    group.create_array("0", data=movie)
    group.create_array("1", data=movie[..., ::2, ::2])
    axes = [{"name": "t", "unit": "second"}, {"name": "c"}, {"name": "z", "unit": "micrometer"}]
    axes += [{"name": "y", "unit": "micrometer"}, {"name": "x", "unit": "micrometer"}]
    scale = [{"type": "scale", "scale": [0.25, 1, 2.0, 0.11, 0.11]}]
    group.attrs["ome"] = {
        "multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    }
    stack = open_video(tmp_path / "m.ome.zarr", config=VideoConfig(plane=2, channel=1))
    np.testing.assert_array_equal(np.stack(list(stack)), movie[:, 1, 2])
    assert (stack.pixel_size, stack.frame_interval) == pytest.approx((0.11, 0.25))
    with pytest.raises(InputError, match="channels that differ"):
        open_video(tmp_path / "m.ome.zarr", config=VideoConfig(plane=2))
    mean = open_video(tmp_path / "m.ome.zarr", config=VideoConfig(plane=1, channel="mean"))
    np.testing.assert_allclose(mean[3], movie[3, :, 1].mean(axis=0))


def test_zarr_that_is_no_movie(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "m.zarr"), shape=(0, 5, 6), chunks=(1, 5, 6), dtype="u1")
    with pytest.raises(InputError, match="no frames"):
        open_video(tmp_path / "m.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(InputError, match=r"empty\.zarr"):
        open_video(tmp_path / "empty.zarr")
    zarr.open_group(str(tmp_path / "g.zarr"), mode="w")
    with pytest.raises(InputError, match=r"g\.zarr"):
        open_video(tmp_path / "g.zarr")
