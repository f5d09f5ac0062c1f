"""Star-polymer melts: rollouts of the learned pair model and of baselines against long molecular dynamics.

``make bench-star_rollouts``; with ``--star51 FOLDER``, the output of ``python -m benchmarks.star_polymer --beads 51
-o FOLDER --frames 2001``, also the melt that nothing in the package was made with. Finished rollouts are kept.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.record import RESULTS, Record
from benchmarks.star_fits import dpd_model, langevin_model, network_model, pair_model
from benchmarks.star_melts import StarMelt, generated_melt, star_11
from benchmarks.star_protocol import BURN, STEPS, Candidate, run
from benchmarks.star_scores import Curves, Score, distance, figures, noise_of, scored

MODELS: dict[str, tuple[str, Callable[[StarMelt], Candidate]]] = {
    "pair_model": ("pair model", pair_model),
    "langevin": ("Langevin", langevin_model),
    "dpd": ("standard DPD", dpd_model),
    "network_memory": ("graph network, steps over the memory", partial(network_model, over_memory=True)),
    "network_frame": ("graph network, steps of one frame", partial(network_model, over_memory=False)),
}
SEEDS = {
    11: {"pair_model": 8, "langevin": 3, "dpd": 3, "network_memory": 3, "network_frame": 3},
    51: {"pair_model": 4, "dpd": 3, "langevin": 3},
}
FIRST_SEED = 101
"""No seed from here on was used before the tables were made."""
TARGETS = {"RDF": 0.03, "MSD": 0.03, "VACF,": 0.05}
CERTIFIED = ("pair model", "pair model with memory")
"""Models of the package, held to its targets; the others are there for comparison."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.star_rollouts", description=__doc__)
    parser.add_argument("--star51", type=Path, help="folder of a generated melt of 51-bead stars")
    parser.add_argument("--kept", type=Path, default=RESULTS.parent / "checkpoint" / "star_rollouts")
    parser.add_argument("--only", nargs="+", choices=sorted(MODELS), default=list(MODELS), help="models to roll out")
    parser.add_argument("--finished", action="store_true", help="write the table of what is finished, compute nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record, spent = Record("star_rollouts"), 0.0
    melts = [star_11()] + ([generated_melt(arguments.star51, 51)] if arguments.star51 else [])
    for melt in melts:
        reference(record, melt)
        for key in arguments.only:
            seeds = range(FIRST_SEED, FIRST_SEED + SEEDS[melt.beads].get(key, 0))
            name, fit = MODELS[key]
            found = run(melt, key, fit, seeds, arguments.kept, missing=not arguments.finished)
            if found[1]:
                table(record, melt, name, *found)
                spent += found[0]["seconds"] + sum(float(curves.get("seconds", 0.0)) for curves in found[1])
    if set(arguments.only) == set(MODELS):
        # What was computed in earlier runs counts as well: CPU seconds of all fits and finished rollouts.
        record.started = time.perf_counter() - spent
        record.write()


def reference(record: Record, melt: StarMelt) -> None:
    """Add what the reference itself is uncertain by."""
    label = f"star {melt.beads}, reference against itself"
    last = melt.msd.at[-1]
    if melt.second_msd is not None:
        for share in (0.25, 0.5):
            at = melt.second_msd.at[melt.second_msd.at <= share * last * (1 + 1e-9)]
            found = distance(
                np.interp(at, melt.second_msd.at, melt.second_msd.values), np.interp(at, melt.msd.at, melt.msd.values)
            )
            record.add(f"{label}: MSD, t <= {share * last:g}", found, note="two runs of molecular dynamics")
    for name, curve, end in (("MSD", melt.msd, last / 4), ("MSD", melt.msd, last), ("VACF", melt.vacf, np.inf)):
        if curve.error is not None:
            end = min(end, curve.at[-1])
            record.add(f"{label}: {name}, t <= {end:g}", noise_of(curve, end), note="from its standard errors")


def table(record: Record, melt: StarMelt, name: str, fit: dict[str, float], rollouts: list[Curves]) -> None:
    """Add the figures of one model."""
    label, certified = f"star {melt.beads}, {name}", name in CERTIFIED
    fitted(record, label, fit, melt.recording.frame_interval)
    ends = [
        f"after {float(curves['broken']):.3g} with {float(curves['closer']):.2g} times the pairs and "
        f"{float(curves['hotter']):.2g} times the kinetic energy"
        for curves in rollouts
        if "broken" in curves
    ]
    if ends:
        record.add(f"{label}: rollouts that broke down, of {len(rollouts)}", len(ends), note="; ".join(ends))
    whole = [curves for curves in rollouts if "broken" not in curves]
    if not whole:
        return
    interval = melt.recording.frame_interval
    protocol = f"{len(whole)} seeds of {STEPS} x {interval:g} after {BURN * interval:g}, from fresh thermal velocities"
    for figure, of in figures(melt).items():
        found = scored(whole, of)
        record.add(
            f"{label}: {figure}",
            found.value,
            target=target(figure) if certified else None,
            better="within" if figure.startswith("VACF(0)") else "lower",
            interval=None if np.isnan(found.error) else found.interval,
            note=f"mean curve, standard error {found.error:.2g}; {singles(found)}; {protocol}"
            + ("; a tenth of the rollout" if figure == short_msd(melt) else ""),
        )
    ledger(record, label, whole, certified=certified)
    adrift = [curves for curves in whole if "msd_relative" in curves]
    if adrift:
        still = [{name: curves[f"{name}_relative"] for name in ("rdf", "msd", "vacf")} for curves in adrift]
        for figure, of in figures(melt).items():
            found = scored(still, of)
            record.add(f"{label}, less the common motion: {figure}", found.value, note=f"{len(still)} seeds")


def short_msd(melt: StarMelt) -> str:
    return f"MSD, t <= {melt.msd.at[-1] / 4:g}"


def target(figure: str) -> float | list[float] | None:
    if figure.startswith("VACF(0)"):
        return [0.98, 1.02]
    return next((limit for start, limit in TARGETS.items() if figure.startswith(start)), None)


def singles(found: Score) -> str:
    spread = found.single.std(ddof=1) / np.sqrt(len(found.single)) if len(found.single) > 1 else float("nan")
    return (
        f"single rollouts {found.single.mean():.4f} +- {spread:.2g}, "
        f"from {found.single.min():.4f} to {found.single.max():.4f}"
    )


def fitted(record: Record, label: str, fit: dict[str, float], interval: float) -> None:
    """Add what the fit found, with 90 % intervals."""
    note = f"code {fit['code']}" if "code" in fit else ""
    record.add(f"{label}: CPU seconds of the fit", fit["seconds"], unit="s", note=note)
    names = {
        "cutoff": "range", "friction": "friction per mass", "plateau": "friction per mass without memory",
        "memory": "memory of the random forces", "short_window": "shorter window of the impulses",
        "strength": "a", "pair_friction": "gamma of a pair", "frames_per_step": "frames of a step",
        "log_likelihood": "log-likelihood per component, selection block",
        "log_likelihood_of_the_mean": "the same of the mean alone",
    }  # fmt: skip
    for key, name in names.items():
        if key in fit:
            record.add(f"{label}: {name}", fit[key], interval=around(fit[key], fit.get(f"{key}_error")))
    for key, value in fit.items():
        if key.startswith("gamma ") and not key.startswith("gamma error"):
            window = key.removeprefix("gamma ")
            record.add(
                f"{label}: gamma(lag) over {window} frames, {int(window) * interval:g}", value,
                interval=around(value, fit[f"gamma error {window}"]),
            )  # fmt: skip


def around(value: float, error: float | None) -> list[float] | None:
    return None if error is None else [value - 1.645 * error, value + 1.645 * error]


def ledger(record: Record, label: str, rollouts: list[Curves], *, certified: bool) -> None:
    """Add the laws: the worst of all rollouts."""

    def worst(key: str) -> float:
        return float(max(abs(float(curves[key])) for curves in rollouts))

    lower = "lower"
    record.add(f"{label}: |dE - W|/K0", worst("energy_drift"), target=1e-10 if certified else None, better=lower)
    record.add(
        f"{label}: momentum over sum m|v|", worst("momentum_drift"), target=1e-12 if certified else None, better=lower
    )
    record.add(f"{label}: absorbed energy over K0", worst("absorbed"), target=0.01 if certified else None, better=lower)
    first, last = (np.mean([curves["kinetic_temperature"][k] for curves in rollouts]) for k in (0, -1))
    record.add(f"{label}: kinetic temperature in the first tenth", float(first))
    record.add(f"{label}: kinetic temperature in the last tenth", float(last))
    seconds = float(np.mean([float(curves["seconds"]) for curves in rollouts]))
    record.add(f"{label}: CPU seconds of a rollout", seconds, unit="s", note="statistics included")


if __name__ == "__main__":
    main()
