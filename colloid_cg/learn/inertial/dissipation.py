"""Fluctuation-dissipation imposed: what the strength of the random force says of the friction.

Instruments measure friction from the mean of r_t, the likelihood the strength of the random force from its
covariance; at one temperature the second is 2 theta times the first for the bath and for both parts of pair friction.
Among all estimates corrected by a multiple of the violation alpha - 1, the one of least variance is (minimum distance;
Hansen 1982, doi:10.2307/1912775)

    phi* = phi - C V^-1 (alpha - 1),    C = Cov(phi, alpha), V = Cov(alpha, alpha).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from colloid_cg.learn.inertial.candidate import Candidate
from colloid_cg.learn.inertial.model import with_coefficients
from colloid_cg.learn.sandwich import covariance_of

_REJECTED = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Balance:
    """The candidate after the constraint with its influence, the measured ``scales`` (p,) and their p-value."""

    candidate: Candidate
    influence: np.ndarray
    scales: np.ndarray
    p_value: float

    @property
    def imposed(self) -> bool:
        """Whether the data allow the constraint."""
        return self.p_value > _REJECTED


def imposed(candidate: Candidate, influence: np.ndarray, clusters: np.ndarray) -> Balance:
    """Return the candidate with fluctuation-dissipation imposed, or as it was where the data reject it.

    Parameters
    ----------
    candidate : Candidate
    influence : array, shape (n, k)
        Made by :func:`colloid_cg.learn.inertial.candidate.influence`.
    clusters : array, shape (c, k)
        The same summed over clusters.
    """
    model, count = candidate.model, len(candidate.model.noise_scale)
    if candidate.solution is None:
        return Balance(candidate=candidate, influence=influence, scales=model.noise_scale, p_value=1.0)
    covariance = covariance_of(clusters)
    inverse = np.linalg.pinv(covariance[-count:, -count:])
    violation = model.noise_scale - 1.0
    p_value = float(chi2.sf(violation @ inverse @ violation, count))
    if p_value <= _REJECTED:
        return Balance(candidate=candidate, influence=influence, scales=model.noise_scale, p_value=p_value)
    weight = covariance[:, -count:] @ inverse
    weight[-count:] = 0.0  # the scales themselves are reported as measured
    shift = -weight @ violation
    corrected = replace(
        with_coefficients(model, model.coefficients + shift[2:-count]),
        thermal_speed_squared=model.thermal_speed_squared + float(shift[0]),
        localisation_variance=model.localisation_variance + float(shift[1]),
        noise_scale=np.ones(count),
    )
    return Balance(
        candidate=replace(candidate, model=corrected),
        influence=influence - influence[:, -count:] @ weight.T,
        scales=model.noise_scale,
        p_value=p_value,
    )
