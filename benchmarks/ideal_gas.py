"""What can be learned of an ideal gas from positions and velocities alone, against the gas itself.

A gas of known U(S, V), frictions and heat exchange is stirred by Taylor-Green vortices; its entropies are kept aside.
Writes benchmarks/results/ideal_gas.json. About 20 minutes of one quiet core; rounds that are done are kept in the
folder given by -o and not repeated by the same version of the package.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.ideal_gas_system import AMOUNT, HEAT_CAPACITY, Run, Stirring, continued, gas, random_start, run
from benchmarks.record import Record
from colloid_cg.dynamics.metriplectic.energy import entropy_at
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.learn.thermal import HiddenEnergies, ThermalDynamics, ThermalFitConfig, fit_thermal
from colloid_cg.provenance import code_version
from colloid_cg.store import Kept

EDGE, TRAIN, SELECT = 20.0, 800, 80
BODY = Stirring(1.1, EDGE, waves=2)
SHEAR_RATE, SHEAR_FRAMES = 0.25, 400
FLOW_FRAMES, RUNS = 1200, 2
CELLS, FEWEST = 4, 50
BINS = 10
TELLING = 0.1
"""Deviation of the gas from itself above which a field is no test of a model."""


def equation_of_state(record: Record, found: ThermalDynamics, truth: Run) -> None:
    """k_B T(U, V) and P over the visited 5 to 95 % of U and V; V in units of each model's own kernel."""
    energies = np.quantile(truth.energies[:TRAIN], np.linspace(0.05, 0.95, 7))
    scale = volume_scale(found.model)
    volumes = np.quantile(volumes_of(truth), np.linspace(0.05, 0.95, 5))
    offset = float(truth.energies[0].mean())
    worst = {"k_B T": 0.0, "P": 0.0}
    for volume in volumes:
        at = torch.full((7,), float(volume) / scale, dtype=torch.float64)
        _, thermal = entropy_at(
            found.model.energy, torch.tensor(energies - offset), at, None, start=torch.zeros(7, dtype=torch.float64)
        )
        heat = energies / HEAT_CAPACITY
        assert thermal.pressure is not None
        pressure = thermal.pressure.numpy() / scale
        worst["k_B T"] = max(worst["k_B T"], float(np.abs(thermal.temperature.numpy() / heat - 1.0).max()))
        worst["P"] = max(worst["P"], float(np.abs(pressure / (AMOUNT * heat / volume) - 1.0).max()))
    for name, value in worst.items():
        record.add(
            f"{name}(U, V): largest relative deviation, 5 to 95 % of U and of V", value, target=0.05, better="lower",
            note="7 x 5 points; mean U of the first frame is the common zero",
        )  # fmt: skip


def radial_functions(record: Record, found: ThermalDynamics) -> None:
    """Friction and heat exchange weighted with the pairs there are."""
    r = torch.linspace(0.0, 0.98, 200, dtype=torch.float64)
    known, learned = gas().radial.evaluate(r, None), found.model.radial.evaluate(r, None)
    for name in ("par", "perp", "heat"):
        first, second = getattr(learned, name), getattr(known, name)
        record.add(
            f"{name}: integral over the plane, learned over true", float((first * r).sum() / (second * r).sum()),
            note="heat exchange is seen through the energies alone" if name == "heat" else "",
        )  # fmt: skip
    kernel = learned.kernel / learned.kernel[0] - known.kernel / known.kernel[0]
    record.add("W(r)/W(0): largest deviation", float(kernel.abs().max()))


def volume_scale(model: MetriplecticModel) -> float:
    """Return W(0) of the model over that of the gas: V of the gas over V of the model."""
    own, known = model.radial.kernel_at_zero, gas().radial.kernel_at_zero
    assert own is not None
    assert known is not None
    return float(own[0] / known[0])


def volumes_of(truth: Run) -> np.ndarray:
    """Return V of the gas in some frames."""
    states = (
        continued(gas(), placed(truth, frame), torch.tensor(truth.energies[frame]))
        for frame in (0, TRAIN // 2, TRAIN - 1)
    )
    return np.concatenate([state.volume.numpy() for state in states if state.volume is not None])


def placed(source: Run, frame: int) -> PhaseState:
    """Return positions and velocities of a frame of an unsheared run as a state."""
    return replace(
        source.last, positions=torch.tensor(source.positions[frame]),
        velocities=torch.tensor(source.velocities[frame]), time=0.0,
    )  # fmt: skip


def entropies(record: Record, found: ThermalDynamics, truth: Run, hidden: HiddenEnergies) -> None:
    """Entropy summed in square cells of at least 50 particles, up to one constant per particle."""
    deviations, spread = [], []
    for frame in range(100, TRAIN, 75):
        cell = (np.mod(truth.positions[frame], EDGE) // (EDGE / CELLS)).astype(int) @ np.array([CELLS, 1])
        count = np.bincount(cell, minlength=CELLS**2)
        kept = count >= FEWEST
        sums = [
            np.bincount(cell, weights=values, minlength=CELLS**2)[kept]
            for values in (hidden.entropy[frame].numpy(), truth.entropies[frame])
        ]
        deviations.append((sums[0] - sums[1]) / count[kept])
        spread.append(sums[1] / count[kept])
    shift = np.concatenate(deviations)
    constant = float(np.mean(shift))
    change = np.concatenate(spread)
    record.add(
        "entropy in cells: rms deviation up to one constant over the range of the truth (5 to 95 %)",
        float(np.std(shift - constant) / (np.quantile(change, 0.95) - np.quantile(change, 0.05))), target=0.1,
        better="lower", note=f"{len(shift)} cells of {FEWEST} or more particles, {len(spread)} frames",
    )  # fmt: skip
    record.add(
        "correlation of the hidden energies of single particles with the true ones, last training frame",
        float(np.corrcoef(hidden.energy[TRAIN - 1].numpy(), truth.energies[TRAIN - 1])[0, 1]),
    )


def fields(runs: list[Run], frames: slice, shear_rate: float) -> dict[str, np.ndarray]:
    """Return number density over its mean, mean velocity and g(r), averaged over frames, runs and what is alike.

    Cells: BINS x BINS of one period of the stirring, into which all others are folded; slabs across the shear.
    """
    period = EDGE if shear_rate else EDGE / BODY.waves
    count, total = np.zeros(BINS**2), np.zeros((2, BINS**2))
    for each in runs:
        positions = each.positions[frames].reshape(-1, 2)
        velocities = each.velocities[frames].reshape(-1, 2).copy()
        velocities[:, 0] -= shear_rate * EDGE * np.floor(positions[:, 1] / EDGE)
        cell = (np.mod(positions, period) // (period / BINS)).astype(int)
        if shear_rate:
            cell[:, 0] = 0  # the flow is the same all along x
        index = cell @ np.array([BINS, 1])
        count += np.bincount(index, minlength=BINS**2)
        total += [np.bincount(index, weights=column, minlength=BINS**2) for column in velocities.T]
    seen = count > 0
    return {
        "density": count[seen] / count[seen].mean(),
        "velocity": (total[:, seen] / count[seen]).ravel(),
        "g(r)": np.mean([structure(each, frames) for each in runs], axis=0),
    }


def structure(source: Run, frames: slice) -> np.ndarray:
    """Return g(r) up to 2 cutoffs around particles far from the faces, from every 20th frame."""
    edges = np.linspace(0.05, 2.0, 40)
    total = np.zeros(len(edges) - 1)
    chosen = range(frames.start, frames.stop, 20)
    for frame in chosen:
        inside = np.mod(source.positions[frame], EDGE)
        middle = inside[(np.abs(inside - EDGE / 2) < EDGE / 2 - 2.0).all(axis=1)]
        distance = np.linalg.norm(middle[:, None] - inside[None], axis=2)
        total += np.histogram(distance, edges)[0] / len(middle)
    shells = np.pi * (edges[1:] ** 2 - edges[:-1] ** 2)
    return total / len(chosen) / shells / (len(source.positions[0]) / EDGE**2)


def compared(
    record: Record, case: str, learned: list[Run], truth: tuple[list[Run], list[Run]], frames: slice, shear_rate: float
) -> None:
    """RMS deviation of fields from those of the gas, beside that of the gas from itself with other noise.

    Of densities and g(r) in units of one, of velocities in units of the root of their mean square.
    """
    first, second, model = (fields(runs, frames, shear_rate) for runs in (*truth, learned))
    for name in first:
        scale = np.sqrt(np.mean(first[name] ** 2)) if name == "velocity" else 1.0
        own = float(np.sqrt(np.mean((second[name] - first[name]) ** 2)) / scale)
        value = float(np.sqrt(np.mean((model[name] - first[name]) ** 2)) / scale)
        told = own <= TELLING
        record.add(
            f"{case}: {name}, RMS deviation of the learned model from the gas", value,
            target=max(0.05, 2.0 * own) if told else None, better="lower",
            peer="the gas against itself with other noise", peer_value=own,
            note="" if told else "no target: the gas differs as much from itself, so this cannot fail",
        )  # fmt: skip
    rises = [np.mean([rise(each) for each in runs]) for runs in (learned, truth[0] + truth[1])]
    record.add(f"{case}: rise of the temperature, learned over true", float(rises[0] / rises[1]))


def rise(run: Run) -> float:
    """Return by how much the mean temperature rises."""
    return float(run.temperatures[-1].mean() - run.temperatures[0].mean())


def flows(
    record: Record, case: str, learned: MetriplecticModel, truth: Run, *, n_frames: int, settling: int, seed: int,
    shear_rate: float = 0.0,
) -> None:  # fmt: skip
    """Run the learned model and twice the gas from the same start at S = 0, with other noise each."""
    known = replace(gas(), body=learned.body)
    start = random_start(known, EDGE, seed, shear_rate=shear_rate)
    began = continued(learned, start, start.reference - float(truth.energies[0].mean()))
    runs = [
        [run(model, state, n_frames, 100 * seed + 10 * kind + k, settling=settling) for k in range(RUNS)]
        for kind, (model, state) in enumerate(((learned, began), (known, start), (known, start)))
    ]
    compared(record, case, runs[0], (runs[1], runs[2]), slice(100, n_frames), shear_rate)


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-o",
        type=Path,
        default=Path(__file__).parent / "checkpoint" / "ideal_gas",
        help="folder for what is kept between calls",
    )
    parser.add_argument("--rounds", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record = Record("ideal_gas")
    known = gas(BODY)
    truth = run(known, random_start(known, EDGE, 1), TRAIN + SELECT, 1, settling=200)
    started = time.process_time()
    found = fit_thermal(
        truth.series(0, TRAIN), truth.series(TRAIN, TRAIN + SELECT),
        ThermalFitConfig(cutoff=known.cutoff, rounds=arguments.rounds), body=BODY, seed=1,
        checkpoint=Kept(arguments.o / code_version()[:16]),
        progress=lambda done, total: print(f"round or refit {done} of {total}", flush=True),
    )  # fmt: skip
    record.add("training with refits for errors", (time.process_time() - started) / 60.0, unit="min of one core")
    record.add("r Sigma^-1 r / d of the innovations, selection block", found.innovation_square, note="1 if all is said")
    equation_of_state(record, found, truth)
    radial_functions(record, found)
    entropies(record, found, truth, found.hidden)
    capacity(record, found)
    record.write()
    flows(record, "Taylor-Green", found.model, truth, n_frames=FLOW_FRAMES, settling=200, seed=5)
    still = replace(found.model, body=None)
    flows(
        record, "Lees-Edwards shear", still, truth, n_frames=SHEAR_FRAMES, settling=100, seed=9, shear_rate=SHEAR_RATE
    )
    record.write()


def capacity(record: Record, found: ThermalDynamics) -> None:
    """C/k_B and whether its 90 % interval holds the truth."""
    value, half = (float(part[0]) for part in found.heat_capacity() if part is not None)
    record.add(
        "C/k_B at (T0, V0)", value, interval=[value - half, value + half], note=f"true {HEAT_CAPACITY:g}; refits "
        "without one block of time each",
    )  # fmt: skip
    record.add(
        "C/k_B: distance from the truth in half widths of its 90 % interval", abs(value - HEAT_CAPACITY) / half,
        target=1.0, better="lower",
    )  # fmt: skip


if __name__ == "__main__":
    main()
