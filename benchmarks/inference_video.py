"""P6 from video: do D, s2, stiffness and force of twin movies come back, and do their intervals cover?

Writes benchmarks/results/inference_video.json. Each movie is filmed, tracked and fitted by the command line, as a user
would: the first seed of each case by `colloid-cg run`, the others by its stages track and fit. The truth is read from
the twin's folder. Finished movies are kept in benchmarks/checkpoint.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from benchmarks.calibration import add_bias, add_coverage, true_localisation_variance
from benchmarks.inference_checkpoint import CHECKPOINT, append, finished, version
from benchmarks.record import Record
from colloid_cg.records import Trajectories
from colloid_cg.store import read_json, read_trajectories

SEEDS = tuple(range(1, 16))
PROCESSES = 2
KEPT = CHECKPOINT.with_name("inference_video.jsonl")
SOURCES = ("inference_video.py",)
TARGETS = {"D": 0.02, "s2": 0.05, "stiffness": 0.05, "force": 0.05}
LEAST_S2 = 0.02
"""Of 2 D dt: the bias of s2 that is allowed where the noise itself is small."""
CASES: dict[str, str] = {
    "traps": """
[twin]
n_frames = 400
[fit]
traps = "each"
""",
    "yukawa": """
[twin]
n_frames = 300
width = 240
height = 240
frame_interval = "20 ms"
""",
    "soft_glass": """
[twin]
n_frames = 300
width = 240
height = 240
frame_interval = "5 ms"
repulsion = 300.0
drive_period = "0.75 s"
show_driven = false
[track]
size_classes = 2
[fit]
prescribed = "twin/driven.csv"
""",
}
"""Settings of each case; the twin's camera changes with the seed: exposure and light, see :func:`camera`."""
PROBES = {
    "yukawa": ((0, 0, 1.45), (0, 0, 1.6), (0, 0, 1.8)),
    "soft_glass": ((0, 0, 1.44), (0, 1, 1.73), (1, 1, 2.0)),
}
"""Distances (um) at which the interval of the force is judged."""


def camera(seed: int) -> str:
    """Return the camera of a seed: exposures of .2, .6 and all of the frame interval, in bright and in poor light."""
    return f"[twin.camera]\nexposure = {(0.2, 0.6, 1.0)[seed % 3]}\namplitude = {(150.0, 60.0)[seed % 2]}\n"


def command(*arguments: str, folder: Path) -> None:
    """Run a verb of the command line in a folder."""
    limited = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "colloid_cg", *arguments], cwd=folder, capture_output=True, text=True, env=limited
    )
    if result.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {result.stderr}")


def movie(case: str, seed: int) -> dict[str, Any]:
    """Film, run and judge one twin; every reported number with value, low90, high90 and truth."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.toml").write_text(f"seed = {seed}\n{CASES[case]}{camera(seed)}")
        command("twin", case, "-o", "twin", "--config", "study.toml", folder=folder)
        verb = "run" if seed == SEEDS[0] else "track"
        command(verb, "twin/movie.ome.tif", "-o", "run", "--config", "study.toml", "--workers", "1", folder=folder)
        if verb == "track":
            command("fit", "run", "--config", "study.toml", folder=folder)
        return judged(case, folder / "twin", folder / "run")


def judged(case: str, twin: Path, run: Path) -> dict[str, Any]:
    """Return the quantities of a run beside their truth, and the factor on the true force."""
    truth, metrics = read_json(twin / "parameters.json"), read_json(run / "model" / "metrics.json")
    tracks = read_trajectories(run / "trajectories.parquet")
    found = [
        quantity("D", entry, truth["diffusion_coefficient"][entry["species"]])
        for entry in metrics["diffusion_coefficient"]
    ]
    variance = true_localisation_variance(pd.read_parquet(twin / "truth.parquet"), tracks)
    found.append(quantity("s2", metrics["localisation_variance"][0], variance))
    if case == "traps":
        shared = metrics["trap_stiffness"][0]
        found.append(quantity("stiffness", shared, truth["trap_stiffness"]))
        amplitude = shared["value"] / truth["trap_stiffness"]
    else:
        known, curve = pd.read_csv(twin / "pair_force.csv"), pd.read_csv(run / "model" / "pair_force.csv")
        found += forces(known, curve, PROBES[case])
        amplitude = force_factor(known, curve, tracks)
    return {
        "quantities": found,
        "amplitude": amplitude,
        "step_variance": 2.0 * truth["diffusion_coefficient"][0] * truth["frame_interval"],
        "regime": metrics["regime"][0]["value"],
        "own_stiffness": [
            bool(entry["low90"] <= truth["trap_stiffness"] <= entry["high90"])
            for entry in metrics.get("trap_stiffness", [])[1:]
        ],
    }


def quantity(name: str, entry: dict[str, Any], true: float) -> dict[str, Any]:
    return {"name": name, "true": true} | {key: entry[key] for key in ("value", "low90", "high90")}


def of_pair(curve: pd.DataFrame, a: int, b: int) -> pd.DataFrame:
    return curve[(curve["species_a"] == a) & (curve["species_b"] == b)]


def forces(
    known: pd.DataFrame, curve: pd.DataFrame, probes: tuple[tuple[int, int, float], ...]
) -> list[dict[str, Any]]:
    """Return the force at the probes that the curve reaches."""
    found = []
    for a, b, r in probes:
        fitted, true = of_pair(curve, a, b), of_pair(known, a, b)
        if len(fitted) and fitted["r"].min() <= r <= fitted["r"].max():
            entry = {
                key: float(np.interp(r, fitted["r"], fitted[name]))
                for key, name in (("value", "force"), ("low90", "low90"), ("high90", "high90"))
            }
            found.append(quantity(f"F{a}{b}({r})", entry, float(np.interp(r, true["r"], true["force"], right=0.0))))
    return found


def force_factor(known: pd.DataFrame, curve: pd.DataFrame, tracks: Trajectories) -> float:
    """Return sum n F_fit F_true / sum n F_true^2, n the pairs of tracked particles seen at each distance."""
    product = square = 0.0
    table = tracks.table[tracks.table["frame"] % 10 == 0]
    if "species" not in table:
        table = table.assign(species=0)
    truth = {(a, b): one for (a, b), one in known.groupby(["species_a", "species_b"])}
    mobile = set(table["species"])
    for (a, b), fitted in curve.groupby(["species_a", "species_b"]):
        if (a, b) not in truth or not {a, b} <= mobile:
            continue
        edges = np.linspace(fitted["r"].min(), fitted["r"].max(), 61)
        r, counts = 0.5 * (edges[1:] + edges[:-1]), np.zeros(60)
        for _, frame in table.groupby("frame"):
            points, species = frame[["x", "y"]].to_numpy() * tracks.pixel_size, frame["species"].to_numpy()
            pairs = cKDTree(points).query_pairs(edges[-1], output_type="ndarray")
            of_kind = (np.sort(species[pairs], axis=1) == (a, b)).all(axis=1)
            counts += np.histogram(np.linalg.norm(np.diff(points[pairs[of_kind]], axis=1)[:, 0], axis=1), edges)[0]
        one = truth[a, b]
        true, found = np.interp(r, one["r"], one["force"], right=0.0), np.interp(r, fitted["r"], fitted["force"])
        product, square = product + float((counts * found * true).sum()), square + float((counts * true**2).sum())
    return product / square if square else 0.0


def work(task: tuple[str, int, str]) -> tuple[str, int]:
    """Run and keep one movie unless it is there."""
    case, seed, current = task
    if name_of(case, seed) not in finished(current, KEPT):
        append(name_of(case, seed), movie(case, seed), current, KEPT)
    return case, seed


def name_of(case: str, seed: int) -> str:
    return f"{case}, seed {seed}"


def kind_of(name: str) -> str:
    return "force" if name.startswith("F") else name


def bias_figures(record: Record, movies: dict[str, dict[str, Any]], seeds: tuple[int, ...]) -> None:
    """Mean error of each quantity over the movies of a case, with its 90 % interval."""
    for case in CASES:
        found = [movies[name_of(case, seed)] for seed in seeds]
        errors: dict[str, list[float]] = defaultdict(list)
        for one in found:
            errors["D"].append(
                float(np.mean([q["value"] / q["true"] - 1 for q in one["quantities"] if q["name"] == "D"]))
            )
            (noise,) = (q for q in one["quantities"] if q["name"] == "s2")
            errors["s2"].append((noise["value"] - noise["true"]) / one["step_variance"])
            errors["stiffness" if case == "traps" else "force"].append(one["amplitude"] - 1.0)
        ratio = float(
            np.mean([q["true"] / m["step_variance"] for m in found for q in m["quantities"] if q["name"] == "s2"])
        )
        for kind, values in errors.items():
            asked = max(TARGETS["s2"] * ratio, LEAST_S2) if kind == "s2" else TARGETS[kind]
            unit = "of 2Ddt" if kind == "s2" else ""
            note = f"mean s2/2Ddt {ratio:.2f}; "
            add_bias(record, f"{case}: bias of {kind}", values, asked=asked, unit=unit, note=note)


def coverage_figures(record: Record, movies: dict[str, dict[str, Any]]) -> None:
    """Share of 90 % intervals that hold the truth, by case and quantity."""
    groups: dict[str, dict[Hashable, list[bool]]] = defaultdict(dict)
    for name, one in movies.items():
        held = [(kind_of(q["name"]), q["low90"] <= q["true"] <= q["high90"]) for q in one["quantities"]]
        case = name.split(",")[0]
        for group in ("all", case, *dict(held)):
            groups[group][name] = [inside for kind, inside in held if group in ("all", case, kind)]
        if one["own_stiffness"]:
            groups["each trap alone"][name] = one["own_stiffness"]
    for group, inside in groups.items():
        target = [0.83, 0.97] if group == "all" else None
        add_coverage(record, f"coverage of 90 % intervals from video, {group}", inside, target=target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--dry", action="store_true", help="print the figures, write no record")
    options = parser.parse_args()
    seeds, current, record = tuple(options.seeds), version(SOURCES), Record("inference_video")
    tasks = [(case, seed, current) for seed in seeds for case in CASES]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for count, task in enumerate(pool.imap_unordered(work, tasks), start=1):
            print(f"{count}/{len(tasks)}: {name_of(*task)}", flush=True)
    wanted = {name_of(case, seed) for case in CASES for seed in seeds}
    movies = {name: one for name, one in finished(current, KEPT).items() if name in wanted}
    bias_figures(record, movies, seeds)
    coverage_figures(record, movies)
    if not options.dry:
        record.write()


if __name__ == "__main__":
    main()
