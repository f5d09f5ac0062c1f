"""Locating, part by part: each part a pure function of the movie and the settings, written as soon as it is there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from colloid_cg import tracking
from colloid_cg.pipeline.crew import Crew, Task, cores, results
from colloid_cg.pipeline.locate_part import locate_part
from colloid_cg.pipeline.stage import Job, forget_part
from colloid_cg.progress import Progress
from colloid_cg.provenance import code_version, sha256_of_json
from colloid_cg.records import FrameStack
from colloid_cg.store import read_columns, write_table
from colloid_cg.tracking import ImageModel, TrackConfig
from colloid_cg.video import VideoConfig

FRAMES_PER_PART = 25
"""Frames of a part: what a kill can cost. No number depends on it."""
WORTH_SECONDS = 10.0
"""A cluster takes a few seconds to start: it is only started by itself to save more than this."""
_TRIED = 2


@dataclass(frozen=True)
class Located:
    """The parts of a located movie.

    Parameters
    ----------
    paths : tuple of Path
        One table per part, in frame order.
    key : str
        Hash of everything they depend on.
    workers : int
        Processes that worked on them at once; 0 where all were there already.
    """

    paths: tuple[Path, ...]
    key: str
    workers: int

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the detections of a part, or the named columns of them."""
        return read_columns(self.paths[index], columns)


def locate_resumable(
    job: Job, video: FrameStack, config: TrackConfig, model: ImageModel | None, progress: Progress
) -> Located:
    """Locate the parts that are not there yet, so that a killed run goes on.

    Parameters
    ----------
    job : Job
    video : FrameStack
    config : TrackConfig
        Complete settings.
    model : ImageModel or None
        Estimated once, the same for every part.
    progress : callable
        Called with (done, total) frames.
    """
    key = _key(job, config, model)
    forget_part(job, "locate-", keep=f"locate-{key}")
    folder = job.folder.cache / f"locate-{key}"
    starts = range(0, len(video), FRAMES_PER_PART)
    spans = {folder / f"{start:08d}.parquet": (start, min(start + FRAMES_PER_PART, len(video))) for start in starts}
    missing = {path: span for path, span in spans.items() if not path.is_file()}
    done = len(video) - sum(stop - start for start, stop in missing.values())
    most = 0
    progress(done, len(video))
    for path, table, workers in _tables(job, video, config, model, missing):
        write_table(path, table)
        most = max(most, workers)
        done += missing[path][1] - missing[path][0]
        progress(done, len(video))
    return Located(paths=tuple(spans), key=key, workers=most)


def _key(job: Job, config: TrackConfig, model: ImageModel | None) -> str:
    settings = {name: value for name, value in config.as_dict().items() if name in tracking.LOCATE_SETTINGS}
    return sha256_of_json(
        {
            "settings": settings,
            "image_model": model.as_dict() if model else None,
            "source": job.source,
            "video": job.study.section(VideoConfig).as_dict(),
            "frames_per_part": FRAMES_PER_PART,
            "code": code_version(),
        }
    )[:16]


def _tables(
    job: Job,
    video: FrameStack,
    config: TrackConfig,
    model: ImageModel | None,
    missing: dict[Path, tuple[int, int]],
) -> Iterator[tuple[Path, pd.DataFrame, int]]:
    """Yield path, detections and number of workers of each missing part, in order of completion."""
    left = list(missing)

    def here(path: Path) -> pd.DataFrame:
        return tracking.locate(video, config, model, start=missing[path][0], stop=missing[path][1])

    workers = _workers(job.crew, len(left))
    if workers is None:
        # two parts in this process tell what the rest will take: the first may contain compilation
        for _ in range(min(_TRIED, len(left))):
            started = time.perf_counter()
            path = left.pop(0)
            yield path, here(path), 1
            seconds = time.perf_counter() - started
        workers = min(cores(), max(len(left), 1))
        if not left or seconds * len(left) * (1 - 1 / workers) < WORTH_SECONDS:
            workers = 1
    if workers == 1 and job.crew.scheduler is None:
        for path in left:
            yield path, here(path), 1
    elif left:
        yield from _shared_out(job, video, config, model, {path: missing[path] for path in left}, workers)


def _workers(crew: Crew, n_parts: int) -> int | None:
    """Return the number of processes, None where it has to be found out."""
    if crew.workers is None and crew.scheduler is None and cores() > 1:
        return None
    return min(crew.workers or 1, max(n_parts, 1))


def _shared_out(
    job: Job,
    video: FrameStack,
    config: TrackConfig,
    model: ImageModel | None,
    missing: dict[Path, tuple[int, int]],
    workers: int,
) -> Iterator[tuple[Path, pd.DataFrame, int]]:
    common = (
        job.source["path"],
        json.dumps(job.study.section(VideoConfig).as_dict()),
        video.shape,
        json.dumps(config.as_dict()),
        None if model is None else json.dumps(model.as_dict()),
    )
    paths = {f"frames {start} to {stop - 1}": path for path, (start, stop) in missing.items()}
    tasks = (Task(words, locate_part, (*common, *missing[path])) for words, path in paths.items())
    for task, table in results(tasks, job.crew, workers=workers):
        yield paths[task.words], table, workers
