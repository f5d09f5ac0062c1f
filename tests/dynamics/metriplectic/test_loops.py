"""The compiled loops against the torch formulas that they stand in for, over whole steps; when they stand in at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from colloid_cg.dynamics.metriplectic import loops
from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.loops import exchange, motion, splines, sums
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState, phase_state
from colloid_cg.dynamics.metriplectic.steps.euler_maruyama import euler_maruyama_step
from colloid_cg.dynamics.metriplectic.steps.pair_metropolis import pair_metropolis_step
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.testing import random_cell, random_model, random_state
from tests.dynamics.metriplectic.worlds import Bowl, crowd, rich_model, row

Step = Callable[..., PhaseState]
STEPS: dict[str, Step] = {
    "one stage": partial(reinjection_step, stages=1),
    "two stages": partial(reinjection_step, stages=2),
    "metropolis": pair_metropolis_step,
    "euler-maruyama": euler_maruyama_step,
}


def after(step: Step, model: MetriplecticModel, state: PhaseState, *, steps: int = 4) -> PhaseState:
    rng = torch.Generator().manual_seed(5)
    for _ in range(steps):
        state = step(model, state, 0.01, rng)
    return state


def require_same(fast: PhaseState, slow: PhaseState, tolerance: float) -> None:
    for name in ("positions", "velocities", "internal", "entropy", "direction", "distance", "potential_force"):
        one, two = getattr(fast, name), getattr(slow, name)
        scale = float(two.abs().max()) if two.numel() else 1.0
        torch.testing.assert_close(one, two, rtol=0, atol=tolerance * max(scale, 1.0), msg=name)
    for name in ("work", "bath", "absorbed"):
        one, two = (float(getattr(state.account, name)) for state in (fast, slow))
        assert one == pytest.approx(two, rel=100 * tolerance, abs=100 * tolerance)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("shear", [0.0, 0.8])
def test_loops_take_the_same_steps(step: str, dimension: int, shear: float, monkeypatch: pytest.MonkeyPatch) -> None:
    model = rich_model(bath="stage" in step)
    if "stage" in step:
        model = replace(model, external=Bowl(0.7, row(*(1.5,) * dimension)))
    start = crowd(model, n=40 if dimension == 2 else 64, d=dimension, shear=shear)
    start = phase_state(
        model,
        start.positions,
        start.velocities,
        cell=start.cell,
        entropy=start.entropy,
        species=start.species,
        time=3.0,
    )
    assert not shear or bool((start.pairs.image[1] != 0).any())
    fast = after(STEPS[step], model, start)
    monkeypatch.setattr(loops, "usable", lambda *_: False)
    require_same(fast, after(STEPS[step], model, start), 1e-12)


@pytest.mark.parametrize(
    ("functions", "powers"),
    [
        (("force", "par"), ()),
        (("par", "perp"), ("perp",)),
        (("force", "perp", "heat"), ("heat",)),
        (("kernel", "heat"), ()),
        (("force",), ()),
    ],
)
def test_loops_take_the_same_steps_without_some_functions(
    functions: tuple[str, ...], powers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model(3, functions=functions, powers=powers, n_species=1, boltzmann=0.4)
    cell = Cell(box=random_cell("periodic", dimension=2, edge=2.1))
    start = random_state(model, 3, cell=cell, n_particles=7)
    fast = after(STEPS["two stages"], model, start)
    assert float((fast.velocities - start.velocities).abs().max()) > 1e-3 or functions == ("kernel", "heat")
    monkeypatch.setattr(loops, "usable", lambda *_: False)
    require_same(fast, after(STEPS["two stages"], model, start), 1e-12)


def test_the_loops_are_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    model, used = rich_model(), set()

    def spy(module: Any, name: str) -> None:
        original = getattr(module, name)

        def seen(*arguments: Any, **options: Any) -> Any:
            used.add(name)
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, seen)

    names = {
        exchange: ("mean_impulse", "impulse_noise", "returned_heat"),
        motion: ("separations", "inflow", "farthest", "row_products"),
        splines: ("radial_sums",),
        sums: ("both_ends", "summed", "along"),
    }
    for module, functions in names.items():
        for name in functions:
            spy(module, name)
    after(STEPS["one stage"], model, crowd(model), steps=1)
    assert used == {name for functions in names.values() for name in functions}


def test_derivatives_do_not_go_through_the_loops() -> None:
    values = torch.ones(3, dtype=torch.float64)
    assert loops.usable(values, None)
    wanted = values.clone().requires_grad_(True)
    assert not loops.usable(values, wanted)
    with torch.no_grad():
        assert loops.usable(wanted)
    assert not loops.usable(values.to(torch.float16))
    seen = []
    torch.func.jvp(lambda x: (seen.append(loops.usable(x)), x)[1], (values,), (values,))
    with torch.autograd.forward_ad.dual_level():
        seen.append(loops.usable(torch.autograd.forward_ad.make_dual(values, values)))
    assert seen == [False, False]
