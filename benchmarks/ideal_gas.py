"""What can be learned of an ideal gas from positions and velocities alone, against the gas itself.

A gas of known U(S, V), frictions and heat exchange is stirred by Taylor-Green vortices; its entropies are kept aside.
Writes benchmarks/results/ideal_gas.json. About 15 minutes of one quiet core; rounds that are done are kept in the
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
from colloid_cg.learn.thermal import HiddenEnergies, ThermalDynamics, ThermalFitConfig, energies_of, fit_thermal
from colloid_cg.provenance import code_version
from colloid_cg.store import Kept

EDGE, TRAIN, SELECT, TEST = 20.0, 400, 80, 300
BODY = Stirring(1.1, EDGE, waves=2)
SHEAR_RATE, SHEAR_FRAMES = 0.25, 400
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
    for frame in range(100, TRAIN, 50):
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


def fields(source: Run, frames: slice, shear_rate: float) -> dict[str, np.ndarray]:
    """Return number density and mean velocity in BINS x BINS cells, and g(r), averaged over frames."""
    positions = source.positions[frames].reshape(-1, 2)
    velocities = source.velocities[frames].reshape(-1, 2).copy()
    folds = np.floor(positions[:, 1] / EDGE)
    velocities[:, 0] -= shear_rate * EDGE * folds
    cell = (np.mod(positions, EDGE) // (EDGE / BINS)).astype(int)
    if shear_rate:
        cell[:, 0] = 0  # the flow is the same all along x
    index = cell @ np.array([BINS, 1])
    count = np.bincount(index, minlength=BINS**2)
    seen = count > 0
    velocity = [np.bincount(index, weights=column, minlength=BINS**2)[seen] / count[seen] for column in velocities.T]
    return {
        "density": count[seen] / count[seen].mean(),
        "velocity": np.concatenate(velocity),
        "g(r)": structure(source, frames),
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


def compared(record: Record, case: str, learned: Run, runs: tuple[Run, Run], frames: slice, shear_rate: float) -> None:
    """Relative RMS deviation of fields, beside that of two runs of the gas with different noise."""
    first, second, model = (fields(each, frames, shear_rate) for each in (*runs, learned))
    for name in first:
        scale = np.sqrt(np.mean((first[name] - (1.0 if name == "density" else 0.0)) ** 2)) if name != "g(r)" else 1.0
        own = float(np.sqrt(np.mean((second[name] - first[name]) ** 2)) / scale)
        value = float(np.sqrt(np.mean((model[name] - first[name]) ** 2)) / scale)
        told = own <= TELLING
        record.add(
            f"{case}: {name}, RMS deviation of the learned model from the gas", value,
            target=max(0.05, 2.0 * own) if told else None, better="lower",
            peer="the gas against itself with other noise", peer_value=own,
            note="" if told else "no target: the gas differs as much from itself, so this cannot fail",
        )  # fmt: skip
    rise = [float(each.temperatures[-1].mean() / each.temperatures[0].mean()) for each in (learned, runs[0])]
    record.add(f"{case}: rise of the temperature, learned over true", (rise[0] - 1.0) / (rise[1] - 1.0))


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-o",
        type=Path,
        default=Path(__file__).parent / "checkpoint" / "ideal_gas",
        help="folder for what is kept between calls",
    )
    parser.add_argument("--rounds", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record = Record("ideal_gas")
    truth_model = gas(BODY)
    truth = run(truth_model, random_start(truth_model, EDGE, 1), TRAIN + SELECT + TEST, 1, settling=200)
    config = ThermalFitConfig(cutoff=1.0, rounds=arguments.rounds)
    started = time.process_time()
    found = fit_thermal(
        truth.series(0, TRAIN), truth.series(TRAIN, TRAIN + SELECT), config, body=BODY, seed=1,
        checkpoint=Kept(arguments.o / code_version()[:16]),
        progress=lambda done, total: print(f"round {done} of {total}", flush=True),
    )  # fmt: skip
    record.add("training", (time.process_time() - started) / 60.0, unit="min of one core")
    record.add("r Sigma^-1 r / d of the innovations, selection block", found.innovation_square, note="1 if all is said")
    equation_of_state(record, found, truth)
    radial_functions(record, found)
    entropies(record, found, truth, found.hidden)
    record.add("C/k_B at (T0, V0)", heat_capacity(found.model), note=f"true {HEAT_CAPACITY:g}; no interval yet")
    record.write()
    first = TRAIN + SELECT
    start = placed(truth, first)
    series = truth.series(first - 60, first + 1)
    mean = float(truth.energies[first - 60].mean() - truth.energies[0].mean())
    energy = energies_of(found, series, mean_energy=mean).energy[-1]
    learned = run(found.model, continued(found.model, start, energy), TEST, 5)
    other = run(truth_model, continued(truth_model, start, torch.tensor(truth.energies[first])), TEST, 6)
    again = run(truth_model, continued(truth_model, start, torch.tensor(truth.energies[first])), TEST, 7)
    compared(record, "Taylor-Green", learned, (other, again), slice(100, TEST), 0.0)
    still = replace(found.model, body=None)
    cold = random_start(gas(), EDGE, 9, shear_rate=SHEAR_RATE)
    runs = [run(gas(), cold, SHEAR_FRAMES, seed, settling=100) for seed in (10, 11)]
    began = continued(still, cold, cold.reference - float(truth.energies[0].mean()))
    learned = run(still, began, SHEAR_FRAMES, 12, settling=100)
    compared(record, "Lees-Edwards shear", learned, (runs[0], runs[1]), slice(100, SHEAR_FRAMES), SHEAR_RATE)
    record.write()


def heat_capacity(model: MetriplecticModel) -> float:
    """Return C/k_B at S = 0 and V = 1."""
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    return float(model.energy.at(zero, one, None).heat_capacity)


if __name__ == "__main__":
    main()
