"""Pair force from noisy positions: the instrument is right where regression on the same frame is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from colloid_cg.dynamics import OverdampedModel, closure_flow, force_design
from colloid_cg.learn import forces
from colloid_cg.learn.forces import estimating_equation, force_data, roughness
from colloid_cg.learn.problem import Block, free_model, prepare, with_knots
from colloid_cg.states import from_trajectories
from tests.learn.worlds import tracks, yukawa, yukawa_force

Curve = Callable[[np.ndarray], np.ndarray]
DT, KNOTS, LOWER, CUTOFF = 0.005, 15, 0.6, 3.0


@pytest.fixture(scope="module")
def path() -> tuple[np.ndarray, float]:
    return yukawa(11, frames=700)


def _true_model():  # type: ignore[no-untyped-def]
    r = np.linspace(0.7, CUTOFF, 2000)
    design = force_design(r, lower=LOWER, cutoff=CUTOFF, n_knots=KNOTS)
    coefficients = np.linalg.lstsq(design, yukawa_force(r), rcond=None)[0]
    assert (np.abs(design @ coefficients - yukawa_force(r)) < 0.03 * yukawa_force(r) + 0.03).all()
    return replace(
        with_knots(free_model(1), n_knots=KNOTS, lower=LOWER, cutoff=CUTOFF), coefficients=coefficients[None]
    )


def _amplitude(rows: np.ndarray, slope: np.ndarray, shape: np.ndarray) -> tuple[float, float]:
    """Factor on the true force that solves the equation projected on it, with its standard error."""
    score, weight = rows @ shape, float(shape @ slope @ shape)
    return 1.0 + float(score.sum()) / weight, float(score.std() * np.sqrt(len(score))) / weight


def _naive(block: Block, shape: np.ndarray) -> float:
    """The same regression with the drift at the same frame as its own instrument."""
    series, model = block.series, _true_model()
    flow = closure_flow(
        model, series.positions, species=series.species, frame_offsets=series.offsets, neighbours=block.neighbours,
        dt=DT, sensitivity=True,
    )  # fmt: skip
    rows = np.flatnonzero((series.following >= 0) & block.targets)
    feature = flow.sensitivity[rows] @ shape
    step = series.positions[series.following[rows]] - series.positions[rows]
    return 1.0 + float((feature * (step - flow.displacement[rows])).sum() / (feature**2).sum())


@pytest.mark.parametrize("ratio", [0.0, 0.25, 1.0])
def test_amplitude_of_the_true_force_is_one_whatever_the_noise(path: tuple[np.ndarray, float], ratio: float) -> None:
    positions, side = path
    noise = ratio * 2 * DT
    seen = positions + np.sqrt(noise) * np.random.default_rng(1).standard_normal(positions.shape)
    series = from_trajectories(tracks(seen, side=side, dt=DT))
    block = prepare(series, n_species=1, drift_velocity=np.zeros(2), cutoff=CUTOFF)
    data = force_data(series, block.neighbours, targets=block.targets, drift=np.zeros(2), rng=np.random.default_rng(2))
    model = _true_model()
    equation = estimating_equation(model, data, localisation_variance=noise, exact_slope=True)
    shape = model.coefficients.ravel()
    amplitude, error = _amplitude(equation.rows, equation.slope, shape)
    assert error < 0.06
    assert abs(amplitude - 1.0) < 2.5 * error
    if ratio >= 0.25:
        assert _naive(block, shape) > 1.25
    found = block.noise(block.residuals(model))
    assert found.diffusion[0] == pytest.approx(1.0, rel=0.02)
    assert abs(found.localisation_variance - noise) < max(0.05 * noise, 0.02 * 2 * DT)


def test_roughness_vanishes_for_straight_lines_into_the_zeros_only() -> None:
    penalty = roughness((2, 5), np.ones(10))
    line = np.tile(np.arange(5, 0, -1.0), 2)
    kinked = line.copy()
    kinked[2] += 1.0
    assert line @ penalty @ line == pytest.approx(2.0)  # only the kink where the line meets the zeros, once per pair
    assert kinked @ penalty @ kinked == pytest.approx(2.0 + 6.0)


def _solved(monkeypatch: pytest.MonkeyPatch, g: Curve, slope: Curve, *, start: float, noise: float) -> forces.ForceFit:
    """Solve g(c) = 0 for three coefficients as if it were an estimating equation whose rows scatter by ``noise``."""

    def toy(model: OverdampedModel, data: object, **_: object) -> forces.Equation:
        c = model.coefficients[0]
        return forces.Equation(rows=0.5 * g(c) + noise * np.array([[1.0], [-1.0]]), slope=np.diag(slope(c)))

    monkeypatch.setattr(forces, "estimating_equation", toy)
    model = replace(
        with_knots(free_model(1, 1e-9), n_knots=3, lower=LOWER, cutoff=CUTOFF), coefficients=np.full((1, 3), start)
    )
    data = SimpleNamespace(series=SimpleNamespace(frame_interval=1.0))
    return forces.solve_forces(model, data, localisation_variance=0.0, smoothness=0.0, iterations=12)


def test_a_step_that_leads_away_from_the_root_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newton's full steps run away on arctan(c - 5) from further than 1.39."""
    fit = _solved(
        monkeypatch, lambda c: -np.arctan(c - 5.0), lambda c: 1.0 / (1.0 + (c - 5.0) ** 2), start=8.0, noise=0.01
    )
    assert fit.converged
    np.testing.assert_allclose(fit.model.coefficients, 5.0, atol=1e-3)


def test_small_steps_for_want_of_better_ones_are_no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 + c^2 has no root: every step leads away, and the smallest trial is within the tolerance of a root."""
    fit = _solved(monkeypatch, lambda c: 1.0 + c**2, np.ones_like, start=0.0, noise=5.0)
    assert not fit.converged
    assert np.isfinite(fit.model.coefficients).all()
