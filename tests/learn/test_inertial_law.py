"""The exact law of inertial positions: closed forms against quadrature, simulation and a dense likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import toeplitz
from scipy.stats import multivariate_normal

from colloid_cg.learn.inertial.law import centred_law, displacement_covariance
from colloid_cg.learn.inertial.recursion import pentadiagonal_innovations
from colloid_cg.learn.inertial.sequences import Residuals, sequences
from tests.learn.langevin_worlds import free_particles

THETA, DT = 1.3, 0.05


def _by_quadrature(x: float, share: float, lag: int) -> float:
    """Second difference of the mean squared displacement averaged over two exposures, in units of theta dt^2."""

    def squared(time: float) -> float:
        return 2.0 / x**2 * (x * abs(time) - 1.0 + np.exp(-x * abs(time)))

    def averaged(frames: int) -> float:
        value, _ = quad(lambda u: (1 - abs(u)) * squared(frames + share * u), -1, 1, points=[0.0], epsabs=1e-13)
        return float(value)

    return 0.5 * (averaged(lag + 1) - 2.0 * averaged(lag) + averaged(abs(lag - 1)))


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("x", [0.2, 1.0, 4.0])
def test_covariance_of_displacements_against_quadrature(x: float, share: float) -> None:
    found = displacement_covariance(np.array([x]), share, lags=4)[:, 0]
    assert found == pytest.approx([_by_quadrature(x, share, lag) for lag in range(4)], abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_covariance_of_displacements_against_simulation(share: float) -> None:
    rng = np.random.default_rng(1)
    path = free_particles(rng, n=2000, frames=40, theta=THETA, friction=12.0, dt=DT, exposure_share=share)
    d = np.diff(path, axis=0)
    expected = THETA * DT**2 * displacement_covariance(np.array([12.0 * DT]), share, lags=4)[:, 0]
    for lag in range(4):
        products = (d[lag:] * d[: len(d) - lag]).mean(axis=0).ravel()  # one value per particle and axis
        error = products.std() / np.sqrt(products.size)
        assert abs(products.mean() - expected[lag]) < 4 * error
        assert error < 0.02 * expected[0]


@pytest.mark.parametrize(("share", "expected"), [(0.0, (2 / 3, 1 / 6, 0.0)), (1.0, (11 / 20, 13 / 60, 1 / 120))])
def test_small_friction_gives_the_pentadiagonal_form(share: float, expected: tuple[float, ...]) -> None:
    """PHYSICS 4: lags 0, 1, 2 of the second difference, in units of 2 theta gamma dt^3; round-off does not enter."""
    for x in (1e-6, 1e-3, 0.02):
        law = centred_law(np.array([x]), share)
        found = np.array([law.zero[0], law.one[0], law.two[0]]) / (2.0 * x)
        assert found == pytest.approx(expected, abs=1e-2 * x + 1e-9)
    law = centred_law(np.array([0.3]), share)
    assert law.zero[0] / 0.6 == pytest.approx(expected[0], rel=0.02)


def test_series_and_closed_form_meet() -> None:
    below, above = centred_law(np.array([0.3 - 1e-9]), 0.7), centred_law(np.array([0.3 + 1e-9]), 0.7)
    for name in ("first", "first_next", "first_after", "zero", "one", "two"):
        assert getattr(below, name) == pytest.approx(getattr(above, name), rel=1e-7)


def _one_track(path: np.ndarray, x: float) -> Residuals:
    second = path[2:] - 2 * path[1:-1] + path[:-2]
    value = second + np.tanh(x / 2) * (path[2:] - path[:-2])
    m = len(value)
    first = np.arange(m) == 0
    return Residuals(
        row=np.arange(1, m + 1), frame=np.arange(1, m + 1), value=value, step=path[1:-1] - path[:-2],
        friction=np.full(value.shape, x), stiffness=np.zeros(value.shape), shares=np.ones((1, *value.shape)),
        joined=~first, fresh=first,
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("x", [0.1, 0.9, 3.0])
def test_likelihood_of_a_track_is_that_of_the_dense_normal_law(x: float, share: float) -> None:
    rng = np.random.default_rng(2)
    path = np.cumsum(rng.standard_normal((30, 2)), axis=0)
    thermal, noise = 0.7, 0.11
    column = thermal * displacement_covariance(np.array([x]), share, lags=29)[:, 0]
    column[0] += 2 * noise
    column[1] -= noise
    dense = multivariate_normal(cov=toeplitz(column))
    expected = sum(dense.logpdf(np.diff(path[:, a])) for a in range(2))
    found = sequences(_one_track(path, x), exposure_share=share).log_likelihood(thermal, noise, np.ones(1))
    assert found.sum() == pytest.approx(expected, rel=1e-9)


def test_noise_enters_the_second_difference_as_six_four_one() -> None:
    found = sequences(_one_track(np.zeros((6, 2)), 1e-9), exposure_share=0.0)
    inner = found.place >= 3
    assert found.noise[:, inner, 0] == pytest.approx(np.repeat([[6.0], [-4.0], [1.0]], inner.sum(), axis=1), abs=1e-6)


def test_recursion_restarts() -> None:
    rng = np.random.default_rng(3)
    value = rng.standard_normal((12, 1))
    zero, one, two = np.full((12, 1), 6.0), np.full((12, 1), -4.0), np.full((12, 1), 1.0)
    place = np.concatenate([np.arange(5), np.arange(7)])
    found = pentadiagonal_innovations(value, zero, one, two, place)[0]
    for part in (slice(0, 5), slice(5, 12)):
        size = part.stop - part.start
        dense = multivariate_normal(cov=toeplitz(np.append([6.0, -4.0, 1.0], np.zeros(size - 3))))
        assert found[part].sum() == pytest.approx(dense.logpdf(value[part, 0]), rel=1e-9)
