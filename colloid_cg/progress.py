"""Progress as a plain callback, so that no layer below the command line prints.

A stage calls ``progress(done, total)``; the command line turns the calls into a bar with the time left.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Ignore progress (the default everywhere)."""
