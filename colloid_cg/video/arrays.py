"""Arrays in memory, .npy by memory map and .npz; a compressed member is streamed, never held as a whole."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.video.config import VideoConfig
from colloid_cg.video.sequential import FrameStream, SequentialReader
from colloid_cg.video.source import RawMovie, native, no_frames, truncated, wrapped

_COLOUR_SIZES = (3, 4)


class ArrayReader:
    """Frames of an array in memory or on disk (memory map)."""

    def __init__(self, array: Any, dtype: np.dtype[Any]) -> None:
        self.array, self.dtype = array, dtype

    def read(self, index: int) -> np.ndarray:
        """Return a copy of one frame in native byte order."""
        return np.array(self.array[index], dtype=self.dtype, order="C")


class NpyReader:
    """Frames of a .npy file by memory map, mapped again after pickling."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mapped: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_mapped": None}

    def read(self, index: int) -> np.ndarray:
        """Return a copy of one frame in native byte order."""
        with wrapped(self.path, "a NumPy file"):
            if self._mapped is None:
                self._mapped = np.load(self.path, mmap_mode="r", allow_pickle=False)
            frames = self._mapped[None] if self._mapped.ndim == 2 else self._mapped
            return np.array(frames[index], dtype=native(frames.dtype, self.path.name), order="C")


class NpzStream(FrameStream):
    """Frames of one member of an .npz file, in order."""

    def __init__(self, path: Path, member: str) -> None:
        self._archive = zipfile.ZipFile(path)
        self._stream = self._archive.open(member)
        self._shape, self._dtype, _ = _header(self._stream)
        self._path = path

    def take(self) -> np.ndarray:
        """Return the next frame."""
        shape = self._shape[-2:] if len(self._shape) < 4 else self._shape[1:]
        n_bytes = int(np.prod(shape)) * self._dtype.itemsize
        data = self._stream.read(n_bytes)
        if len(data) != n_bytes:
            raise truncated(self._path, "a frame is incomplete")
        return np.frombuffer(data, self._dtype).reshape(shape).astype(native(self._dtype, self._path.name))

    def skip(self) -> None:
        """Pass over the next frame."""
        self.take()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._archive.close()


class NpzStreamOpener:
    """Starts a stream at the first frame (a class, so that readers can be pickled)."""

    def __init__(self, path: Path, member: str) -> None:
        self.path, self.member = path, member

    def __call__(self) -> NpzStream:
        """Return a new stream."""
        with wrapped(self.path, "a NumPy archive"):
            return NpzStream(self.path, self.member)


def open_array(array: np.ndarray, *, name: str = "array") -> RawMovie:
    """Open an array (frames, height, width[, colours]) or one frame (height, width).

    Raises
    ------
    InputError
        If the array has another number of axes, no frames, or no real pixels.
    """
    shape = _movie_shape(array.shape, name)
    dtype = native(array.dtype, name)
    return RawMovie(
        reader=ArrayReader(array.reshape(shape) if array.ndim == 2 else array, dtype),
        n_frames=shape[0],
        shape=shape[1:],
        dtype=dtype,
        metadata={"format": "array"},
    )


def open_npy(path: Path) -> RawMovie:
    """Open a .npy file by memory map."""
    if path.stat().st_size == 0:
        raise truncated(path, "it is empty")
    with wrapped(path, "a NumPy file"):
        with path.open("rb") as stream:
            stored, dtype, _ = _header(stream)
            n_bytes = stream.tell() + int(np.prod(stored, dtype=np.int64)) * dtype.itemsize
        shape = _movie_shape(stored, path.name)
        pixels = native(dtype, path.name)
        if n_bytes > path.stat().st_size:
            raise truncated(path, f"its frames would end at byte {n_bytes} of {path.stat().st_size}")
    return RawMovie(
        reader=NpyReader(path), n_frames=shape[0], shape=shape[1:], dtype=pixels, metadata={"format": "NumPy .npy"}
    )


def open_npz(path: Path, *, config: VideoConfig) -> RawMovie:
    """Open the one array of an .npz file that has frames, or the one named by ``config.array``."""
    with wrapped(path, "a NumPy archive"):
        with zipfile.ZipFile(path) as archive:
            headers = {}
            for member in archive.namelist():
                with archive.open(member) as stream:
                    headers[member.removesuffix(".npy")] = _header(stream)
        candidates = {key: header for key, header in headers.items() if len(header[0]) in (3, 4)}
        key = chosen_array(list(candidates), list(headers), config=config, name=path.name)
        stored, dtype, fortran = headers[key]
        if fortran:
            raise InputError(
                f"the array {key} of {path.name} in Fortran order",
                expected="frames stored one after the other (C order)",
                action="save numpy.ascontiguousarray of it",
            )
        shape = _movie_shape(stored, path.name)
        return RawMovie(
            reader=SequentialReader(NpzStreamOpener(path, f"{key}.npy")),
            n_frames=shape[0],
            shape=shape[1:],
            dtype=native(dtype, path.name),
            metadata={"format": "NumPy .npz", "array": key},
        )


def chosen_array(candidates: list[str], known: list[str], *, config: VideoConfig, name: str) -> str:
    """Return the name of the array to read.

    Raises
    ------
    InputError
        If none or several could be meant, or the named one is absent.
    """
    if config.array is not None and config.array in known:
        return config.array
    if config.array is None and len(candidates) == 1:
        return candidates[0]
    stated = "no choice" if config.array is None else f"array = {config.array!r}"
    raise InputError(
        f"{stated} among the arrays of {name} ({', '.join(known) or 'none'})",
        expected="one array of frames, height and width",
        action="set video.array to its name",
    )


def _header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    return tuple(int(size) for size in shape), dtype, fortran and len(shape) > 1


def _movie_shape(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    if len(shape) == 2:
        shape = (1, *shape)
    if len(shape) != 3 and not (len(shape) == 4 and shape[-1] in _COLOUR_SIZES):
        raise InputError(
            f"an array of shape {shape} in {name}",
            expected="(frames, height, width), or with 3 or 4 colours (frames, height, width, colours)",
            action="reorder or slice the array",
        )
    if shape[0] == 0:
        raise no_frames(name)
    return shape
