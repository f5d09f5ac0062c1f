"""Random access to sources that can only be decoded forwards: always right, because nothing is ever sought."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

_CACHE_BYTES = 64 << 20


class FrameStream(Protocol):
    """Frames in order, from the first."""

    def take(self) -> np.ndarray:
        """Decode and return the next frame."""
        ...

    def skip(self) -> None:
        """Pass over the next frame as cheaply as the source allows."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class SequentialReader:
    """Reads any frame by decoding forwards from where the stream stands, or from the start for an earlier one.

    Seeking is avoided on purpose: in compressed movies it is approximate (key frames, reordered frames, edit lists),
    and a neighbouring frame in place of the wanted one is an error nobody sees. The last frames stay in memory, so that
    going back a little costs nothing.

    Parameters
    ----------
    start : callable
        Opens a stream that stands before the first frame.
    """

    def __init__(self, start: Callable[[], FrameStream]) -> None:
        self.start = start
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._stream: FrameStream | None = None
        self._next = 0
        self._recent: OrderedDict[int, np.ndarray] = OrderedDict()
        self._bytes = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"start": self.start}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.start = state["start"]
        self._reset()

    def __del__(self) -> None:
        if getattr(self, "_stream", None) is not None:
            self._stream.close()  # type: ignore[union-attr]

    def read(self, index: int) -> np.ndarray:
        """Return a copy of one frame."""
        with self._lock:
            if index in self._recent:
                self._recent.move_to_end(index)
                return self._recent[index].copy()
            try:
                frame = self._advance(index)
            except Exception:
                # a stream that failed stands nowhere: the next read starts afresh
                self._close()
                raise
            self._keep(index, frame)
            return frame.copy()

    def _advance(self, index: int) -> np.ndarray:
        if self._stream is None or index < self._next:
            self._close()
            self._stream = self.start()
        while self._next < index:
            self._stream.skip()
            self._next += 1
        frame = self._stream.take()
        self._next += 1
        return frame

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._next = None, 0

    def _keep(self, index: int, frame: np.ndarray) -> None:
        self._recent[index] = frame
        self._bytes += frame.nbytes
        while self._bytes > _CACHE_BYTES and len(self._recent) > 1:
            self._bytes -= self._recent.popitem(last=False)[1].nbytes
