"""A movie as a lazy, read-only sequence of two-dimensional frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from colloid_cg.errors import InputError


class FrameReader(Protocol):
    """Anything that returns frame ``index`` as a new two-dimensional array of the stated shape and dtype."""

    def read(self, index: int) -> np.ndarray:
        """Return one frame."""
        ...


@dataclass(frozen=True, kw_only=True)
class FrameStack:
    """A movie: frames are read one by one, on demand, never requantised.

    Parameters
    ----------
    reader : FrameReader
        Reads one frame.
    n_frames, height, width : int
        Shape of the movie.
    dtype : numpy.dtype
        Type of the pixels as stored in the file.
    pixel_size : float or None
        Edge of a pixel in um; None if unknown.
    frame_interval : float or None
        Time between frames in s; None if unknown.
    exposure : float or None
        Exposure time in s; None if unknown.
    source : str
        File name, for messages and reports.
    metadata : dict
        What else the file says (instrument, objective, how a value above was found).
    """

    reader: FrameReader
    n_frames: int
    height: int
    width: int
    dtype: np.dtype[Any]
    pixel_size: float | None = None
    frame_interval: float | None = None
    exposure: float | None = None
    source: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n_frames < 1:
            raise InputError(
                f"no frames in {self.source or 'the movie'}",
                expected="at least two frames",
                action="check that the recording or the export finished",
            )
        if self.height < 1 or self.width < 1:
            raise InputError(
                f"frames of {self.width} x {self.height} px in {self.source or 'the movie'}",
                expected="two-dimensional grey frames",
                action="check the file in an image viewer",
            )

    def __repr__(self) -> str:
        """Return name, size and scales in two lines, for a notebook."""
        scales = (
            "pixel size unknown" if self.pixel_size is None else f"{self.pixel_size:.4g} um per px",
            "frame interval unknown" if self.frame_interval is None else f"a frame every {self.frame_interval:.4g} s",
            "exposure unknown" if self.exposure is None else f"exposed for {self.exposure:.4g} s",
        )
        size = f"{self.n_frames:,} frames of {self.width} x {self.height} px, {self.dtype}"
        return f"<FrameStack {self.source or 'without a name'}: {size}\n {', '.join(scales)}>"

    def __len__(self) -> int:
        return self.n_frames

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width."""
        return (self.n_frames, self.height, self.width)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return one frame as an array of shape (height, width).

        Raises
        ------
        IndexError
            If the index is out of range.
        InputError
            If the file holds a frame of another shape, or NaN pixels.
        """
        if not -self.n_frames <= index < self.n_frames:
            raise IndexError(f"frame {index} of a movie of {self.n_frames} frames")
        frame = np.asarray(self.reader.read(index % self.n_frames))
        if frame.shape != (self.height, self.width):
            raise InputError(
                f"frame {index} of shape {frame.shape} in {self.source}",
                expected=f"every frame to be {self.height} x {self.width} px like the first",
                action="split the movie where its frame size changes",
            )
        if frame.dtype.kind == "f" and not np.isfinite(frame).all():
            raise InputError(
                f"NaN or infinite pixels in frame {index} of {self.source}",
                expected="finite pixel values",
                action="replace or crop the invalid pixels before tracking",
            )
        return frame

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(self.n_frames))

    def calibrated(
        self, *, pixel_size: float | None = None, frame_interval: float | None = None, exposure: float | None = None
    ) -> FrameStack:
        """Return the same movie with the given values (um, s, s) in place of those of the file."""
        return replace(
            self,
            pixel_size=self.pixel_size if pixel_size is None else pixel_size,
            frame_interval=self.frame_interval if frame_interval is None else frame_interval,
            exposure=self.exposure if exposure is None else exposure,
        )
