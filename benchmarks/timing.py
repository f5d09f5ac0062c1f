"""CPU time of one thread, best of several, on a machine that others use too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def cpu(work: Callable[[], Any], *, repeats: int) -> float:
    """Return the CPU time of the fastest of several runs in s, after one that warms up."""
    work()
    fastest = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        work()
        fastest = min(fastest, time.process_time() - started)
    return fastest


def cpu_pair(first: Callable[[], Any], second: Callable[[], Any], *, repeats: int) -> tuple[float, float]:
    """Return the fastest CPU times of two pieces of work that take turns, so that both see the same machine."""
    first(), second()
    fastest = [float("inf"), float("inf")]
    for _ in range(repeats):
        for which, work in enumerate((first, second)):
            started = time.process_time()
            work()
            fastest[which] = min(fastest[which], time.process_time() - started)
    return fastest[0], fastest[1]
