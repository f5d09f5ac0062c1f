"""Folders of images (one frame per file, or TIFF parts of many frames), in natural order."""

from __future__ import annotations

import bisect
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.video.config import VideoConfig
from colloid_cg.video.numbering import numbering_warnings
from colloid_cg.video.source import RawMovie, frame_size_changes, native, no_frames, truncated, wrapped
from colloid_cg.video.tiff import open_tiff
from colloid_cg.video.tiff_chain import page_offsets

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_TIFF_PARTS = (".tif", ".tiff")
_OPEN_PARTS = 4
_TAIL = 4096
_ENDINGS = {".png": b"IEND", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which frame2 stands before frame10."""
    pieces = re.split(r"(\d+)", path.name.lower())
    return tuple((0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces)


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order, hidden files left out.

    Raises
    ------
    InputError
        If there are none, or several kinds of image.
    """
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    files = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES + _TIFF_PARTS]
    return one_kind(files, name=folder.name)


def one_kind(files: list[Path], *, name: str) -> list[Path]:
    """Return the files in natural order if they are all of one kind."""
    if not files:
        raise no_frames(name, "no images (png, tif, jpg, bmp)")
    kinds = sorted({_kind(path) for path in files})
    if len(kinds) > 1:
        raise InputError(
            f"images of several kinds ({', '.join(kinds)}) in {name}",
            expected="the frames of one movie",
            action=f'open one kind with a pattern such as "{name}/*{kinds[0]}"',
        )
    return sorted(files, key=natural_key)


class ImageReader:
    """One image file per frame."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def read(self, index: int) -> np.ndarray:
        """Return one frame; colours in the order red, green, blue[, alpha]."""
        return read_image(self.files[index])


def read_image(path: Path) -> np.ndarray:
    """Return one image with its own depth (8 or 16 bits), colours in the order red, green, blue[, alpha].

    Raises
    ------
    InputError
        If the file is cut off or damaged.
    """
    import cv2

    with wrapped(path, "an image"):
        data = path.read_bytes()
        _check_ending(path, data)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise ValueError("the decoder gives up")
    if image.ndim == 3:
        order = [2, 1, 0, *range(3, image.shape[-1])] if image.shape[-1] >= 3 else list(range(image.shape[-1]))
        image = image[..., order]
    return np.ascontiguousarray(image)


class PartReader:
    """TIFF files of one or more frames each, a few of them open at a time."""

    def __init__(self, files: list[Path], ends: list[int], config: VideoConfig) -> None:
        self.files, self.ends, self.config = files, ends, config
        self._lock = threading.Lock()
        self._open: OrderedDict[int, RawMovie] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "ends": self.ends, "config": self.config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def read(self, index: int) -> np.ndarray:
        """Return one frame."""
        part = bisect.bisect_right(self.ends, index)
        start = self.ends[part - 1] if part else 0
        with self._lock:
            if part not in self._open:
                self._open[part] = open_tiff(self.files[part], config=self.config, by_page=True)
                while len(self._open) > _OPEN_PARTS:
                    self._open.popitem(last=False)
            self._open.move_to_end(part)
            return self._open[part].reader.read(index - start)


def open_images(files: list[Path], *, config: VideoConfig, name: str) -> RawMovie:
    """Open image files as one movie; sizes are compared here for TIFF parts, else frame by frame on reading."""
    if _kind(files[0]) == ".tif":
        return _open_parts(files, config=config, name=name)
    first = read_image(files[0])
    last = read_image(files[-1])
    if last.shape != first.shape:
        raise frame_size_changes(name, len(files) - 1, last.shape, first.shape)
    return RawMovie(
        reader=ImageReader(files),
        n_frames=len(files),
        shape=first.shape,
        dtype=native(first.dtype, name),
        metadata={
            "format": f"images ({_kind(files[0])[1:]})",
            "files": len(files),
            "warnings": numbering_warnings([path.name for path in files]),
        },
    )


def _open_parts(files: list[Path], *, config: VideoConfig, name: str) -> RawMovie:
    first = open_tiff(files[0], config=config, by_page=True)
    # the chain of pages counts a part without opening it, unless one page stands for many frames (ImageJ)
    by_chain = first.n_frames == len(page_offsets(files[0]))
    ends, total = [], 0
    for index, path in enumerate(files):
        if by_chain and 0 < index < len(files) - 1:
            total += len(page_offsets(path))
        else:
            part = open_tiff(path, config=config, by_page=True)
            if part.shape != first.shape:
                raise frame_size_changes(name, total, part.shape, first.shape)
            total += part.n_frames
        ends.append(total)
    return RawMovie(
        reader=PartReader(files, ends, config),
        n_frames=total,
        shape=first.shape,
        dtype=first.dtype,
        calibration=first.calibration,
        channels=first.channels,
        metadata={
            **first.metadata,
            "format": f"images ({first.metadata['format']})",
            "files": len(files),
            "warnings": numbering_warnings([path.name for path in files]),
        },
    )


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    return {".tiff": ".tif", ".jpeg": ".jpg"}.get(suffix, suffix)


def _check_ending(path: Path, data: bytes) -> None:
    """Look for the end marker: some versions of the decoder fill what is missing with grey and say nothing."""
    ending = _ENDINGS.get(path.suffix.lower())
    if ending is not None and ending not in data[-_TAIL:]:
        raise truncated(path, "its end marker is missing")
    if data[:2] == b"BM" and int.from_bytes(data[2:6], "little") > len(data):
        raise truncated(path, f"{len(data)} of {int.from_bytes(data[2:6], 'little')} bytes")
