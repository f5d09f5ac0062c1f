"""The figures of the foundation: published numbers, a real movie end to end, a twin with known truth, kills.

Needs COLLOID_CG_DATA. Writes benchmarks/results/foundation.json.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.record import Record
from colloid_cg.neighbors import within
from colloid_cg.observables import d2min
from colloid_cg.records import Box
from colloid_cg.store import RunFolder, read_json, read_trajectories
from colloid_cg.tracking import TrackConfig, track
from colloid_cg.video import open_video

BULK_WATER = ("bulk_water/bulk_water_green.tif", ["--pixel-size", f"{1 / 2.85} um", "--frame-interval", f"{1 / 24} s"])
STOKES_EINSTEIN = 0.43
SHAPES = {
    "videos/hydrogel.mp4": (50, 720, 1280),
    "videos/discs.mp4": (60, 960, 1280),
    "videos/colloids.mp4": (51, 302, 324),
    "bulk_water/bulk_water_green.tif": (300, 424, 640),
    "readers/cine_781.cine": None,
    "readers/cluster.nd2": None,
    "readers/sample_norpix6.seq": None,
}
PUBLISHED = TrackConfig(
    precision="trackpy", diameter=11, minmass=20, invert=True, threshold=None, search_range=5, memory=3,
    minimum_length=25, max_size=2.6, max_eccentricity=0.3, minimum_mass_linked=50,
)  # fmt: skip


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "colloid_cg", *arguments]


def run(*arguments: str) -> dict[str, Any]:
    """Run a verb with --json and return its summary."""
    result = subprocess.run(command(*arguments, "--json"), capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return dict(json.loads(result.stdout))


def real_movie(record: Record, data: Path, scratch: Path) -> None:
    """Run everything on bulk_water with suggested settings."""
    movie, calibration = BULK_WATER
    folder = scratch / "bulk_water"
    started = time.perf_counter()
    run("run", str(data / movie), "-o", str(folder), *calibration)
    record.add("run on bulk_water", time.perf_counter() - started, unit="s", target=240, better="lower")
    metrics = read_json(folder / "model" / "metrics.json")
    diffusion, variance = metrics["diffusion_coefficient"][0], metrics["localisation_variance"][0]
    record.add(
        "bulk_water D", diffusion["value"], unit="um2/s", interval=[diffusion["low90"], diffusion["high90"]],
        peer="Stokes-Einstein", peer_value=STOKES_EINSTEIN, note="no target: particles of several heights, see report",
        target=None,
    )  # fmt: skip
    record.add(
        "bulk_water localisation variance s2", variance["value"], unit="um2", target=None,
        interval=[variance["low90"], variance["high90"]], note=variance["note"],
    )  # fmt: skip


def main() -> None:
    data = Path(os.environ["COLLOID_CG_DATA"])
    record = Record("foundation")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        real_movie(record, data, scratch)
    record.write()


if __name__ == "__main__":
    main()
