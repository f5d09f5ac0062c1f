"""U(S, V) as a tensor spline: derivatives against autodiff, its ends, and the whole kit on a model that has it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.energy import entropy_at
from colloid_cg.dynamics.metriplectic.spline_energy import SplineEnergy
from colloid_cg.errors import InputError
from colloid_cg.testing import assert_metriplectic
from colloid_cg.testing.systems import random_cell, random_model, random_state


def tensor(values: list[list[float]]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_energy(seed: int, *, n_species: int = 2, with_volume: bool = True) -> SplineEnergy:
    rng = torch.Generator().manual_seed(seed)
    columns = 7 if with_volume else 1

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=rng, dtype=torch.float64)

    slopes = (0.3 + uniform(n_species, 1, columns)) + torch.nn.functional.pad(
        (0.05 + 0.2 * uniform(n_species, 6, columns)).cumsum(1), (0, 0, 1, 0)
    )
    base = 3.0 * uniform(n_species, 1, columns)
    return SplineEnergy(
        coefficients=torch.cat([base, base + slopes.cumsum(1)], dim=1),
        entropy_range=tensor([[-3.0, 4.0], [-2.0, 6.0]])[:n_species],
        volume_range=tensor([[0.5, 2.0], [0.3, 3.0]])[:n_species] if with_volume else None,
    )


def test_derivatives_are_those_of_the_energy_inside_and_beyond_the_ranges() -> None:
    energy = random_energy(1)
    rng = torch.Generator().manual_seed(2)
    entropy = torch.linspace(-12.0, 18.0, 600, dtype=torch.float64).requires_grad_()
    volume = (0.1 + 4.0 * torch.rand(600, generator=rng, dtype=torch.float64)).requires_grad_()
    species = torch.randint(0, 2, (600,), generator=rng)
    found = energy.at(entropy, volume, species)
    by_s, by_v = torch.autograd.grad(found.energy.sum(), (entropy, volume), create_graph=True)
    (by_s_twice,) = torch.autograd.grad(by_s.sum(), entropy)
    assert found.pressure is not None
    torch.testing.assert_close(found.temperature, by_s, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.pressure, -by_v, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.curvature, by_s_twice, rtol=1e-10, atol=1e-12)
    assert bool((found.temperature > 0).all())
    assert bool((found.curvature > 0).all())
    assert float(found.pressure.detach().min()) < 0 < float(found.pressure.detach().max())
    assert bool((found.energy > energy.lowest(volume, species)).all())


def test_functions_do_not_jump_at_the_ends_of_the_ranges() -> None:
    energy = random_energy(3, n_species=1)
    for entropies, volumes in (([-3.0, 4.0], [1.1, 1.1]), ([0.5, 0.5], [0.5 * 4**0.1, 2.0 / 4**0.1])):
        middle = torch.tensor([entropies, volumes], dtype=torch.float64)
        for axis in (0, 1):
            shift = torch.zeros_like(middle)
            shift[axis] = 1e-7
            below, above = (energy.at(*(middle + sign * shift), None) for sign in (-1.0, 1.0))
            for name in ("energy", "temperature", "pressure", "curvature"):
                torch.testing.assert_close(getattr(below, name), getattr(above, name), rtol=1e-5, atol=1e-5)


def test_entropy_of_an_energy_is_found() -> None:
    energy = random_energy(4)
    entropy = torch.linspace(-9.0, 12.0, 200, dtype=torch.float64)
    volume, species = torch.linspace(0.2, 4.0, 200, dtype=torch.float64), torch.arange(200) % 2
    target = energy.at(entropy, volume, species).energy
    found, _ = entropy_at(energy, target, volume, species, start=torch.zeros(200, dtype=torch.float64))
    torch.testing.assert_close(found, entropy, rtol=0, atol=1e-9)


@pytest.mark.parametrize("with_volume", [True, False])
def test_a_model_with_it_keeps_every_law(with_volume: bool) -> None:
    functions = ("force", "kernel", "par", "perp", "heat")
    model = random_model(5, functions=functions if with_volume else (functions[0], *functions[2:]))
    model = replace(model, energy=random_energy(6, with_volume=with_volume))
    for kind in ("periodic", "sheared"):
        cell = Cell(box=random_cell(kind, dimension=2, edge=2.3))
        assert_metriplectic(model, random_state(model, 7, cell=cell, n_particles=7))


def test_gradients_reach_the_coefficients_also_after_use_without_gradient() -> None:
    energy = random_energy(8)
    coefficients = energy.coefficients.clone().requires_grad_()
    learned = replace(energy, coefficients=coefficients)
    entropy, volume = torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    with torch.no_grad():
        learned.at(entropy, volume, torch.arange(2))
    learned.at(entropy, volume, torch.arange(2)).temperature.sum().backward()
    assert coefficients.grad is not None
    assert float(coefficients.grad.abs().sum()) > 0.1


def test_wrong_coefficients_are_refused() -> None:
    energy = random_energy(9)
    with pytest.raises(InputError, match="increasing and convex"):
        replace(energy, coefficients=-energy.coefficients)
    with pytest.raises(InputError, match="increasing and convex"):
        replace(energy, coefficients=energy.coefficients.flip(1).neg())
    with pytest.raises(InputError, match="first < last"):
        replace(energy, entropy_range=energy.entropy_range.flip(1))
    with pytest.raises(InputError, match="volumes above zero"):
        replace(energy, volume_range=tensor([[0.0, 2.0], [0.3, 3.0]]))
    with pytest.raises(InputError, match="n_s \\+ 3"):
        replace(energy, coefficients=energy.coefficients[:, :3])
