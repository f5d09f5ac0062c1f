"""A force without a potential does work, and the ledger says how much."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.state import kinetic_energy, total_energy
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.testing.systems import random_cell, random_model, random_state


@dataclass(frozen=True)
class Whirl:
    """A force around the origin of strength ``strength`` times the distance: its work depends on the path."""

    strength: float

    def at(self, positions: torch.Tensor, time: float) -> torch.Tensor:
        return self.strength * torch.stack([-positions[:, 1], positions[:, 0]], dim=1)


def test_energy_changes_by_the_work_of_the_force() -> None:
    model = replace(random_model(2), body=Whirl(0.8))
    cell = Cell(box=random_cell("open", dimension=2, edge=3.0))
    state = random_state(model, 3, cell=cell, n_particles=30)
    rng = torch.Generator().manual_seed(4)
    start, kinetic = total_energy(model, state), kinetic_energy(model, state).sum()
    by_hand = torch.zeros_like(start)
    for _ in range(400):
        before = state
        state = reinjection_step(model, state, 1e-3, rng)
        mean_force = 0.5 * (Whirl(0.8).at(before.positions, 0.0) + Whirl(0.8).at(state.positions, 0.0))
        by_hand = by_hand + (mean_force * (state.positions - before.positions)).sum()
    assert float(state.account.work.abs()) > 0.05 * float(kinetic)
    torch.testing.assert_close(state.account.work, by_hand, rtol=1e-12, atol=1e-13)
    assert abs(float(total_energy(model, state) - start - state.account.work)) < 1e-12 * float(kinetic)
    # What the force does beyond the energy it brings in is turn velocities: nothing may be booked as integration error.
    assert abs(float(state.account.absorbed)) < 2e-3 * float(state.account.work.abs())
