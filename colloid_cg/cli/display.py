"""What a person at a terminal sees: bars with the time left, one-sentence errors, summaries."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from colloid_cg.errors import ColloidError
from colloid_cg.progress import Progress

_LABEL_WIDTH = 10


def show_error(error: ColloidError, *, as_json: bool) -> None:
    """Print the one-sentence error to the error stream, and as JSON to standard output where asked."""
    print(f"error: {error}", file=sys.stderr)
    if as_json:
        parts = {"found": error.found, "expected": error.expected, "action": error.action}
        show_json({"error": {"kind": type(error).__name__, "message": str(error), **parts}})


def show_json(value: Any) -> None:
    """Print a machine-readable summary to standard output."""
    print(json.dumps(value, indent=1))


def show(text: str) -> None:
    """Print a line for a person."""
    print(text, flush=True)


def note(text: str) -> None:
    """Print a line to the error stream, so that standard output stays machine-readable."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def bar(label: str) -> Iterator[Progress]:
    """Show a bar with the time left on the error stream while the block runs; a plain line where no terminal is."""
    console = Console(stderr=True)
    if not console.is_terminal:
        note(f"{label} ...")
        yield lambda done, total: None
        return
    columns = (
        TextColumn(f"{label:<{_LABEL_WIDTH}}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
