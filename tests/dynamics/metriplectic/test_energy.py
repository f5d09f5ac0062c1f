"""The entropy that belongs to an energy, and the states that are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity, entropy_at, thermal_at
from colloid_cg.dynamics.metriplectic.published.model import published_model
from colloid_cg.dynamics.metriplectic.published.reader import read_published
from colloid_cg.dynamics.metriplectic.state import phase_state
from colloid_cg.errors import InputError
from colloid_cg.records import Box
from colloid_cg.testing import random_cell, random_model, random_state

CAPACITY = torch.tensor([3.0, 200.0], dtype=torch.float64)
ENERGY = ConstantHeatCapacity(heat_capacity=CAPACITY, temperature=torch.tensor([1.5, 0.4]).double())
SPECIES = torch.tensor([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("away", [-60.0, -3.0, -1e-7, 0.0, 1e-7, 3.0, 60.0])
@pytest.mark.parametrize("exponent", [0.0, -27.0, 20.0])
def test_newton_finds_the_closed_form(away: float, exponent: float) -> None:
    target = torch.exp(torch.tensor([0.0, 0.3, -0.4] * 2).double() + exponent)
    right = CAPACITY[SPECIES] * torch.log(target / (CAPACITY * ENERGY.temperature)[SPECIES])
    start = right + away * CAPACITY[SPECIES]
    entropy, thermal = entropy_at(ENERGY, target, None, SPECIES, start=start)
    torch.testing.assert_close(entropy / CAPACITY[SPECIES], right / CAPACITY[SPECIES], rtol=2e-15, atol=2e-14)
    torch.testing.assert_close(thermal.energy, target, rtol=1e-14, atol=0)
    torch.testing.assert_close(thermal.temperature, target / CAPACITY[SPECIES], rtol=1e-14, atol=0)


def test_newton_on_a_published_energy(published_folder: Any) -> None:
    energy = published_model(read_published(published_folder())).energy
    generator = torch.Generator().manual_seed(1)
    volume = 0.5 + torch.rand(50, generator=generator, dtype=torch.float64)
    right = 6.0 * torch.randn(50, generator=generator, dtype=torch.float64)
    target = energy.at(right, volume, None).energy
    assert bool((target > energy.lowest(volume, None)).all())
    for start in (right - 5.0, right + 5.0, right.flip(0)):
        entropy, thermal = entropy_at(energy, target, volume, None, start=start)
        # S itself is badly determined where U is flat; the energy is not.
        torch.testing.assert_close(energy.at(entropy, volume, None).energy, target, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(thermal.energy, target, rtol=1e-13, atol=1e-13)


def test_the_thermal_state_at_an_energy_without_its_entropy(published_folder: Any) -> None:
    gas = ConstantHeatCapacity(
        heat_capacity=CAPACITY, temperature=torch.tensor([1.5, 0.4]).double(), volume=torch.tensor([0.7, 0.4]).double(),
        amount=torch.tensor([1.3, 0.2]).double(), boltzmann=0.4,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(2)
    volume = 0.5 + torch.rand(6, generator=generator, dtype=torch.float64)
    right = torch.randn(6, generator=generator, dtype=torch.float64)
    for energy, species in ((gas, SPECIES), (published_model(read_published(published_folder())).energy, None)):
        expected = energy.at(right, volume, species)
        found = thermal_at(energy, expected.energy, volume, species, start=torch.zeros(6).double())
        for name in ("energy", "temperature", "curvature", "pressure"):
            torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan")])
def test_an_energy_that_no_entropy_gives(target: float) -> None:
    with pytest.raises(InputError, match="no entropy gives"):
        entropy_at(ENERGY, torch.full((6,), target).double(), None, SPECIES, start=torch.zeros(6).double())


def test_an_ideal_gas() -> None:
    energy = ConstantHeatCapacity(
        heat_capacity=torch.tensor([3.0]), temperature=torch.tensor([2.0]), volume=torch.tensor([0.7]),
        amount=torch.tensor([1.3]), boltzmann=0.4,
    )  # fmt: skip
    at = energy.at(torch.tensor([0.0, 0.5]), torch.tensor([0.7, 1.1]), None)
    torch.testing.assert_close(at.temperature[0], torch.tensor(2.0))
    torch.testing.assert_close(at.pressure * torch.tensor([0.7, 1.1]), 1.3 * 0.4 * at.temperature)
    torch.testing.assert_close(at.heat_capacity, torch.tensor([3.0, 3.0]))


@pytest.mark.parametrize(
    "changes",
    [{"volume": torch.ones(2)}, {"amount": torch.ones(2)}, {"temperature": torch.tensor([1.0, 0.0])}],
)
def test_bad_energies_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ConstantHeatCapacity(**{"heat_capacity": CAPACITY, "temperature": torch.ones(2), **changes})


def with_value(values: torch.Tensor, value: float) -> torch.Tensor:
    values = values.clone()
    values.view(-1)[1] = value
    return values


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("positions", lambda x: x[:, :1], "positions of shape"),
        ("velocities", lambda x: x[:3], "velocities of shape"),
        ("entropy", lambda x: x[:, None], "entropy of shape"),
        ("species", lambda x: x[:2], "species of shape"),
        ("positions", lambda x: with_value(x, torch.nan), "NaN or infinite positions of particle 0"),
        ("velocities", lambda x: with_value(x, torch.inf), "NaN or infinite velocities of particle 0"),
        ("entropy", lambda x: with_value(x, torch.nan), "NaN or infinite entropy of particle 1"),
        ("positions", lambda x: x.float(), "precisions positions torch.float32, velocities torch.float64"),
        ("velocities", lambda x: x.float(), "precisions positions torch.float64, velocities torch.float32"),
        ("entropy", lambda x: x.float(), "entropy torch.float32"),
        ("species", lambda x: x.double(), "species of type torch.float64"),
        ("species", lambda x: x.bool(), "species of type torch.bool"),
        ("species", lambda x: x + 2, "species 2 to"),
        ("species", lambda x: x - 1, "species -1 to"),
        ("positions", lambda x: with_value(x, 1e3), "particle 0 beyond an open face"),
        ("cell", lambda x: Cell(box=random_cell("periodic", dimension=2, edge=1.9)), "at most half"),
    ],
)
def test_bad_states_are_refused(name: str, change: Any, match: str) -> None:
    model = random_model(2)
    good = random_state(model, 2, cell=Cell(box=random_cell("open", dimension=2, edge=2.5)), n_particles=5)
    parts = {key: getattr(good, key) for key in ("positions", "velocities", "entropy", "species", "cell")}
    phase_state(model, parts.pop("positions"), parts.pop("velocities"), **parts)
    parts = {key: getattr(good, key) for key in ("positions", "velocities", "entropy", "species", "cell")}
    parts[name] = change(parts[name])
    with pytest.raises(InputError, match=match):
        phase_state(model, parts.pop("positions"), parts.pop("velocities"), **parts)


def test_a_state_without_particles_in_reach_and_an_empty_one() -> None:
    model = random_model(2, n_species=1)
    cell = Cell(box=Box(lower=(0.0, 0.0), upper=(9.0, 9.0), periodic=(True, False)))
    for count in (0, 1):
        state = phase_state(model, torch.ones(count, 2).double(), torch.zeros(count, 2).double(), cell=cell)
        assert len(state.pairs) == 0
        assert state.volume is not None
        expected = 1.0 / float(model.radial.kernel_at_zero[0])
        assert state.volume.tolist() == pytest.approx([expected] * count)
