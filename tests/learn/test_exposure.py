"""What an exposure adds to the covariance of residuals, against the exact covariance of a finely stepped path."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from colloid_cg.learn.exposure import exposed_covariance, exposed_row, mean_variance, mean_weight

PARTS = 400


def _exact(rates: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of r_t = y_{t+1} - phi y_t at lags 0 and 1 for dx = -K x dt + sqrt(2) dW, dt = 1, D = 1.

    The path is x_{j+1} = p x_j + e_j in PARTS steps per frame; y is the mean (trapezoid) over the exposure, and
    every quantity is a matrix acting on the independent e_j: no closed form of an integral is used.
    """
    n, h = len(rates), 1.0 / PARTS
    p, phi = expm(-rates * h), expm(-rates)
    total = 3 * PARTS
    noise = _step_covariance(rates, h)
    count = round(share * PARTS)
    weights = np.zeros((4, total + 1))
    for frame in range(3):
        window = weights[frame, frame * PARTS : frame * PARTS + count + 1]
        window[:] = 1.0 / max(count, 1)
        window[[0, -1]] *= 0.5 if count else 1.0
    powers = [np.eye(n)]
    for _ in range(total):
        powers.append(powers[-1] @ p)
    response = np.array(powers)  # of x after j steps to one kick
    kick = np.zeros((3, total, n, n))
    for frame in range(3):
        used = np.flatnonzero(weights[frame])
        for j in used:
            kick[frame, :j] += weights[frame, j] * response[j - 1 :: -1][:j] if j else 0.0
    r = [kick[t + 1] - np.einsum("ab,jbc->jac", phi, kick[t]) for t in (0, 1)]

    def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(np.einsum("jab,bc,jdc->ad", a, noise, b))

    return covariance(r[1], r[1]), covariance(r[1], r[0])


def _step_covariance(rates: np.ndarray, h: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(rates)
    safe = np.where(values == 0.0, 1.0, values)
    variance = np.where(values == 0.0, 2.0 * h, (1.0 - np.exp(-2.0 * safe * h)) / safe)
    return np.asarray((vectors * variance) @ vectors.T)


def _step_variance(rate: float) -> float:
    return 2.0 * float(mean_weight(np.array([2.0 * rate]))[0])


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.3, 1.5, -0.4])
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_covariance_of_one_linear_coordinate(rate: float, share: float) -> None:
    zero, one = exposed_covariance(np.array([np.exp(-rate)]), share)
    exact = _exact(np.array([[rate]]), share)
    assert _step_variance(rate) + zero[0] == pytest.approx(exact[0][0, 0], abs=2e-5)
    assert one[0] == pytest.approx(exact[1][0, 0], abs=2e-5)


def test_first_order_limit_and_no_exposure() -> None:
    zero, one = exposed_covariance(np.array([1.0]), 0.6)
    assert (zero[0], one[0]) == (pytest.approx(-2 * 0.6 / 3), pytest.approx(0.6 / 3))  # -4 R and 2 R
    assert not np.any(exposed_row(np.array([0.7]), np.array([0.1]), 0.0))


def test_series_and_closed_forms_meet() -> None:
    for function in (mean_weight, mean_variance):
        for border in (-0.02, 0.02):
            below, above = function(np.array([border * (1 - 1e-9), border * (1 + 1e-9)]))
            assert below == pytest.approx(above, abs=1e-8)


def test_coupled_coordinates_from_the_row_of_the_jacobian() -> None:
    rates = np.array([[0.5, -0.2, -0.1], [-0.2, 0.4, 0.0], [-0.1, 0.0, 0.3]])
    jacobian = expm(-rates)
    gain = np.diag(jacobian)
    leak = (jacobian**2).sum(axis=1) - gain**2
    zero, one = exposed_row(gain, leak, 1.0)
    exact = _exact(rates, 1.0)
    step = np.diag(_step_covariance(rates, 1.0))
    assert step + zero == pytest.approx(np.diag(exact[0]), abs=5e-4)
    assert one == pytest.approx(np.diag(exact[1]), abs=5e-4)
    alone = exposed_covariance(gain, 1.0)
    assert np.abs(step + alone[0] - np.diag(exact[0])).max() > 3e-3  # the coupling is there to be seen
