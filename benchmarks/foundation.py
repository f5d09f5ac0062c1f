"""The figures of the foundation: published numbers, a real movie end to end, a twin with known truth, kills.

Needs COLLOID_CG_DATA. Writes benchmarks/results/foundation.json.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import trackpy

from benchmarks.calibration import true_localisation_variance
from benchmarks.record import Record, data_folder
from colloid_cg.neighbors import within
from colloid_cg.observables import d2min
from colloid_cg.records import Box, ModelBundle
from colloid_cg.store import read_json, read_model, read_trajectories
from colloid_cg.tracking import TrackConfig, track
from colloid_cg.video import VideoConfig, open_video

CALIBRATION = ["--pixel-size", f"{1 / 2.85} um", "--frame-interval", f"{1 / 24} s"]
STOKES_EINSTEIN = 0.43
PUBLISHED = {"tracks before": 13715, "tracks after": 1505, "n": 1.08024, "A": 1.602365}
PUBLISHED_D2MIN = 45.17664958207952
PUBLISHED_SETTINGS = TrackConfig(
    engine="trackpy", precision="trackpy", diameter=11, minmass=20, invert=True, separation=12, threshold=1,
    search_range=5, memory=3, minimum_length=25, max_size=2.6, max_eccentricity=0.3, minimum_mass_linked=50,
)  # fmt: skip
MOVIES: dict[str, tuple[int, int, int] | None] = {
    "videos/hydrogel.mp4": (50, 720, 1280),
    "videos/discs.mp4": (60, 960, 1280),
    "videos/colloids.mp4": (51, 302, 324),
    "bulk_water/bulk_water_green.tif": (300, 424, 640),
    "readers/cine_781.cine": (15, 256, 256),
    "readers/sample_norpix6.seq": (6, 32, 36),
    "readers/stuck.tif": (5, 512, 512),
}
TWIN_SEEDS = (11, 12, 13)
KILLS = 6


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "colloid_cg", *arguments]


def run(*arguments: str) -> dict[str, Any]:
    """Run a verb with --json and return its summary."""
    result = subprocess.run(command(*arguments, "--json"), capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return dict(json.loads(result.stdout))


def walkthrough(record: Record, data: Path) -> None:
    """Reproduce the published trackpy walkthrough through our adapter."""
    stack = open_video(data / "bulk_water/bulk_water_green.tif", pixel_size=100 / 285.0, frame_interval=1 / 24)
    tracks = track(stack, PUBLISHED_SETTINGS)
    counts = tracks.metadata["counts"]
    law = trackpy.utils.fit_powerlaw(trackpy.emsd(tracks.table, 100 / 285.0, 24), plot=False).loc["msd"]
    found = {
        "tracks before": counts["n_tracks_before"],
        "tracks after": counts["n_tracks_after"],
        "n": law["n"],
        "A": law["A"],
    }
    for name, published in PUBLISHED.items():
        digits = len(str(published).partition(".")[2])
        value = round(float(found[name]), digits)
        record.add(f"bulk_water walkthrough: {name}", value, target=[published, published], peer="published",
                   peer_value=published)  # fmt: skip


def real_movie(record: Record, data: Path, scratch: Path) -> None:
    """Run everything on bulk_water with suggested settings."""
    folder = scratch / "bulk_water"
    started = time.perf_counter()
    run("run", str(data / "bulk_water/bulk_water_green.tif"), "-o", str(folder), *CALIBRATION)
    record.add("bulk_water: run, wall clock", time.perf_counter() - started, unit="s", target=240, better="lower")
    metrics = read_json(folder / "model" / "metrics.json")
    for name, label in (("diffusion_coefficient", "D"), ("localisation_variance", "s2")):
        entry = metrics[name][0]
        peer = {"peer": "Stokes-Einstein", "peer_value": STOKES_EINSTEIN} if label == "D" else {}
        record.add(f"bulk_water: {label}", entry["value"], unit=entry["unit"], note=entry["note"],
                   interval=[entry["low90"], entry["high90"]], **peer)  # fmt: skip


def published_d2min(record: Record, data: Path) -> None:
    read = {"skiprows": 1, "delimiter": ",", "usecols": (0, 1)}
    before, after = (np.loadtxt(data / f"d2min_reference/test{name}State.txt", **read) for name in ("Initial", "Final"))
    box = Box(lower=(0.0, 0.0), upper=(2000.0, 2000.0), periodic=(False, False))
    graph = within(before, 1000.0, box)
    value = float(d2min(before, after, graph, normalise="bond", reference="before")[0])
    record.add("d2min_reference: relative deviation", abs(value / PUBLISHED_D2MIN - 1), target=1e-12, better="lower",
               peer="published", peer_value=PUBLISHED_D2MIN)  # fmt: skip


def jammed_shear(record: Record, data: Path, scratch: Path) -> None:
    """Import the jammed discs and measure the affine map and D2min of each step."""
    folder = scratch / "jammed"
    run("import", str(data / "jammed_shear"), "-o", str(folder), "--pixel-size", "1 um", "--frame-interval", "1 s")
    tracks = read_trajectories(folder / "trajectories.parquet")
    wide = tracks.table.pivot(index="particle", columns="frame", values=["x", "y"])
    steps = [wide.xs(frame, axis=1, level="frame").to_numpy() for frame in range(tracks.n_frames)]
    first, last = (points - points.mean(axis=0) for points in (steps[0], steps[-1]))
    affine = np.linalg.lstsq(first, last, rcond=None)[0].T
    record.add("jammed_shear: affine xx", round(float(affine[0, 0]), 3), target=[1.039, 1.039])
    record.add("jammed_shear: affine yy", round(float(affine[1, 1]), 3), target=[0.96, 0.96])
    values = [d2min(a, b, within(a, 130.0, tracks.field_of_view), normalise="bond", reference="before")
              for a, b in pairwise(steps)]  # fmt: skip
    medians, largest = ([float(reduce(value)) for value in values] for reduce in (np.nanmedian, np.nanmax))
    for name, found, target in (
        ("median D2min per step", medians, [1.1, 1.7]),
        ("largest D2min per step", largest, [17, 1034]),
    ):
        record.add(
            f"jammed_shear: {name}, smallest", round(min(found), 1 if target[0] < 10 else 0), unit="px2", target=target
        )
        record.add(
            f"jammed_shear: {name}, largest", round(max(found), 1 if target[0] < 10 else 0), unit="px2", target=target
        )


def readers(record: Record, data: Path) -> None:
    opened = sum(open_video(data / name).shape == shape for name, shape in MOVIES.items())
    opened += open_video(data / "readers/cluster.nd2", config=VideoConfig(channel=0, plane=4)).shape == (3, 31, 38)
    n = len(MOVIES) + 1
    record.add("real files opened with the right shape", opened, target=[n, n], note="4 TIFF and mp4, cine, seq, nd2")


def twins(record: Record, scratch: Path) -> None:
    """From twin video to D, s2 and pair force: deviations in the fit's own standard errors."""
    scores: dict[str, list[float]] = {"D": [], "s2": [], "pair force": []}
    for seed in TWIN_SEEDS:
        case = scratch / f"twin{seed}"
        config = scratch / f"twin{seed}.toml"
        config.write_text(f"[twin]\nseed = {seed}\n")
        run("twin", "yukawa", "-o", str(case), "--config", str(config))
        run("run", str(case / "movie.ome.tif"), "-o", str(scratch / f"run{seed}"))
        for name, score in deviations(case, scratch / f"run{seed}").items():
            scores[name].append(score)
    for name, found in scores.items():
        note = f"yukawa twins, seeds {TWIN_SEEDS}: " + ", ".join(f"{score:+.2f}" for score in found)
        record.add(f"twin: {name}, largest deviation", float(np.abs(found).max()), unit="standard errors", target=3.0,
                   better="lower", note=note)  # fmt: skip


def deviations(case: Path, folder: Path) -> dict[str, float]:
    """Return (fitted - true)/s.e. of D, s2 and the pair force of a run on a twin's movie."""
    truth = read_json(case / "parameters.json")
    variance = true_localisation_variance(
        pd.read_parquet(case / "truth.parquet"), read_trajectories(folder / "trajectories.parquet")
    )
    known = pd.read_csv(case / "pair_force.csv")
    return scores_of(
        read_model(folder / "model"), diffusion=truth["diffusion_coefficient"][0], variance=variance, force=known
    )


def scores_of(model: ModelBundle, *, diffusion: float, variance: float, force: pd.DataFrame) -> dict[str, float]:
    """Return (fitted - true)/s.e. of D and s2, and that of the force at its worst of eight distances.

    The distances run from the first knot to a tenth of a micrometre before the cutoff.
    """
    result = {}
    for label, name, true in (("D", "diffusion_coefficient", diffusion), ("s2", "localisation_variance", variance)):
        entry = model.metrics[name][0]
        result[label] = (entry["value"] - true) / ((entry["high90"] - entry["low90"]) / 3.29)
    curve = model.pair_force
    distance = np.linspace(model.config["lower"], model.config["cutoff"] - 0.1, 8)
    found, low, high = (np.interp(distance, curve["r"], curve[name]) for name in ("force", "low90", "high90"))
    score = (found - np.interp(distance, force["r"], force["force"])) / ((high - low) / 3.29)
    result["pair force"] = float(score[np.abs(score).argmax()])
    return result


def kills(record: Record, scratch: Path) -> None:
    """Kill -9 a run again and again, let it finish, compare bytes with an undisturbed run."""
    movie = scratch / "twin11" / "movie.ome.tif"
    reference, folder = scratch / "run11", scratch / "killed"
    rng, done = np.random.default_rng(), 0
    for moment in rng.uniform(3.0, 40.0, KILLS):
        process = subprocess.Popen(command("run", str(movie), "-o", str(folder)), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
    run("run", str(movie), "-o", str(folder))
    names = ("trajectories.parquet", "events.parquet", "fields.parquet")
    same = sum((folder / name).read_bytes() == (reference / name).read_bytes() for name in names)
    record.add("kill -9 and resume: tables with the bytes of an undisturbed run", same, target=[3, 3],
               note=f"{done} kills at random moments; {', '.join(names)}")  # fmt: skip


def bad_input(record: Record) -> None:
    """Count the cases of tests/cli/test_bad_input.py that end in one sentence, exit code 2 and nothing half-written."""
    arguments = [
        sys.executable,
        "-m",
        "pytest",
        "tests/cli/test_bad_input.py",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
    ]
    result = subprocess.run(arguments, capture_output=True, text=True)
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", result.stdout)}
    wanted = sum(counts.values())
    record.add("bad input: cases refused as they should be", counts.get("passed", 0), target=max(wanted, 1),
               better="higher", note=f"of {wanted}")  # fmt: skip


def main() -> None:
    data = data_folder()
    record = Record("foundation")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        readers(record, data)
        published_d2min(record, data)
        jammed_shear(record, data, scratch)
        walkthrough(record, data)
        real_movie(record, data, scratch)
        twins(record, scratch)
        kills(record, scratch)
        bad_input(record)
    record.write()


if __name__ == "__main__":
    main()
