"""Gaps in the numbers of image files: a frame that was lost, deleted or never copied."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_MOST_NAMED = 6
_MOST_LISTED = 1_000_000


def numbering_warnings(names: Sequence[str]) -> list[str]:
    """Return a sentence on the numbers missing from files in order, none if they are complete or not numbered.

    Parameters
    ----------
    names : sequence of str
        Names of the files in the order of the frames.
    """
    missing = missing_numbers(names)
    if not missing:
        return []
    listed = ", ".join(_runs(missing)[:_MOST_NAMED])
    more = len(_runs(missing)) - _MOST_NAMED
    verb = "is" if len(missing) == 1 else "are"
    return [
        f"the images from {names[0]} to {names[-1]} are numbered with a gap: {listed}"
        f"{f' and {more} more gaps' if more > 0 else ''} {verb} missing ({len(missing)} of "
        f"{len(missing) + len(names)}), so times after it are too early and displacements across it span several frames"
    ]


def missing_numbers(names: Sequence[str]) -> list[str]:
    """Return the numbers missing between the first and the last file, written as the names write them.

    The counter is the number that rises from every file to the next; its step is the smallest rise, which must be the
    usual one and divide all others: times of day in the names do not do that, and say nothing.
    """
    pieces = [re.split(r"(\d+)", name) for name in names]
    if len({len(row) for row in pieces}) != 1:
        return []
    for place in range(1, len(pieces[0]), 2):
        numbers = np.array([int(row[place]) for row in pieces], dtype=float)
        rises = np.diff(numbers)
        if not len(rises) or rises.min() <= 0:
            continue
        step = rises.min()
        if 2 * np.count_nonzero(rises == step) < len(rises) or np.any(rises % step):
            return []
        if (numbers[-1] - numbers[0]) / step > _MOST_LISTED:
            return []
        absent = np.setdiff1d(np.arange(numbers[0], numbers[-1], step), numbers)
        width = len(pieces[0][place])
        return [f"{int(number):0{width}d}" for number in absent]
    return []


def _runs(missing: list[str]) -> list[str]:
    """Return "0013" or "0013 to 0017" for numbers that follow each other at the closest distance among them."""
    values = np.array([int(number) for number in missing])
    nearest = np.diff(values).min() if len(values) > 1 else 1
    ends = np.flatnonzero(np.append(np.diff(values) != nearest, True))
    starts = np.append(0, ends[:-1] + 1)
    return [
        missing[first] if first == last else f"{missing[first]} to {missing[last]}"
        for first, last in zip(starts, ends, strict=True)
    ]
