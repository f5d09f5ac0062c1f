"""What a fit of 500 particles over 1000 frames costs on two cores, and what a fit that was stopped still has to do.

Writes benchmarks/results/inference_speed.json.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.inference_systems import FULL_FRAME, recording_of
from benchmarks.record import Record
from colloid_cg.learn import FitConfig, fit
from colloid_cg.learn.checkpoint import Arrays
from colloid_cg.records import Trajectories
from colloid_cg.twin import TwinConfig, simulate_case

PARTICLES, FRAMES = 500, 1000
TRAINING_SHARE = 0.8


class Shelf:
    """Keeps finished candidates in memory, as the run folder does on disk."""

    def __init__(self) -> None:
        self.kept: dict[str, Arrays] = {}

    def load(self, name: str) -> Arrays | None:
        return self.kept.get(name)

    def save(self, name: str, arrays: Arrays) -> None:
        self.kept[name] = arrays


def crowd() -> Trajectories:
    """Return noisy tracks of charged colloids, some 500 in view."""
    side = int(320 * np.sqrt(PARTICLES / 326.0))
    config = TwinConfig(
        n_frames=FRAMES, frame_interval=0.02, width=side, height=int(side * 300 / 320), seed=1, camera=FULL_FRAME
    )
    recording = recording_of(simulate_case("yukawa", config), (), cutoff=2.8)
    return recording.observed(ratio=0.25, blurred=True, rng=np.random.default_rng(1))


def main() -> None:
    tracks, record = crowd(), Record("inference_speed")
    per_frame = len(tracks.table) / tracks.n_frames
    border = int(TRAINING_SHARE * tracks.n_frames)
    train, select = tracks.between(0, border), tracks.between(border, tracks.n_frames)
    fit(train.between(0, 30), select.between(border, border + 30), FitConfig(), rng=1)  # compiles
    shelf, stamps = Shelf(), [time.perf_counter()]

    def told(done: int, total: int) -> None:
        stamps.append(time.perf_counter())

    fit(train, select, FitConfig(), rng=1, progress=told, checkpoint=shelf)
    seconds = time.perf_counter() - stamps[0]
    note = f"{per_frame:.0f} particles a frame, {FRAMES} frames, automatic settings, compiled"
    record.add("fit, wall clock", seconds, unit="s", target=300.0, better="lower", note=note)
    record.add("longest wait between two signs of progress", float(np.diff(stamps).max()), unit="s")
    started = time.perf_counter()
    fit(train, select, FitConfig(), rng=1, checkpoint=shelf)
    record.add("the same fit taken up after its last candidate", time.perf_counter() - started, unit="s",
               peer="from the beginning", peer_value=seconds)  # fmt: skip
    record.write()


if __name__ == "__main__":
    main()
