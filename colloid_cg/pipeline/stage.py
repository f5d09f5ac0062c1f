"""Stages: cached under the hash of settings, input and code version; recorded in run.json."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from colloid_cg.errors import ColloidError, DataError, StorageError
from colloid_cg.pipeline.crew import Crew
from colloid_cg.pipeline.study import Study
from colloid_cg.progress import Progress, silent
from colloid_cg.provenance import code_version, library_versions, sha256_of_json, sha256_of_tree
from colloid_cg.records import FrameStack, Trajectories
from colloid_cg.seeding import generator
from colloid_cg.settings import Settings
from colloid_cg.store import RunFolder
from colloid_cg.store.atomic import explain

ProgressFactory = Callable[[str], AbstractContextManager[Progress]]


def no_progress(label: str) -> AbstractContextManager[Progress]:
    """Show nothing."""
    return nullcontext(silent)


@dataclass(frozen=True)
class Job:
    """What a stage works on: the run folder, the study, the movie where needed, how to show progress, who works."""

    folder: RunFolder
    study: Study
    video: FrameStack | None = None
    source: dict[str, Any] = field(default_factory=dict)
    progress: ProgressFactory = no_progress
    imported: Trajectories | None = None
    crew: Crew = field(default_factory=Crew)

    def rng(self, stage: str) -> np.random.Generator:
        """Return the stage's own random stream."""
        return generator(self.study.seed, stage)


@dataclass(frozen=True)
class Stage:
    """One stage.

    Parameters
    ----------
    name : str
        Name of the verb.
    sections : tuple of Settings classes
        Tables of the study it depends on.
    inputs : tuple of str
        Products of other stages it reads, relative to the run folder.
    optional : tuple of str
        Products it uses where they exist.
    products : tuple of str
        What it makes.
    work : callable
        Does it and returns a JSON-able summary.
    uses_source : bool
        Whether it reads the movie or the imported table.
    replaces : tuple of str
        Stages whose record it removes because it makes the same product.
    also : tuple of str
        Files other stages share in making; without them the stage is not complete.
    depends : callable or None
        Returns a JSON-able value the result depends on beside settings and inputs.
    """

    name: str
    products: tuple[str, ...]
    work: Callable[[Job], dict[str, Any]]
    sections: tuple[type[Settings], ...] = ()
    inputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    uses_source: bool = False
    replaces: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    depends: Callable[[Job], Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a stage: its summary, whether it came from the cache, its duration in s, or why it failed."""

    stage: str
    summary: dict[str, Any]
    cached: bool
    seconds: float
    failed: ColloidError | None = None


def execute(stage: Stage, job: Job) -> Outcome:
    """Do a stage, or return its recorded summary if settings, inputs and code are those it was made with.

    Raises
    ------
    StorageError
        If an input is missing, or a product was changed by hand since the stage wrote it.
    """
    folder = job.folder
    inputs = _digests_of_inputs(stage, folder)
    key = _key(stage, job, inputs)
    record = folder.manifest()["stages"].get(stage.name, {})
    if record.get("status") == "complete":
        intact = _products_intact(stage, folder, record)
        if record["key"] == key and intact and all((folder.path / name).exists() for name in stage.also):
            return Outcome(stage.name, record["summary"], cached=True, seconds=0.0)
    entry = {
        "status": "running",
        "key": key,
        "inputs": inputs,
        "seed": job.study.seed,
        "settings": {kind.table: job.study.section(kind).as_dict() for kind in stage.sections},
        "fractions": list(job.study.fractions),
        "makes": list(stage.products),
        "optional": list(stage.optional),
    }
    folder.record_stage(stage.name, entry, drop=stage.replaces)
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    try:
        summary = stage.work(job)
    except DataError as error:
        folder.record_stage(stage.name, {**entry, "status": "failed", "failed": str(error)})
        raise
    except OSError as error:  # a full disk met by a library, in the cache of compiled code for example
        raise explain(error, folder.path) from error
    elapsed = time.perf_counter() - clock
    products = {name: sha256_of_tree(folder.path / name) for name in stage.products}
    folder.record_stage(
        stage.name,
        {
            **entry,
            "status": "complete",
            "products": products,
            "summary": summary,
            "started": started,
            "seconds": round(elapsed, 3),
            "versions": library_versions(),
        },
    )
    return Outcome(stage.name, summary, cached=False, seconds=elapsed)


def _digests_of_inputs(stage: Stage, folder: RunFolder) -> dict[str, str]:
    missing = [name for name in stage.inputs if not (folder.path / name).exists()]
    if missing:
        raise StorageError(
            f"no {' and no '.join(missing)} in {folder.path}",
            expected=f"the product of the stage before {stage.name!r}",
            action=f"run 'colloid-cg {_maker(missing[0])}' on this folder first",
        )
    for name in stage.inputs:
        reason = out_of_date(name, folder)
        if reason:
            raise StorageError(
                f"{name} in {folder.path} that {reason}",
                expected="products made from the present trajectories",
                action=f"run 'colloid-cg {_maker(name)}' on this folder again",
            )
    names = [*stage.inputs, *(name for name in stage.optional if (folder.path / name).exists())]
    return {name: sha256_of_tree(folder.path / name) for name in names}


def out_of_date(product: str, folder: RunFolder) -> str:
    """Return why a product does not belong to the present state of the folder, or an empty text."""
    records = folder.manifest()["stages"]
    maker = next((name for name, record in records.items() if product in record.get("makes", ())), None)
    if maker is None:
        return "was made by no recorded stage"
    record = records[maker]
    if record["status"] == "failed":
        return f"'{maker}' could not make again"
    if record["status"] != "complete":
        return f"'{maker}' was making again when it stopped"
    path = folder.path / product
    if path.exists() and sha256_of_tree(path) != record["products"][product]:
        return f"was changed since '{maker}' wrote it"
    for source, digest in record["inputs"].items():
        path = folder.path / source
        if source in record.get("optional", ()):
            continue
        if not path.exists() or sha256_of_tree(path) != digest:
            return f"'{maker}' made from another {source}"
        reason = out_of_date(source, folder)
        if reason:
            return f"depends on {source}, which {reason}"
    return ""


def _maker(product: str) -> str:
    makers = {
        "trajectories.parquet": "track", "structure": "structure", "fields/structure.parquet": "structure",
        "model": "fit", "rollout.zarr": "simulate", "events.parquet": "events",
    }  # fmt: skip
    return makers.get(product, "run")


def _key(stage: Stage, job: Job, inputs: dict[str, str]) -> str:
    settings = {kind.table: job.study.section(kind).as_dict() for kind in stage.sections}
    return sha256_of_json(
        {
            "stage": stage.name,
            "settings": settings,
            "inputs": inputs,
            "seed": job.study.seed,
            "fractions": list(job.study.fractions),
            "memory_rows": job.study.memory_rows,
            "code": code_version(),
            "source": job.source.get("sha256") if stage.uses_source else None,
            "depends": stage.depends(job) if stage.depends else None,
        }
    )


def _products_intact(stage: Stage, folder: RunFolder, record: dict[str, Any]) -> bool:
    for name, digest in record["products"].items():
        path = folder.path / name
        if not path.exists():
            return False
        if sha256_of_tree(path) != digest:
            if name.startswith("cache/"):
                return False
            raise StorageError(
                f"{path} changed since 'colloid-cg {stage.name}' wrote it",
                expected="the file as it was written",
                action="move it away to have it made again, or bring your own table in with 'colloid-cg import'",
            )
    return True


def forget_part(job: Job, prefix: str, *, keep: str) -> None:
    """Remove folders of unfinished work in RUN/cache that start with ``prefix``, except ``keep``."""
    for item in job.folder.cache.glob(f"{prefix}*"):
        if item.name != keep:
            shutil.rmtree(item, ignore_errors=True)
