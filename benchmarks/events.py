"""Does the event detector keep its promises? False events, recall, p-values, a glass from video, exactness, speed.

Writes benchmarks/results/events.json. Movies and tracks are kept in benchmarks/checkpoint/events, so that a second run
of the detector needs no rendering and an interrupted run goes on.

    python -m benchmarks.events [--part exact | nulls | planted | glass | long] [--count N]

makes one part, or all of them, and joins it with the parts that were made before; --count takes fewer movies (the
figures are then only shown).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.event_glass import SEEDS, glass_figures
from benchmarks.event_movies import KEPT, MOVIES
from benchmarks.event_nulls import null_figures
from benchmarks.event_planted import MOVIES as PLANTED
from benchmarks.event_recall import planted_figures
from benchmarks.event_speed import FRAMES, exact_figures, long_figures
from benchmarks.record import Record
from colloid_cg.store import read_json, write_json


def parts(count: int | None) -> dict[str, Callable[[], list[dict[str, Any]]]]:
    """Return what makes each part; ``count`` movies of each cell, seeds of glasses, or thousands of frames."""
    few = None if count is None else dict.fromkeys(PLANTED, count)
    return {
        "exact": exact_figures,
        "nulls": partial(null_figures, count or MOVIES),
        "planted": partial(planted_figures, few),
        "glass": partial(glass_figures, seeds=SEEDS[:count]),
        "long": partial(long_figures, 1000 * count if count else FRAMES),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=list(parts(None)))
    parser.add_argument("--count", type=int)
    chosen = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    for name, make in parts(chosen.count).items():
        if chosen.part in (None, name):
            figures = make()
            if chosen.count is None:
                write_json(KEPT / f"figures_{name}.json", {"figures": figures})
    if chosen.count is not None:
        return
    record = Record("events")
    for name in parts(None):
        path = KEPT / f"figures_{name}.json"
        record.figures += read_json(path)["figures"] if path.is_file() else []
    record.write()


if __name__ == "__main__":
    main()
