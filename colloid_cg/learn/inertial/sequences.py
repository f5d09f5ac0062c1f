"""Residuals of consecutive frames as sequences (d_1, r_1, r_2, ...) with their covariance.

r_t = a_t y_{t+1} + b_t y_t + c_t y_{t-1} + (neighbours), a = 1 + tau + K/12, b = -2 + 10 K/12, c = 1 - tau + K/12,
where tau = tanh(gamma dt/2) is that of the particle's own friction and K = dt^2 times the stiffness of the force on it:
localisation noise enters with the products of these coefficients. d_1 = y_t - y_{t-1} is a draw from equilibrium only
where the start of a sequence does not depend on the velocity: at given frames, at the first frame, after a missed
detection. A particle that has just come far enough from the edge of the view is a fast one: there d_1 is
conditioned on, not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.learn.inertial.law import centred_law
from colloid_cg.learn.inertial.recursion import pentadiagonal_innovations

NUMEROV = 1.0 / 12.0
"""Weight of the force at the frames before and after; 10/12 at the frame itself (Numerov 1924)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Residuals:
    """Rows with a residual, in the order particle, frame.

    ``row`` (m,) row of the series and ``frame`` its frame number, ``value`` r_t and ``step`` y_t - y_{t-1} (m, d) in
    um, ``friction`` gamma dt and ``stiffness`` K of the particle itself (m, d), ``shares`` (p, m, d) of that friction
    by origin (bath, g_par, g_perp), ``joined`` (m,) whether the row before is the frame before, ``fresh`` (m,) whether
    the track began at the frame before, away from the edge or at the first frame.
    """

    row: np.ndarray
    frame: np.ndarray
    value: np.ndarray
    step: np.ndarray
    friction: np.ndarray
    stiffness: np.ndarray
    shares: np.ndarray
    joined: np.ndarray
    fresh: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Sequences:
    """Sequences one after the other; covariance = theta dt^2 (thermal + sum_p scale_p random_p) + s2 noise.

    ``random`` (p, 3, m, d), one per origin of friction, and ``noise`` (3, m, d) hold lags 0, 1, 2; ``thermal, value``
    have shape (m, d), ``place, row, log_jacobian, counted`` (m,): a d_1 that is not counted is only conditioned on.
    """

    value: np.ndarray
    place: np.ndarray
    row: np.ndarray
    thermal: np.ndarray
    random: np.ndarray
    noise: np.ndarray
    log_jacobian: np.ndarray
    counted: np.ndarray

    def log_likelihood(self, thermal: float, noise_variance: float, scale: np.ndarray) -> np.ndarray:
        """Return the log-density of every row of positions given those before, shape (m,); thermal = theta dt^2.

        ``scale`` (p,) is the strength of the random force over what fluctuation-dissipation asks for, by origin.
        """
        return self.innovations(thermal, noise_variance, scale)[0]

    def innovations(self, thermal: float, noise_variance: float, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log-densities (m,) and standardised innovations (m, d)."""
        random = np.tensordot(np.asarray(scale, dtype=float), self.random, axes=1)
        zero, one, two = thermal * random + noise_variance * self.noise
        rows, white = pentadiagonal_innovations(self.value, zero + thermal * self.thermal, one, two, self.place)
        return np.where(self.counted, rows, 0.0) + self.log_jacobian, white


def sequences(data: Residuals, *, exposure_share: float, every: int | None = None) -> Sequences:
    """Return the sequences, begun afresh with a d_1 at every ``every``-th frame (None: as long as the tracks).

    Each d_1 adds the velocity variance of equilibrium as information; long sequences use it once per track.
    """
    m = len(data.row)
    index = np.arange(m)
    renewed = np.zeros(m, dtype=bool) if every is None else data.frame % every == 1
    starts = ~data.joined | renewed
    with_step = starts
    equilibrium = (renewed | data.fresh)[starts]
    begin = np.maximum.accumulate(np.where(starts, index, 0))
    within = index - begin
    target = index + np.cumsum(with_step)  # where r_t goes, its d_1 one row earlier
    first = target[with_step] - 1
    total = m + int(with_step.sum())
    place = np.zeros(total, dtype=np.int64)
    place[target] = within + with_step[begin]
    row = np.empty(total, dtype=np.int64)
    row[target], row[first] = data.row, data.row[with_step]
    value = np.empty((total, data.value.shape[1]))
    value[target], value[first] = data.value, data.step[with_step]
    thermal, random, noise = _covariances(data, within, with_step, target, exposure_share, total)
    after = 1.0 + np.tanh(0.5 * data.friction) + NUMEROV * data.stiffness
    jacobian = np.zeros(total)
    jacobian[target] = np.log(np.maximum(after, 0.1)).sum(axis=1)
    counted = np.ones(total, dtype=bool)
    counted[first] = equilibrium
    return Sequences(
        counted=counted,
        value=value,
        place=place,
        row=row,
        thermal=thermal,
        random=random,
        noise=noise,
        log_jacobian=jacobian,
    )


def _covariances(
    data: Residuals, within: np.ndarray, with_step: np.ndarray, target: np.ndarray, exposure_share: float, total: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    law = centred_law(data.friction, exposure_share)
    tau = np.tanh(0.5 * data.friction)
    a = 1.0 + tau + NUMEROV * data.stiffness
    b = -2.0 + (1.0 - 2.0 * NUMEROV) * data.stiffness
    c = 1.0 - tau + NUMEROV * data.stiffness
    d = data.value.shape[1]
    thermal = np.zeros((total, d))
    random, noise = np.zeros((3, total, d)), np.zeros((3, total, d))
    at = target[with_step]
    thermal[at - 1] = (law.first - NUMEROV * data.stiffness)[with_step]
    noise[0, at - 1] = 2.0
    random[1, at], noise[1, at] = law.first_next[with_step], (b - c)[with_step]
    random[0, target], noise[0, target] = law.zero, a * a + b * b + c * c
    second = np.flatnonzero(within >= 1)
    third = np.flatnonzero(within >= 2)
    random[1, target[second]] = 0.5 * (law.one[second] + law.one[second - 1])
    noise[1, target[second]] = a[second - 1] * b[second] + b[second - 1] * c[second]
    after = np.flatnonzero(within == 1)
    after = after[with_step[after - 1]]
    random[2, target[after]], noise[2, target[after]] = law.first_after[after], c[after]
    random[2, target[third]] = 0.5 * (law.two[third] + law.two[third - 2])
    noise[2, target[third]] = a[third - 2] * c[third]
    shares = np.zeros((len(data.shares), total, d))
    shares[:, target], shares[:, at - 1] = data.shares, data.shares[:, with_step]
    return thermal, shares[:, None] * random, noise
