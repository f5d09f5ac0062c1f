"""One grey image per frame: identical channels are merged, different ones need a choice, nothing is requantised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.records import FrameReader
from colloid_cg.video.source import RawMovie, frame_size_changes

_COLOURS = {"red": 0, "green": 1, "blue": 2}


@dataclass(frozen=True, kw_only=True)
class GreyReader:
    """Frames of one reader reduced to two dimensions by a rule; also checks that shape and type never change.

    Parameters
    ----------
    source : FrameReader
        Reader of frames (height, width) or (height, width, channels).
    shape : tuple of int
        Shape of a source frame.
    dtype : numpy.dtype
        Type of the pixels returned.
    rule : {"grey", "identical", "mean", "luminance"} or int
        What is done with the last axis; an integer takes that channel.
    n_colours : int
        Number of channels that count: transparency is not a colour.
    name : str
        File name, for messages.
    """

    source: FrameReader
    shape: tuple[int, ...]
    source_dtype: np.dtype[Any]
    dtype: np.dtype[Any]
    rule: str | int
    n_colours: int
    name: str

    def read(self, index: int) -> np.ndarray:
        """Return one grey frame as a new array of shape (height, width)."""
        frame = self.source.read(index)
        if frame.shape != self.shape:
            raise frame_size_changes(self.name, index, frame.shape, self.shape)
        if frame.dtype != self.source_dtype:
            raise InputError(
                f"frame {index} of type {frame.dtype} in {self.name}, whose first frame is {self.source_dtype}",
                expected="every frame to have the pixel type of the first",
                action="export all frames with one pixel type",
            )
        return np.ascontiguousarray(self._grey(frame, index), dtype=self.dtype)

    def _grey(self, frame: np.ndarray, index: int) -> np.ndarray:
        if self.rule == "grey":
            return frame
        if isinstance(self.rule, int):
            return frame[..., self.rule]
        if self.rule == "identical":
            if not _identical(frame, self.n_colours):
                raise _different_channels(self.name, (), index)
            return frame[..., 0]
        if self.rule == "mean":
            return np.asarray(frame[..., : self.n_colours].mean(axis=-1, dtype=np.float64))
        return _luminance(frame)


def grey(movie: RawMovie, channel: str | int | None, *, name: str) -> tuple[GreyReader, np.dtype[Any], dict[str, Any]]:
    """Return the reader of grey frames, their type, and what to say about it in the metadata.

    Raises
    ------
    InputError
        If the channels differ and none was chosen, or the chosen one does not exist.
    """
    rule = _rule(movie, channel, name)
    dtype = movie.dtype
    if rule == "mean":
        # a mean of integers is rarely an integer: rounding it would requantise the movie
        dtype = np.dtype(np.float64 if movie.dtype.itemsize > 2 and movie.dtype != np.float32 else np.float32)
    reader = GreyReader(
        source=movie.reader,
        shape=movie.shape,
        source_dtype=movie.dtype,
        dtype=dtype,
        rule=rule,
        n_colours=_colours(movie),
        name=name,
    )
    said: dict[str, Any] = {} if rule == "grey" else {"channel": _describe(rule, movie)}
    return reader, dtype, said


def _identical(frame: np.ndarray, n_colours: int) -> bool:
    return all(np.array_equal(frame[..., 0], frame[..., k]) for k in range(1, n_colours))


def _luminance(frame: np.ndarray) -> np.ndarray:
    """Return 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), the grey value a codec started from."""
    import cv2

    return np.asarray(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY))


def _different_channels(name: str, channels: tuple[str, ...], index: int) -> InputError:
    """Return the error for a movie whose channels differ where none was chosen."""
    names = f" ({', '.join(channels)})" if channels else ""
    choice = "the name or index of a channel, or mean" if channels else "red, green, blue, mean or an index"
    return InputError(
        f"channels that differ{names} in frame {index} of {name}",
        expected="grey frames, or equal channels",
        action=f"set video.channel to {choice}",
    )


def _colours(movie: RawMovie) -> int:
    n_channels = movie.shape[-1]
    return n_channels if movie.channels else {2: 1, 4: 3}.get(n_channels, n_channels)


def _rule(movie: RawMovie, channel: str | int | None, name: str) -> str | int:
    if len(movie.shape) == 2:
        _check_needless(movie, channel, name)
        return "grey"
    n_channels = movie.shape[-1]
    if channel is None:
        if movie.decoded_colour:
            return "luminance"
        if not _identical(movie.reader.read(0), _colours(movie)):
            raise _different_channels(name, movie.channels, 0)
        return "identical"
    if channel == "mean" or (channel == "luminance" and movie.decoded_colour):
        return str(channel)
    if isinstance(channel, str) and channel in movie.channels:
        return movie.channels.index(channel)
    if isinstance(channel, str) and channel in _COLOURS and not movie.channels and n_channels >= 3:
        return _COLOURS[channel]
    index = int(channel) if isinstance(channel, int) or channel.isdecimal() else -1
    if not 0 <= index < n_channels:
        known = movie.channels or ("red", "green", "blue")
        raise InputError(
            f"channel = {channel!r} for {name}, which has {n_channels} channels",
            expected=f"one of {', '.join(known)}, mean, or an index from 0 to {n_channels - 1}",
            action="correct video.channel",
        )
    return index


def _check_needless(movie: RawMovie, channel: str | int | None, name: str) -> None:
    """Refuse a channel of a grey movie, unless the reader has chosen it already or the codec means grey by it."""
    if channel in (None, 0, "0", "mean", "luminance") or movie.decoded_colour or "channel" in movie.metadata:
        return
    raise InputError(
        f"channel = {channel!r} for {name}, which is grey",
        expected="no choice of channel",
        action="remove video.channel",
    )


def _describe(rule: str | int, movie: RawMovie) -> str:
    if isinstance(rule, int):
        names = movie.channels or ("red", "green", "blue", "alpha")
        return f"{names[rule]} ({rule})" if rule < len(names) else str(rule)
    return {
        "identical": "the channels are identical; the first is used",
        "mean": "mean of the channels",
        "luminance": "luminance (0.299 red + 0.587 green + 0.114 blue), as video codecs decode to colour",
    }[rule]
