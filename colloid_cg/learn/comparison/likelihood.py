"""Banded Gaussian likelihood of residuals as a function of the drift alone, through its gradient.

With the covariance S of free diffusion (the Jacobian of the drift taken as 1) -log L = r S^-1 r / 2 + const for every
chain and axis, and its gradient with respect to r is S^-1 r.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from colloid_cg.errors import DataError
from colloid_cg.learn.banded import Residuals


def whitened(data: Residuals, *, diffusion: np.ndarray, localisation_variance: float) -> np.ndarray:
    """Return S^-1 r, shape (m, d), for D per species in um2/s and s2 in um2.

    Raises
    ------
    DataError
        If S is not positive definite.
    """
    own = diffusion[data.species][:, None]
    spread, coupling = (
        own * band.per_diffusion + localisation_variance * band.per_noise + band.fixed
        for band in (data.spread, data.coupling)
    )
    coupling = np.where(data.joined[:, None], coupling, 0.0)
    try:
        columns = [
            solveh_banded(np.stack([coupling[:, a], spread[:, a]]), value) for a, value in enumerate(data.value.T)
        ]
    except np.linalg.LinAlgError as error:
        raise DataError(
            f"a localisation variance of {localisation_variance:.3g} um2 beside a diffusion of {diffusion} um2/s",
            expected="a positive definite covariance of displacements",
            action="check the exposure time and the frame interval",
        ) from error
    return np.stack(columns, axis=1)
