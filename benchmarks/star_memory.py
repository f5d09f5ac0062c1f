"""Star-polymer melts: friction that acts late against friction that acts at once, in the same run.

``make bench-star_memory``; with ``--star51 FOLDER``, the output of ``python -m benchmarks.star_polymer --beads 51
-o FOLDER --frames 2001``, also that melt. Protocol and figures are those of ``benchmarks.star_rollouts``; finished
rollouts are kept.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.record import RESULTS, Record
from benchmarks.star_fits import memory_model, pair_model
from benchmarks.star_melts import StarMelt, generated_melt, star_11
from benchmarks.star_protocol import Candidate, run, start
from benchmarks.star_rollouts import FIRST_SEED, around, reference, table
from benchmarks.star_scores import Curves, distance

MODELS: dict[str, tuple[str, Callable[[StarMelt], Candidate]]] = {
    "pair_model": ("pair model", pair_model),
    "memory_model": ("pair model with memory", memory_model),
}
SEEDS = {11: 8, 51: 4}
FLOOR = 0.026
"""Error of the velocity autocorrelation up to t = 20 that no model without memory went below for star 11."""
SHORT = (0.25, 1.0)
"""Times at which the velocity autocorrelation is also written down by itself."""
TIMED_STEPS, ROUNDS = 200, 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.star_memory", description=__doc__)
    parser.add_argument("--star51", type=Path, help="folder of a generated melt of 51-bead stars")
    parser.add_argument("--kept", type=Path, default=RESULTS.parent / "checkpoint" / "star_memory")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record, spent = Record("star_memory"), 0.0
    for melt in [star_11()] + ([generated_melt(arguments.star51, 51)] if arguments.star51 else []):
        reference(record, melt)
        candidates = {}
        for key, (name, fit) in MODELS.items():
            seeds = range(FIRST_SEED, FIRST_SEED + SEEDS[melt.beads])
            figures, rollouts = run(melt, key, fit, seeds, arguments.kept)
            table(record, melt, name, figures, rollouts)
            velocities(record, melt, name, rollouts)
            if key == "memory_model":
                kernels(record, melt, figures)
            spent += figures["seconds"] + sum(float(curves.get("seconds", 0.0)) for curves in rollouts)
            candidates[key] = fit(melt)
        speed(record, melt, candidates)
    # What was computed in earlier runs counts as well: CPU seconds of all fits and finished rollouts.
    record.started = time.perf_counter() - spent
    record.write()


def velocities(record: Record, melt: StarMelt, name: str, rollouts: list[Curves]) -> None:
    """Add where the velocity autocorrelation errs, relative to its value at zero."""
    label = f"star {melt.beads}, {name}"
    mean = np.mean([curves["vacf"] for curves in rollouts], axis=0)
    at, expected = melt.vacf.at, melt.vacf.values / melt.vacf.values[0]
    if melt.beads == 11:
        record.add(
            f"{label}: VACF below what no model without memory reached",
            distance(mean, melt.vacf.values),
            target=FLOOR if "memory" in name else None,
            better="lower",
            note="the figure VACF, t <= 20 against a harder target",
        )
    if melt.second_msd is not None:
        # The velocities are those of the second run, whose displacements differ from the first's.
        mean_msd = np.mean([curves["msd"] for curves in rollouts], axis=0)
        for end in (0.25, 0.5):
            within = melt.second_msd.at <= end * melt.msd.at[-1] * (1 + 1e-9)
            found = np.interp(melt.second_msd.at[within], melt.msd.at, mean_msd)
            record.add(
                f"{label}: MSD, t <= {end * melt.msd.at[-1]:g}, against the run of the VACF",
                distance(found, melt.second_msd.values[within]),
            )
    for time_of in SHORT:
        place = int(np.argmin(np.abs(at - time_of)))
        record.add(
            f"{label}: VACF({at[place]:.3g})/VACF(0)", float(mean[place] / mean[0]),
            note=f"reference {expected[place]:.4f}",
        )  # fmt: skip


def kernels(record: Record, melt: StarMelt, figures: dict[str, float]) -> None:
    """Add the rates of the memory and how each kind of it agreed with the selection block."""
    label = f"star {melt.beads}, pair model with memory"
    for key, value in figures.items():
        if key.endswith("_error"):
            continue
        if key.startswith(("decay ", "swing ")):
            what, mode = key.split()
            record.add(f"{label}: {what} of mode {mode}", value, interval=around(value, figures.get(f"{key}_error")))
        if key.startswith("misfit "):
            record.add(
                f"{label}: misfit of {key.removeprefix('misfit ')}", value,
                note="of gamma(lag) on the selection block, level free, in standard errors of the training block",
            )  # fmt: skip


def speed(record: Record, melt: StarMelt, candidates: dict[str, Candidate]) -> None:
    """Add how many steps a second of a processor makes, both models in turn."""
    dt, found = melt.recording.frame_interval, {key: [] for key in candidates}
    for attempt in range(ROUNDS):
        for key, candidate in candidates.items():
            rng = torch.Generator().manual_seed(attempt)
            state = candidate.step(candidate.model, start(melt, candidate.model, attempt), dt, rng)
            begun = time.process_time()
            for _ in range(TIMED_STEPS):
                state = candidate.step(candidate.model, state, dt, rng)
            found[key].append(TIMED_STEPS / (time.process_time() - begun))
    best = {key: max(rates) for key, rates in found.items()}
    for key, rate in best.items():
        record.add(f"star {melt.beads}, {MODELS[key][0]}: steps per CPU second", rate, unit="1/s", better="higher")
    ratio = best["memory_model"] / best["pair_model"]
    record.add(f"star {melt.beads}: steps per second with memory over without", ratio, better="higher")


if __name__ == "__main__":
    main()
