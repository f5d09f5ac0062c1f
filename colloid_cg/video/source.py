"""What every reader hands over: a lazy movie before channel, part and calibration are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from colloid_cg.errors import ColloidError, InputError
from colloid_cg.records import FrameReader
from colloid_cg.video.calibration import Calibration


@dataclass(frozen=True, kw_only=True)
class RawMovie:
    """A lazy movie as the file holds it.

    Parameters
    ----------
    reader : FrameReader
        Returns frame ``index`` as (height, width) or, with colours or instrument channels, (height, width, channels).
    n_frames : int
        Number of frames, at least one.
    shape : tuple of int
        Shape of one frame.
    dtype : numpy.dtype
        Type of the pixels, in native byte order.
    calibration : Calibration
        What the file says about pixel size and times.
    channels : tuple of str
        Names of the channels, empty where the last axis holds colours in the order red, green, blue[, alpha].
    decoded_colour : bool
        True for video codecs, which decode to red, green, blue whatever was recorded.
    metadata : dict
        What else the file says; JSON-able.
    """

    reader: FrameReader
    n_frames: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    calibration: Calibration = field(default_factory=Calibration)
    channels: tuple[str, ...] = ()
    decoded_colour: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)


@contextmanager
def wrapped(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a foreign library raises into an InputError that names the file."""
    try:
        yield
    except (ColloidError, MemoryError):
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        if "imagecodecs" in reason:
            raise extra_needed(path, "imagecodecs") from error
        raise InputError(
            f"{path.name}, which cannot be read as {kind} ({reason[:200].rstrip('.')})",
            expected=f"{kind} that is complete and undamaged",
            action="copy or export the file again and check that it opens in another viewer",
        ) from error


def truncated(path: Path, what: str) -> InputError:
    """Return the error for a file that ends before its data do."""
    return InputError(
        f"{path.name}, which is cut off ({what})",
        expected="a complete file",
        action="copy or export the file again",
    )


def no_frames(name: str, what: str = "no frames") -> InputError:
    """Return the error for a movie without frames."""
    return InputError(
        f"{what} in {name}",
        expected="at least one frame",
        action="check that the recording or the export finished",
    )


def frame_size_changes(name: str, index: int, shape: tuple[int, ...], first: tuple[int, ...]) -> InputError:
    """Return the error for frames that are not all alike."""
    return InputError(
        f"frame {index} of shape {shape} in {name}, whose first frame has shape {first}",
        expected="every frame to have the size of the first",
        action="split the movie where its frame size changes",
    )


def extra_needed(path: Path, package: str) -> InputError:
    """Return the error for a format, or a compression, whose library is not installed."""
    return InputError(
        f"{path.name}, which the package {package} would read, and no such package",
        expected="the optional readers to be installed",
        action='run: pip install "colloid-cg[video]"',
    )


def native(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """Return the pixel type in native byte order; booleans are read as 0 and 1.

    Raises
    ------
    InputError
        If the type holds no real numbers.
    """
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind not in "uif":
        raise InputError(
            f"pixels of type {dtype} in {name}",
            expected="integer or floating-point pixels",
            action="convert the movie to real numbers before opening it",
        )
    return dtype.newbyteorder("=")
