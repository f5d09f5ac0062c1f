"""A movie of 1e5 frames x 5000 synthetic detections linked, finished and analysed in flat memory, with resume.

Detections are made on the fly, so that only links and trajectories are on the disk (about 15 GB with the full
numbers, removed at the end):

    python -m benchmarks.tracking_memory [FOLDER] [--frames 100000] [--particles 5000] [--keep]

Start the same command again after a kill: it goes on where it stopped. FOLDER/log.txt says how far it is;
benchmarks/results/tracking_memory.json is written with the full numbers, FOLDER/figures.json with any.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.record import Record
from colloid_cg.observables import MsdSums, TrackLengths
from colloid_cg.pipeline.linking import link_detections, survey_tracks, write_finished
from colloid_cg.progress import Progress
from colloid_cg.records import CommonMotion, FrameStack, Trajectories
from colloid_cg.reporting import streamed_quality
from colloid_cg.store import open_trajectories, write_json
from colloid_cg.tracking import TrackConfig

FRAMES, PARTICLES = 100_000, 5_000
FRAMES_PER_PART = 50
SPACING, STEP, NOISE = 28.0, 0.2, 0.05
MISSED, FALSE = 0.03, 0.01
CONFIG = TrackConfig(
    engine="native",
    diameter=9,
    invert=False,
    minmass=1.0,
    separation=10.0,
    threshold=1.0,
    search_range=3.0,
    memory=3,
    minimum_length=10,
)


class NoPixels:
    """Stands for a movie nobody looks at."""

    def read(self, index: int) -> np.ndarray:
        return np.zeros((1, 1))


@dataclass
class SyntheticDetections:
    """Brownian particles in a large view, some missed, some false; every frame from its own seed.

    Frames are made in order: a part behind the last one begins again at the first frame.
    """

    frames: int
    particles: int
    _positions: np.ndarray = field(init=False)
    _next: int = field(init=False, default=0)

    @property
    def edge(self) -> float:
        return SPACING * float(np.sqrt(self.particles))

    def __len__(self) -> int:
        return -(-self.frames // FRAMES_PER_PART)

    def read(self, index: int, columns: Sequence[str] | None = None) -> pd.DataFrame:
        start, stop = index * FRAMES_PER_PART, min((index + 1) * FRAMES_PER_PART, self.frames)
        if start < self._next or start == 0:
            self._next, self._positions = 0, np.random.default_rng(0).uniform(0, self.edge, (self.particles, 2))
        found = [self._frame(frame) for frame in range(self._next, stop) if self._step(frame) and frame >= start]
        frame = np.repeat(np.arange(start, stop), [len(points) for points in found])
        points = np.concatenate(found)
        table = {"frame": frame, "x": points[:, 0], "y": points[:, 1]}
        table |= {name: np.full(len(frame), value) for name, value in _SAME.items()}
        table |= {name: np.zeros(len(frame), dtype="int32") for name in ("flags", "species")}
        return pd.DataFrame({name: values for name, values in table.items() if columns is None or name in columns})

    def _step(self, frame: int) -> bool:
        self._positions = self._positions + np.random.default_rng([1, frame]).normal(0, STEP, (self.particles, 2))
        self._next = frame + 1
        return True

    def _frame(self, frame: int) -> np.ndarray:
        rng = np.random.default_rng([2, frame])
        seen = self._positions[rng.random(self.particles) >= MISSED]
        false = rng.uniform(0, self.edge, (rng.poisson(FALSE * self.particles), 2))
        return np.concatenate([seen + rng.normal(0, NOISE, seen.shape), false])


_SAME = {"sigma_x": NOISE, "sigma_y": NOISE, "mass": 1000.0, "size": 2.0, "ecc": 0.1, "signal": 100.0}


@dataclass
class Log:
    """Says how far each pass is, at most every 20 s, and how long it took."""

    path: Path
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, label: str) -> Iterator[Progress]:
        started, told = time.process_time(), time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told > 20.0:
                told = time.monotonic()
                self.say(f"{label} {done}/{total}")

        yield progress
        self.seconds[label] = time.process_time() - started
        self.say(f"{label} done, {self.seconds[label]:.1f} s of CPU")

    def say(self, text: str) -> None:
        with self.path.open("a") as stream:
            stream.write(f"{time.strftime('%H:%M:%S')} {text}, peak {peak():.3f} GB\n")


def peak() -> float:
    """Return the largest resident memory of this process so far in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def analyse(path: Path, log: Log) -> dict[str, float]:
    """Return figures of a trajectories file read window by window."""
    file, size = open_trajectories(path), FRAMES_PER_PART
    displacements, lengths = MsdSums([1, 2, 5, 10, 20, 50, 100]), TrackLengths()
    n_windows = -(-file.n_frames // size)

    def told(label_progress: Progress) -> Iterator[Trajectories]:
        for index, window in enumerate(file.windows(size)):
            yield window
            label_progress(index + 1, n_windows)

    with log("msd") as progress:
        for window in told(progress):
            displacements.add(window)
            lengths.add(window)
    with log("quality") as progress:
        quality = streamed_quality(told(progress), n_rows=file.n_rows)
    motion = CommonMotion.parse(file.header.metadata["drift"])
    curve = displacements.result()
    slope = np.polyfit(curve.x, curve.value, 1)[0]
    return {
        "step": float(np.sqrt(slope / 4 * 2)),
        "rms_step": quality["rms_step"],
        "tracks": len(lengths.result()),
        "rows": file.n_rows,
        "median_length": quality["median_track_length"],
        "drift_z": float(np.abs(motion.translation[1:] / motion.translation_error[1:]).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("tracking_memory"))
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--particles", type=int, default=PARTICLES)
    parser.add_argument("--keep", action="store_true", help="keep links and trajectories")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    log, record = Log(given.folder / "log.txt"), Record("tracking_memory")
    log.say(f"{given.frames} frames x {given.particles} particles")
    detections = SyntheticDetections(given.frames, given.particles)
    edge = int(detections.edge)
    movie = FrameStack(
        reader=NoPixels(),
        n_frames=given.frames,
        height=edge,
        width=edge,
        dtype=np.dtype(np.uint8),
        pixel_size=1.0,
        frame_interval=1.0,
        source="synthetic",
    )
    linked = link_detections(detections, given.folder / "links", CONFIG, progress=log)
    path = given.folder / "trajectories.parquet"
    tracks = survey_tracks(linked, CONFIG, progress=log)
    counts = write_finished(path, linked, tracks, movie, CONFIG, progress=log)
    size = sum(file.stat().st_size for file in given.folder.rglob("*.parquet")) / 1e9
    found = analyse(path, log)
    report(record, log, counts, found, size)
    write_json(given.folder / "figures.json", {"figures": record.figures, "counts": counts, "seconds": log.seconds})
    if (given.frames, given.particles) == (FRAMES, PARTICLES):
        record.write()
    if not given.keep:
        shutil.rmtree(given.folder / "links")
        path.unlink()


def report(record: Record, log: Log, counts: dict, found: dict[str, float], size: float) -> None:
    total = sum(log.seconds.values())
    record.add("peak memory", peak(), unit="GB", target=2.0, better="lower", note="linking, finishing and analysis")
    record.add("detections", counts["detections"], note=f"{counts['tracks']} tracks kept")
    record.add("CPU time", total / 60, unit="min", target=40.0, better="lower")
    record.add("throughput", counts["detections"] / total / 1e3, unit="1000 detections/s")
    for label, seconds in log.seconds.items():
        record.add(f"throughput of {label}", counts["detections"] / seconds / 1e3, unit="1000 detections/s")
    record.add("disk", size, unit="GB", target=30.0, better="lower", note="links and trajectories at their largest")
    record.add("step found / step made", found["step"] / STEP, target=[0.98, 1.02], note="slope of the MSD")
    record.add("largest drift / its error", found["drift_z"], target=[0.0, 5.0], note="no drift was made")
    record.add("median track length", found["median_length"], unit="frames")


if __name__ == "__main__":
    main()
