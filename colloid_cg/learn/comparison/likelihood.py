"""Banded Gaussian likelihood of residuals as a function of the drift alone, with its gradient.

For a given noise the covariance S of the residuals of a chain is tridiagonal, S_tt = 2 D dt + 2 w and S_t,t-1 = -w
(the Jacobian of the drift taken as 1); -log L = r S^-1 r / 2 + const and its gradient with respect to r is S^-1 r.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.linalg import solveh_banded

from colloid_cg.errors import DataError
from colloid_cg.learn.banded import Residuals


def free_law(data: Residuals, frame_interval: float) -> Residuals:
    """Return the residuals with the covariance of free diffusion: V = 2 D dt, J = 1, no leak."""
    return replace(
        data,
        unit_variance=np.full_like(data.unit_variance, 2.0 * frame_interval),
        gain=np.ones_like(data.gain),
        leak=np.zeros_like(data.leak),
    )


def whitened(data: Residuals, *, diffusion: np.ndarray, effective_noise: np.ndarray) -> np.ndarray:
    """Return S^-1 r of :func:`free_law` residuals, shape (m, d).

    Raises
    ------
    DataError
        If S is not positive definite.
    """
    noise = effective_noise[data.species]
    bands = np.zeros((2, len(noise)))
    bands[1] = diffusion[data.species] * data.unit_variance[:, 0] + 2.0 * noise
    bands[0, 1:] = np.where(data.joined[1:], -noise[1:], 0.0)
    try:
        return np.asarray(solveh_banded(bands, data.value))
    except np.linalg.LinAlgError as error:
        raise DataError(
            f"a noise of {effective_noise} um2 beside a diffusion of {diffusion} um2/s",
            expected="a positive definite covariance of displacements",
            action="check the exposure time and the frame interval",
        ) from error
