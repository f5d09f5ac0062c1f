"""P3 and P4: every law at every kind of cell, for random models, for the published weights, for a lone particle."""

from __future__ import annotations

import sys
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colloid_cg.dynamics.metriplectic.bath import Bath
from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.published.model import published_model
from colloid_cg.dynamics.metriplectic.published.reader import read_published
from colloid_cg.dynamics.metriplectic.state import PhaseState, phase_state
from colloid_cg.dynamics.metriplectic.steps.euler_maruyama import drift, euler_maruyama_step, noise
from colloid_cg.dynamics.metriplectic.steps.reinjection import draw, reinjection_step
from colloid_cg.errors import InputError
from colloid_cg.records import Box
from colloid_cg.testing import (
    assert_first_law,
    assert_friction_degenerate,
    assert_metriplectic,
    models,
    random_model,
    random_state,
    states,
)
from colloid_cg.testing.equivalence import gentle_step
from tests.laws.systems import system

CELLS = ("open", "periodic", "slab", "sheared")
STAGES = [partial(reinjection_step, stages=1), partial(reinjection_step, stages=2)]


@pytest.mark.parametrize(("cell", "dimension"), list(product(CELLS, (2, 3))))
def test_two_species_of_unequal_mass_and_heat_capacity(cell: str, dimension: int) -> None:
    assert_metriplectic(*system(cell, dimension=dimension))


@pytest.mark.parametrize("cell", ["open", "sheared"])
def test_one_species(cell: str) -> None:
    assert_metriplectic(*system(cell, dimension=3, n_species=1, seed=12))


@pytest.mark.parametrize("dimension", [2, 3])
def test_angular_momentum_without_transverse_friction(dimension: int) -> None:
    # With g_perp = 0 the kit does not skip angular momentum; that it bites is seen in the mutation tests.
    assert_metriplectic(*system("open", dimension=dimension, functions=("force", "kernel", "par", "heat")))


@settings(max_examples=20, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_model(data: st.DataObject) -> None:
    model = data.draw(models())
    assert_metriplectic(model, data.draw(states(model, most_particles=5)))


def test_a_lone_particle_feels_nothing() -> None:
    model, state = system(n_particles=1)
    assert_metriplectic(model, state)
    dv, ds = drift(model, state)
    normals = draw(model, state, torch.Generator().manual_seed(1))
    random_v, random_s = noise(model, state, normals, 0.1)
    for change in (dv, ds, random_v, random_s):
        assert float(change.abs().max()) == 0.0
    after = reinjection_step(model, state, 0.1, torch.Generator().manual_seed(1))
    torch.testing.assert_close(after.velocities, state.velocities, rtol=0, atol=0)
    torch.testing.assert_close(after.entropy, state.entropy, rtol=1e-14, atol=1e-14)


@pytest.mark.data
@pytest.mark.parametrize("name", ["star_polymer_11", "taylor_green"])
def test_published_weights(name: str, data: Path) -> None:
    model, state = published_cluster(data / "published_models" / name, n_particles=9)
    assert_metriplectic(model, state)
    for step in STAGES:
        rng = torch.Generator().manual_seed(3)
        assert_first_law(model, state, steps=20, dt=gentle_step(model, state), rng=rng, step=step)


def published_cluster(folder: Path, *, n_particles: int) -> tuple[MetriplecticModel, PhaseState]:
    """The particles of the reference state nearest to its first one, in its periodic box."""
    model = published_model(read_published(folder))
    with np.load(folder / "reference.npz") as content:
        edge, r = float(content["box"]), content["r"]
        box = Box(lower=(0.0,) * 3, upper=(edge,) * 3, periodic=(True,) * 3)
        near = np.argsort(np.linalg.norm(box.shortest(r - r[0]), axis=1))[:n_particles]
        r, v, s = (torch.as_tensor(content[key][near]) for key in ("r", "v", "S"))
    state = phase_state(model, r, v, cell=Cell(box=box), entropy=s[:, 0])
    assert int((state.distance < model.cutoff).sum()) >= n_particles
    return model, state


@pytest.mark.parametrize("step", STAGES, ids=["one stage", "two stages"])
@pytest.mark.parametrize("cell", CELLS)
def test_first_law(cell: str, step: partial) -> None:
    model, state = system(cell, dimension=3, n_particles=7)
    rng = torch.Generator().manual_seed(4)
    if cell in ("open", "slab"):  # so that nobody leaves
        state = phase_state(
            model,
            state.positions,
            state.velocities,
            cell=Cell(box=Box(lower=(-50.0,) * 3, upper=(50.0,) * 3, periodic=(False,) * 3)),
            entropy=state.entropy,
            species=state.species,
        )
    assert_first_law(model, state, steps=50, dt=gentle_step(model, state), rng=rng, step=step)


@pytest.mark.parametrize("step", STAGES, ids=["one stage", "two stages"])
def test_first_law_against_a_bath(step: partial) -> None:
    model, state = system("sheared", n_particles=7)
    bath = Bath(temperature=0.8, friction=torch.tensor([0.3, 0.7]).double(), heat=torch.tensor([0.2, 0.1]).double())
    model = MetriplecticModel(
        masses=model.masses, energy=model.energy, radial=model.radial, law=model.law, boltzmann=0.4, bath=bath
    )
    rng = torch.Generator().manual_seed(5)
    assert_first_law(model, state, steps=50, dt=gentle_step(model, state), rng=rng, step=step)


def test_euler_maruyama_breaks_the_first_law() -> None:
    model, state = system(n_particles=7)
    rng = torch.Generator().manual_seed(4)
    with pytest.raises(AssertionError, match="first law is broken at step 1"):
        assert_first_law(model, state, steps=5, dt=gentle_step(model, state), rng=rng, step=euler_maruyama_step)


def test_the_report_names_the_state() -> None:
    model, good = system()
    heavy = MetriplecticModel(
        masses=2.0 * model.masses, energy=model.energy, radial=model.radial, law=model.law, boltzmann=0.4
    )
    assert_metriplectic(heavy, [good])  # masses are the model's own, whatever state it is given
    broken = phase_state(
        model, good.positions, good.velocities, cell=good.cell, entropy=good.entropy, species=good.species
    )
    object.__setattr__(broken, "thermal", model.energy.at(good.entropy + 0.1, good.volume, good.species))
    with pytest.raises(AssertionError, match=r"^state 1: T is not dU/dS: broken by .* at particle \d"):
        assert_metriplectic(model, [good, broken])


def test_without_hypothesis_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(InputError, match="pip install hypothesis"):
        models()


def test_too_many_particles_are_refused() -> None:
    model = random_model(1)
    cell = Cell(box=Box(lower=(0.0, 0.0), upper=(9.0, 9.0), periodic=(True, True)))
    with pytest.raises(InputError, match="state of 30 particles"):
        assert_friction_degenerate(model, random_state(model, 1, cell=cell, n_particles=30))
