"""Walk the chain of TIFF directories to see whether a file was cut off.

The chain is read here because the reading library logs a broken chain and goes on with the pages before the break: half
a movie would pass for a whole one.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from colloid_cg.errors import InputError
from colloid_cg.video.source import no_frames, truncated

_CLASSIC = ("I", 4, "H", 2, 12)
_BIG = ("Q", 8, "Q", 8, 20)
_TYPE_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes per value of the TIFF field types that take more than one."""


def page_offsets(path: Path) -> list[int]:
    """Return the byte offset of every directory (page) of a TIFF or BigTIFF file.

    Raises
    ------
    InputError
        If the file is no TIFF, has no pages, or ends before the chain does.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        order, layout, offset = _header(stream, path)
        offset_format, offset_size, count_format, count_size, tag_size = layout
        offsets: list[int] = []
        known: set[int] = set()
        while offset:
            if offset + count_size > size:
                raise truncated(path, f"page {len(offsets)} would start at byte {offset} of {size}")
            if offset in known:
                raise InputError(
                    f"{path.name}, whose page {len(offsets)} points back to an earlier page",
                    expected="an undamaged TIFF file",
                    action="copy or export the file again",
                )
            offsets.append(offset)
            known.add(offset)
            stream.seek(offset)
            (n_tags,) = struct.unpack(order + count_format, stream.read(count_size))
            end = offset + count_size + n_tags * tag_size
            if end + offset_size > size:
                raise truncated(path, f"the directory of page {len(offsets) - 1} ends at byte {end} of {size}")
            tags = stream.read(n_tags * tag_size)
            (offset,) = struct.unpack(order + offset_format, stream.read(offset_size))
            if len(offsets) == 1 or not offset:
                _check_values(tags, order, offset_format, size=size, path=path)
    if not offsets:
        raise no_frames(path.name, "no pages")
    return offsets


def _check_values(tags: bytes, order: str, letter: str, *, size: int, path: Path) -> None:
    """Look for tag values (the description with its calibration above all) beyond the end of the file."""
    for _, kind, count, value in struct.iter_unpack(f"{order}HH{letter}{letter}", tags):
        n_bytes = _TYPE_BYTES.get(kind, 1) * count
        if n_bytes > struct.calcsize("=" + letter) and value + n_bytes > size:
            raise truncated(path, f"the value of a tag would end at byte {value + n_bytes} of {size}")


def _header(stream: BinaryIO, path: Path) -> tuple[str, tuple[str, int, str, int, int], int]:
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise InputError(
            f"{path.name}, which does not start like a TIFF file",
            expected="a TIFF or BigTIFF file",
            action="check the file and its name",
        )
    (version,) = struct.unpack(order + "H", head[2:4])
    if version == 43:
        if len(head) < 16:
            raise truncated(path, "the header is incomplete")
        return order, _BIG, struct.unpack(order + "Q", head[8:16])[0]
    return order, _CLASSIC, struct.unpack(order + "I", head[4:8])[0]
