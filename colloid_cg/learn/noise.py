"""Diffusion coefficient and localisation variance by the banded likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from colloid_cg.errors import DataError
from colloid_cg.learn.banded import Residuals, log_likelihood_rows

_LARGE = 1e12


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseFit:
    """Estimate of (D per species, s2): ``scores`` (m, k) per row and ``information`` (k, k) give its influence."""

    diffusion: np.ndarray
    localisation_variance: float
    blur: float
    frame_interval: float
    scores: np.ndarray
    information: np.ndarray

    @property
    def parameters(self) -> np.ndarray:
        """D per species (um2/s), then s2 (um2)."""
        return np.append(self.diffusion, self.localisation_variance)

    @property
    def effective_noise(self) -> np.ndarray:
        """Return w = s2 - 2 R D dt per species, um2."""
        return effective_noise(self.parameters, self.blur, self.frame_interval)

    @property
    def influence(self) -> np.ndarray:
        """Influence of every residual on the parameters, shape (m, k)."""
        return np.asarray(self.scores @ np.linalg.pinv(self.information))


def effective_noise(parameters: np.ndarray, blur: float, frame_interval: float) -> np.ndarray:
    """Return w = s2 - 2 R D dt per species for parameters (D.., s2)."""
    return np.asarray(parameters[-1] - 2.0 * blur * parameters[:-1] * frame_interval)


def covariance_estimate(data: Residuals, frame_interval: float) -> tuple[float, float]:
    """Return starting values of 2 D dt and w from the lag-0 and lag-1 covariances (Vestergaard et al. 2014)."""
    zero = float((data.value**2).mean())
    pairs = np.flatnonzero(data.joined)
    one = float((data.value[pairs] * data.value[pairs - 1]).mean()) if len(pairs) else 0.0
    return zero + 2.0 * one, -one


def fit_noise(
    data: Residuals,
    *,
    n_species: int,
    blur: float,
    frame_interval: float,
    start: np.ndarray | None = None,
    scores: bool = True,
) -> NoiseFit:
    """Maximise the banded likelihood over D (per species) and s2 for given residuals.

    Raises
    ------
    DataError
        If there are not enough linked displacements, or the motion cannot be told from noise.
    """
    if int(data.joined.sum()) < 10 * (n_species + 1):
        raise DataError(
            f"{len(data.row)} displacements of which {int(data.joined.sum())} continue another one",
            expected=f"at least {10 * (n_species + 1)} pairs of consecutive displacements",
            action="use a longer movie, link with a larger search range, or keep shorter tracks",
        )
    scale = float((data.value**2).mean())
    variance, noise = covariance_estimate(data, frame_interval)
    guess = max(variance, 0.02 * scale) / (2.0 * frame_interval)
    if start is None:
        start = np.append(np.full(n_species, guess), noise + 2.0 * blur * guess * frame_interval)
    units = np.append(np.full(n_species, guess), scale)

    def objective(values: np.ndarray) -> float:
        total = _total(data, np.append(np.exp(values[:-1]), values[-1]) * units)
        return -total / len(data.row) if np.isfinite(total) else _LARGE

    first = np.append(np.log(np.maximum(start[:-1], 1e-3 * guess) / guess), start[-1] / scale)
    options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 400 * len(first), "initial_simplex": _simplex(first)}
    found = minimize(objective, first, method="Nelder-Mead", options=options)
    if found.fun >= _LARGE:
        raise DataError(
            "displacements no positive diffusion and noise can explain",
            expected="Brownian displacements",
            action="check the linking and the frame interval",
        )
    best = np.append(np.exp(found.x[:-1]), found.x[-1]) * units
    size = (len(data.row), n_species + 1)
    gradient, information = _derivatives(data, best, units, frame_interval) if scores else _none(size)
    return NoiseFit(
        diffusion=best[:-1],
        localisation_variance=float(best[-1]),
        blur=blur,
        frame_interval=frame_interval,
        scores=gradient,
        information=information,
    )


def total_score(data: Residuals, noise: NoiseFit) -> np.ndarray:
    """Return the slope of the log-likelihood of ``data`` in (D.., s2) at the estimates of ``noise``."""
    steps = np.diag(_steps(noise.parameters, noise.frame_interval))
    return np.array(
        [
            (_total(data, noise.parameters + step) - _total(data, noise.parameters - step)) / (2.0 * step.sum())
            for step in steps
        ]
    )


def _steps(parameters: np.ndarray, frame_interval: float) -> np.ndarray:
    """Return small steps of (D.., s2) for numerical derivatives."""
    return 1e-3 * np.append(parameters[:-1], parameters[:-1].min() * 2.0 * frame_interval)


def _rows(data: Residuals, parameters: np.ndarray) -> np.ndarray:
    return log_likelihood_rows(data, diffusion=parameters[:-1], localisation_variance=float(parameters[-1]))


def _total(data: Residuals, parameters: np.ndarray) -> float:
    return float(_rows(data, parameters).sum())


def _simplex(first: np.ndarray) -> np.ndarray:
    return np.vstack([first, first + 0.05 * np.eye(len(first))])


def _none(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(size), np.eye(size[1])


def _derivatives(
    data: Residuals, best: np.ndarray, units: np.ndarray, frame_interval: float
) -> tuple[np.ndarray, np.ndarray]:
    """Scores per row and observed information by central differences."""
    step = 1e-3 * np.append(best[:-1], np.minimum(units[-1], best[:-1].min() * 2 * frame_interval))
    count = len(best)
    gradients = np.empty((len(data.row), count))
    information = np.empty((count, count))
    for k in range(count):
        shift = np.zeros(count)
        shift[k] = step[k]
        upper, lower = (_rows(data, best + sign * shift) for sign in (1, -1))
        gradients[:, k] = (upper - lower) / (2 * step[k])
    for a in range(count):
        for b in range(a, count):
            shift_a, shift_b = np.zeros(count), np.zeros(count)
            shift_a[a], shift_b[b] = step[a], step[b]
            corners = [_total(data, best + p * shift_a + q * shift_b) * p * q for p in (1, -1) for q in (1, -1)]
            information[a, b] = information[b, a] = -sum(corners) / (4 * step[a] * step[b])
    return gradients, information
