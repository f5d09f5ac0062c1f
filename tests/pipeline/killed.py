"""Tracks a movie in child processes that kill themselves while they write, until one of them comes through."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

from colloid_cg.pipeline.run import track_video
from colloid_cg.pipeline.study import Study
from colloid_cg.store import RunFolder, atomic


def track(movie: Path, folder: Path, *, refind: bool) -> None:
    from tests.pipeline.test_refinding import STUDY

    calibration = {"video": {"pixel_size": "0.1 um", "frame_interval": "20 ms"}}
    track_video(movie, RunFolder(folder), Study(STUDY if refind else calibration))


def killed_at(write: int, *, after: bool) -> None:
    """Kill this process at a write that brings the work on, before or after the file has its name."""
    original, count = atomic._replace, 0

    def counted(temporary: Path, target: Path) -> None:
        nonlocal count
        count += target.parent.name.startswith(("locate-", "link-", "refind-")) or target.name == "trajectories.parquet"
        if count == write and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        original(temporary, target)
        if count == write:
            os.kill(os.getpid(), signal.SIGKILL)

    atomic._replace = counted


def main() -> int:
    movie, folder, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    rng, kills = random.Random(seed), 0
    while True:
        child = os.fork()
        if child == 0:
            # The first one early, so that enough is left for a second.
            killed_at(rng.randint(2, 4) if kills else 2, after=rng.random() < 0.5)
            track(movie, folder, refind="refind" in sys.argv[4:])
            os._exit(0)
        rng.random()  # the next child differs
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            print(kills)
            return os.WEXITSTATUS(status)
        kills += 1


if __name__ == "__main__":
    sys.exit(main())
