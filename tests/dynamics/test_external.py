"""Wells and flows in the closure and in the time step, against ensembles of fine paths and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.dynamics import (
    External,
    FramePairs,
    GridFlow,
    OverdampedModel,
    SplineFlow,
    Surroundings,
    Wells,
    closure_flow,
    flow_basis,
    overdamped_step,
)
from colloid_cg.records import Box, State

FREE = OverdampedModel(diffusion=np.array([1.0]), coefficients=np.zeros((1, 0)), lower=0.1, cutoff=1.0)
NOBODY = FramePairs(
    pairs=np.zeros((0, 2), dtype=np.int64), offsets=np.zeros(2, dtype=np.int64), images=np.zeros((0, 2))
)
OPEN = Box(lower=(-9.0, -9.0), upper=(9.0, 9.0), periodic=(False, False))
DT = 0.01


def _external(y: np.ndarray, *, k: float = 0.0, q: float = 0.0, velocity: float = 0.0, shear: float = 0.0) -> External:
    n = len(y)
    gradient = np.zeros((n, 2, 2))
    gradient[:, 0, 1] = shear
    return External(
        origin=y.copy(), velocity=np.full((n, 2), velocity), gradient=gradient, centre=np.zeros((n, 2)),
        stiffness=np.full(n, k), quartic=np.full(n, q), columns=2,
    )  # fmt: skip


def _flow(y: np.ndarray, external: External, *, sensitivity: bool = False, dt: float = DT):  # type: ignore[no-untyped-def]
    return closure_flow(
        FREE, y, species=np.zeros(len(y), dtype=np.int64), frame_offsets=np.array([0, len(y)]), neighbours=NOBODY,
        dt=dt, sensitivity=sensitivity, external=external,
    )  # fmt: skip


Y = np.array([[0.2, 0.1], [0.0, -0.25], [-0.15, 0.2]])


def test_harmonic_well_is_exact() -> None:
    k, decay = 30.0, np.exp(-30.0 * DT)
    flow = _flow(Y, _external(Y, k=k))
    np.testing.assert_allclose(flow.displacement, (decay - 1) * Y, rtol=2e-4)
    np.testing.assert_allclose(flow.variance, (1 - decay**2) / k, rtol=2e-3)
    np.testing.assert_allclose(flow.gain, decay, rtol=2e-4)
    assert flow.leak.max() < 1e-12


def test_shear_flow_is_exact() -> None:
    flow = _flow(Y, _external(Y, velocity=2.0, shear=5.0))
    np.testing.assert_allclose(flow.displacement[:, 0], 2.0 * DT + 5.0 * 2.0 * DT**2 / 2, rtol=1e-9)
    np.testing.assert_allclose(flow.displacement[:, 1], 2.0 * DT, rtol=1e-9)
    np.testing.assert_allclose(flow.variance[:, 0], 2 * DT + 2 * 25.0 * DT**3 / 3, rtol=1e-9)
    np.testing.assert_allclose(flow.leak[:, 0], (5.0 * DT) ** 2, rtol=1e-9)


def _fine_paths(y: np.ndarray, *, k: float, q: float, dt: float, copies: int) -> np.ndarray:
    """Displacements over ``dt`` of ``copies`` paths from every point, by 20 Heun steps (weak order 2)."""
    rng, h = np.random.default_rng(0), dt / 20
    x = np.repeat(y[None], copies, axis=0)

    def force(r: np.ndarray) -> np.ndarray:
        return -(k + q * (r**2).sum(axis=2, keepdims=True)) * r

    for _ in range(20):
        noise = np.sqrt(2 * h) * rng.standard_normal(x.shape)
        x = x + 0.5 * h * (force(x) + force(x + h * force(x) + noise)) + noise
    return np.asarray(x - y)


def test_quartic_well_against_fine_paths_and_a_flow_without_spread_fails() -> None:
    k, q = 3.0, 200.0
    moved = _fine_paths(Y, k=k, q=q, dt=DT, copies=60_000).mean(axis=0)
    flow = _flow(Y, _external(Y, k=k, q=q))
    ratio = (moved * flow.displacement).sum() / (flow.displacement**2).sum()
    assert abs(ratio - 1.0) < 0.012
    near = 0.5 * Y  # where the well holds particles: it spreads them by some 0.2 um per axis
    found = _fine_paths(near, k=k, q=q, dt=DT, copies=60_000).var(axis=0)
    np.testing.assert_allclose(found, _flow(near, _external(near, k=k, q=q)).variance, rtol=0.03)
    m = Y.copy()  # the deterministic path, finely stepped
    for _ in range(200):
        m = m - (k + q * (m**2).sum(axis=1, keepdims=True)) * m * DT / 200
    assert abs((moved * (m - Y)).sum() / ((m - Y) ** 2).sum() - 1.0) > 0.1


def test_variance_on_a_steep_flank_errs_by_the_square_of_the_interval() -> None:
    """Third cumulants are left out: at D F' dt = 0.4 the variance is some 2 % off, at half the interval a quarter."""
    k, q, errors = 3.0, 200.0, []
    for dt in (DT, DT / 2):
        found = _fine_paths(Y, k=k, q=q, dt=dt, copies=150_000).var(axis=0)
        errors.append(float((found / _flow(Y, _external(Y, k=k, q=q), dt=dt).variance).mean()) - 1.0)
    assert errors[0] < 0.03
    assert abs(errors[1]) < 0.3 * errors[0]


def test_sensitivities_are_derivatives() -> None:
    """Up to what the spread answers to q, which is left out: 2.5 % over DT, in proportion to the interval."""
    dt = DT / 4
    here = _flow(Y, _external(Y, k=5.0, q=60.0, shear=3.0), sensitivity=True, dt=dt).sensitivity
    for column, change in enumerate(({"k": 5.001, "q": 60.0}, {"k": 5.0, "q": 60.01})):
        step = 0.001 if column == 0 else 0.01
        ends = [_flow(Y, _external(Y, shear=3.0, **c), dt=dt).displacement for c in (change, {"k": 5.0, "q": 60.0})]
        slope = (ends[0] - ends[1]) / step
        assert np.abs(slope - here[:, :, column]).max() < 0.01 * np.abs(slope).max()


def test_splines_add_up_and_grids_are_bilinear() -> None:
    rng = np.random.default_rng(1)
    points, lower, upper = rng.uniform(1.0, 9.0, (40, 2)), np.zeros(2), np.full(2, 10.0)
    for count in (1, 2, 3, 4, 6):
        np.testing.assert_allclose(flow_basis(points, lower, upper, count).sum(axis=1), 1.0)
        flow = SplineFlow(lower=lower, upper=upper, coefficients=rng.standard_normal((count, count, 2)))
        value, gradient = flow.at(points, np.zeros(40))
        for axis in (0, 1):
            ahead = flow.at(points + 1e-6 * np.eye(2)[axis], np.zeros(40))[0]
            np.testing.assert_allclose((ahead - value) / 1e-6, gradient[:, :, axis], atol=1e-5)
    x, y = np.linspace(0, 10, 6), np.linspace(0, 10, 3)
    field = np.stack([1 + 2 * x[:, None] * y[None], x[:, None] - y[None]], axis=-1)
    grid = GridFlow(frames=np.array([3.0, 4.0]), x=x, y=y, values=np.stack([field, 2 * field]))
    value, gradient = grid.at(points, np.full(40, 4))
    np.testing.assert_allclose(value[:, 1], 2 * (points[:, 0] - points[:, 1]), atol=1e-12)
    np.testing.assert_allclose(gradient[:, 1], np.tile([2.0, -2.0], (40, 1)), atol=1e-12)
    np.testing.assert_allclose(value[:, 0], 2 * (1 + 2 * points[:, 0] * points[:, 1]), rtol=1e-12)
    np.testing.assert_allclose(grid.at(points, np.full(40, 3))[0], value / 2)


def test_a_step_in_a_well_and_a_flow_keeps_its_books() -> None:
    """A trap in a uniform flow u settles at u/(D k) from its centre; work -F u dt per step all becomes heat."""
    n, k, u, dt = 4000, 20.0, 3.0, 0.004
    wells = Wells(centres=np.zeros((n, 2)), stiffness=np.full(n, k), quartic=np.zeros(n))
    flow = Surroundings(wells=wells, velocity=np.tile([u, 0.0], (n, 1)))
    state = State(positions=np.tile([u / k, 0.0], (n, 1)), species=np.zeros(n, dtype=np.int64), box=OPEN)
    rng, work, energy, heat = np.random.default_rng(2), 0.0, 0.0, 0.0
    for step in range(150):
        state, found = overdamped_step(FREE, state, dt=dt, rng=rng, surroundings=flow)
        assert found.energy + found.heat == pytest.approx(found.work)
        if step >= 75:
            work, energy, heat = work + found.work, energy + found.energy, heat + found.heat
    assert state.positions[:, 0].mean() == pytest.approx(u / k, abs=4 / np.sqrt(n * k))
    assert state.positions.var(axis=0) == pytest.approx(1 / k, rel=0.1)
    assert work / (75 * n * dt) == pytest.approx(u**2, rel=0.05)  # friction heats by u^2/D per second
    assert abs(energy) < 0.05 * work
