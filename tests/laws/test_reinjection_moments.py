"""The dissipative step: its mean and covariance to first order in dt are those of the dense friction matrix.

Impulses and heat are linear in the normals, the change of U quadratic: second differences give its mean over the noise
exactly, and two step lengths separate what is of order dt.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from colloid_cg.dynamics.metriplectic.bath import Bath
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.dynamics.metriplectic.steps import reinjection
from colloid_cg.dynamics.metriplectic.steps.reinjection import Normals, draw
from colloid_cg.testing.dense import dense_friction
from tests.laws.systems import system


def change(model: MetriplecticModel, state: PhaseState, normals: torch.Tensor, dt: float) -> torch.Tensor:
    """(v' - v, U' - U) of a dissipative step with given normals, one flat vector."""
    like = draw(model, state, torch.Generator().manual_seed(0))
    shapes = [like.impulse, like.heat, like.bath_impulse, like.bath_heat]
    parts = torch.split(normals, [0 if part is None else part.numel() for part in shapes])
    names = ("impulse", "heat", "bath_impulse", "bath_heat")
    given = {
        name: None if part is None else own.reshape(part.shape)
        for name, part, own in zip(names, shapes, parts, strict=True)
    }
    law = model.law.at(state.radial, state.thermal.temperature, state.pairs, model.kinds(state.species))
    noise = reinjection.random_exchange(model, state, law, Normals(**given), dt)
    rate = reinjection.mean_exchange(model, state, law, state.velocities, state.thermal)
    after = reinjection.reinjected(model, state, noise.plus(rate, dt))
    heating = after.internal - state.internal
    return torch.cat([(after.velocities - state.velocities), heating[:, None]], dim=1).flatten()


def moments(model: MetriplecticModel, state: PhaseState, *, step: float = 0.01) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean rate (n, d + 1) of (v, U) and its covariance per time (N, N), both exact to round-off as dt -> 0.

    The covariance but for a term of dt^2 (drift times noise, squared).
    """
    like = draw(model, state, torch.Generator().manual_seed(0))
    parts = (like.impulse, like.heat, like.bath_impulse, like.bath_heat)
    count = sum(part.numel() for part in parts if part is not None)
    units = torch.eye(count, dtype=torch.float64)
    means, spreads = [], []
    for dt in (step, 2.0 * step):
        still = change(model, state, torch.zeros(count).double(), dt)
        up = torch.stack([change(model, state, unit, dt) for unit in units])
        down = torch.stack([change(model, state, -unit, dt) for unit in units])
        means.append(still + 0.5 * (up + down - 2.0 * still).sum(dim=0))
        columns = 0.5 * (up - down)
        spreads.append(columns.T @ columns)
    mean, spread = ((4.0 * one - two) / (2.0 * step) for one, two in (means, spreads))
    return mean.reshape(len(state.positions), -1), spread


@pytest.mark.parametrize("cell", ["open", "periodic", "sheared"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_mean_of_the_step(cell: str, dimension: int) -> None:
    model, state = system(cell, dimension=dimension)
    dense = dense_friction(model, state)
    matrix, k_b = dense.matrix(dense.start), model.boltzmann
    to_entropy = torch.cat([torch.zeros_like(state.velocities), torch.ones(len(state.positions), 1)], dim=1).flatten()
    rate_v, rate_s = dense.split(matrix @ to_entropy + k_b * dense.divergence())
    # Ito: dU = T dS + (1/2) (d2U/dS2) 2 k_B M_SS dt at fixed volume.
    variance = torch.diagonal(matrix).reshape(len(state.positions), -1)[:, -1]
    rate_u = state.thermal.temperature * rate_s + k_b * state.thermal.curvature * variance
    mean, _ = moments(model, state)
    torch.testing.assert_close(mean[:, :-1], rate_v, rtol=0, atol=1e-10 * float(rate_v.abs().max()))
    torch.testing.assert_close(mean[:, -1], rate_u, rtol=0, atol=1e-10 * float(rate_u.abs().max()))


def test_covariance_of_the_step() -> None:
    model, state = system("sheared", dimension=3)
    dense = dense_friction(model, state)
    slopes = torch.cat([torch.ones_like(state.velocities), state.thermal.temperature[:, None]], dim=1).flatten()
    right = 2.0 * model.boltzmann * slopes[:, None] * dense.matrix(dense.start) * slopes
    _, spread = moments(model, state, step=1e-6)
    torch.testing.assert_close(spread, right, rtol=0, atol=1e-10 * float(right.abs().max()))


def test_mean_of_the_step_against_a_bath() -> None:
    model, state = system("open", functions=("force",))
    friction, heat, t0 = torch.tensor([0.3, 0.7]).double(), torch.tensor([0.2, 0.1]).double(), 0.8
    model = replace(model, bath=Bath(temperature=t0, friction=friction, heat=heat))
    t, capacity, mass = state.thermal.temperature, state.thermal.heat_capacity, model.masses[state.species]
    # M gradS + k_B div M with M = C_b^2 c c^T, c = (1/T on S_i, -1/T0 on S_b), then from S to U by Ito's rule.
    m_ss = heat[state.species] / t**2
    rate_s = m_ss - heat[state.species] / (t * t0) - 2.0 * model.boltzmann * m_ss / capacity
    rate_u = t * rate_s + model.boltzmann * t / capacity * m_ss
    rate_v = -(friction[state.species] / t0 / mass)[:, None] * state.velocities
    mean, spread = moments(model, state)
    torch.testing.assert_close(mean[:, :-1], rate_v, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(mean[:, -1], rate_u, rtol=1e-10, atol=1e-12)
    variance = torch.diagonal(spread).reshape(len(t), -1)
    expected = 2 * model.boltzmann * friction[state.species] / mass**2
    torch.testing.assert_close(variance[:, 0], expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(variance[:, -1], 2 * model.boltzmann * heat[state.species], rtol=1e-10, atol=1e-14)


def test_a_missing_ito_term_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    original = reinjection.pair_thermal
    monkeypatch.setattr(reinjection, "pair_thermal", lambda *rest, boltzmann: original(*rest, boltzmann=0.0))
    with pytest.raises(AssertionError):
        test_mean_of_the_step("periodic", 2)
