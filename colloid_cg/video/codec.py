"""AVI, MP4, MOV and other compressed video through OpenCV (FFmpeg), frame-accurate by decoding forwards only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.video.calibration import PLAYBACK, Calibration, typical_interval
from colloid_cg.video.containers import check_complete
from colloid_cg.video.sequential import FrameStream, SequentialReader
from colloid_cg.video.source import RawMovie, native, wrapped

VIDEO_SUFFIXES = (".avi", ".mp4", ".mov", ".m4v", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg")
_GREY_FORMATS = (b"Y800", b"GREY", b"Y1\x00\x10")
_DEEP_GREY = b"Y1\x00"


class CodecStream(FrameStream):
    """Frames of a video file in order: grey where the codec stores grey, else red, green, blue.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        import cv2

        self.path = path
        self.capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self.capture.isOpened():
            raise _unreadable(path, "no decodable video stream")
        self.pixel_format = int(self.capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)).to_bytes(4, "little", signed=False)
        if self.pixel_format in _GREY_FORMATS:
            # converting to colour would cut 16-bit grey to 8 bits
            self.capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        elif self.pixel_format.startswith(_DEEP_GREY):
            raise _deep_grey(path, self.pixel_format[3])

    def take(self) -> np.ndarray:
        """Decode and return the next frame."""
        good, frame = self.capture.read()
        if not good:
            raise _unreadable(self.path, "a frame that decoded before does not decode now")
        return np.asarray(frame if frame.ndim == 2 else frame[..., ::-1])

    def skip(self) -> None:
        """Decode the next frame without converting it."""
        if not self.capture.grab():
            raise _unreadable(self.path, "a frame that decoded before does not decode now")

    def close(self) -> None:
        """Let go of the decoder."""
        self.capture.release()


class CodecOpener:
    """Starts a stream at the first frame (a class, so that readers can be pickled)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> CodecStream:
        """Return a new stream."""
        return CodecStream(self.path)


def open_codec(path: Path) -> RawMovie:
    """Open a compressed video; every frame is decoded once to count them and to collect their times.

    The count in the container can be wrong, and only decoding shows it.

    Raises
    ------
    InputError
        If the file is cut off, or nothing in it can be decoded.
    """
    import cv2

    check_complete(path)
    with wrapped(path, "a video"):
        stream = CodecStream(path)
        try:
            first = stream.take()
            times = [stream.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000]
            while stream.capture.grab():
                times.append(stream.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            rate = float(stream.capture.get(cv2.CAP_PROP_FPS))
            stated = int(stream.capture.get(cv2.CAP_PROP_FRAME_COUNT))
            said = _said(stream, cv2, stated=stated, counted=len(times))
        finally:
            stream.close()
    return RawMovie(
        reader=SequentialReader(CodecOpener(path)),
        n_frames=len(times),
        shape=first.shape,
        dtype=native(first.dtype, path.name),
        calibration=_playback(rate, times),
        decoded_colour=True,
        metadata=said,
    )


def _said(stream: CodecStream, cv2: Any, *, stated: int, counted: int) -> dict[str, Any]:
    codec = int(stream.capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=False)
    said: dict[str, Any] = {
        "format": f"video ({stream.path.suffix.lower().lstrip('.')})",
        "codec": codec.decode("ascii", "replace").strip("\x00 "),
    }
    depth = stream.pixel_format[3]
    if 8 < depth < 32 and stream.pixel_format not in _GREY_FORMATS:
        said["depth_note"] = f"colours of {depth} bits are decoded to 8 bits"
    if stated != counted:
        said["frame_count_note"] = f"the container states {stated} frames, {counted} can be decoded"
    return said


def _playback(rate: float, times: list[float]) -> Calibration:
    """Return the playback interval: what the player uses, not necessarily what the camera did."""
    measured, note = typical_interval(times)
    stated = 1 / rate if np.isfinite(rate) and rate > 0 else None
    interval = stated
    if measured is not None and (stated is None or abs(measured - stated) > 0.01 * stated):
        interval = measured
    if interval is None:
        return Calibration()
    source = f"{PLAYBACK} ({1 / interval:.6g} frames/s); the camera may have recorded at another rate"
    found = Calibration().with_interval(interval, "s", source=source)
    return found.with_note(note) if note else found


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path.name}, which cannot be decoded ({reason})",
        expected="a complete video in a codec that FFmpeg knows",
        action="check that it plays elsewhere, or convert it to a TIFF stack",
    )


def _deep_grey(path: Path, depth: int) -> InputError:
    return InputError(
        f"grey video of {depth} bits in {path.name}, which OpenCV would cut to 8 bits",
        expected="8-bit or 16-bit grey video",
        action="convert it to a TIFF stack",
    )
