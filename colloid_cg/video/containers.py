"""Whether an AVI, MP4 or MOV file is complete, from its outermost boxes (a decoder just stops early)."""

from __future__ import annotations

import struct
from pathlib import Path

from colloid_cg.video.source import truncated

_ISO_SUFFIXES = (".mp4", ".mov", ".m4v")
_ISO_BOXES = (b"mdat", b"moov", b"moof")
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)


def check_complete(path: Path) -> None:
    """Raise an InputError if the file ends before the data its container announces."""
    if path.suffix.lower() in _ISO_SUFFIXES:
        _check_iso(path)
    elif path.suffix.lower() == ".avi":
        _check_riff(path)


def _check_iso(path: Path) -> None:
    """Walk the outermost boxes (ISO/IEC 14496-12, 4.2): size and type; size 1 stands for 64 bits, 0 for the rest."""
    size, offset = path.stat().st_size, 0
    with path.open("rb") as stream:
        while offset + 8 <= size:
            stream.seek(offset)
            length, kind = struct.unpack(">I4s", stream.read(8))
            if length == 1:
                large = stream.read(8)
                length = struct.unpack(">Q", large)[0] if len(large) == 8 else 0
            if length == 0:
                return
            if offset + length > size and kind in _ISO_BOXES:
                raise truncated(path, f"its {kind.decode()} box would end at byte {offset + length} of {size}")
            offset += max(length, 8)


def _check_riff(path: Path) -> None:
    """Walk the outermost RIFF chunks: "RIFF", size in little-endian byte order, data, padding to an even size."""
    size, offset = path.stat().st_size, 0
    with path.open("rb") as stream:
        while offset + 8 <= size:
            stream.seek(offset)
            kind, length = struct.unpack("<4sI", stream.read(8))
            if kind != b"RIFF" or length in _UNKNOWN_SIZES:
                return
            if offset + 8 + length > size:
                raise truncated(path, f"its RIFF chunk would end at byte {offset + 8 + length} of {size}")
            offset += 8 + length + length % 2
