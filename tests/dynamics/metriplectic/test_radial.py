"""Spline radial functions against scipy's B-splines, and their ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.errors import InputError

LOWER, CUTOFF, KNOTS = 0.25, 1.4, 7
NAMES = ("force", "kernel", "par", "perp", "heat")
COEFFICIENTS = {
    name: torch.as_tensor(np.random.default_rng(k).uniform(0.1, 2.0, (3, KNOTS))) for k, name in enumerate(NAMES)
}
RADIAL = SplineRadial(lower=LOWER, cutoff=CUTOFF, **COEFFICIENTS)


def scipy_spline(name: str, kind: int) -> BSpline:
    width = (CUTOFF - LOWER) / KNOTS
    knots = LOWER + width * np.arange(-3, KNOTS + 4)
    return BSpline(knots, np.concatenate([COEFFICIENTS[name][kind], np.zeros(3)]), 3)


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_against_scipy(kind: int) -> None:
    r = np.concatenate([np.linspace(LOWER, CUTOFF, 400)[:-1], scipy_spline("par", 0).t[3:-4]])
    found = RADIAL.evaluate(torch.as_tensor(r), torch.full((len(r),), kind))
    force, kernel = scipy_spline("force", kind), scipy_spline("kernel", kind)
    integral = force.antiderivative()
    pairs = {
        "potential": integral(CUTOFF) - integral(r),
        "potential_slope": -force(r),
        "kernel": kernel(r),
        "kernel_slope": kernel.derivative()(r),
        **{name: scipy_spline(name, kind)(r) for name in ("par", "perp", "heat")},
    }
    for name, right in pairs.items():
        np.testing.assert_allclose(getattr(found, name), right, rtol=0, atol=3e-13 * abs(right).max(), err_msg=name)


def test_slopes_are_the_derivatives_of_the_values() -> None:
    kinds = torch.arange(3).repeat_interleave(80)
    r = torch.linspace(0.02, 1.5, 80, dtype=torch.float64).repeat(3).requires_grad_(True)
    found = RADIAL.evaluate(r, kinds)
    for name in ("potential", "kernel"):
        (slope,) = torch.autograd.grad(getattr(found, name).sum(), r, retain_graph=True)
        torch.testing.assert_close(getattr(found, f"{name}_slope"), slope, rtol=1e-12, atol=1e-12)
    h = 1e-5
    above, below = (RADIAL.evaluate(r.detach() + sign * h, kinds) for sign in (1, -1))
    for name in ("potential", "kernel"):
        numeric = (getattr(above, name) - getattr(below, name)) / (2 * h)
        smooth = (r.detach() - LOWER).abs() > 2 * h
        torch.testing.assert_close(numeric[smooth], getattr(found, f"{name}_slope")[smooth], rtol=1e-6, atol=1e-6)


def test_function_slope_and_curvature_vanish_at_the_cutoff() -> None:
    h = torch.tensor([1e-2, 5e-3, 2.5e-3], dtype=torch.float64)
    found = RADIAL.evaluate(CUTOFF - h, torch.full((3,), 1))
    for name in ("potential_slope", "kernel", "par", "perp", "heat"):
        values = getattr(found, name)
        # A cubic whose value, slope and curvature are zero: exactly eightfold per doubling of the distance.
        torch.testing.assert_close(values[:-1] / values[1:], torch.full((2,), 8.0).double(), rtol=1e-8, atol=0)
    far = torch.tensor([CUTOFF, CUTOFF + 1e-12, 2.0, 50.0], dtype=torch.float64)
    beyond = RADIAL.evaluate(far, torch.full((4,), 1))
    assert all(float(getattr(beyond, name).abs().max()) == 0.0 for name in ("potential", "potential_slope", *NAMES[1:]))


def test_frictions_are_never_negative_by_round_off() -> None:
    # Just below the cutoff (and where a spline ends earlier) the cubic is smaller than its round-off; the noise
    # takes the square root.
    ends_early = torch.as_tensor(np.random.default_rng(8).uniform(0.1, 2.0, (50, KNOTS)))
    ends_early[25:, 3:] = 0.0
    radial = SplineRadial(lower=LOWER, cutoff=CUTOFF, par=ends_early, perp=ends_early, heat=ends_early)
    width = (CUTOFF - LOWER) / KNOTS
    steps = torch.logspace(-15, -3, 40, dtype=torch.float64)
    r = torch.cat([CUTOFF - steps, LOWER + 6 * width - steps, LOWER + 6 * width + steps])
    for kind in range(50):
        found = radial.evaluate(r, torch.full((len(r),), kind))
        for name in ("par", "perp", "heat"):
            assert float(getattr(found, name).min()) >= 0.0


def line_below(name: str, kind: int, r: np.ndarray) -> np.ndarray:
    """The straight line that goes on below the first knot."""
    spline = scipy_spline(name, kind)
    return np.asarray(spline(LOWER) + spline.derivative()(LOWER) * (r - LOWER))


def test_loops_and_torch_operations_agree() -> None:
    r = torch.linspace(0.0, 1.6, 301, dtype=torch.float64)
    kinds = torch.arange(301) % 3
    fast, slow = RADIAL.evaluate(r, kinds), RADIAL.evaluate(r.clone().requires_grad_(True), kinds)
    for name in ("potential", "potential_slope", "kernel", "kernel_slope", "par", "perp", "heat"):
        torch.testing.assert_close(getattr(fast, name), getattr(slow, name).detach(), rtol=1e-12, atol=1e-14)


def test_below_the_first_knot() -> None:
    r = torch.tensor([0.0, 0.1, LOWER - 1e-9, LOWER], dtype=torch.float64)
    found = RADIAL.evaluate(r, torch.full((4,), 2))
    force, start = scipy_spline("force", 2), found.potential[3]
    straight = force(LOWER) + force.derivative()(LOWER) * (r.numpy() - LOWER)
    np.testing.assert_allclose(-found.potential_slope, straight, rtol=1e-12)
    depth = LOWER - r.numpy()
    parabola = float(start) + force(LOWER) * depth - force.derivative()(LOWER) * depth**2 / 2
    np.testing.assert_allclose(found.potential, parabola, rtol=1e-12)
    for name in ("par", "perp", "heat"):
        np.testing.assert_allclose(getattr(found, name), scipy_spline(name, 2)(LOWER), rtol=1e-12)
    np.testing.assert_allclose(found.kernel, line_below("kernel", 2, r.numpy()), rtol=1e-12)
    np.testing.assert_allclose(found.kernel_slope, scipy_spline("kernel", 2).derivative()(LOWER), rtol=1e-12)


def test_kernel_at_zero_of_each_species() -> None:
    right = [float(line_below("kernel", kind, np.zeros(1))[0]) for kind in (0, 2)]  # pairs 00, 01, 11
    np.testing.assert_allclose(RADIAL.kernel_at_zero, right, rtol=1e-12)
    assert SplineRadial(lower=0.0, cutoff=1.0, par=COEFFICIENTS["par"]).kernel_at_zero is None


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"lower": 1.4}, "0 <= lower < cutoff"),
        ({"lower": -0.1}, "0 <= lower < cutoff"),
        ({"heat": torch.ones(3, 5).double()}, "one shape"),
        ({"heat": torch.ones(7).double()}, "one shape"),
        ({"par": -COEFFICIENTS["par"]}, "negative coefficients of par"),
    ],
)
def test_bad_functions_are_refused(changes: dict, match: str) -> None:
    with pytest.raises(InputError, match=match):
        SplineRadial(**{"lower": LOWER, "cutoff": CUTOFF, **COEFFICIENTS, **changes})
