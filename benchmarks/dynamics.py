"""Laws of the metriplectic core in discrete time: first law, equilibrium, agreement with the published weights, speed.

Writes benchmarks/results/dynamics.json. About 40 minutes on one core.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.dynamics_equilibrium import equilibrium
from benchmarks.record import Record
from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.published.model import published_model
from colloid_cg.dynamics.metriplectic.published.reader import read_published
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.dynamics.metriplectic.state import (
    PhaseState,
    kinetic_energy,
    momentum,
    phase_state,
    total_energy,
)
from colloid_cg.dynamics.metriplectic.steps.euler_maruyama import drift, euler_maruyama_step
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.records import Box

PUBLISHED = ("star_polymer_11", "taylor_green")
PUBLISHED_STEPS_PER_SECOND = 9.5
ABSORBED_PER = 10_000
"""Steps over which the absorbed energy is quoted (P1)."""


def row(*values: float) -> torch.Tensor:
    return torch.tensor([*values], dtype=torch.float64)


def random_model(rng: np.random.Generator, *, density: bool) -> MetriplecticModel:
    """Return a model with random splines, two species, masses 1 : 2.7 and unequal heat capacities."""

    def curve(strength: float) -> torch.Tensor:
        fall = np.exp(-np.arange(8) / 3.0)
        return torch.as_tensor(strength * fall * rng.uniform(0.5, 1.5, (3, 8)))

    return MetriplecticModel(
        masses=row(1.0, 2.7),
        energy=ConstantHeatCapacity(
            heat_capacity=row(12.0, 20.0), temperature=row(1.0, 1.0), volume=row(0.4, 0.3) if density else None,
            amount=row(1.0, 0.6) if density else None,
        ),
        radial=SplineRadial(
            lower=0.1, cutoff=1.0, force=curve(8.0), kernel=curve(1.5) if density else None, par=curve(3.0),
            perp=curve(1.0), heat=curve(0.5),
        ),
        law=PowerLaw(temperature=1.0, par=row(0.5, 0.2), perp=row(0.5, -0.2), heat=row(1.0, 0.5)),
    )  # fmt: skip


def crowd(model: MetriplecticModel, rng: np.random.Generator, *, n: int = 100) -> PhaseState:
    """Return ``n`` particles on a shaken square lattice, 2.8 per cutoff squared."""
    side = int(np.ceil(np.sqrt(n)))
    edge = 0.6 * side
    lattice = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 2)[:n]
    velocities = rng.standard_normal((n, 2))
    return phase_state(
        model,
        torch.as_tensor((lattice + 0.5 + 0.1 * rng.standard_normal((n, 2))) * 0.6),
        torch.as_tensor(velocities - velocities.mean(axis=0)),
        cell=Cell(box=Box(lower=(0.0, 0.0), upper=(edge, edge), periodic=(True, True))),
        species=torch.arange(n) % 2,
    )


def published_state(name: str) -> tuple[MetriplecticModel, PhaseState, dict[str, np.ndarray]]:
    folder = Path(os.environ["COLLOID_CG_DATA"]) / "published_models" / name
    known = dict(np.load(folder / "reference.npz"))
    model, edge = published_model(read_published(folder)), float(known["box"])
    state = phase_state(
        model,
        torch.as_tensor(known["r"]),
        torch.as_tensor(known["v"]),
        entropy=torch.as_tensor(known["S"][:, 0]),
        cell=Cell(box=Box(lower=(0.0,) * 3, upper=(edge,) * 3, periodic=(True,) * 3)),
    )
    return model, state, known


def agreement(record: Record) -> None:
    """Largest deviation of every published array, in units of its largest value."""
    for name in PUBLISHED:
        model, state, known = published_state(name)
        dv, ds = drift(model, state)
        assert state.volume is not None
        assert state.thermal.pressure is not None
        found = {
            "density": 1.0 / state.volume, "U": state.thermal.energy, "T": state.thermal.temperature,
            "P": state.thermal.pressure, "Cv": state.thermal.heat_capacity, "dvdt": dv, "dSdt": ds,
        }  # fmt: skip
        worst = max(
            float((value - torch.as_tensor(known[key]).reshape(value.shape)).abs().max() / np.abs(known[key]).max())
            for key, value in found.items()
        )
        record.add(
            f"published weights, {name}: largest relative deviation from reference.npz", worst, target=1e-6,
            better="lower", note="density, U, T, P, Cv, dv/dt, dS/dt; the noise covariance is tested in tests/laws",
        )  # fmt: skip


def first_law(
    record: Record, label: str, model: MetriplecticModel, state: PhaseState, *, dt: float, steps: int, stages: int
) -> None:
    """Largest |dE - W|/K0, absorbed energy and momentum error along a run."""
    rng, start, kinetic = torch.Generator().manual_seed(1), state, float(kinetic_energy(model, state).sum())
    energy, carried = float(total_energy(model, state)), momentum(model, state)
    scale = float((model.inertia(state.species)[:, None] * state.velocities).abs().sum())
    worst = drifted = 0.0
    for k in range(steps):
        state = reinjection_step(model, state, dt, rng, stages=stages)
        if k % 100 == 99 or k == steps - 1:
            worst = max(worst, abs(float(total_energy(model, state)) - energy) / kinetic)
            drifted = max(drifted, float((momentum(model, state) - carried).abs().max()) / scale)
    note = f"{steps} steps of {dt:g}, {stages} stage(s), {len(start.positions)} particles"
    record.add(f"{label}: |dE - W|/K0", worst, target=1e-10, better="lower", note=note)
    record.add(f"{label}: momentum over sum m|v|", drifted, target=1e-12, better="lower", note=note)
    share = abs(float(state.account.absorbed)) / kinetic * ABSORBED_PER / steps
    record.add(f"{label}: absorbed energy over K0 per 1e4 steps", share, target=0.01, better="lower", note=note)
    if state.account.redrawn:
        record.add(
            f"{label}: noise drawn again per particle-step", state.account.redrawn / (steps * len(start.species))
        )


def euler_maruyama_drift(record: Record) -> None:
    model, state, known = published_state("star_polymer_11")
    rng, kinetic = torch.Generator().manual_seed(1), float(kinetic_energy(model, state).sum())
    energy = float(total_energy(model, state))
    for _ in range(40):
        state = euler_maruyama_step(model, state, float(known["dt"]), rng)
    record.add(
        "Euler-Maruyama, star_polymer_11: energy drift over K0 in 40 steps",
        (float(total_energy(model, state)) - energy) / kinetic, note="the published step; for comparison",
    )  # fmt: skip


def equilibria(record: Record) -> None:
    """R of every step against lambda dt; production steps are those with |R - 1| <= .005."""
    for name, rate_dt, relaxations, target in (
        ("one stage", 0.005, 300.0, [0.995, 1.005]),
        ("one stage", 0.01, 400.0, [0.995, 1.005]),
        ("one stage", 0.05, 400.0, None),
        ("two stages", 0.05, 800.0, [0.995, 1.005]),
        ("two stages", 0.1, 800.0, None),
        ("two stages", 0.2, 600.0, None),
        ("metropolis", 0.02, 60.0, [0.997, 1.003]),
        ("metropolis", 0.1, 200.0, [0.997, 1.003]),
        ("metropolis", 0.4, 300.0, [0.997, 1.003]),
    ):
        found = equilibrium(name, rate_dt=rate_dt, relaxations=relaxations)
        half = 1.64 * found.error
        record.add(
            f"equilibrium ratio R, {name}, lambda dt = {rate_dt:g}", found.ratio, target=target,
            interval=[found.ratio - half, found.ratio + half], note=f"standard error {found.error:.4f}, C = 8 k_B",
        )  # fmt: skip


def star_like(cutoff: float) -> tuple[MetriplecticModel, PhaseState]:
    """Return the 11-bead melt with functions of the size of the fitted ones."""
    data = np.load(Path(os.environ["COLLOID_CG_DATA"]) / "star_polymer" / "star11_train.npz")
    fall = torch.exp(-torch.arange(12, dtype=torch.float64) / 3.0)[None]
    model = MetriplecticModel(
        masses=row(11.0),
        energy=ConstantHeatCapacity(heat_capacity=row(45.0), temperature=row(1.0)),
        radial=SplineRadial(lower=2.17, cutoff=cutoff, force=36.0 * fall, par=14.0 * fall, perp=5.0 * fall),
        law=PowerLaw(temperature=1.0),
    )
    edge = float(data["box"][0])
    state = phase_state(
        model,
        torch.as_tensor(data["pos"][0], dtype=torch.float64),
        torch.as_tensor(data["vel"][0], dtype=torch.float64),
        cell=Cell(box=Box(lower=(0.0,) * 3, upper=(edge,) * 3, periodic=(True,) * 3)),
        skin=0.4,
    )
    return model, state


def speed(record: Record) -> None:
    for cutoff, target in ((3.25, 500.0), (4.75, 250.0)):
        for stages in (1, 2):
            model, state = star_like(cutoff)
            rng = torch.Generator().manual_seed(1)
            for _ in range(50):
                state = reinjection_step(model, state, 0.025, rng, stages=stages)
            started, steps = time.process_time(), 400
            for _ in range(steps):
                state = reinjection_step(model, state, 0.025, rng, stages=stages)
            record.add(
                f"rollout steps per CPU second, 1000 particles, cutoff {cutoff:g}, {stages} stage(s)",
                steps / (time.process_time() - started), unit="1/s", target=target, better="higher",
                peer="published implementation (as stated for this kind of machine, not run here)",
                peer_value=PUBLISHED_STEPS_PER_SECOND, note=f"float64, one thread, {len(state.pairs)} list pairs",
            )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    record = Record("dynamics")
    agreement(record)
    euler_maruyama_drift(record)
    speed(record)
    for density in (False, True):
        rng = np.random.default_rng(5)
        model = random_model(rng, density=density)
        label = f"random splines, U(S{', V' if density else ''})"
        first_law(record, label, model, crowd(model, rng), dt=0.005, steps=100_000, stages=1)
    for name, steps in (("star_polymer_11", 200), ("taylor_green", 1000)):
        model, state, known = published_state(name)
        first_law(record, f"published weights, {name}", model, state, dt=float(known["dt"]), steps=steps, stages=1)
    equilibria(record)
    record.write()


if __name__ == "__main__":
    main()
