"""Write movies as OME-TIFF: streamed, atomic, the same bytes for the same frames."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sized
from pathlib import Path
from typing import Any

import numpy as np

from colloid_cg.errors import InputError, StorageError
from colloid_cg.units import micrometres, seconds
from colloid_cg.video.source import frame_size_changes, no_frames

_CLASSIC_LIMIT = 3_900_000_000
_SUFFIXES = (".tif", ".tiff")
_LOSSLESS = {"bool": np.uint8, "float16": np.float32}
_OME_TYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64")


def save_movie(
    path: str | Path,
    frames: Iterable[np.ndarray],
    *,
    pixel_size: str | float | None,
    frame_interval: str | float | None,
    exposure: str | float | None = None,
    compress: bool = False,
) -> None:
    """Write frames to an OME-TIFF file that open_video reads back with all three values.

    Frames are written one by one under a temporary name, renamed at the end: a reader sees the old file or the whole
    new one. BigTIFF is used unless the frames are known to stay below 3.9 GB.

    Parameters
    ----------
    path : Path
        File to write, ending in .tif or .tiff; .ome.tif is the custom.
    frames : iterable of numpy.ndarray
        Frames (height, width), all of one shape and type; bool is stored as uint8, float16 as float32 (no loss).
    pixel_size, frame_interval, exposure : str, float or None
        Edge of a pixel (um), time between frames and exposure (s).
    compress : bool
        Deflate the pages (lossless).

    Raises
    ------
    InputError, StorageError
        If frames are missing, not alike or of a type that cannot be stored; if the file cannot be written.
    """
    path = _checked_name(path)
    values = {
        "pixel_size": None if pixel_size is None else micrometres(pixel_size),
        "frame_interval": None if frame_interval is None else seconds(frame_interval),
        "exposure": None if exposure is None else seconds(exposure),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        shape, dtype = _write_pages(temporary, path, frames, compress=compress)
        _describe(temporary, shape, dtype, name=path.name, **values)
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(
            f"{path}, which cannot be written ({error.strerror or error})",
            expected="an existing, writable folder with enough space",
            action="choose another folder or free some space",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _checked_name(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(
            f"the file name {path.name}", expected="a name ending in .tif or .tiff", action="rename the output"
        )
    return path


def _write_pages(
    temporary: Path, path: Path, frames: Iterable[np.ndarray], *, compress: bool
) -> tuple[tuple[int, int, int], np.dtype[Any]]:
    import tifffile

    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise no_frames(path.name, "no frames to write")
    first = np.asarray(first)
    stored = _stored_type(first, path)
    compression = "zlib" if compress else None
    count = 0
    with tifffile.TiffWriter(temporary, bigtiff=_needs_bigtiff(frames, first.shape, stored), byteorder="<") as writer:
        frame: np.ndarray | None = first
        while frame is not None:
            frame = np.asarray(frame)
            if frame.shape != first.shape:
                raise frame_size_changes(path.name, count, frame.shape, first.shape)
            if frame.dtype != first.dtype:
                raise InputError(
                    f"frame {count} of type {frame.dtype} for {path.name}, whose first frame is {first.dtype}",
                    expected="frames of one type",
                    action="convert all frames to one type",
                )
            writer.write(
                np.ascontiguousarray(frame, dtype=stored),
                photometric="minisblack",
                compression=compression,
                contiguous=compression is None,
                metadata=None,
                software=False,
                description="" if count == 0 else None,
            )
            count += 1
            frame = next(iterator, None)
    return (count, int(first.shape[0]), int(first.shape[1])), stored


def _stored_type(first: np.ndarray, path: Path) -> np.dtype[Any]:
    if first.ndim != 2 or 0 in first.shape:
        raise InputError(
            f"a frame of shape {first.shape} for {path.name}",
            expected="frames of shape (height, width)",
            action="pass grey frames one by one",
        )
    stored = np.dtype(_LOSSLESS.get(first.dtype.name, first.dtype)).newbyteorder("<")
    if stored.name not in _OME_TYPES:
        raise InputError(
            f"pixels of type {first.dtype} for {path.name}",
            expected=f"one of {', '.join(_OME_TYPES)} (what OME-TIFF can hold), bool or float16",
            action="convert the frames, for example to float64 or uint32",
        )
    return stored


def _needs_bigtiff(frames: Iterable[np.ndarray], shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    if not isinstance(frames, Sized):
        return True
    return len(frames) * int(np.prod(shape)) * dtype.itemsize > _CLASSIC_LIMIT


def _describe(
    temporary: Path,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    *,
    name: str,
    pixel_size: float | None,
    frame_interval: float | None,
    exposure: float | None,
) -> None:
    """Put the OME-XML into the first page; it is known only now, since frames are counted while they are written."""
    import tifffile

    said: dict[str, Any] = {"Name": name}
    if pixel_size is not None:
        said |= {"PhysicalSizeX": pixel_size, "PhysicalSizeY": pixel_size}
        said |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    if frame_interval is not None:
        said |= {"TimeIncrement": frame_interval, "TimeIncrementUnit": "s"}
    if exposure is not None:
        count = shape[0]
        said["Plane"] = {"ExposureTime": [exposure] * count, "ExposureTimeUnit": ["s"] * count}
    # a fixed identifier, from name and values, keeps the bytes the same on every run
    identity = uuid.uuid5(uuid.NAMESPACE_OID, repr((shape, dtype.name, sorted(said.items(), key=lambda item: item[0]))))
    xml = tifffile.OmeXml(Creator="colloid_cg", UUID=str(identity))
    xml.addimage(dtype, shape, (shape[0], 1, 1, shape[1], shape[2], 1), axes="TYX", **said)
    tifffile.tiffcomment(temporary, xml.tostring(declaration=True).encode("utf-8"))
