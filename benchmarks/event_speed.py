"""D2min and p_hop: exactness and speed; the whole stage on a run folder of 5000 particles x 10,000 frames."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.event_movies import KEPT
from benchmarks.rearranging import d2min_figures, disordered, p_hop_figures
from benchmarks.record import Record, data_folder
from colloid_cg.neighbors import within
from colloid_cg.observables import d2min, deformation_gradient
from colloid_cg.provenance import sha256_of_file
from colloid_cg.records import Box, NeighborGraph, Trajectories
from colloid_cg.store import RunFolder
from colloid_cg.store.trajectories import trajectory_writer

PUBLISHED = 45.17664958207952
PUBLISHED_GRADIENT = np.array([[0.85612563, 0.16744188], [-0.12802889, 1.01981877]])
PARTICLES, FRAMES, PER_PART = 5000, 10_000, 50
SPACING, RATTLE, MISSED = 10.0, 0.3, 0.01
"""px; share of detections that are missing."""
MOVED_EVERY, HOP = 25, 4.0
"""Every so many frames one particle hops (px), so that there is something to find."""


def exact_figures() -> list[dict[str, Any]]:
    """Return figures of exactness and of the speed of D2min and p_hop alone."""
    record = Record("events")
    folder = data_folder() / "d2min_reference"
    before, after = (
        np.loadtxt(folder / f"test{name}State.txt", delimiter=",", skiprows=1)[:, :2] for name in ("Initial", "Final")
    )
    pairs = np.array([[0, other] for other in range(1, 6)])
    graph = NeighborGraph(pairs=pairs, vectors=before[pairs[:, 1]] - before[0], n_particles=6)
    record.add("D2min of six real grains over the published value, less 1",
               abs(float(d2min(before, after, graph)[0]) / PUBLISHED - 1.0), target=1e-12, better="lower")  # fmt: skip
    strain = deformation_gradient(before, after, graph)[0] - PUBLISHED_GRADIENT
    record.add("strain matrix of six real grains, largest deviation from the published one",
               float(np.abs(strain).max()), target=5e-9, better="lower", note="published to eight digits")  # fmt: skip
    record.add("D2min against least squares particle by particle, largest relative deviation",
               max(_deviation(seed) for seed in range(5)), target=1e-8, better="lower",
               note="numpy.linalg.lstsq, 5 x 900 particles moved at random")  # fmt: skip
    d2min_figures(record)
    p_hop_figures(record)
    return record.figures


def _deviation(seed: int) -> float:
    rng = np.random.default_rng(seed)
    before = disordered(30, 2, rng)
    after = before @ (np.eye(2) + rng.normal(0, 0.1, (2, 2))) + rng.normal(0, 0.2, before.shape)
    graph = within(before, 1.5, Box(lower=(-1.0, -1.0), upper=(31.0, 31.0), periodic=(False, False)))
    centre, neighbor, _ = graph.directed()
    worst, found = 0.0, d2min(before, after, graph, normalise="sum")
    for one in np.flatnonzero(np.isfinite(found)):
        others = neighbor[centre == one]
        bonds, later = before[others] - before[one], after[others] - after[one]
        rest = later - bonds @ np.linalg.lstsq(bonds, later, rcond=None)[0]
        if len(others) > 3:  # of three bonds next to nothing is left over
            worst = max(worst, abs(found[one] / float((rest**2).sum()) - 1.0))
    return worst


def long_figures(frames: int = FRAMES, *, memory_rows: int | None = None) -> list[dict[str, Any]]:
    """Return memory and speed of the events stage on a long run, in a process of its own."""
    record, folder = Record("events"), KEPT / f"long_{frames}"
    run = run_folder(folder, frames, memory_rows)
    limited = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    began = time.perf_counter()
    work = subprocess.Popen([sys.executable, "-m", "colloid_cg", "events", str(run)], env=limited)
    _, status, usage = os.wait4(work.pid, 0)
    seconds, rows = time.perf_counter() - began, PARTICLES * frames
    if status:
        raise RuntimeError(f"colloid-cg events ended with status {status}")
    limit = "default memory_rows" if memory_rows is None else f"memory_rows = {memory_rows}"
    note = f"{PARTICLES} particles x {frames} frames, {limit}; {seconds / 60.0:.1f} min by the clock"
    record.add("events stage on a long run: most memory", usage.ru_maxrss / 1e6, unit="GB", target=2.0, better="lower",
               note=note)  # fmt: skip
    record.add("events stage on a long run: speed", rows / (usage.ru_utime + usage.ru_stime) / 1e3,
               unit="1000 particle-frames/s", note="CPU time; fields, null laws, events, tables written")  # fmt: skip
    found = pd.read_parquet(run / "events.parquet")
    record.add("events stage on a long run: events found", len(found),
               note=f"{len(range(MOVED_EVERY, frames - MOVED_EVERY, MOVED_EVERY))} hops planted")  # fmt: skip
    shutil.rmtree(folder)
    return record.figures


def run_folder(folder: Path, frames: int, memory_rows: int | None) -> Path:
    """Write a run folder with synthetic trajectories: a shaken lattice, now and then a hop."""
    shutil.rmtree(folder, ignore_errors=True)
    run = RunFolder(folder / "run")
    run.create()
    run.update(study={} if memory_rows is None else {"memory_rows": memory_rows})
    edge = float(np.sqrt(PARTICLES)) * SPACING
    header = Trajectories(
        table=pd.DataFrame({"frame": [0], "particle": [0], "x": [0.0], "y": [0.0]}), pixel_size=0.1,
        frame_interval=0.01, n_frames=frames,
        field_of_view=Box(lower=(-0.5, -0.5), upper=(edge, edge), periodic=(False, False)),
    )  # fmt: skip
    path = run.path / "trajectories.parquet"
    with trajectory_writer(path, header) as writer:
        for table in _tables(frames):
            writer.append(table)
    digest = sha256_of_file(path)
    run.record_stage(
        "import",
        {"status": "complete", "key": "", "inputs": {}, "makes": [path.name], "products": {path.name: digest},
         "summary": {}, "seed": 0, "settings": {}, "fractions": [0.6, 0.2, 0.2], "optional": []},
    )  # fmt: skip
    return run.path


def _tables(frames: int) -> Iterator[pd.DataFrame]:
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(PARTICLES)))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)[:PARTICLES]
    sites = (grid + 0.5 + rng.normal(0, 0.1, grid.shape)) * SPACING
    for start in range(0, frames, PER_PART):
        parts = []
        for frame in range(start, min(start + PER_PART, frames)):
            if frame % MOVED_EVERY == 0 and MOVED_EVERY <= frame < frames - MOVED_EVERY:
                one, angle = rng.integers(PARTICLES), rng.uniform(0, 2 * np.pi)
                sites[one] += HOP * np.array([np.cos(angle), np.sin(angle)])
            seen = np.flatnonzero(rng.random(PARTICLES) >= MISSED)
            x, y = (sites[seen] + rng.normal(0, RATTLE, (len(seen), 2))).T
            parts.append(pd.DataFrame({"frame": frame, "particle": seen, "x": x, "y": y}))
        table = pd.concat(parts, ignore_index=True)
        yield table.assign(sigma_x=RATTLE, sigma_y=RATTLE, mass=1000.0, size=2.0)
