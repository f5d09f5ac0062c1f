"""Standard dissipative particle dynamics from data of a known one: all of its numbers, and the model it makes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.reversible import pair_forces
from colloid_cg.dynamics.metriplectic.state import phase_state
from colloid_cg.errors import DataError
from colloid_cg.learn.baselines import DpdFit, dpd, fit_dpd
from colloid_cg.records import PhaseSeries
from colloid_cg.testing.dense import dense_friction
from tests.learn.baselines.worlds import Dpd
from tests.learn.pair_worlds import simulate

ONE = Dpd()
TWO = Dpd(force=(25.0, 40.0, 20.0), along=(4.5, 2.0, 9.0), across=(0.0,) * 3, masses=(1.0, 2.0))


@cache
def blocks(world: Dpd, n_frames: int = 600) -> tuple[PhaseSeries, PhaseSeries]:
    series = simulate(world, n_frames, rng=np.random.default_rng(8), dt=0.005)
    return series.between(0, 2 * n_frames // 3), series.between(2 * n_frames // 3, n_frames)


@cache
def fitted(world: Dpd) -> DpdFit:
    return fit_dpd(*blocks(world), windows=(1, 2), reach=1.3)


@pytest.mark.parametrize("world", [ONE, TWO], ids=["one species", "two species"])
def test_force_and_friction_are_recovered_within_their_errors(world: Dpd) -> None:
    found = fitted(world)
    assert found.cutoff == pytest.approx(world.range, rel=0.02)
    # Errors are those at the range found, from ten blocks: Student's t with nine degrees of freedom, six numbers, and
    # a per cent or two for the range and for what friction brakes within a step.
    strength = np.array(world.force)
    assert (found.strength_error < 0.03 * strength).all()
    assert (np.abs(found.strength - strength) < 4.0 * found.strength_error + 0.02 * strength).all()
    friction = np.array(world.along)
    assert (found.friction_error < 0.12 * friction).all()
    assert (np.abs(found.friction - friction) < 4.0 * found.friction_error + 0.02 * friction).all()


def test_the_range_is_chosen_on_the_selection_block() -> None:
    """A selection block of another range moves r_c towards that."""
    train, _ = blocks(ONE)
    other = simulate(Dpd(range=1.3), 60, rng=np.random.default_rng(4), dt=0.005)
    assert fit_dpd(train.between(0, 100), other, windows=(1, 4), reach=1.6).cutoff > 1.1


def test_white_noise_has_no_memory() -> None:
    train, select = blocks(ONE)
    assert fit_dpd(train.between(0, 100), select.between(400, 500), reach=1.2).windows == (1, 2)


def test_the_model_has_that_force_friction_and_noise() -> None:
    found = fitted(TWO)
    masses = np.array(TWO.masses)
    model = found.model(masses)
    place = torch.tensor([[0.2, 2.0, 2.0], [3.9, 2.0, 2.5]], dtype=torch.float64)
    unit = np.array([0.3, 0.0, -0.5])
    r = np.linalg.norm(unit)
    unit /= r
    for kinds, row in (((0, 0), 0), ((0, 1), 1), ((1, 1), 2)):
        state = phase_state(
            model, place, 0 * place, cell=Cell(box=blocks(TWO)[0].box), species=torch.tensor(kinds)
        )  # fmt: skip
        weight = 1.0 - r / found.cutoff
        np.testing.assert_allclose(
            pair_forces(state, state.thermal)[0], found.strength[row] * weight * unit, rtol=1e-12, atol=1e-12
        )
        assert state.radial.potential is not None
        np.testing.assert_allclose(state.radial.potential, 0.5 * found.cutoff * found.strength[row] * weight**2)
        dense = dense_friction(model, state)
        matrix = dense.matrix(dense.start).reshape(2, 4, 2, 4)[:, :3, :, :3]
        drag = found.thermal_energy * found.friction[row] * weight**2 * np.outer(unit, unit)
        m = masses[list(kinds)]
        np.testing.assert_allclose(matrix[0, :, 0], drag / m[0] ** 2, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(matrix[0, :, 1], -drag / (m[0] * m[1]), rtol=1e-12, atol=1e-12)
    apart = torch.tensor([[0.0, 2.0, 2.0], [found.cutoff + 1e-9, 2.0, 2.0]], dtype=torch.float64)
    state = phase_state(model, apart, 0 * apart, cell=Cell(box=blocks(TWO)[0].box))
    assert float(pair_forces(state, state.thermal).abs().max()) == 0.0


def test_dpd_is_the_model_of_the_fit() -> None:
    train, select = blocks(ONE)
    short = train.between(0, 60), select.between(400, 440)
    model, found = dpd(*short), fit_dpd(*short)
    assert model.cutoff == found.cutoff
    assert model.masses.tolist() == [1.0]
    np.testing.assert_array_equal(model.radial.strength, found.strength)  # type: ignore[attr-defined]


def test_too_few_frames_are_refused() -> None:
    train, select = blocks(ONE)
    with pytest.raises(DataError, match="at least 41"):
        fit_dpd(train.between(0, 30), select, windows=(2, 4), reach=1.6)
