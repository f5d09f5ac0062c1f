"""The figures of tracking, with trackpy measured beside in the same run: time, accuracy, honesty, links, memory.

``make bench-tracking`` writes benchmarks/results/tracking.json in a few minutes. The memory of a long movie takes much
longer: ``make bench-tracking_memory`` measures it by itself, and its figures are taken in from its own record.
Single thread, CPU time, best of several. The rows on real data need COLLOID_CG_DATA.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import cv2
import trackpy

from benchmarks.linking import jammed_shear, real_links, synthetic_links, whole_tracks
from benchmarks.locating import dense, isolated, speed_of_locate
from benchmarks.overlays import draw_overlays
from benchmarks.rearranging import d2min_figures, p_hop_figures
from benchmarks.record import RESULTS, Record, data_folder
from colloid_cg.store import read_json

MEMORY = RESULTS / "tracking_memory.json"
SYNTHETIC = (speed_of_locate, isolated, dense, synthetic_links, whole_tracks, d2min_figures, p_hop_figures)
REAL = (real_links, jammed_shear, draw_overlays)


def memory_of_long_movies(record: Record) -> None:
    """Take in the figures of the long run, with the command and the machine they come from."""
    if not MEMORY.is_file():
        print("no figures of the memory of long movies: run make bench-tracking_memory", file=sys.stderr)
        return
    content = read_json(MEMORY)
    origin = f"from `{content['command']}` on {content['machine']}, {content['seconds']} s"
    for figure in content["figures"]:
        note = "; ".join(part for part in (figure["note"], origin) if part)
        record.figures.append(figure | {"name": f"1e5 frames x 5000 particles: {figure['name']}", "note": note})


def main() -> None:
    cv2.setNumThreads(1)
    trackpy.quiet()
    warnings.simplefilter("ignore")
    data = data_folder()
    record = Record("tracking")
    sections: list[Callable[[], None]] = [
        *(lambda work=work: work(record) for work in SYNTHETIC),
        *(lambda work=work: work(record, data) for work in REAL),
    ]
    for section in sections:
        started = time.perf_counter()
        section()
        print(f"    {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    memory_of_long_movies(record)
    record.write()


if __name__ == "__main__":
    main()
