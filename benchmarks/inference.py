"""Are D, localisation variance and forces unbiased, and do their 90 % intervals cover, whatever noise and blur?

Writes benchmarks/results/inference.json. Seeds of the table were never used while the fit was developed; finished cells
are kept in benchmarks/checkpoint, so that a killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
from collections import defaultdict
from collections.abc import Hashable
from typing import Any

import numpy as np

from benchmarks.calibration import add_bias, add_coverage, mean_and_error
from benchmarks.inference_cells import RATIOS, cell
from benchmarks.inference_checkpoint import append, finished, key, version
from benchmarks.inference_systems import SYSTEMS
from benchmarks.record import Record

SEEDS = tuple(range(1, 11))
PROCESSES = 2
TARGETS = {"D": 0.02, "s2": 0.05, "force": 0.05}
STRONGEST_NOISE_FORCE = 0.10
LEAST_S2 = 0.02
"""Of 2 D dt: the bias of s2 that is allowed where the noise itself is small."""
CONDITIONS = tuple((ratio, blurred) for ratio in RATIOS for blurred in (False, True))


def work(task: tuple[str, int, str]) -> tuple[str, int]:
    """Compute and keep every missing cell of one system and seed."""
    system, seed, current = task
    done = finished(current)
    missing = [case for case in CONDITIONS if key(system, seed, *case) not in done]
    recording = SYSTEMS[system](seed) if missing else None
    for ratio, blurred in missing:
        if recording is not None:
            found = cell(recording, ratio=ratio, blurred=blurred, seed=seed)
            append(key(system, seed, ratio, blurred), found, current)
    return system, seed


def biases(found: dict[str, Any], ratio: float) -> dict[str, float]:
    """Return relative errors of D (mean over species) and force, and that of s2 over 2 D dt."""
    by_kind = defaultdict(list)
    for entry in found["quantities"]:
        by_kind[entry["name"]].append(entry)
    diffusion = np.mean([entry["value"] / entry["true"] - 1.0 for entry in by_kind["D"]])
    variance = by_kind["s2"][0]
    return {
        "D": float(diffusion),
        "s2": (variance["value"] - variance["true"]) / found["step_variance"],
        "force": found["amplitude"] - 1.0,
    }


def allowed(kind: str, ratio: float) -> float:
    if kind == "s2":
        return max(TARGETS["s2"] * ratio, LEAST_S2)
    return STRONGEST_NOISE_FORCE if kind == "force" and ratio == 1.0 else TARGETS[kind]


def bias_figures(record: Record, cells: dict[str, dict[str, Any]], seeds: tuple[int, ...]) -> None:
    """One figure for each system, condition and quantity; the control that ignores noise and blur beside it."""
    escaped, hard = 0, 0
    for system in SYSTEMS:
        for ratio, blurred in CONDITIONS:
            found = [cells[key(system, seed, ratio, blurred)] for seed in seeds]
            where = f"{system}, s2/2Ddt {ratio:g}, R {'1/6' if blurred else '0'}"
            naive = {name: mean_and_error([one["naive"][name] - 1.0 for one in found]) for name in ("D", "force")}
            naive["s2"] = (-ratio, 0.0)
            wrong = False
            for kind in TARGETS:
                wrong |= abs(naive[kind][0]) > max(allowed(kind, ratio), 2.0 * naive[kind][1])
                add_bias(
                    record, f"{where}: bias of {kind}", [biases(one, ratio)[kind] for one in found],
                    asked=allowed(kind, ratio), unit="of 2Ddt" if kind == "s2" else "", control=naive[kind][0],
                )  # fmt: skip
            if ratio >= 0.25 or blurred:
                hard += 1
                escaped += not wrong
    note = f"of {hard}; naive: D = MSD/4dt, force by regression at the same frame, no localisation noise"
    record.add(
        "noisy or blurred conditions in which the naive control is right", escaped, target=0, better="lower", note=note
    )


def coverage_figures(record: Record, cells: dict[str, dict[str, Any]], seeds: tuple[int, ...]) -> None:
    """Share of 90 % intervals that hold the truth, by quantity, system, blur and noise."""
    kinds: dict[str, dict[Hashable, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for system, seed, (ratio, blurred) in itertools.product(SYSTEMS, seeds, CONDITIONS):
        for entry in cells[key(system, seed, ratio, blurred)]["quantities"]:
            kind = "force" if entry["name"][0] in "Fkq" else entry["name"]
            groups = ("all", kind, f"{system}: {kind}", f"R {'1/6' if blurred else '0'}", f"ratio {ratio:g}")
            for group in groups:
                kinds[group][system, seed].append(entry["low90"] <= entry["true"] <= entry["high90"])
    for group, inside in kinds.items():
        target = [0.85, 0.95] if group == "all" else None
        add_coverage(record, f"coverage of 90 % intervals, {group}", inside, target=target)


def other_figures(record: Record, cells: dict[str, dict[str, Any]]) -> None:
    """How often a good fit is flagged, and what a fit costs."""
    halves = [one["half_rate"] for one in cells.values()]
    judged = [half for half in halves if half["value"] is not None]
    flagged = sum(half["note"].startswith("differs") for half in judged)
    record.add("half-rate check: good fits flagged", flagged / max(len(judged), 1), target=0.1, better="lower",
               note=f"{flagged} of {len(judged)} judged; {len(halves) - len(judged)} not applicable")  # fmt: skip
    record.add("CPU time of a fit, median", float(np.median([one["seconds"] for one in cells.values()])), unit="s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--dry", action="store_true", help="print the figures, write no record")
    options = parser.parse_args()
    seeds, current, record = tuple(options.seeds), version(), Record("inference")
    tasks = [(system, seed, current) for seed in seeds for system in SYSTEMS]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for count, (system, seed) in enumerate(pool.imap_unordered(work, tasks), start=1):
            print(f"{count}/{len(tasks)}: {system}, seed {seed}", flush=True)
    wanted = {key(system, seed, *case) for system in SYSTEMS for seed in seeds for case in CONDITIONS}
    cells = {name: one for name, one in finished(current).items() if name in wanted}
    bias_figures(record, cells, seeds)
    coverage_figures(record, cells, seeds)
    other_figures(record, cells)
    if not options.dry:
        record.write()


if __name__ == "__main__":
    main()
