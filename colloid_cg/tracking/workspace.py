"""Memory that a thread uses again for each frame: asking the system for fresh pages takes longer than a filter."""

from __future__ import annotations

import math
import threading

import numpy as np


class _Local(threading.local):
    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}


_LOCAL = _Local()


def scratch(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a float32 array of any content that holds until this thread asks for the same name again.

    For what does not outlive the frame being located; one array is kept per name and thread.
    """
    size = math.prod(shape)
    array = _LOCAL.arrays.get(name)
    if array is None or len(array) < size:
        array = _LOCAL.arrays[name] = np.empty(size, dtype=np.float32)
    return array[:size].reshape(shape)
